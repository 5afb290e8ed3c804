#!/usr/bin/env python3
"""A real Prometheus scrapes a collector that runs: every metric that the contract names is there and
moves, what is exported is well-formed, every query of the dashboard gives an answer, every alert can
be evaluated, and none is raised. Needs `prometheus` and `promtool`, both in Debian's package
prometheus.

Usage: check.py PROGRAM [SECONDS]
"""
import base64
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

OPS = pathlib.Path(__file__).parent
PREFIX = "spread_aggregator_"
# These stand still while all is well.
STILL = {"decode_errors_total", "queue_dropped_total", "reconnects_total", "write_errors_total",
         "gaps_total", "live_dropped_total", "connections_up", "subscriptions", "instruments",
         "threads", "build_info", "queue_capacity", "start_time_seconds", "disk_size_bytes",
         "clock_offset_seconds"}
MOVING = {"messages_received_total", "bytes_received_total", "events_total", "queue_depth",
          "queue_age_seconds", "last_message_age_seconds", "exchange_lag_seconds_count",
          "rows_written_total", "files_written_total", "journal_flush_seconds_count",
          "resident_memory_bytes", "live_clients", "live_sent_total", "disk_free_bytes"}
# What is left on the disk is no matter of the collector's, and the simulated Gate.io lists a symbol
# that it refuses, as the real one does.
EXPECTED = {"DiskNearlyFull", "DiskFullSoon", "SymbolsRefused"}
PATIENCE = 120


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if value := condition():
                return value
        time.sleep(0.2)
    sys.exit(f"not within {PATIENCE} s: {what}")


@contextlib.contextmanager
def running(*command, **options):
    """A process that is told to end, and has to do so in order."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=PATIENCE) != 0:
            sys.exit(f"{command[0]} ended with {process.returncode}")


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def subscribe(addr):
    """A client of the WebSocket that wants all quotes, at their latest once a second."""
    host, port = addr.split(":")
    client = socket.create_connection((host, int(port)), timeout=PATIENCE)
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(f"GET /ws HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    text = json.dumps({"op": "subscribe", "channel": "quotes", "interval_ms": 1000}).encode()
    # A mask of zeros leaves the text as it is.
    client.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    return client


def series(page):
    """The sum of all series of each metric."""
    sums = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name = re.match(r"\w+", line)[0].removeprefix(PREFIX)
            sums[name] = sums.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return sums


def names(expression):
    """The metrics of ours that an expression asks for."""
    return set(re.findall(PREFIX + r"(\w+)", expression))


def check_structure(dashboard):
    """What Grafana would complain of, or show wrongly."""
    panels = dashboard["panels"]
    ids = [it["id"] for it in panels]
    assert len(ids) == len(set(ids)), "two panels have one id"
    assert dashboard["schemaVersion"] >= 39 and dashboard["uid"] and dashboard["title"]
    declared = {it["name"] for it in dashboard["templating"]["list"]}
    taken = set()
    for panel in panels:
        title, at = panel["title"], panel["gridPos"]
        assert title and panel["type"] in {"row", "timeseries"}, title
        assert 0 <= at["x"] and at["x"] + at["w"] <= 24, f"{title} is too wide"
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{title} lies on another panel"
        taken |= cells
        if panel["type"] == "row":
            assert panel["collapsed"] is False and panel["panels"] == [], title
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title
        assert panel["fieldConfig"]["defaults"]["unit"], f"{title} has no unit"
        refs = [it["refId"] for it in panel["targets"]]
        assert refs and len(refs) == len(set(refs)), title
        for target in panel["targets"]:
            used = set(re.findall(r"\$\{?(\w+)", target["expr"])) - {"__rate_interval"}
            assert used <= declared, f"{title}: {used - declared} are no variables"


def expressions(dashboard):
    panels = [it["expr"] for panel in dashboard["panels"] for it in panel.get("targets", [])]
    notes = [it["expr"] for it in dashboard["annotations"]["list"] if "expr" in it]
    variables = {"$instance": ".*", "$__rate_interval": "10s"}
    for expression in panels + notes:
        for variable, value in variables.items():
            expression = expression.replace(variable, value)
        yield expression


def promtool(*arguments, **options):
    done = subprocess.run(["promtool", *arguments], text=True, capture_output=True, **options)
    if done.returncode != 0:
        sys.exit(f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}")


def main(program, seconds):
    dashboard = json.loads((OPS / "grafana/dashboard.json").read_text())
    check_structure(dashboard)
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/demo.log", "w+") as log:
        # Files are closed often, so that those metrics move, too.
        options = ["--for", "1day", "--rotate", "5s", "--listen", "127.0.0.1:0", "--dir", f"{folder}/data"]
        with running(program, "demo", *options, stdout=log, stderr=subprocess.STDOUT):
            addr = until("demo says where it is", lambda: re.search(
                r"http://(127\.0\.0\.1:\d+)", pathlib.Path(log.name).read_text()))[1]
            until("all is well", lambda: get(f"http://{addr}/healthz"))
            config = pathlib.Path(folder, "prometheus.yml")
            text = (OPS / "prometheus/prometheus.yml").read_text()
            text = text.replace("127.0.0.1:8080", addr).replace("5s", "1s")
            config.write_text(text.replace("alerts.yml", str((OPS / "prometheus/alerts.yml").resolve())))
            promtool("check", "config", str(config))
            prometheus = f"127.0.0.1:{free_port()}"
            with running("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb",
                         f"--web.listen-address={prometheus}", "--log.level=error"):
                check(f"http://{addr}", f"http://{prometheus}/api/v1", dashboard, seconds)


def check(collector, prometheus, dashboard, seconds):
    def api(path, **query):
        query = urllib.parse.urlencode(query)
        return json.loads(get(f"{prometheus}/{path}?{query}"))["data"]

    def asked(expression):
        return api("query", query=expression)["result"]

    page = get(f"{collector}/metrics")
    promtool("check", "metrics", input=page)
    first = series(page)
    values = {}

    with subscribe(collector.removeprefix("http://")) as client:
        client.settimeout(0.5)
        until("Prometheus has scraped it", lambda: asked("up == 1"))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                client.recv(1 << 20)
            for name, value in series(get(f"{collector}/metrics")).items():
                values.setdefault(name, set()).add(value)

        missing = (MOVING | STILL) - set(values)
        if missing:
            sys.exit(f"not exported: {sorted(missing)}")
        still = [it for it in MOVING if values[it] <= {first[it]}]
        if still:
            sys.exit(f"did not move: {sorted(still)}")
        queries = list(expressions(dashboard))
        for expression in queries:
            if unknown := names(expression) - set(values):
                sys.exit(f"the dashboard asks for {unknown}, which is not exported: {expression}")
            # What is compared may rightly be empty.
            if not asked(expression) and ">" not in expression:
                sys.exit(f"no answer to {expression}")
        rules = [it for group in api("rules")["groups"] for it in group["rules"]]
        for rule in rules:
            if rule["health"] != "ok":
                sys.exit(f"{rule['name']} is {rule['health']}: {rule.get('lastError')}")
            if unknown := names(rule["query"]) - set(values):
                sys.exit(f"{rule['name']} asks for {unknown}, which is not exported")
        raised = [it for it in api("alerts")["alerts"] if it["labels"]["alertname"] not in EXPECTED]
        raised += asked(f'ALERTS_FOR_STATE{{alertname!~"{"|".join(EXPECTED)}"}}[1d]')
        if raised:
            sys.exit(f"a healthy collector raised {raised}")
    print(f"{len(values)} metrics, {len(queries)} queries, {len(rules)} alerts of which none was raised "
          f"in {seconds} s")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20)
