#!/usr/bin/env python3
"""A client in another language than the server's: subscribes to a demonstration and checks what comes.

usage: live.py PATH-OF-THE-PROGRAM   (needs websockets, from PyPI)
"""

import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PATIENCE = 60  # seconds; longer than anything here takes
SECTION_3 = {
    "quote": "type exchange market symbol symbol_native ts_event ts_recv bid_price bid_size "
    "ask_price ask_size sequence".split(),
    "trade": "type exchange market symbol symbol_native ts_event ts_recv price size side "
    "trade_id".split(),
    "spread": "type symbol market buy_exchange sell_exchange gross_bps net_bps ask_price bid_price "
    "size leg_age_us ts_recv".split(),
}


async def receive(ws, kind):
    """The next message of a kind."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = json.loads(await ws.recv())
            if message["type"] == kind:
                return message


async def ask(ws, **request):
    await ws.send(json.dumps(request))


async def subscribe_and_receive(url):
    async with connect(url) as ws:
        hello = await receive(ws, "hello")
        assert hello["schema"] == 1, hello
        await ask(ws, op="subscribe", channel="quotes", symbols=["BTC-USDT"], exchanges=["okx"])
        answer = await receive(ws, "subscribed")
        assert answer["symbols"] == ["BTC-USDT"] and answer["exchanges"] == ["okx"], answer
        for _ in range(20):
            quote = await receive(ws, "quote")
            assert list(quote) == SECTION_3["quote"], quote
            assert (quote["exchange"], quote["symbol"]) == ("okx", "BTC-USDT"), quote
            assert 1.7e18 < quote["ts_recv"] < 2.5e18, quote
        await ask(ws, op="unsubscribe", channel="quotes")
        await receive(ws, "unsubscribed")
        await ask(ws, op="subscribe", channel="trades", market="perp")
        for _ in range(20):
            trade = await receive(ws, "trade")
            assert list(trade) == SECTION_3["trade"], trade
            assert trade["market"] == "perp" and trade["side"] in ("buy", "sell", "unknown"), trade
        await ask(ws, op="unsubscribe", channel="trades")
        await ask(ws, op="subscribe", channel="spreads", interval_ms=100)
        for _ in range(20):
            spread = await receive(ws, "spread")
            assert list(spread) == SECTION_3["spread"], spread
            assert spread["net_bps"] <= spread["gross_bps"], spread
        await ask(ws, op="subscribe", channel="nothing")
        error = await receive(ws, "error")
        assert "quotes" in error["detail"], error
        # The library hears of a pong only while nothing else waits to be read.
        await ask(ws, op="unsubscribe", channel="spreads")
        await receive(ws, "unsubscribed")
        pong = await ws.ping()
        await asyncio.wait_for(pong, PATIENCE)


async def other_pages_are_refused(url):
    try:
        await connect(url, origin="https://evil.example.com")
    except InvalidStatus as refused:
        assert refused.response.status_code == 403, refused
    else:
        raise AssertionError("a page of another host was let in")


async def goodbye(url, demo):
    """A stop closes with 1001."""
    async with connect(url) as ws:
        await receive(ws, "hello")
        demo.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(PATIENCE):
                async for _ in ws:
                    pass
        except ConnectionClosed:
            pass
        assert ws.close_code == 1001, ws.close_code


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def example_of_the_documentation_works(addr):
    text = (Path(__file__).parents[2] / "docs/live.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "127.0.0.1:8080" in example
    example = example.replace("127.0.0.1:8080", addr)
    running = subprocess.Popen([sys.executable, "-c", example], stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(10):
            exchange, bid, ask = running.stdout.readline().split()
            assert exchange.isalpha() and float(bid) < float(ask), (exchange, bid, ask)
    finally:
        running.kill()
        running.wait()


def check(program):
    with tempfile.TemporaryDirectory() as dir:
        args = ["demo", "--for", "10m", "--symbols", "20", "--rate", "2000"]
        args += ["--listen", "127.0.0.1:0", "--dir", f"{dir}/demo"]
        demo = subprocess.Popen([program, *args], stdout=subprocess.PIPE, text=True)
        try:
            first = demo.stdout.readline()
            addr = re.search(r"http://([\d.:]+)/", first).group(1)
            url = f"ws://{addr}/ws"
            asyncio.run(subscribe_and_receive(url))
            asyncio.run(other_pages_are_refused(url))
            example_of_the_documentation_works(addr)
            status, health = get(f"http://{addr}/healthz")
            assert status == 200, health
            assert len(json.loads(health)["exchanges"]) == 16, health
            status, page = get(f"http://{addr}/metrics")
            assert status == 200 and "spread_aggregator_live_clients 0" in page, page
            asyncio.run(goodbye(url, demo))
            assert demo.wait(PATIENCE) == 0
        finally:
            demo.kill()
            demo.wait()
    print("a client in Python is served")


if __name__ == "__main__":
    check(sys.argv[1])
