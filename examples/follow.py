#!/usr/bin/env python3
"""Follows one symbol of a running collector and prints N events, a JSON object a line.

    examples/follow.py [URL [SYMBOL [N]]]     # needs websockets

Without N it goes on until Ctrl-C.
"""

import argparse
import itertools
import json
import sys

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect


def follow(url, symbol, events):
    with connect(url) as socket:
        socket.send(json.dumps({"op": "subscribe", "channel": "quotes", "symbols": [symbol]}))
        messages = map(json.loads, socket)
        errors_or_quotes = (it for it in messages if it["type"] in ("quote", "lag", "error"))
        for it in itertools.islice(errors_or_quotes, events):
            if it["type"] == "error":
                sys.exit(f"refused: {it}")
            if it["type"] == "lag":
                print(f"missed {it['dropped']} events: read faster, or ask for less", file=sys.stderr)
                continue
            print(json.dumps(it), flush=True)


arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
arguments.add_argument("url", nargs="?", default="ws://127.0.0.1:8080/ws", help="with ?token=... if it wants one")
arguments.add_argument("symbol", nargs="?", default="BTC-USDT")
arguments.add_argument("events", nargs="?", type=int, metavar="N")
options = arguments.parse_args()
try:
    follow(options.url, options.symbol, options.events)
except KeyboardInterrupt:
    pass
except (OSError, WebSocketException) as err:
    sys.exit(f"{options.url}: {err}; is a collector running there? `spread-aggregator demo` is one")
