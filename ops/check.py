#!/usr/bin/env python3
"""A real Prometheus scrapes a collector that runs: every metric that the contract names is there and
moves, what is exported is well-formed, every query of the dashboard gives an answer, and no alert
fires. Needs `prometheus` and `promtool`, both in Debian's package prometheus.

Usage: check.py PROGRAM [SECONDS]
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

OPS = pathlib.Path(__file__).parent
PREFIX = "spread_aggregator_"
# Which of them moves is a matter of luck in a short run: nothing may fail, nobody listens.
STILL = {"decode_errors_total", "queue_dropped_total", "reconnects_total", "write_errors_total",
         "gaps_total", "live_clients", "live_dropped_total", "connections_up", "instruments",
         "threads", "build_info", "subscriptions"}
METRICS = STILL | {"messages_received_total", "bytes_received_total", "events_total", "queue_depth",
                   "queue_age_seconds", "last_message_age_seconds", "exchange_lag_seconds_count",
                   "rows_written_total", "files_written_total", "journal_flush_seconds_count",
                   "resident_memory_bytes"}
# Without an error they have no series.
EMPTY = {"decode_errors_total", "reconnects_total", "gaps_total", "queue_dropped_total"}


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def until(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"not within {seconds} s: {what}")


def series(page):
    """Sums by metric name."""
    sums = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name = re.match(r"[a-z_]+", line)[0].removeprefix(PREFIX)
            sums[name] = sums.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return sums


def main(program, seconds):
    with tempfile.TemporaryDirectory() as folder:
        log = open(f"{folder}/demo.log", "w+")
        # Files are closed often, so that those metrics move, too.
        demo = subprocess.Popen(
            [program, "demo", "--for", f"{seconds + 120}s", "--dir", f"{folder}/data", "--rotate", "5s"],
            stdout=log, stderr=subprocess.STDOUT)
        try:
            url = until("demo says where it is", 60, lambda: re.search(
                r"http://(127\.0\.0\.1:\d+)", pathlib.Path(log.name).read_text()))[1]
            until("it answers", 30, lambda: get(f"http://{url}/metrics"))
            config = pathlib.Path(folder, "prometheus.yml")
            text = (OPS / "prometheus/prometheus.yml").read_text()
            text = text.replace("127.0.0.1:8080", url).replace("5s", "1s")
            config.write_text(text.replace("alerts.yml", str((OPS / "prometheus/alerts.yml").resolve())))
            prometheus = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb",
                 "--web.listen-address=127.0.0.1:19090", "--log.level=error"])
            try:
                check(url, "http://127.0.0.1:19090", seconds)
            finally:
                prometheus.terminate()
                prometheus.wait()
        finally:
            demo.terminate()
            if demo.wait(timeout=30) != 0:
                sys.exit(f"demo ended with {demo.returncode}")


def check(url, prometheus, seconds):
    first = series(get(f"http://{url}/metrics"))
    lint = subprocess.run(["promtool", "check", "metrics"], input=get(f"http://{url}/metrics"),
                          text=True, capture_output=True)
    if lint.returncode != 0 or lint.stderr.strip():
        sys.exit(f"promtool check metrics: {lint.stdout}{lint.stderr}")

    def asked(expression):
        query = urllib.parse.urlencode({"query": expression})
        return json.loads(get(f"{prometheus}/api/v1/query?{query}"))["data"]["result"]

    until("Prometheus has scraped it", 60, lambda: asked("up == 1"))
    time.sleep(seconds)
    last = series(get(f"http://{url}/metrics"))
    names = {it.removesuffix("_bucket") for it in last}
    missing = [it for it in METRICS - EMPTY if it not in last]
    if missing:
        sys.exit(f"not exported: {missing}")
    still = [it for it in METRICS - STILL if first.get(it) == last[it]]
    if still:
        sys.exit(f"did not move: {still}")
    dashboard = json.loads((OPS / "grafana/dashboard.json").read_text())
    targets = [it["expr"] for panel in dashboard["panels"] for it in panel.get("targets", [])]
    for expression in targets:
        expression = expression.replace("$instance", ".*").replace("$__rate_interval", "10s")
        for name in re.findall(PREFIX + r"([a-z_]+)", expression):
            if name not in last and name not in EMPTY and name.removesuffix("_bucket") not in names:
                sys.exit(f"the dashboard asks for {name}, which is not exported")
        # What is compared may rightly be empty.
        if not asked(expression) and ">" not in expression and not any(
                PREFIX + it in expression for it in EMPTY):
            sys.exit(f"no answer to {expression}")
    firing = [it["labels"] for it in json.loads(get(f"{prometheus}/api/v1/alerts"))["data"]["alerts"]
              if it["state"] == "firing"]
    if firing:
        sys.exit(f"a healthy collector raised {firing}")
    print(f"{len(last)} metrics, {len(targets)} queries, no alert in {seconds} s")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20)
