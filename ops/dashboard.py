"""The dashboard of Grafana, as those read it who check it and draw it without a Grafana."""
import dataclasses
import json
import pathlib
import re

PATH = pathlib.Path(__file__).parent / "grafana/dashboard.json"
DASHBOARD = json.loads(PATH.read_text())
# What Grafana puts in for them: all collectors, and four times the interval of scrapes or more.
VARIABLES = {"$instance": ".*", "$__rate_interval": "10s"}


@dataclasses.dataclass(frozen=True)
class Query:
    panel: str
    expression: str
    # How a series is called.
    legend: str

    def filled(self):
        expression = self.expression
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        return expression

    def may_be_empty(self):
        """What is compared has an answer only when there is something to see."""
        return ">" in self.expression


def panels():
    """All that have queries, each with these."""
    for panel in DASHBOARD["panels"]:
        if targets := panel.get("targets"):
            yield panel, [Query(panel["title"], it["expr"], it["legendFormat"]) for it in targets]


def queries():
    """Those of panels, and those of notes."""
    for _, of_panel in panels():
        yield from of_panel
    for note in DASHBOARD["annotations"]["list"]:
        if "expr" in note:
            yield Query(note["name"], note["expr"], note["titleFormat"])


def check_structure():
    """What Grafana would complain of, or show wrongly, and its schema leaves open."""
    assert DASHBOARD["schemaVersion"] >= 39 and DASHBOARD["uid"] and DASHBOARD["title"]
    every = DASHBOARD["panels"]
    ids = [it["id"] for it in every]
    assert len(ids) == len(set(ids)), "two panels have one id"
    taken = set()
    for panel in every:
        title, at = panel["title"], panel["gridPos"]
        assert title and panel["type"] in {"row", "timeseries"}, title
        assert 0 <= at["x"] and at["x"] + at["w"] <= 24, f"{title} is too wide"
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{title} lies on another panel"
        taken |= cells
        if panel["type"] == "row":
            assert panel["collapsed"] is False and panel["panels"] == [], title
        else:
            check_panel(title, panel)


def check_panel(title, panel):
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title
    assert panel["fieldConfig"]["defaults"]["unit"], f"{title} has no unit"
    refs = [it["refId"] for it in panel["targets"]]
    assert refs and len(refs) == len(set(refs)), title
    declared = {it["name"] for it in DASHBOARD["templating"]["list"]}
    for target in panel["targets"]:
        used = set(re.findall(r"\$\{?(\w+)", target["expr"])) - {"__rate_interval"}
        assert used <= declared, f"{title}: {used - declared} are no variables"
