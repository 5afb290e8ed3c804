#!/usr/bin/env python3
"""Lets a crowd of clients in, and prints what that does to others.

    benches/load/crowd.py target/release/spread-aggregator [--clients 500] [--rate 5000] [--seconds 30]

Ten clients take 100 symbols each, as do those of the crowd, which comes later, with one that never reads
and one that falls silent: it keeps its socket, and neither reads nor answers. Compared are how long messages
are under way to all clients, and how late events are received; then the crowd goes, and what is left of it is
looked at. Only Python's own library is needed.
"""

import argparse
import pathlib
import selectors
import shutil
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).parent.with_name("support")))
from collector import Stage, process, subscribe, total
from load import processor, quantiles, resident

FEW, SYMBOLS, NAMES = 10, 1000, 100
PING_INTERVAL = 5


def arguments():
    it = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    it.add_argument("program")
    it.add_argument("--clients", type=int, default=500)
    it.add_argument("--rate", type=int, default=5000, help="messages a second, of sixteen venues")
    it.add_argument("--seconds", type=float, default=30, help="that are measured, before and after")
    it.add_argument("--dir", default="target/tmp/crowd", type=pathlib.Path)
    return it.parse_args()


class Crowd:
    """Clients that take what comes and answer pings, all on one thread."""

    def __init__(self):
        self.peers, self.left = selectors.DefaultSelector(), False
        self.thread = threading.Thread(target=self.read, daemon=True)

    def join(self, peers):
        for it in peers:
            it.setblocking(False)
            self.peers.register(it, selectors.EVENT_READ)
        self.thread.start()

    def read(self):
        # A pong that nobody has asked for is allowed, and spares looking for pings.
        answer, answered = b"\x8a\x80\0\0\0\0", time.monotonic()
        while not self.left:
            for key, _ in self.peers.select(0.1):
                key.fileobj.recv(1 << 18)
            if PING_INTERVAL / 2 < time.monotonic() - answered:
                answered = time.monotonic()
                for it in list(self.peers.get_map().values()):
                    it.fileobj.send(answer)

    def leave(self):
        self.left = True
        self.thread.join()
        for it in list(self.peers.get_map().values()):
            it.fileobj.close()


def handles(pid):
    return int(process(pid, "status").split("Threads:")[1].split()[0]), len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def main():
    options = arguments()
    folder = options.dir.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with Stage(options.program, folder) as stage:
        text = stage.simulate(16, "--symbols", str(SYMBOLS), "--trade-share", "0", "--rate", str(options.rate))
        live = f"ping_interval = \"{PING_INTERVAL}s\"\n[defaults]\nmin_quote_volume = 0.0\n"
        stage.run("", live + text)
        measure(options, stage)


def measure(options, stage):
    of = lambda found, **labels: total(found, "subscriptions", **labels)
    delivering = lambda it: 0 < of(it, state="delivering") and of(it, state="requested") + of(it, state="acknowledged") == 0
    stage.until("all symbols deliver", lambda: delivering(stage.metrics()))
    names = stage.symbols()
    some = lambda n: [names[(NAMES * n + it) % len(names)] for it in range(NAMES)]
    pid = stage.collector.pid

    def phase(what):
        before, cost, start = stage.metrics(), processor(process(pid, "stat")), time.monotonic()
        time.sleep(options.seconds)
        after, seconds = stage.metrics(), time.monotonic() - start
        per_second = lambda name, **labels: (total(after, name, **labels) - total(before, name, **labels)) / seconds
        show = lambda name: "/".join(f"{it:g}" for it in quantiles(before, after, name))
        print(
            f"{what}: {total(after, 'live_clients'):.0f} clients, {per_second('events_total'):.0f} events/s,"
            f" {per_second('live_sent_total'):.0f} messages/s sent, {per_second('live_dropped_total'):.0f} dropped;"
            f" p50/p99/p99.9 ms: receipt to client {show('live_latency_seconds')},"
            f" exchange to receipt {show('exchange_lag_seconds')};"
            f" {(processor(process(pid, 'stat')) - cost) / seconds:.2f} cores, {resident(pid):.0f} MB,"
            f" {handles(pid)[0]} threads, {handles(pid)[1]} descriptors", flush=True)

    few = Crowd()
    few.join([subscribe(stage.port, symbols=some(n)) for n in range(FEW)])
    time.sleep(5)
    phase("ten")
    crowd = Crowd()
    crowd.join([subscribe(stage.port, symbols=some(n)) for n in range(options.clients)])
    mute, silent = subscribe(stage.port), subscribe(stage.port, symbols=some(0)[:1])
    time.sleep(5)
    phase("with the crowd")
    dead = lambda: 2 <= total(stage.metrics(), "live_dead_total")
    stage.until("the two that do not answer are closed", dead)
    crowd.leave()
    stage.until("the crowd is gone", lambda: total(stage.metrics(), "live_clients") == FEW)
    time.sleep(5)
    phase("ten again")
    few.leave()
    for it in (mute, silent):
        it.close()


if __name__ == "__main__":
    main()
