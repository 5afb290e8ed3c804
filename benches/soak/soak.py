#!/usr/bin/env python3
"""Runs a collector for long against exchanges that fail at random, and reports what it has grown by.

    benches/soak/soak.py target/release/spread-aggregator [--minutes 1440] [--report docs/soak.md] ...

`simulate` is the exchanges, `run` the collector: two processes. The faults are drawn before the start
from a seed, which the report names. At the end the report has the slope of the resident memory with its
confidence interval, threads and descriptors before and after, and for each venue what was sent, stored
and declared as lost. Exit code 1 when something was lost in silence, or is not given back, or when memory
grows for sure by more than --growth-max an hour. Only Python's own library is needed.
"""

import argparse
import datetime
import json
import math
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).parent.with_name("support")))
from collector import EXCHANGES, Stage, get, metrics, process, processor, subscribe, total

VENUES = [f"{it}-{market}" for it in EXCHANGES for market in ("spot", "perp")]
# What is under way with these may be lost, and has to be declared.
LOSSY = ("drop", "half-open", "oversized", "garbage")
ONCE = ("drop", "eof", "close")
LASTING = ("mute", "half-open", "garbage", "torn", "oversized", "refuse", "http=503", "http=429", "lose-trades")
# Nothing goes wrong before this, in seconds, and after that much before the end.
CALM = 60
# Samples of so much of the beginning say how memory is filled, not whether it grows.
WARM = 0.25


def arguments():
    it = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    it.add_argument("program")
    it.add_argument("--minutes", type=float, default=24 * 60)
    it.add_argument("--rate", type=float, default=1000, help="messages a second over all venues")
    it.add_argument("--symbols", type=int, default=20, help="of each venue")
    it.add_argument("--every", type=float, default=15, help="seconds between faults, on average")
    it.add_argument("--rotate", default="1m", help="age of a file when it is closed")
    it.add_argument("--sample", type=float, default=5, help="seconds between samples")
    it.add_argument("--growth-max", type=float, default=10, help="per cent an hour that memory may grow by")
    it.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    it.add_argument("--dir", default="target/tmp/soak", type=pathlib.Path)
    it.add_argument("--report", type=pathlib.Path, help="where the report goes; printed when left out")
    return it.parse_args()


def draw(options):
    """The faults of a run: when, where, what, and how long."""
    rng, at, faults = random.Random(options.seed), float(CALM), []
    while True:
        at += rng.expovariate(1 / options.every)
        if options.minutes * 60 - CALM - 30 < at:
            return faults
        kind = rng.choice(ONCE + LASTING)
        lasting = "" if kind in ONCE else f":for={rng.randint(500, 30_000)}ms"
        faults.append((kind, rng.choice(VENUES), f":after={int(at * 1000)}ms{lasting}"))


def sample(pid):
    """Resident and anonymous memory in MB, threads and descriptors."""
    status = process(pid, "status")
    field = lambda name: int(re.search(rf"{name}:\s+(\d+)", status)[1])
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    return field("VmRSS") / 1024, field("RssAnon") / 1024, field("Threads"), descriptors


def read_all(port, over):
    """A client that takes every quote there is, and comes again when it is closed."""
    while not over.is_set():
        try:
            with subscribe(port) as peer:
                while not over.is_set() and peer.recv(1 << 16):
                    pass
        except OSError:
            pass
        over.wait(1)


def slope(samples):
    """Growth an hour by least squares, and the half width of its 95 % confidence interval.

    Samples a few seconds apart resemble each other, so they count as fewer than they are: by as much as
    their residuals are correlated with those before them.
    """
    xs, ys = [it[0] / 3600 for it in samples], [it[1] for it in samples]
    if len(xs) < 10:
        return float("nan"), float("nan")
    line = statistics.linear_regression(xs, ys)
    rest = [y - line.slope * x - line.intercept for x, y in zip(xs, ys)]
    power = sum(it * it for it in rest)
    if power == 0:
        return line.slope, 0.0
    alike = max(0.0, min(0.99, sum(a * b for a, b in zip(rest, rest[1:])) / power))
    count = max(4.0, len(xs) * (1 - alike) / (1 + alike))
    spread = sum((x - statistics.mean(xs)) ** 2 for x in xs) / len(xs)
    error = math.sqrt(power / len(xs) / spread / (count - 2))
    # Student's 97.5 % quantile, by Cornish and Fisher.
    z, free = 1.959964, count - 2
    quantile = z + (z**3 + z) / 4 / free + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / free**2
    return line.slope, quantile * error


def delivering(port):
    """Venues that have data coming."""
    try:
        found = metrics(port)
    except OSError:
        return set()
    of = lambda it, more: total(found, more, exchange=it.split("-")[0], market=it.split("-")[1])
    states = [it for it in VENUES if 0 < total(
        found, "subscriptions", exchange=it.split("-")[0], market=it.split("-")[1], state="delivering")]
    return {it for it in states if 0 < of(it, "connections_up")}


def at_rest(port, base):
    """What has arrived and what was sent, at a moment when nothing is under way: some venues repeat
    themselves now and then, whatever the rate."""
    for _ in range(20):
        sent = json.loads(get(base + "/stats"))
        time.sleep(0.4)
        found = metrics(port)
        if sent == json.loads(get(base + "/stats")):
            break
    return found, sent


def soak(options, faults, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plans = [f"--fault={kind}@{venue}{when}" for kind, venue, when in faults]
    over = threading.Event()
    with Stage(options.program, folder) as stage:
        venues = stage.simulate(len(VENUES), "--symbols", str(options.symbols), "--rate", str(options.rate), *plans)
        heard = '[defaults]\nmin_quote_volume = 0.0\nheartbeat_timeout = "5s"\nstale_after = "10s"\n'
        stage.run(f'rotate = "{options.rotate}"\n', heard + venues)
        try:
            return watch(options, stage, over)
        finally:
            over.set()


def watch(options, stage, over):
    port, collector = stage.port, stage.collector
    all_deliver = lambda: len(delivering(port)) == len(VENUES)
    cost_of = lambda it: processor(process(it.pid, "stat"))
    stage.until("all venues deliver", all_deliver)
    threading.Thread(target=read_all, args=(port, over), daemon=True).start()
    began = time.monotonic()
    cost, load = cost_of(collector), cost_of(stage.exchanges)
    samples = []
    while (at := time.monotonic() - began) < options.minutes * 60:
        if collector.poll() is not None:
            sys.exit("the collector ended before its time: see its log")
        samples.append((at, *sample(collector.pid)))
        time.sleep(options.sample)
    stage.until("all venues deliver again", all_deliver)
    seconds = time.monotonic() - began
    back = seconds - options.minutes * 60
    cost, load = (cost_of(collector) - cost) / seconds, (cost_of(stage.exchanges) - load) / seconds
    get(stage.base + "/rate?0")
    stage.until_still()
    found, sent = at_rest(port, stage.base)
    over.set()
    collector.send_signal(signal.SIGTERM)
    code = collector.wait(60)
    return samples, found, sent, {"cores": cost, "simulator": load, "back": back, "code": code}


def account(options, faults, folder, found, sent):
    """For each venue: sent, stored, passed over as told before, missing, rows of the ledger."""
    ledger = subprocess.run([options.program, "gaps", "--json", str(folder / "data")], capture_output=True, text=True)
    declared = {it: 0 for it in VENUES}
    for line in ledger.stdout.splitlines():
        gap = json.loads(line) if line.startswith("{") else {}
        if (venue := f"{gap.get('exchange')}-{gap.get('market')}") in declared and "reason" in gap:
            declared[venue] += 1
    lossy = {venue for kind, venue, _ in faults if kind in LOSSY}
    rows, silent = [], 0
    for venue in VENUES:
        exchange, market = venue.split("-")
        of = lambda name: int(total(found, name, exchange=exchange, market=market))
        it = sent[venue]
        all_sent = it["quotes"] + it["trades"] + it["repeated_trades"]
        stored, repeated = of("events_total"), of("repeated_events_total")
        missing = all_sent - stored - repeated
        allowed = venue in lossy and 0 < declared[venue]
        silent += 0 if missing == 0 or allowed and 0 < missing else abs(missing)
        count = sum(1 for fault in faults if fault[1] == venue)
        rows.append((venue, count, all_sent, stored, repeated, missing, declared[venue], it["lost_trades"]))
    return rows, silent


def report(options, faults, folder, samples, found, sent, more):
    warm = [it for it in samples if WARM * options.minutes * 60 <= it[0]]
    growth, half = slope([(it[0], it[1]) for it in warm])
    anonymous, anonymous_half = slope([(it[0], it[2]) for it in warm])
    mean = statistics.mean(it[1] for it in warm)
    calm = [it for it in samples if it[0] <= CALM]
    # The last minute is without faults, and so is the first.
    rest = [it for it in samples if options.minutes * 60 - CALM / 2 <= it[0]]
    middle = lambda of, at: statistics.median(it[at] for it in of)
    rows, silent = account(options, faults, folder, found, sent)
    summary = folder.joinpath("summary").read_text().replace(",", "")
    stored = sum(int(it) for it in re.findall(r"(\d+) (?:quotes|trades)", summary)[:2])
    decoded = int(re.search(r"(\d+) events decoded", summary)[1])
    dropped = int(total(found, "queue_dropped_total", queue="writer-0"))
    verified = subprocess.run([options.program, "verify", str(folder / "data")], capture_output=True, text=True)
    is_grown = growth - half > options.growth_max / 100 * mean
    left = middle(rest, 3) > middle(calm, 3) or middle(rest, 4) > middle(calm, 4) + 8
    good = not silent and not is_grown and not left and verified.returncode == 0 and more["code"] == 0
    good = good and decoded == stored + dropped
    version = subprocess.run([options.program, "--version"], capture_output=True, text=True).stdout.strip()
    kinds = sorted({it[0] for it in faults})
    how_long = f"{options.minutes:.0f} minutes" if options.minutes < 120 else f"{options.minutes / 60:.1f} hours"
    text = f"""# The last soak

**{how_long}**, {datetime.datetime.now(datetime.UTC):%d %B %Y}, {version}, {"debug" if "debug" in options.program else "release"} build, {os.cpu_count()} cores
({platform.machine()}, Linux {platform.release().split("-")[0]}), which other work shared. {"It passed." if good else "**It did not pass.**"}

`just soak --minutes {options.minutes:.0f} --rate {options.rate:.0f} --seed {options.seed}`; a day is what it does when it is not told.

16 simulated venues of {options.symbols} instruments as one process, {options.rate:.0f} messages a second; the collector as
another, with one client that takes every quote. {len(faults)} faults at random venues, one each {options.every:.0f} s on average, of
0.5 to 30 s: {", ".join(kinds)}. The first and the last minute are without.

| | at the start | at the end | |
|---|---|---|---|
| resident memory | {middle(calm, 1):.1f} MiB | {middle(rest, 1):.1f} MiB | {max(it[1] for it in samples):.1f} MiB at most |
| of it anonymous, which is the heap and stacks | {middle(calm, 2):.1f} MiB | {middle(rest, 2):.1f} MiB | {max(it[2] for it in samples):.1f} MiB at most |
| threads | {middle(calm, 3):.0f} | {middle(rest, 3):.0f} | {max(it[3] for it in samples)} at most |
| descriptors | {middle(calm, 4):.0f} | {middle(rest, 4):.0f} | {max(it[4] for it in samples)} at most |

Medians of the minute without faults. Threads and descriptors {"have not been given back" if left else "are given back"}. The collector took {more["cores"]:.2f}
cores, the exchanges {more["simulator"]:.2f}.

**Growth**, by least squares over the last {100 - 100 * WARM:.0f} % of the time, {len(warm)} samples {options.sample:.0f} s apart, with the 95 % confidence
interval (samples that resemble the one before count for less): resident memory {growth:+.1f} ± {half:.1f} MiB an hour,
the anonymous part {anonymous:+.1f} ± {anonymous_half:.1f}. {"That is growth." if growth > half else "That is no growth that can be told from none" if growth + half > 0 else "That is no growth"}{"" if growth > half else "."} A short run has a wide interval.

**Rows**: sent is what the exchanges have written to sockets; not passed on is what the collector knew
already. What is missing was under way when a connection was reset, and is allowed only where the ledger
says so. Lost in silence: **{silent}**. {stored:,} rows in files, {decoded:,} decoded, {dropped} dropped by a full queue; `verify` {"finds nothing" if verified.returncode == 0 else "**finds damage**"}. All venues delivered {more["back"]:.1f} s after the end of the time.

| venue | faults | sent | stored | not passed on | missing | rows of the ledger | trades kept back by a fault |
|---|---|---|---|---|---|---|---|
"""
    text += "".join("| " + " | ".join(f"{it:,}" if isinstance(it, int) else it for it in row) + " |\n" for row in rows)
    return text, good


def main():
    options = arguments()
    options.program = str(pathlib.Path(options.program).absolute())
    folder, faults = options.dir.absolute(), draw(options)
    print(f"{options.minutes:.0f} minutes, {len(faults)} faults, seed {options.seed}", flush=True)
    samples, found, sent, more = soak(options, faults, folder)
    folder.joinpath("samples.json").write_text(json.dumps(samples))
    text, good = report(options, faults, folder, samples, found, sent, more)
    (options.report or folder / "report.md").write_text(text)
    print(text)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
