"""What this program says of a simulated venue, for clients of others to be compared with.

Trades are (symbol, price, size in base units, taker's side, Unix milliseconds, id or None); quotes
are (symbol, bid, ask, size of the bid, size of the ask), with 0 for what is not there.
"""

import base64
import json
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

VENUES = [f"{exchange}-{market}"
          for exchange in ("binance", "bybit", "okx", "bitget", "gateio", "kucoin", "mexc", "bingx")
          for market in ("spot", "perp")]
SIMULATE = ["simulate", "--listen", "127.0.0.1:0", "--symbols", "40", "--rate", "4000"]
# Between a trade and its being looked at.
SECONDS_OLD_MAX = 600


class Simulator:
    """A simulator that is running, and where."""

    def __init__(self, binary, process, folder):
        self.binary, self.folder = binary, Path(folder)
        config = []
        while sum(it.startswith("rest_url") for it in config) < len(VENUES):
            config.append(process.stdout.readline())
            if not config[-1]:
                sys.exit("the simulator ended")
        self.config = self.file("config.toml", "".join(config))
        self.address = re.search(r"http://([\d.:]+)/", "".join(config))[1]

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def run(self, command, venue, *args):
        """The lines of JSON that a command prints about a venue."""
        exchange, market = venue.split("-")
        args = [self.binary, command, "--exchange", exchange, "--market", market, *args]
        out = subprocess.run(args, check=True, text=True, stdout=subprocess.PIPE).stdout
        return [json.loads(it) for it in out.splitlines()]

    def listed(self, venue):
        """What it lists."""
        return self.run("symbols", venue, "-c", self.config)

    def read(self, venue, listed, frames):
        """The trades and the quotes in `frames`, text or bytes; fails if one is refused."""
        lines = "\n".join(json.dumps(it) for it in listed)
        listed = self.file(f"{venue}.instruments", lines)
        frames = [{"raw": it} if isinstance(it, str)
                  else {"raw_b64": base64.b64encode(it).decode()} for it in frames]
        frames = self.file(f"{venue}.frames", "\n".join(json.dumps(it) for it in frames))
        events = self.run("decode", venue, "--instruments", listed, frames)
        refused = [it for it in events if it["type"] == "error"]
        assert not refused, f"decode refused {refused[0]}"
        return ({trade(it) for it in events if it["type"] == "trade"},
                {quote(it) for it in events if it["type"] == "quote"})


@contextmanager
def simulator(binary):
    """Simulated exchanges, for as long as they are needed."""
    process = subprocess.Popen([binary, *SIMULATE], stdout=subprocess.PIPE, text=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Simulator(binary, process, folder)
    finally:
        process.terminate()
        process.wait()


def number(x):
    """A product of two decimals, without what binary fractions add to it."""
    return float(f"{x or 0:.12g}")


def trade(it):
    size, millis = number(it["size"]), it["ts_event"] // 1_000_000
    return it["symbol"], it["price"], size, it["side"], millis, it["trade_id"]


def quote(it):
    names = ["bid_price", "ask_price", "bid_size", "ask_size"]
    return it["symbol"], *(number(it[name]) for name in names)


def impossible(trades, quotes):
    """What cannot be, whoever reads it."""
    for it in trades:
        symbol, price, size, side, millis, _ = it
        if not (0 < price and 0 < size and side in ("buy", "sell")):
            yield f"a trade {it}"
        if SECONDS_OLD_MAX < abs(millis / 1000 - time.time()):
            yield f"a trade of another time {it}"
    for it in quotes:
        _, bid, ask, *sizes = it
        if not (0 < bid < ask and 0 < min(sizes)):
            yield f"a quote {it}"
    for symbol in {it[0] for it in trades}:
        # The order of trades in one frame is nobody's promise.
        ids = sorted((millis, int(id)) for name, *_, millis, id in trades
                     if name == symbol and id and id.isdigit())
        numbers = [number for _, number in ids]
        if numbers != sorted(set(numbers)):
            yield f"ids of {symbol} that do not increase: {numbers}"


def report(lines):
    """Prints the table; says whether anything is wrong."""
    print("venue        instruments trades quotes")
    failed = False
    for venue, counts, problems in lines:
        for problem in problems[:5]:
            print(f"{venue:12} WRONG: {problem}")
        if not problems:
            listed, trades, quotes = counts
            print(f"{venue:12} {listed:11} {trades:6} {quotes:6} ok")
        failed |= bool(problems)
    return failed
