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
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
EXCHANGES = "binance bybit okx bitget gateio kucoin mexc bingx".split()


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


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


class Metrics:
    """What /metrics says, summed over labels."""

    def __init__(self, port):
        self.lines = []
        for line in get(f"http://127.0.0.1:{port}/metrics").splitlines():
            if found := re.match(r"spread_aggregator_(\w+?)(?:\{(.*)\})? ([-+.\deEInfNa]+)(?: |$)", line):
                self.lines.append((found[1], found[2] or "", float(found[3])))

    def sum(self, name, label=""):
        return sum(value for it, labels, value in self.lines if it == name and label in labels)

    def buckets(self, name):
        sums = collections.Counter()
        for it, labels, value in self.lines:
            if it == f"{name}_bucket":
                sums[float(re.search(r'le="([^"]+)"', labels)[1])] += value
        return sums


def quantiles(before, after, name, at=(0.5, 0.99, 0.999)):
    """Upper bounds of the buckets in which the quantiles are, in milliseconds."""
    old = before.buckets(name)
    counts = sorted((le, value - old[le]) for le, value in after.buckets(name).items())
    total = counts[-1][1] if counts else 0
    first = lambda q: next((le * 1e3 for le, n in counts if q * total <= n), float("nan"))
    return [first(q) for q in at] if total else [float("nan")] * len(at)


def processor(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def threads(pid):
    """Processor seconds and how many there are, by the kind of thread."""
    found = collections.defaultdict(lambda: [0.0, 0])
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name, _, rest = task.joinpath("stat").read_text().partition("(")[2].rpartition(")")
        except FileNotFoundError:
            continue
        fields = rest.split()
        is_feed = any(name.startswith(it) for it in EXCHANGES) or name.startswith("feed")
        kind = "feeds" if is_feed else re.sub(r"[-\d]+$", "", name)
        found[kind][0] += (int(fields[11]) + int(fields[12])) / TICKS
        found[kind][1] += 1
    return found


def resident(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def certificate(folder):
    if not folder.joinpath("cert.pem").exists():
        subprocess.run(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem".split(),
            cwd=folder, check=True, capture_output=True,
        )
    return ["--tls", str(folder / "cert.pem"), str(folder / "key.pem")]


def wait(what, holds, *processes, seconds=180):
    end = time.monotonic() + seconds
    while not holds():
        for it in processes:
            if it.poll() is not None:
                sys.exit(f"{it.args[1]} ended while waiting until {what}: see its log")
        if end < time.monotonic():
            sys.exit(f"waited in vain until {what}")
        time.sleep(0.2)


def client(port, symbols):
    """Subscribes to quotes and takes what comes, without a look at it."""
    names = json.dumps({"op": "subscribe", "channel": "quotes", "symbols": symbols}).encode()
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(
            b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        peer.sendall(b"\x81\xfe" + len(names).to_bytes(2, "big") + bytes(4) + names)
        while peer.recv(1 << 16):
            pass


def configure(options, folder, exchanges, port):
    head = [f'[storage]\ndir = "{folder / "data"}"', f'[live]\nlisten = "127.0.0.1:{port}"',
            "[defaults]\nmin_quote_volume = 0.0"]
    if options.no_spreads:
        head.append("[spreads]\nenabled = false")
    more = f"[[exchange]]\ntrades = false\nthreads = {options.connections}"
    folder.joinpath("config.toml").write_text("\n".join(head) + "\n" + exchanges.replace("[[exchange]]", more))


def measure(options, rate):
    folder = options.dir.absolute()
    shutil.rmtree(folder / "data", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    more = certificate(folder) if options.tls else []
    if options.frames_per_write:
        more += ["--frames-per-write", str(options.frames_per_write)]
    if "," not in options.markets:
        more += ["--market", options.markets]
    said, log = folder / "exchanges.toml", open(folder / "log", "w")
    with open(said, "w") as out:
        exchanges = subprocess.Popen(
            [options.program, "simulate", "--listen", "127.0.0.1:0", "--exchanges", options.exchanges,
             "--symbols", str(options.symbols), "--trade-share", "0", "--rate", str(rate), "--no-limits", *more],
            stdout=out, stderr=log,
        )
    venues = len(options.exchanges.split(",")) * len(options.markets.split(","))
    collector = None
    try:
        wait("the exchanges listen", lambda: said.read_text().count("rest_url") == venues, exchanges)
        text = said.read_text()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        configure(options, folder, text, port)
        with open(folder / "summary", "w") as out:
            collector = subprocess.Popen(
                [options.program, "run", "-c", str(folder / "config.toml")], stdout=out, stderr=log)
        return watch(options, folder, rate, venues, text, port, exchanges, collector)
    finally:
        for it in filter(None, (collector, exchanges)):
            it.kill()
            it.wait()


def watch(options, folder, rate, venues, text, port, exchanges, collector):
    base = re.search(r'rest_url = "(https?://[^/"]+)', text)[1]
    context = None
    if options.tls:
        import ssl
        context = ssl._create_unverified_context()
    ask = lambda path: urllib.request.urlopen(base + path, timeout=20, context=context).read().decode()

    def all_deliver():
        try:
            now = Metrics(port)
        except OSError:
            return False
        states = [now.sum("subscriptions", f'state="{it}"') for it in ("requested", "acknowledged")]
        return 0.99 * venues * options.symbols <= now.sum("subscriptions", 'state="delivering"') and sum(states) == 0

    wait("all symbols deliver", all_deliver, exchanges, collector)
    names = json.loads(get(f"http://127.0.0.1:{port}/api/v1/instruments"))
    names = names if isinstance(names, list) else next(it for it in names.values() if isinstance(it, list))
    symbols = sorted({it["symbol"] for it in names})
    for n in range(options.clients):
        some = [symbols[(100 * n + it) % len(symbols)] for it in range(100)]
        threading.Thread(target=client, args=(port, some), daemon=True).start()
    time.sleep(5)
    start, cost, kinds, before = time.monotonic(), processor(collector.pid), threads(collector.pid), Metrics(port)
    load = processor(exchanges.pid)
    memory = []
    while time.monotonic() < start + options.seconds:
        memory.append((time.monotonic() - start, resident(collector.pid)))
        time.sleep(1)
    after, seconds = Metrics(port), time.monotonic() - start
    cost, load = processor(collector.pid) - cost, processor(exchanges.pid) - load
    ended = threads(collector.pid)
    ask("/rate?0")
    sent = lambda: json.loads(ask("/stats"))
    count = lambda it: sum(venue.get("quotes", 0) for venue in it.values()) if "quotes" not in it else it["quotes"]
    got = lambda: Metrics(port).sum("events_total", 'channel="quotes"')
    last = [-1.0]

    def is_still():
        last.append(got())
        time.sleep(0.5)
        return last[-1] == last[-2]

    wait("nothing comes any more", is_still, exchanges, collector)
    total, received = count(sent()), got()
    by_queue = {labels: value for it, labels, value in Metrics(port).lines if it == "queue_dropped_total" and value}
    dropped = Metrics(port).sum("queue_dropped_total") - Metrics(port).sum("queue_dropped_total", 'queue="live"')
    collector.send_signal(signal.SIGINT)
    collector.wait(60)
    checked = subprocess.run([options.program, "verify", str(folder / "data")], capture_output=True, text=True)
    summary = (folder / "summary").read_text()
    rows = int(re.search(r"(\d+) quotes", summary.replace(",", ""))[1]) if re.search(r"\d quotes", summary) else -1
    found = re.search(r"(\d+) rows stay in journals", summary)
    left = int(found[1]) if found else 0
    lost = sum(value for labels, value in by_queue.items() if "writer" in labels)
    size = sum(it.stat().st_size for it in folder.joinpath("data", "quotes").rglob("*.parquet"))
    messages = after.sum("events_total") - before.sum("events_total")
    slope = statistics.linear_regression(*zip(*memory)).slope * 60 if 2 < len(memory) else float("nan")
    by_kind = {it: (ended[it][0] - kinds[it][0]) / messages * 1e6 for it in ended}
    return {
        "rate": messages / seconds, "asked": rate, "dropped": int(dropped), "missing": int(total - rows - left - lost), "left": left,
        "verified": checked.returncode == 0, "us": cost / messages * 1e6, "simulator_us": load / messages * 1e6,
        "cores": cost / seconds, "rss": max(it for _, it in memory), "slope": slope, "row": size / max(rows, 1),
        "threads": int(sum(it[1] for it in ended.values())),
        "lag": quantiles(before, after, "exchange_lag_seconds"),
        "flush": quantiles(before, after, "journal_flush_seconds"),
        "live": quantiles(before, after, "live_latency_seconds"),
        "kinds": by_kind, "received": received, "sent": total, "rows": rows, "queues": by_queue,
    }


def show(it):
    clean = it["dropped"] == it["missing"] == it["left"] == 0 and it["verified"]
    of = lambda key: "/".join(f"{x:.3g}" for x in it[key])
    print(
        f"{it['asked']:>8} asked {it['rate']:>8.0f}/s got  {'clean' if clean else 'NOT CLEAN'}: dropped {it['dropped']},"
        f" missing {it['missing']}  {it['us']:.2f} us ({it['cores']:.2f} cores), simulator {it['simulator_us']:.2f} us"
        f"  RSS {it['rss']:.0f} MB {it['slope']:+.1f} MB/min  {it['row']:.1f} B/row  {it['threads']} threads"
    )
    print(f"         p50/p99/p99.9 ms: exchange to receipt {of('lag')}, journal sync {of('flush')}, receipt to client {of('live')}")
    kinds = sorted(it["kinds"].items(), key=lambda it: -it[1])
    print("         us a message: " + ", ".join(f"{name} {us:.3f}" for name, us in kinds if 0.001 <= us), flush=True)
    if not clean:
        print(f"         sent {it['sent']:.0f}, received {it['received']:.0f}, in files {it['rows']}, in journals {it['left']}, dropped by queue {it['queues']}")
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
