#!/usr/bin/env python3
"""Reads every simulated venue with ccxt pro, and compares what it saw with what `decode` makes of the
same frames: two readers of one protocol that nobody wrote together.

    cargo build && tests/clients/ccxt_pro.py target/debug/spread-aggregator [VENUE ...]
    pip install ccxt protobuf

Starts `simulate` itself. Prints a line a venue: how many instruments, trades and quotes agree, or
what is wrong. Exit code 1 if anything is.
"""

import asyncio
import re
import sys

import aiohttp
import ccxt.pro
from ccxt.async_support.base.ws.client import Client

from ours import VENUES, impossible, number, report, simulator

BASES = ["BTC", "ETH", "SOL"]
# Of each channel of each instrument.
WANTED = 10
# For all venues, on a machine that is busy.
TIMEOUT = 120


class Mexc(ccxt.pro.mexc):
    """ccxt knows contracts' books by their changes alone; this hands it those that are sent whole,
    each as the changes of an empty one."""

    def handle_message(self, client, message):
        if isinstance(message, dict) and message.get("channel") == "push.depth.full":
            symbol = self.safe_symbol(message["symbol"])
            self.orderbooks[symbol] = self.order_book({"nonce": 0})
            message = message | {"channel": "push.depth"}
        super().handle_message(client, message)


CLIENTS = {"gateio": ccxt.pro.gate, "mexc": Mexc}


class Venue:
    """One venue, as ccxt sees it."""

    def __init__(self, name, address):
        self.name = name
        self.exchange, self.market = name.split("-")
        self.perp = self.market == "perp"
        kind = "swap" if self.perp else "spot"
        linear = self.perp and self.exchange in ("binance", "bybit")
        client = CLIENTS.get(self.exchange) or getattr(ccxt.pro, self.exchange)
        self.client = client({"options": {
            "defaultType": kind,
            "fetchMarkets": {"types": ["linear" if linear else kind]},
            # Of Gate.io, contracts paid in USDT only.
            "swap": {"fetchMarkets": {"settlementCurrencies": ["usdt"]}},
            # What we collect of Binance's contracts; ccxt's default is each fill.
            "watchTrades": {"name": "aggTrade" if self.perp else "trade"},
        }})
        if self.exchange in ("gateio", "mexc", "bingx"):
            # Their clients know no such option, and other markets are on other addresses.
            self.client.fetch_markets = getattr(self.client, f"fetch_{kind}_markets")
        self.client.has["fetchCurrencies"] = False
        self.client.urls["api"] = rebased(self.client.urls["api"], f"{address}/{name}")
        # All that came by WebSocket.
        self.frames = []

    async def read(self):
        """Trades and quotes of some instruments, as ccxt has them, or why there are none."""
        try:
            return await asyncio.wait_for(self.watch(), TIMEOUT)
        except Exception as error:
            return error
        finally:
            await self.client.close()

    async def watch(self):
        await self.client.load_markets()
        if self.exchange == "kucoin":
            await self.welcomed()
        symbols = [f"{it}/USDT:USDT" if self.perp else f"{it}/USDT" for it in BASES]
        streams = [stream(it) for it in symbols for stream in (self.trades, self.quotes)]
        read = await asyncio.gather(*streams)
        return sum(read[::2], []), sum(read[1::2], [])

    async def welcomed(self):
        """Connects. What KuCoin is told before its welcome is lost, and on loopback ccxt, which does
        not wait for it, is too early."""
        socket = self.client.client(await self.client.negotiate(False, self.perp))
        await socket.connect(self.client.session)
        while not self.frames:
            await asyncio.sleep(0.01)

    async def trades(self, symbol):
        seen = []
        while len(seen) < WANTED:
            seen += await self.client.watch_trades(symbol)
        return seen

    async def quotes(self, symbol):
        seen = []
        while len(seen) < WANTED:
            quote = await self.quote(symbol)
            # Of an empty side ccxt says nothing.
            if quote["bid"] and quote["ask"]:
                seen.append(dict(quote))
        return seen

    async def quote(self, symbol):
        """What the client has for the channel that we collect, or the closest to it."""
        if self.name == "mexc-perp":
            param = {"symbol": self.client.market_id(symbol), "limit": 5}
            params = {"method": "sub.depth.full", "param": param}
            return best(symbol, await self.client.watch_order_book(symbol, params=params))
        if self.exchange in ("bitget", "bingx"):
            return best(symbol, await self.client.watch_order_book(symbol, 1))
        if self.exchange == "mexc":
            return await self.client.watch_ticker(symbol)
        return (await self.client.watch_bids_asks([symbol]))[symbol]


def rebased(urls, base):
    """The addresses of a client, with scheme, host and port of another server and a path before
    their own."""
    if isinstance(urls, dict):
        return {key: rebased(it, base) for key, it in urls.items()}
    return re.sub(r"^(ws|http)s?://[^/]*", rf"\1://{base}", urls)


def tap(venues):
    """Keeps every frame that ccxt is handed."""
    handle = Client.handle_message

    def handle_message(self, message):
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            _, _, _, name, *_ = self.url.split("/")
            venues[name].frames.append(message.data)
        handle(self, message)

    Client.handle_message = handle_message


def best(symbol, book):
    """A quote, of a book."""
    first = {side: (book[side] or [(None, None)])[0] for side in ("bids", "asks")}
    return {"symbol": symbol, "bid": first["bids"][0], "bidVolume": first["bids"][1],
            "ask": first["asks"][0], "askVolume": first["asks"][1]}


def problems(venue, result, simulator, listed):
    """Where ccxt and we are of two opinions, or a value cannot be."""
    for it in listed:
        yield from listed_otherwise(venue, it)
    trades, quotes = result
    for it in trades:
        yield from off_grid(venue, it)
    trades = [(it, trade(venue, it)) for it in trades]
    quotes = [(it, quote(venue, it)) for it in quotes]
    yield from impossible([it for _, it in trades], [it for _, it in quotes])
    known_trades, known_quotes = simulator.read(venue.name, listed, venue.frames)
    if venue.exchange == "mexc":
        # ccxt does not read their ids.
        known_trades = {(*it[:-1], None) for it in known_trades}
    yield from (f"decode has no trade {mine} of {it}" for it, mine in trades
                if mine not in known_trades)
    # Of BingX ccxt reads books, which we do not.
    yield from (f"decode has no quote {mine} of {it}" for it, mine in quotes
                if venue.exchange != "bingx" and mine not in known_quotes)


def listed_otherwise(venue, it):
    markets = venue.client.markets_by_id.get(it["symbol_native"], [])
    if len(markets) != 1:
        yield f"ccxt lists {it['symbol_native']} {len(markets)} times"
        return
    theirs = markets[0]
    # ccxt has names of its own for some assets.
    names = [venue.client.safe_currency_code(name) for name in it["symbol"].split("-")]
    size = theirs["contractSize"] if venue.perp else 1
    if [theirs["base"], theirs["quote"], size] != [*names, it["contract_size"]]:
        yield f"ccxt lists {theirs['symbol']} of size {size} for {it}"
    # What nobody may open a position in streams all the same.
    streams = theirs["active"] or theirs["info"].get("apiStateOpen") == "false"
    if not streams or theirs["swap"] != venue.perp:
        yield f"ccxt says that {theirs['symbol']} is closed, or of the other market"


def off_grid(venue, it):
    """Prices and sizes come in the steps that the list names."""
    symbol, client = it["symbol"], venue.client
    if float(client.price_to_precision(symbol, it["price"])) != it["price"]:
        yield f"a price of {symbol} that is no multiple of its tick: {it['price']}"
    if float(client.amount_to_precision(symbol, it["amount"])) != it["amount"]:
        yield f"a size of {symbol} that is no multiple of its lot: {it['amount']}"


def unit(venue, it):
    """The symbol in our spelling, and the base units in ccxt's unit of size."""
    market = venue.client.markets[it["symbol"]]
    return f"{market['base']}-{market['quote']}", market["contractSize"] or 1


def trade(venue, it):
    symbol, base_units = unit(venue, it)
    side, info = it["side"], it["info"]
    if side is None and isinstance(info.get("m"), str):
        # BingX's old spelling, in which ccxt finds no side.
        side = "sell" if info["m"] == "true" else "buy"
    id = None if venue.exchange == "mexc" else it["id"]
    return symbol, it["price"], number(it["amount"] * base_units), side, it["timestamp"], id


def quote(venue, it):
    symbol, base_units = unit(venue, it)
    sizes = (number(it[side] * base_units) for side in ("bidVolume", "askVolume"))
    return symbol, it["bid"], it["ask"], *sizes


def line(venue, result, simulator):
    """What the table says of a venue."""
    try:
        if isinstance(result, Exception):
            raise result
        listed = simulator.listed(venue.name)
        counts = len(listed), *(len(it) for it in result)
        return venue.name, counts, [*problems(venue, result, simulator, listed)]
    except Exception as error:  # whatever it is, it is the answer
        return venue.name, None, [f"{type(error).__name__}: {error}"]


async def main(binary, names):
    with simulator(binary) as it:
        venues = {name: Venue(name, it.address) for name in names or VENUES}
        tap(venues)
        results = await asyncio.gather(*(venue.read() for venue in venues.values()))
        return report(line(*venue, it) for venue in zip(venues.values(), results))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: ccxt_pro.py BINARY [VENUE ...]")
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
