"""A demonstration that runs, a client that reads from it, and a Prometheus that scrapes it. Needs
`prometheus` and `promtool`, both in Debian's package prometheus.
"""
import base64
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

OPS = pathlib.Path(__file__).parent
PATIENCE = 120


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if value := condition():
                return value
        time.sleep(0.2)
    sys.exit(f"not within {PATIENCE} s: {what}")


@contextlib.contextmanager
def running(*command, **options):
    """A process that is told to end, and has to do so in order."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=PATIENCE) != 0:
            sys.exit(f"{command[0]} ended with {process.returncode}")


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def frame(opcode, payload=b""):
    """A WebSocket frame of less than 126 bytes. A mask of zeros leaves the payload as it is."""
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def subscribe(addr, **wanted):
    """A client of the WebSocket that wants quotes."""
    host, port = addr.split(":")
    client = socket.create_connection((host, int(port)), timeout=PATIENCE)
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(f"GET /ws HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    text = json.dumps({"op": "subscribe", "channel": "quotes", **wanted}).encode()
    client.sendall(frame(0x1, text))
    return client


def read(client, seconds):
    """Reads what it is sent for so long, and says every second that it is there, as pongs do."""
    client.settimeout(1)
    end, next_pong = time.monotonic() + seconds, 0
    while (now := time.monotonic()) < end:
        if next_pong <= now:
            client.sendall(frame(0xA))
            next_pong = now + 1
        with contextlib.suppress(TimeoutError):
            if not client.recv(1 << 20):
                sys.exit("the collector has closed the connection of its client")


def promtool(*arguments, **options):
    done = subprocess.run(["promtool", *arguments], text=True, capture_output=True, **options)
    if done.returncode != 0:
        sys.exit(f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}")


class Stand:
    """Where the collector and its Prometheus answer."""

    def __init__(self, collector, prometheus):
        self.collector = collector
        self.prometheus = prometheus

    def metrics(self):
        return get(f"http://{self.collector}/metrics")

    def api(self, path, **query):
        query = urllib.parse.urlencode(query)
        return json.loads(get(f"http://{self.prometheus}/api/v1/{path}?{query}"))["data"]

    def asked(self, expression):
        return self.api("query", query=expression)["result"]


@contextlib.contextmanager
def scraped(program, *options):
    """A stand, as soon as all is well and Prometheus has scraped it, which it does every second."""
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/demo.log", "w+") as log:
        always = ["--for", "1day", "--listen", "127.0.0.1:0", "--dir", f"{folder}/data"]
        with running(program, "demo", *always, *options, stdout=log, stderr=subprocess.STDOUT):
            addr = until("demo says where it is", lambda: re.search(
                r"http://(127\.0\.0\.1:\d+)", pathlib.Path(log.name).read_text()))[1]
            until("all is well", lambda: get(f"http://{addr}/healthz"))
            config = pathlib.Path(folder, "prometheus.yml")
            text = (OPS / "prometheus/prometheus.yml").read_text()
            text = text.replace("127.0.0.1:8080", addr).replace("5s", "1s")
            config.write_text(text.replace("alerts.yml", str((OPS / "prometheus/alerts.yml").resolve())))
            promtool("check", "config", str(config))
            stand = Stand(addr, f"127.0.0.1:{free_port()}")
            with running("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb",
                         f"--web.listen-address={stand.prometheus}", "--log.level=error"):
                until("Prometheus has scraped it", lambda: stand.asked("up == 1"))
                yield stand
