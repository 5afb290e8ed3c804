#!/usr/bin/env python3
"""A real Prometheus scrapes a collector that runs: every metric that the contract names is there and
moves, what is exported is well-formed, every query of the dashboard gives an answer, every alert can
be evaluated, and none is raised. Needs `prometheus` and `promtool`, both in Debian's package
prometheus.

Usage: check.py PROGRAM [SECONDS]
"""
import re
import sys
import time

import dashboard
from scraped import promtool, read, scraped, subscribe

PREFIX = "spread_aggregator_"
# These stand still while all is well.
STILL = {"decode_errors_total", "queue_dropped_total", "reconnects_total", "write_errors_total",
         "gaps_total", "live_dropped_total", "connections_up", "subscriptions", "instruments",
         "threads", "build_info", "queue_capacity", "start_time_seconds", "disk_size_bytes",
         "clock_offset_seconds"}
MOVING = {"messages_received_total", "bytes_received_total", "events_total", "queue_depth",
          "queue_age_seconds", "last_message_age_seconds", "exchange_lag_seconds_count",
          "rows_written_total", "files_written_total", "journal_delay_seconds_count", "journal_flush_seconds_count",
          "resident_memory_bytes", "live_clients", "live_sent_total", "disk_free_bytes"}
# What is left on the disk is no matter of the collector's.
EXPECTED = {"DiskNearlyFull", "DiskFullSoon"}


def series(page):
    """The sum of all series of each metric."""
    sums = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name = re.match(r"\w+", line)[0].removeprefix(PREFIX)
            sums[name] = sums.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return sums


def names(expression):
    """The metrics of ours that an expression asks for."""
    return set(re.findall(PREFIX + r"(\w+)", expression))


def watched(stand, seconds):
    """All values that each metric had, by its name, the first one first."""
    page = stand.metrics()
    promtool("check", "metrics", input=page)
    values = {name: [value] for name, value in series(page).items()}
    with subscribe(stand.collector, interval_ms=1000) as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            read(client, 0.5)
            for name, value in series(stand.metrics()).items():
                values.setdefault(name, []).append(value)
        # While the client is there, so that it can be seen.
        return values, [(it, stand.asked(it.filled())) for it in dashboard.queries()]


def check_values(values):
    missing = (MOVING | STILL) - set(values)
    if missing:
        sys.exit(f"not exported: {sorted(missing)}")
    still = [it for it in MOVING if len(set(values[it])) < 2]
    if still:
        sys.exit(f"did not move: {sorted(still)}")


def check_answers(answers, exported):
    for query, answer in answers:
        if unknown := names(query.expression) - exported:
            sys.exit(f"the dashboard asks for {unknown}, which is not exported: {query.expression}")
        if not answer and not query.may_be_empty():
            sys.exit(f"{query.panel}: no answer to {query.expression}")


def check_rules(stand, exported):
    rules = [it for group in stand.api("rules")["groups"] for it in group["rules"]]
    for rule in rules:
        if rule["health"] != "ok":
            sys.exit(f"{rule['name']} is {rule['health']}: {rule.get('lastError')}")
        if unknown := names(rule["query"]) - exported:
            sys.exit(f"{rule['name']} asks for {unknown}, which is not exported")
    raised = [it for it in stand.api("alerts")["alerts"] if it["labels"]["alertname"] not in EXPECTED]
    raised += stand.asked(f'ALERTS_FOR_STATE{{alertname!~"{"|".join(EXPECTED)}"}}[1d]')
    if raised:
        sys.exit(f"a healthy collector raised {raised}")
    return rules


def main(program, seconds):
    dashboard.check_structure()
    # Files are closed often, so that those metrics move, too.
    with scraped(program, "--rotate", "5s") as stand:
        values, answers = watched(stand, seconds)
        check_values(values)
        check_answers(answers, set(values))
        rules = check_rules(stand, set(values))
    print(f"{len(values)} metrics, {len(answers)} queries, {len(rules)} alerts of which none was raised "
          f"in {seconds} s")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20)
