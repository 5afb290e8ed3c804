"""Reads frames with one of the Python libraries, and says what it made of them or how long it took: what
rust/src/main.rs does, with the same arguments and output.

    read.py LIBRARY FRAMES take
    read.py LIBRARY FRAMES time SETS SECONDS
"""

import asyncio
import base64
import logging
import math
import re
import sys
import time

# Least number of frames that are read between two looks at the clock.
BETWEEN_LOOKS = 1_000


class Learning(dict):
    """Knows every symbol, under its own name."""

    def __missing__(self, key):
        self[key] = key
        return key


class Cryptofeed:
    """A feed's message_handler, as its connection calls it, with a callback that only keeps what it is given."""

    FEEDS = {"binance-spot": "Binance", "binance-perp": "BinanceFutures", "bybit-spot": "Bybit",
             "bybit-perp": "Bybit", "okx-spot": "OKX", "okx-perp": "OKX", "bitget-spot": "Bitget",
             "bitget-perp": "Bitget", "gateio-spot": "Gateio", "gateio-perp": "GateioFutures",
             "kucoin-spot": "KuCoin"}

    def __init__(self, frames):
        from cryptofeed import exchanges
        from cryptofeed.connection import HTTPSync
        from cryptofeed.defines import TICKER, TRADES, L2_BOOK
        from cryptofeed.symbols import Symbols

        # KuCoin's asks for an address.
        told = {"data": {"token": "", "instanceServers": [{"endpoint": "", "pingInterval": 0}]}}
        HTTPSync.write = lambda *_, **__: told
        self.said = []
        self.feeds = {}
        for venue in {frame[0] for frame in frames} & set(self.FEEDS):
            feed = getattr(exchanges, self.FEEDS[venue])
            Symbols.set(feed.id, {}, {})
            feed = feed(callbacks={it: self.keep for it in (TICKER, TRADES, L2_BOOK)}, log_message_on_error=False)
            feed.exchange_symbol_mapping = Learning()
            self.feeds[venue] = (feed, Connection(venue))

    async def keep(self, update, receipt_timestamp):
        self.said.append(update)

    def prepared(self, frame):
        """What its connection has in hand when a frame has come."""
        venue, _, body = frame
        return *self.feeds[venue], body

    def read(self, prepared):
        feed, connection, body = prepared
        self.said.clear()
        step = feed.message_handler(body, connection, time.time())
        try:
            step.send(None)
        except StopIteration:
            return len(self.said)
        step.close()
        return 0

    def first(self):
        it = self.said[0]
        price = getattr(it, "bid", None) or getattr(it, "price", None)
        return float(price if price is not None else it.book.bids.index(0)[0])


class Connection:
    """What handlers ask of theirs."""

    def __init__(self, venue):
        self.uuid = venue
        self.address = "wss://peer/linear" if venue.endswith("perp") else "wss://peer/spot"


class Ccxt:
    """ccxt pro: the client's handle_message, as its socket calls it, which updates what `watch*` would return."""

    CLIENTS = {"gateio": "gate"}

    def __init__(self, frames):
        import ccxt.pro
        from aiohttp import WSMessage, WSMsgType

        self.message = WSMessage
        self.kinds = {str: WSMsgType.TEXT, bytes: WSMsgType.BINARY}
        self.told = []
        self.clients = {}
        for venue in {frame[0] for frame in frames}:
            exchange, market = venue.split("-")
            kind = "swap" if market == "perp" else "spot"
            made = getattr(ccxt.pro, self.CLIENTS.get(exchange, exchange))({"options": {"defaultType": kind}})
            made.set_markets([market_of(kind, native) for native in natives(venue, frames)])
            # It tells markets by the address.
            self.clients[venue] = made.client(f"wss://peer/{'linear' if kind == 'swap' else 'spot'}/public")

    def watch(self):
        """Has it noticed what comes out."""
        from ccxt.async_support.base.ws.cache import ArrayCache

        append = ArrayCache.append

        def appended(cache, item):
            self.told.append(item["price"])
            append(cache, item)

        def resolved(result, _):
            if isinstance(result, dict) and "bids" in result:
                self.told.append(result["bids"][0][0])
            elif isinstance(result, dict) and result.get("bid") is not None:
                self.told.append(result["bid"])
            return result

        ArrayCache.append = appended
        for client in self.clients.values():
            client.resolve = resolved

    def prepared(self, frame):
        venue, channel, body = frame
        return self.clients[venue], self.message(self.kinds[type(body)], body, None), channel == "quote"

    def read(self, prepared):
        client, message, is_quote = prepared
        self.told.clear()
        client.handle_message(message)
        # It tells of a quote under several names.
        return min(1, len(self.told)) if is_quote else len(self.told)

    def first(self):
        return float(self.told[0])


NATIVE = re.compile(r"\b((?:1000)?[A-Z]{2,6})([-_]?)(USDT)(M|-SWAP)?\b")


def natives(venue, frames):
    """Symbols in the venue's own words."""
    text = "\n".join(body if isinstance(body, str) else body.decode("latin-1")
                     for of, _, body in frames if of == venue)
    return {it[0] for it in NATIVE.finditer(text)} | {"ADAUSDT", "ADA_USDT", "ADA-USDT"}


def market_of(kind, native):
    base = NATIVE.match(native)[1]
    is_swap = kind == "swap"
    return {"id": native, "symbol": f"{base}/USDT" + ":USDT" * is_swap, "base": base, "quote": "USDT", "baseId": base,
            "quoteId": "USDT", "settle": "USDT" if is_swap else None, "type": kind, "spot": not is_swap,
            "swap": is_swap, "future": False, "option": False, "contract": is_swap, "linear": is_swap or None,
            "inverse": False if is_swap else None, "contractSize": 1.0 if is_swap else None, "active": True,
            "precision": {"amount": 1e-8, "price": 1e-8}, "limits": {}, "info": {}}


def frames_of(path):
    frames = []
    for line in open(path):
        _, venue, channel, form, body = line.rstrip("\n").split("\t", 4)
        frames.append((venue, channel, base64.b64decode(body) if form == "base64" else body))
    return frames


def take(library, frames):
    if isinstance(library, Ccxt):
        library.watch()
    for line, frame in enumerate(frames):
        try:
            events = library.read(library.prepared(frame))
            if events:
                print(line, events, library.first())
        except Exception as error:
            print(f"{frame[0]} {frame[1]}: {error!r}"[:150], file=sys.stderr)


def measure(library, frames, sets, least):
    for row in open(sets):
        name, lines = row.rstrip("\n").split("\t")
        chosen = [library.prepared(frames[int(it)]) for it in lines.split(" ")]
        passes = math.ceil(BETWEEN_LOOKS / len(chosen))
        one = chosen * passes
        read = library.read
        for frame in one:
            read(frame)
        done, events, began = 0, 0, time.thread_time()
        while True:
            for frame in one:
                events += read(frame)
            done += len(one)
            taken = time.thread_time() - began
            if least <= taken:
                break
        print(name, done, events, taken, sep="\t")


async def main(library, path, what, *more):
    logging.disable(logging.CRITICAL)
    frames = frames_of(path)
    library = {"cryptofeed": Cryptofeed, "ccxt": Ccxt}[library](frames)
    if what == "take":
        take(library, frames)
    else:
        measure(library, frames, more[0], float(more[1]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
