#!/usr/bin/env python3
"""Follows one symbol of a running collector and prints N events, a JSON object a line.

    examples/follow.py [URL [SYMBOL [N]]]     # needs websockets

Without N it goes on until Ctrl-C.
"""

import itertools
import json
import sys

from websockets.sync.client import connect

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/ws"
SYMBOL = sys.argv[2] if len(sys.argv) > 2 else "BTC-USDT"
EVENTS = int(sys.argv[3]) if len(sys.argv) > 3 else None

with connect(URL) as socket:
    socket.send(json.dumps({"op": "subscribe", "channel": "quotes", "symbols": [SYMBOL]}))
    messages = map(json.loads, socket)
    errors_or_quotes = (it for it in messages if it["type"] in ("quote", "lag", "error"))
    for it in itertools.islice(errors_or_quotes, EVENTS):
        if it["type"] == "error":
            sys.exit(f"refused: {it}")
        if it["type"] == "lag":
            print(f"missed {it['dropped']} events: read faster, or ask for less", file=sys.stderr)
            continue
        print(json.dumps(it), flush=True)
