#!/usr/bin/env python3
"""Reads simulated venues with clients made for one exchange each: the exchanges' own (Bybit, Gate.io,
KuCoin), and a well-used one (Binance). They are stricter than ccxt, which reads all.

    cargo build && tests/clients/sdks.py target/debug/spread-aggregator [VENUE ...]
    pip install pybit python-binance kucoin-universal-sdk gate-ws

Starts `simulate` itself. Prints a line a venue, as `ccxt_pro.py` does. Exit code 1 if anything is
wrong.
"""

import asyncio
import logging
import sys
import time

from ours import impossible, number, report, simulator

# Of each channel, over all instruments.
WANTED = 50
# For all venues, on a machine that is busy.
TIMEOUT = 120


class Seen:
    """What a client has said, in the exchange's spelling and its unit of size."""

    def __init__(self):
        self.trades, self.quotes = [], []

    def trade(self, symbol, price, size, side, millis, id):
        self.trades.append((symbol, float(price), float(size), side.lower(), int(millis),
                            str(id) if id else None))

    def quote(self, symbol, bid, ask, bid_size, ask_size):
        # Of an empty side there is nothing to check.
        if bid and ask:
            self.quotes.append((symbol, *(float(it) for it in (bid, ask, bid_size, ask_size))))

    async def enough(self):
        while min(len(self.trades), len(self.quotes)) < WANTED:
            await asyncio.sleep(0.05)


# Each function subscribes to `symbols` at `base`, which stands for scheme and host of the exchange.


async def binance(seen, perp, base, symbols):
    from binance import AsyncClient, BinanceSocketManager

    manager = BinanceSocketManager(AsyncClient())
    manager.STREAM_URL = manager.FSTREAM_URL = f"ws://{base}/"

    async def read(socket):
        async with socket:
            while True:
                it = (await socket.recv())["data"]
                if it.get("e") in ("trade", "aggTrade"):
                    side = "sell" if it["m"] else "buy"
                    seen.trade(it["s"], it["p"], it["q"], side, it["T"], it.get("t") or it["a"])
                else:
                    seen.quote(it["s"], it["b"], it["a"], it["B"], it["A"])

    def streams(name):
        return [f"{it.lower()}@{name}" for it in symbols]

    if perp:
        sockets = [manager.futures_multiplex_socket(streams("bookTicker"), category="public"),
                   manager.futures_multiplex_socket(streams("aggTrade"), category="market")]
    else:
        sockets = [manager.multiplex_socket(streams("bookTicker") + streams("trade"))]
    await asyncio.gather(*(read(it) for it in sockets))


async def bybit(seen, perp, base, symbols):
    from pybit import unified_trading

    unified_trading.PUBLIC_WSS = f"ws://{base}/v5/public/{{CHANNEL_TYPE}}"
    client = unified_trading.WebSocket(channel_type="linear" if perp else "spot", testnet=False)

    def trades(message):
        for it in message["data"]:
            seen.trade(it["s"], it["p"], it["v"], it["S"], it["T"], it["i"])

    def book(message):
        it = message["data"]
        (bid, bid_size), (ask, ask_size) = ((it[side] or [(0, 0)])[0] for side in ("b", "a"))
        seen.quote(it["s"], bid, ask, bid_size, ask_size)

    # It asks for a topic first, and only then says who is to be called: what comes in between ends it.
    def once_set(topic, get=client._get_callback):
        while topic not in client.callback_directory:
            time.sleep(0.001)
        return get(topic)

    client._get_callback = once_set
    client.trade_stream(symbols, trades)
    client.orderbook_stream(1, symbols, book)
    try:
        await asyncio.Event().wait()
    finally:
        client.exit()


async def gateio(seen, perp, base, symbols):
    from gate_ws import Configuration, Connection, futures, spot

    if perp:
        config = Configuration(app="futures", host=f"ws://{base}/v4/ws/usdt")
        channels = futures.FuturesPublicTradeChannel, futures.FuturesBookTickerChannel
    else:
        config = Configuration(host=f"ws://{base}/ws/v4/")
        channels = spot.SpotPublicTradeChannel, spot.SpotBookTickerChannel

    async def trades(_, message):
        if message.event != "update":
            return
        for it in message.result if perp else [message.result]:
            if perp:
                size, side = abs(it["size"]), "sell" if it["size"] < 0 else "buy"
                symbol, time = it["contract"], it["create_time_ms"]
            else:
                size, side = it["amount"], it["side"]
                symbol, time = it["currency_pair"], float(it["create_time_ms"])
            seen.trade(symbol, it["price"], size, side, time, it["id"])

    async def quotes(_, message):
        it = message.result
        if message.event == "update" and it["b"] and it["a"]:
            seen.quote(it["s"], it["b"], it["a"], it["B"], it["A"])

    connection = Connection(config)
    for channel, callback in zip(channels, (trades, quotes)):
        channel(connection, callback).subscribe(symbols)
    await connection.run()


async def kucoin(seen, perp, base, symbols):
    from kucoin_universal_sdk.api import DefaultClient
    from kucoin_universal_sdk.model import (ClientOptionBuilder, TransportOptionBuilder,
                                            WebSocketClientOptionBuilder)

    option = ClientOptionBuilder().set_key("").set_secret("").set_passphrase("")
    option.set_spot_endpoint(f"http://{base}").set_futures_endpoint(f"http://{base}")
    option.set_transport_option(TransportOptionBuilder().build())
    option.set_websocket_client_option(WebSocketClientOptionBuilder().build())
    service = DefaultClient(option.build()).ws_service()
    client = service.new_futures_public_ws() if perp else service.new_spot_public_ws()

    def trade(topic, _subject, it):
        time = it.ts if perp else it.time
        seen.trade(it.symbol, it.price, it.size, it.side, int(time) // 1_000_000, it.trade_id)

    def ticker(topic, _subject, it):
        sizes = it.best_bid_size, it.best_ask_size
        seen.quote(it.symbol, float(it.best_bid_price), float(it.best_ask_price), *sizes)

    def level1(topic, _subject, it):
        (bid, bid_size), (ask, ask_size) = (side or (0, 0) for side in (it.bids, it.asks))
        seen.quote(topic.split(":")[1], bid, ask, bid_size, ask_size)

    def subscribe():
        client.start()
        if not perp:
            client.trade(symbols, trade)
            client.orderbook_level1(symbols, level1)
            return
        for it in symbols:
            client.execution(it, trade)
            client.ticker_v2(it, ticker)

    await asyncio.to_thread(subscribe)
    try:
        await asyncio.Event().wait()
    finally:
        client.stop()


CLIENTS = {"binance": binance, "bybit": bybit, "gateio": gateio, "kucoin": kucoin}
VENUES = ["binance-spot", "binance-perp", "bybit-spot", "bybit-perp", "gateio-spot", "gateio-perp",
          "kucoin-spot", "kucoin-perp"]
BASES = ["BTC-USDT", "ETH-USDT", "SOL-USDT"]


async def read(simulator, venue):
    """A line of the table."""
    exchange, market = venue.split("-")
    listed = simulator.listed(venue)
    names = {it["symbol_native"]: it for it in listed if it["symbol"] in BASES}
    seen = Seen()
    client = CLIENTS[exchange](seen, market == "perp", f"{simulator.address}/{venue}", [*names])
    client = asyncio.ensure_future(client)
    enough = asyncio.ensure_future(seen.enough())
    done, _ = await asyncio.wait({client, enough}, timeout=TIMEOUT,
                                 return_when=asyncio.FIRST_COMPLETED)
    if enough not in done:
        why = repr(client.exception()) if client.done() else "nothing more came"
        counts = f"{len(seen.trades)} trades, {len(seen.quotes)} quotes"
        enough.cancel()
        client.cancel()
        return venue, None, [f"{why} after {counts}"]
    client.cancel()
    await asyncio.wait({client})
    unit = {native: it["contract_size"] for native, it in names.items()}
    trades = [(names[native]["symbol"], price, number(size * unit[native]), *rest)
              for native, price, size, *rest in seen.trades]
    quotes = [(names[native]["symbol"], *rest) for native, *rest in seen.quotes]
    return venue, (len(listed), len(trades), len(quotes)), [*impossible(trades, quotes)]


async def main(binary, names):
    logging.disable()
    with simulator(binary) as it:
        lines = [await read(it, venue) for venue in names or VENUES]
        return report(lines)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: sdks.py BINARY [VENUE ...]")
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
