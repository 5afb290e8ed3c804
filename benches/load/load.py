#!/usr/bin/env python3
"""Loads a collector until it drops, and prints what each rate costs.

    benches/load/load.py target/release/spread-aggregator [--rates 200000,400000] [--seconds 60] ...

`simulate` is the exchanges, `run` the collector with everything switched on: two processes that share
the machine. A rate is clean when nothing was dropped, nothing is left in journals at the end, and `verify`
finds files in order that have as many rows as the exchanges say they sent. What is neither in files, nor
in journals, nor counted as dropped by a writer's queue is missing: that must never be. Without --rates they go up by a fourth
until one is not clean. Only Python's own library is needed.
"""

import argparse
import collections
import json
import pathlib
import re
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).parent.with_name("support")))
from collector import EXCHANGES, Stage, get, process, processor, subscribe, total


def arguments():
    it = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    it.add_argument("program")
    it.add_argument("--rates", help="messages a second, comma-separated")
    it.add_argument("--runs", type=int, default=1, help="runs of each rate; medians are printed")
    it.add_argument("--seconds", type=float, default=60, help="that are measured, after all deliver")
    it.add_argument("--symbols", type=int, default=1000, help="of each venue")
    it.add_argument("--markets", default="spot", help="spot, perp or spot,perp")
    it.add_argument("--exchanges", default=",".join(EXCHANGES))
    it.add_argument("--connections", type=int, default=0, help="threads of each venue; 0: as few as allowed")
    it.add_argument("--clients", type=int, default=0, help="WebSocket clients that take 100 symbols each")
    it.add_argument("--no-spreads", action="store_true")
    it.add_argument("--tls", action="store_true")
    it.add_argument("--frames-per-write", type=int)
    it.add_argument("--dir", default="target/tmp/load", type=pathlib.Path)
    return it.parse_args()


def buckets(found, name):
    sums = collections.Counter()
    for it, labels, value in found:
        if it == f"{name}_bucket":
            sums[float(labels["le"])] += value
    return sums


def quantiles(before, after, name, at=(0.5, 0.99, 0.999)):
    """Upper bounds of the buckets in which the quantiles are, in milliseconds."""
    old = buckets(before, name)
    counts = sorted((le, value - old[le]) for le, value in buckets(after, name).items())
    most = counts[-1][1] if counts else 0
    first = lambda q: next((le * 1e3 for le, n in counts if q * most <= n), float("nan"))
    return [first(q) for q in at] if most else [float("nan")] * len(at)


def threads(pid):
    """Processor seconds and how many there are, by the kind of thread."""
    found = collections.defaultdict(lambda: [0.0, 0])
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            stat = task.joinpath("stat").read_text()
        except FileNotFoundError:
            continue
        name = stat.partition("(")[2].rpartition(")")[0]
        is_feed = any(name.startswith(it) for it in EXCHANGES) or name.startswith("feed")
        kind = "feeds" if is_feed else re.sub(r"[-\d]+$", "", name)
        found[kind][0] += processor(stat)
        found[kind][1] += 1
    return found


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", process(pid, "status"))[1]) / 1024


def certificate(folder):
    if not folder.joinpath("cert.pem").exists():
        subprocess.run(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem".split(),
            cwd=folder, check=True, capture_output=True,
        )
    return ["--tls", str(folder / "cert.pem"), str(folder / "key.pem")]


def client(port, symbols):
    """Subscribes to quotes and takes what comes, without a look at it."""
    with subscribe(port, symbols=symbols) as peer:
        peer.settimeout(None)
        while peer.recv(1 << 16):
            pass


def measure(options, rate):
    folder = options.dir.absolute()
    shutil.rmtree(folder / "data", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    more = certificate(folder) if options.tls else []
    if options.frames_per_write:
        more += ["--frames-per-write", str(options.frames_per_write)]
    if "," not in options.markets:
        more += ["--market", options.markets]
    venues = len(options.exchanges.split(",")) * len(options.markets.split(","))
    with Stage(options.program, folder) as stage:
        text = stage.simulate(
            venues, "--exchanges", options.exchanges, "--symbols", str(options.symbols), "--trade-share", "0",
            "--rate", str(rate), *more)
        text = text.replace("[[exchange]]", f"[[exchange]]\ntrades = false\nthreads = {options.connections}")
        spreads = "[spreads]\nenabled = false\n" if options.no_spreads else ""
        stage.run("", f"[defaults]\nmin_quote_volume = 0.0\n{spreads}{text}")
        return watch(options, stage, rate, venues)


def watch(options, stage, rate, venues):
    port, exchanges, collector = stage.port, stage.exchanges, stage.collector
    context = ssl._create_unverified_context() if options.tls else None
    cost_of = lambda it: processor(process(it.pid, "stat"))

    def all_deliver():
        try:
            now = stage.metrics()
        except OSError:
            return False
        of = lambda state: total(now, "subscriptions", state=state)
        # Some are listed for the sake of filters, and some are refused.
        listed = 0.7 * venues * options.symbols <= (instruments := total(now, "instruments"))
        delivering = 0.99 * instruments <= of("delivering") + of("refused")
        return listed and delivering and of("requested") + of("acknowledged") == 0

    stage.until("all symbols deliver", all_deliver)
    symbols = stage.symbols()
    for n in range(options.clients):
        some = [symbols[(100 * n + it) % len(symbols)] for it in range(100)]
        threading.Thread(target=client, args=(port, some), daemon=True).start()
    time.sleep(5)
    start, cost, kinds, before = time.monotonic(), cost_of(collector), threads(collector.pid), stage.metrics()
    load = cost_of(exchanges)
    memory = []
    while time.monotonic() < start + options.seconds:
        memory.append((time.monotonic() - start, resident(collector.pid)))
        time.sleep(1)
    after, seconds = stage.metrics(), time.monotonic() - start
    cost, load = cost_of(collector) - cost, cost_of(exchanges) - load
    ended = threads(collector.pid)
    get(stage.base + "/rate?0", context)
    stage.until_still()
    found = stage.metrics()
    sent = sum(it["quotes"] for it in json.loads(get(stage.base + "/stats", context)).values())
    received = total(found, "events_total", channel="quotes")
    by_queue = collections.Counter()
    for labels, value in ((it[1], it[2]) for it in found if it[0] == "queue_dropped_total" and it[2]):
        by_queue[labels["queue"]] += value
    dropped = sum(value for queue, value in by_queue.items() if queue != "live")
    collector.send_signal(signal.SIGINT)
    collector.wait(60)
    checked = subprocess.run([options.program, "verify", str(stage.folder / "data")], capture_output=True, text=True)
    summary = (stage.folder / "summary").read_text()
    rows = int(re.search(r"(\d+) quotes", summary.replace(",", ""))[1]) if re.search(r"\d quotes", summary) else -1
    found = re.search(r"(\d+) rows stay in journals", summary)
    left = int(found[1]) if found else 0
    lost = sum(value for queue, value in by_queue.items() if "writer" in queue)
    size = sum(it.stat().st_size for it in stage.folder.joinpath("data", "quotes").rglob("*.parquet"))
    messages = total(after, "events_total") - total(before, "events_total")
    slope = statistics.linear_regression(*zip(*memory)).slope * 60 if 2 < len(memory) else float("nan")
    by_kind = {it: (ended[it][0] - kinds[it][0]) / messages * 1e6 for it in ended}
    return {
        "rate": messages / seconds, "asked": rate, "dropped": int(dropped), "missing": int(sent - rows - left - lost), "left": left,
        "verified": checked.returncode == 0, "us": cost / messages * 1e6, "simulator_us": load / messages * 1e6,
        "cores": cost / seconds, "rss": max(it for _, it in memory), "slope": slope, "row": size / max(rows, 1),
        "threads": int(sum(it[1] for it in ended.values())),
        "lag": quantiles(before, after, "exchange_lag_seconds"),
        "delay": quantiles(before, after, "journal_delay_seconds"),
        "flush": quantiles(before, after, "journal_flush_seconds"),
        "live": quantiles(before, after, "live_latency_seconds"),
        "kinds": by_kind, "received": received, "sent": sent, "rows": rows, "queues": by_queue,
    }


def show(it):
    clean = it["dropped"] == it["missing"] == it["left"] == 0 and it["verified"]
    of = lambda key: "/".join(f"{x:.3g}" for x in it[key])
    print(
        f"{it['asked']:>8} asked {it['rate']:>8.0f}/s got  {'clean' if clean else 'NOT CLEAN'}: dropped {it['dropped']},"
        f" missing {it['missing']}  {it['us']:.2f} us ({it['cores']:.2f} cores), simulator {it['simulator_us']:.2f} us"
        f"  RSS {it['rss']:.0f} MB {it['slope']:+.1f} MB/min  {it['row']:.1f} B/row  {it['threads']} threads"
    )
    print(f"         p50/p99/p99.9 ms: exchange to receipt {of('lag')}, receipt to journal {of('delay')}, its sync {of('flush')}, receipt to client {of('live')}")
    kinds = sorted(it["kinds"].items(), key=lambda it: -it[1])
    print("         us a message: " + ", ".join(f"{name} {us:.3f}" for name, us in kinds if 0.001 <= us), flush=True)
    if not clean:
        print(f"         sent {it['sent']:.0f}, received {it['received']:.0f}, in files {it['rows']}, in journals {it['left']}, dropped by queue {dict(it['queues'])}")
    return clean


def main():
    options = arguments()
    given = [int(it) for it in options.rates.split(",")] if options.rates else None
    rate, best = 200_000, None
    for rate in given or (int(200_000 * 1.25**n) for n in range(30)):
        runs = [measure(options, rate) for _ in range(options.runs)]
        clean = all([show(it) for it in runs])
        if options.runs > 1:
            middle = lambda key: statistics.median(it[key] for it in runs)
            print(f"         median of {options.runs}: {middle('us'):.2f} us, RSS {middle('rss'):.0f} MB", flush=True)
        if clean:
            best = rate
        elif not given:
            break
    print(f"the highest clean rate: {best:,} messages a second" if best else "no rate was clean")


if __name__ == "__main__":
    main()
