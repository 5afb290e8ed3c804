#!/usr/bin/env python3
"""Makes the episodes of a dataset's `spreads` again from its `quotes`, and compares the two.

    tests/readers/spreads.py DIR [key=value ...]    # [spreads] and taker_fee_bps, where not the defaults
    pip install polars

What it expects: one run, without drops, and `reorder` so long that no quote was late. Then every
episode is the same: its exchanges and times to the microsecond, its updates, its oldest leg, and its
peak to 1e-9. Only those that the end of the run closed may have closed later than the last quote.
Exit code 1 if anything differs.
"""

import re
import sys
from pathlib import Path

import polars as pl

# The order of quotes of one microsecond.
EXCHANGES = ["binance", "bybit", "okx", "bitget", "gateio", "kucoin", "mexc", "bingx"]
SETTINGS = {"max_quote_age": 2.0, "min_net_bps": 0.0, "hysteresis_bps": 0.0, "identity_guard": 0.2,
            "identity_after": 60.0, "taker_fee_bps": 10.0}
MULTIPLE = re.compile(r"1(0{3,9}|M)(?=[^\W\d_])")


def asset(symbol):
    """The symbol of the asset itself, and how many units of it one unit of `symbol` is."""
    found = MULTIPLE.match(symbol)
    if not found:
        return symbol, 1.0
    return symbol[found.end():], 1e6 if found[1] == "M" else float(found[0])


def recorded(folder):
    """(microsecond, exchange, market, symbol, bid, bid size, ask, ask size), as it was compared."""
    columns = ["ts_recv", "exchange", "market", "symbol", "bid_price", "bid_size", "ask_price",
               "ask_size"]
    # A file holds an instrument's quotes in order, and so do the names of one writer's files.
    files = sorted(folder.glob("quotes/**/*.parquet"), key=number)
    frame = pl.concat(pl.read_parquet(it, columns=columns, hive_partitioning=False).with_columns(
        pl.col("ts_recv").dt.epoch("us"), pl.col("exchange", "market", "symbol").cast(pl.String))
        for it in files)
    rank = pl.col("exchange").replace_strict(EXCHANGES, range(len(EXCHANGES)))
    return frame.sort("ts_recv", rank, maintain_order=True).iter_rows()


def number(path):
    return [int(it) if it.isdigit() else it for it in re.split(r"(\d+)", path.name)]


class Book:
    """The latest of one instrument, per unit of the asset itself."""

    def __init__(self, quote, multiple):
        self.at, _, _, self.symbol, bid, self.bid_size, ask, self.ask_size = quote
        self.multiple = multiple
        self.bid = bid / multiple if bid is not None else None
        self.ask = ask / multiple if ask is not None else None
        if bid is not None and ask is not None:
            self.mid = (self.bid + self.ask) / 2
            if ask <= bid:
                self.bid = self.ask = self.mid = None
        else:
            self.mid = self.ask if bid is None else self.bid


def spreads(quotes, settings):
    """Yields an episode at a time, in no order."""
    oldest_leg = round(settings["max_quote_age"] * 1e6)
    after = round(settings["identity_after"] * 1e6)
    opens = settings["min_net_bps"]
    keeps = opens - settings["hysteresis_bps"]
    guard = 1 + settings["identity_guard"]
    agrees = 1 + settings["identity_guard"] * 0.75
    fee = settings["taker_fee_bps"]
    books, suspects, running = {}, {}, {}

    def end(key, pair, at):
        episode = running.pop((key, pair), None)
        if episode:
            episode["ts_close"] = at
            yield episode

    def expired(key, pair, now):
        at = min(books[key][leg].at for leg in pair) + oldest_leg
        if at < now:
            yield from end(key, pair, at)

    def is_held(key, one, other, now):
        """Whether the two may be two assets of one name."""
        pair = (key, frozenset((one, other)))
        since, judged, agreed = suspects.get(pair, (None, False, None))
        a, b = books[key][one].mid, books[key][other].mid
        if a is None or b is None:
            return since is not None
        if judged:
            within = a <= b * agrees and b <= a * agrees
            agreed = (now if agreed is None else agreed) if within else None
            if agreed is not None and after <= now - agreed:
                since, judged, agreed = None, False, None
        elif b * guard < a or a * guard < b:
            since = now if since is None else since
            judged = after <= now - since
        else:
            since = None
        suspects[pair] = (since, judged, agreed)
        return since is not None

    for quote in quotes:
        now, exchange, market, symbol = quote[:4]
        name, multiple = asset(symbol)
        key, it = (market, name), (exchange, symbol)
        here = books.setdefault(key, {})
        others = [other for other in here if other[0] != exchange]
        for other in others if it in here else []:
            for pair in [(it, other), (other, it)]:
                if (key, pair) in running:
                    yield from expired(key, pair, now)
        here[it] = Book(quote, multiple)
        for other in others:
            if oldest_leg < now - here[other].at:
                continue
            held = is_held(key, it, other, now)
            for pair in [(it, other), (other, it)]:
                buy, sell = here[pair[0]], here[pair[1]]
                gross = net = None
                if not held and buy.ask is not None and sell.bid is not None:
                    gross = (sell.bid - buy.ask) / buy.ask * 10_000
                    net = gross - fee - fee
                episode = running.get((key, pair))
                if net is None or net <= (keeps if episode else opens):
                    yield from end(key, pair, now)
                    continue
                if not episode:
                    episode = running[(key, pair)] = {
                        "symbol": buy.symbol, "market": market, "buy_exchange": pair[0][0],
                        "sell_exchange": pair[1][0], "ts_open": now, "peak_net_bps": -1e9,
                        "max_leg_age_us": 0, "updates": 0}
                episode["updates"] += 1
                age = now - min(buy.at, sell.at)
                episode["max_leg_age_us"] = max(episode["max_leg_age_us"], age)
                if episode["peak_net_bps"] < net:
                    ratio = buy.multiple / sell.multiple
                    episode |= {
                        "peak_gross_bps": gross, "peak_net_bps": net,
                        "ask_price_at_peak": buy.ask * buy.multiple,
                        "bid_price_at_peak": sell.bid * sell.multiple * ratio,
                        "size_at_peak": min(buy.ask_size, sell.bid_size / ratio)}
                    running[(key, pair)] = episode
    for key, pair in list(running):
        yield from expired(key, pair, now)
    for key, pair in list(running):
        for episode in end(key, pair, now):
            yield episode | {"cut": True}


def main(folder, changes):
    settings = SETTINGS | {key: float(value) for key, value in (it.split("=") for it in changes)}
    folder = Path(folder)
    columns = ["symbol", "market", "buy_exchange", "sell_exchange", "ts_open"]
    stored = pl.concat(pl.read_parquet(it, hive_partitioning=False)
                       for it in folder.glob("spreads/**/*.parquet"))
    stored = stored.with_columns(pl.col("ts_open", "ts_close").dt.epoch("us"),
                                 pl.col(columns[:4]).cast(pl.String))
    # Two of one pair may open in one microsecond.
    waiting = {}
    for it in stored.sort("ts_close", "updates").iter_rows(named=True):
        waiting.setdefault(tuple(it[key] for key in columns), []).append(it)
    made, cut, wrong = 0, 0, 0
    made_again = sorted(spreads(recorded(folder), settings),
                        key=lambda it: (it["ts_close"], it["updates"]))
    for episode in made_again:
        made += 1
        is_cut = episode.pop("cut", False)
        cut += is_cut
        found = (waiting.get(tuple(episode[it] for it in columns)) or [None]).pop(0)
        differs = [key for key, value in episode.items() if not found or not (
            value <= found[key] if is_cut and key == "ts_close" else
            value == found[key] or isinstance(value, float)
            and abs(value - found[key]) <= 1e-9 * max(1, abs(value)))]
        if differs:
            wrong += 1
            if wrong <= 5:
                print("made:  ", episode, "\nstored:", found, "\ndiffers in", *differs)
    left = [it for rows in waiting.values() for it in rows]
    for it in left[:5]:
        print("stored, but not made:", it)
    wrong += len(left)
    print(f"{made} episodes, {cut} of them open at the end: {wrong} differ")
    return 1 if wrong or not made else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
