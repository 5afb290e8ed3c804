"""The simulated exchanges and the collector as processes, and what they say of themselves."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.request

EXCHANGES = "binance bybit okx bitget gateio kucoin mexc bingx".split()
TICKS = os.sysconf("SC_CLK_TCK")


def get(url, context=None):
    with urllib.request.urlopen(url, timeout=20, context=context) as answer:
        return answer.read().decode()


def metrics(port):
    """What /metrics says: name, labels, value."""
    found = []
    for line in get(f"http://127.0.0.1:{port}/metrics").splitlines():
        if it := re.match(r"spread_aggregator_(\w+?)(?:\{(.*)\})? ([-+.\deEInfNa]+)(?: |$)", line):
            found.append((it[1], dict(re.findall(r'(\w+)="([^"]*)"', it[2] or "")), float(it[3])))
    return found


def total(found, name, **labels):
    of = lambda it: all(it.get(key) == value for key, value in labels.items())
    return sum(value for it, has, value in found if it == name and of(has))


def processor(stat):
    """Seconds that a process or a thread has taken, by its `stat` in /proc."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def process(pid, what):
    return pathlib.Path(f"/proc/{pid}/{what}").read_text()


def wait(what, holds, *processes, seconds=180):
    end = time.monotonic() + seconds
    while not holds():
        for it in processes:
            if it.poll() is not None:
                sys.exit(f"{it.args[1]} ended while waiting until {what}: see its log")
        if end < time.monotonic():
            sys.exit(f"waited in vain until {what}")
        time.sleep(0.3)


def subscribe(port, **what):
    """A socket on which a client has asked for quotes."""
    ask = json.dumps({"op": "subscribe", "channel": "quotes", **what}).encode()
    peer = socket.create_connection(("127.0.0.1", port), timeout=20)
    peer.sendall(
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        # Masked with zeros, which changes nothing.
        + b"\x81\xfe" + len(ask).to_bytes(2, "big") + bytes(4) + ask
    )
    return peer


class Stage:
    """Both processes, with what they write in `folder`; leaving it ends them."""

    def __init__(self, program, folder):
        self.program, self.folder, self.started = program, folder, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for it in reversed(self.started):
            it.kill()
            it.wait()

    def start(self, command, out, *options):
        with open(self.folder / out, "w") as said, open(self.folder / f"{command}.log", "w") as log:
            self.started.append(subprocess.Popen([self.program, command, *options], stdout=said, stderr=log))
        return self.started[-1]

    def simulate(self, venues, *options):
        """Starts so many venues; returns the configuration that collects from them."""
        self.exchanges = self.start("simulate", "exchanges.toml", "--listen", "127.0.0.1:0", "--no-limits", *options)
        said = self.folder / "exchanges.toml"
        wait("the exchanges listen", lambda: said.read_text().count("rest_url") == venues, self.exchanges)
        self.base = re.search(r'rest_url = "(https?://[^/"]+)', said.read_text())[1]
        return said.read_text()

    def run(self, storage, more):
        """Starts the collector with everything else that its configuration says."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder.joinpath("config.toml").write_text(
            f'[storage]\ndir = "{self.folder / "data"}"\n{storage}[live]\nlisten = "127.0.0.1:{self.port}"\n{more}'
        )
        self.collector = self.start("run", "summary", "-c", str(self.folder / "config.toml"))

    def until(self, what, holds):
        wait(what, holds, *self.started)

    def metrics(self):
        return metrics(self.port)

    def symbols(self):
        """Of all instruments, in order."""
        found = json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/instruments"))
        return sorted({it["symbol"] for it in found["instruments"]})

    def until_still(self):
        """Waits until the collector hears no more."""
        last = [-1.0]

        def is_still():
            last.append(total(self.metrics(), "events_total"))
            time.sleep(0.5)
            return last[-1] == last[-2]

        self.until("nothing comes any more", is_still)
