#!/usr/bin/env python3
"""Draws the panels of the dashboard without a Grafana, which Debian does not have: a Prometheus scrapes
a demonstration for a while, every query is asked of it, and each panel is put where its `gridPos` says.
A query without an answer is an error, but for those that only a fault gives one. Needs `prometheus`,
`promtool` and matplotlib.

Usage: panels.py PROGRAM [SECONDS] [PICTURE]
"""
import datetime
import io
import math
import pathlib
import re
import sys
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates
import matplotlib.pyplot as plt
import matplotlib.ticker
import PIL.Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import dashboard
from scraped import read, scraped, subscribe

PICTURE = pathlib.Path("docs/pictures/grafana.png")
# Names below a panel; those of the largest series come first.
NAMED = 4
PAPER, INK, FAINT = "#111217", "#ccccdc", "#2c3235"
# Grafana's cell of the grid is 30 pixels high, and a screen of it 24 cells wide.
INCHES_WIDE, INCHES_A_ROW = 19.2, 0.34
STEP_SECONDS = 2
# Messages a second, of all venues.
RATE = 2000


def label(query, metric):
    return re.sub(r"{{\s*(\w+)\s*}}", lambda it: metric.get(it[1], ""), query.legend)


def lines(stand, query, start, end):
    """The series of an answer: a name, times and values of each. What is no number is left out."""
    answer = stand.api("query_range", query=query.filled(), start=start, end=end, step=STEP_SECONDS)
    for series in answer["result"]:
        points = [(float(at), float(value)) for at, value in series["values"]]
        points = [it for it in points if math.isfinite(it[1])]
        if points:
            yield label(query, series["metric"]), *zip(*points)


def scaled(value, units, factor):
    for unit in units:
        if abs(value) < factor or unit == units[-1]:
            return f"{value:.3g} {unit}".rstrip()
        value /= factor


def spell(unit):
    """How Grafana spells values of a unit, about."""
    def seconds(value):
        if value == 0:
            return "0 s"
        return scaled(value * 1e6, ["µs", "ms"], 1000) if abs(value) < 1 else f"{value:.3g} s"

    spellings = {
        "s": seconds,
        "bytes": lambda it: scaled(it, ["B", "KiB", "MiB", "GiB", "TiB"], 1024),
        "Bps": lambda it: scaled(it, ["B/s", "kB/s", "MB/s", "GB/s"], 1000),
        "cps": lambda it: scaled(it, ["/s", "k/s", "M/s"], 1000),
        "percentunit": lambda it: f"{100 * it:,.0f} %",
        "short": lambda it: scaled(it, ["", "K", "Mil"], 1000),
    }
    return matplotlib.ticker.FuncFormatter(lambda it, _: spellings[unit](it))


def draw(axes, panel, drawn):
    axes.set_title(panel["title"], loc="left", fontsize=9, color=INK)
    axes.set_facecolor(PAPER)
    axes.tick_params(colors=INK, labelsize=7, length=0)
    axes.grid(color=FAINT, linewidth=0.5)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    if not drawn:
        axes.text(0.5, 0.5, "No data", color=INK, ha="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    drawn = sorted(drawn, key=lambda it: -it[2][-1])
    for name, times, values in drawn:
        moments = [datetime.datetime.fromtimestamp(it, datetime.UTC) for it in times]
        axes.plot(moments, values, linewidth=0.8, label=name)
    axes.xaxis.set_major_locator(matplotlib.dates.AutoDateLocator(minticks=2, maxticks=5))
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M:%S"))
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    axes.yaxis.set_major_formatter(spell(panel["fieldConfig"]["defaults"]["unit"]))
    handles, names = axes.get_legend_handles_labels()
    names = names[:NAMED]
    if NAMED < len(handles):
        names[-1] += f"  and {len(handles) - NAMED} more"
    axes.legend(handles[:NAMED], names, loc="upper left", bbox_to_anchor=(-0.02, -0.1), ncols=2,
                fontsize=6.5, frameon=False, labelcolor=INK, handlelength=1, columnspacing=1)


def picture(answers, path):
    rows = max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in dashboard.DASHBOARD["panels"])
    figure = plt.figure(figsize=(INCHES_WIDE, rows * INCHES_A_ROW), facecolor=PAPER)
    for panel in dashboard.DASHBOARD["panels"]:
        at = panel["gridPos"]
        if panel["type"] == "row":
            middle = 1 - (at["y"] + 0.5) / rows
            figure.text(0.012, middle, panel["title"], color=INK, fontsize=11, weight="bold", va="center")
    for panel, drawn in answers:
        at = panel["gridPos"]
        # Room for numbers on the left, for the title above, and for names below.
        left, width = (at["x"] + 0.75) / 24, (at["w"] - 1.0) / 24
        bottom, height = 1 - (at["y"] + at["h"] - 2.1) / rows, (at["h"] - 3.0) / rows
        draw(figure.add_axes([left, bottom, width, height]), panel, drawn)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80, facecolor=PAPER)
    # A third of the size, and the same to the eye.
    few = PIL.Image.open(drawn).convert("RGB").quantize(128, dither=PIL.Image.Dither.NONE)
    few.save(path, optimize=True)


def watch(stand, seconds):
    """Reads what the live server sends for so long, and then all panels."""
    start = time.time()
    with subscribe(stand.collector, symbols=["BTC-USDT", "ETH-USDT"]) as client:
        read(client, seconds)
        end = time.time()
    return [(panel, queries, [list(lines(stand, it, start, end)) for it in queries])
            for panel, queries in dashboard.panels()]


def main(program, seconds, path):
    answers, empty = [], []
    with scraped(program, "--rotate", "30s", "--rate", str(RATE)) as stand:
        for panel, queries, drawn in watch(stand, seconds):
            answers.append((panel, sum(drawn, [])))
            for query, of_query in zip(queries, drawn):
                if not of_query and not query.may_be_empty():
                    sys.exit(f"{query.panel}: no data for {query.expression}")
                if not of_query:
                    empty.append(query.panel)
    picture(answers, path)
    print(f"{path}: {len(answers)} panels, {sum(len(it) for _, it in answers)} series, {seconds} s; "
          f"rightly empty: {', '.join(empty) or 'none'}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(arguments[0], int(arguments[1]) if len(arguments) > 1 else 180,
         pathlib.Path(arguments[2]) if len(arguments) > 2 else PICTURE)
