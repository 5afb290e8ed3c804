#!/usr/bin/env python3
"""Draws spreads, gaps and lag of a dataset: spreads.png, gaps.png and lag.png.

    examples/draw.py DIR [OUT]      # needs duckdb, polars and matplotlib

DuckDB aggregates the quotes, Polars the ledger and the lag.
"""

import argparse
import sys
from pathlib import Path

import duckdb
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import polars as pl

arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
arguments.add_argument("dir", type=Path, help="of the dataset")
arguments.add_argument("out", type=Path, nargs="?", default=".", help="where the pictures go")
options = arguments.parse_args()
DIR, OUT, SYMBOL = options.dir, options.out, "BTC-USDT"
for table in ("quotes", "trades"):
    if not any(DIR.glob(f"{table}/**/*.parquet")):
        sys.exit(f"no files of {table} are in {DIR}: they are made every `rotate`, and when a collector stops")
OUT.mkdir(parents=True, exist_ok=True)


def spreads():
    """Best ask less best bid by exchange, in basis points, a point a second."""
    rows = duckdb.sql(f"""
        SELECT exchange, market, time_bucket(INTERVAL 1 SECOND, ts_recv) AS second,
               median((ask_price - bid_price) / bid_price * 1e4) AS bps
        FROM read_parquet('{DIR}/quotes/**/*.parquet')
        WHERE symbol = '{SYMBOL}' GROUP BY ALL ORDER BY second
    """).pl()
    if rows.is_empty():
        sys.exit(f"no quotes of {SYMBOL} are in {DIR}")
    figure, axes = plt.subplots(figsize=(8, 4))
    for (exchange, market), of in rows.group_by("exchange", "market", maintain_order=True):
        style = "-" if market == "spot" else "--"
        axes.plot(of["second"], of["bps"], style, linewidth=1, label=f"{exchange}-{market}")
    axes.set(title=f"{SYMBOL}: ask less bid", ylabel="basis points")
    return figure, axes


def gaps():
    """What the ledger has, by reason: how often, and for how long."""
    files = list(DIR.glob("gaps/**/*.parquet"))
    figure, axes = plt.subplots(figsize=(8, 3))
    if not files:
        axes.set(title="The loss ledger is empty", xticks=[], yticks=[])
        return figure, axes
    rows = (
        pl.scan_parquet(files)
        .with_columns(seconds=(pl.col("ts_to") - pl.col("ts_from")).dt.total_milliseconds() / 1e3)
        .group_by(pl.col("reason").cast(pl.String))
        .agg(pl.len(), pl.col("seconds").sum())
        .sort("seconds")
        .collect()
    )
    bars = axes.barh(rows["reason"], rows["seconds"])
    axes.bar_label(bars, [f" {n} times" for n in rows["len"]])
    axes.set(title="Losses by reason", xlabel="seconds, over all connections and symbols")
    return figure, axes


def lag():
    """Time of receipt less the exchange's own time, of trades."""
    rows = (
        pl.scan_parquet(DIR / "trades/**/*.parquet", hive_partitioning=False)
        .filter(pl.col("ts_event").is_not_null())
        .with_columns(ms=(pl.col("ts_recv") - pl.col("ts_event")).dt.total_microseconds() / 1e3)
        .group_by(pl.col("exchange").cast(pl.String), pl.col("market").cast(pl.String))
        .agg(p50=pl.col("ms").median(), p99=pl.col("ms").quantile(0.99))
        .sort("exchange", "market")
        .collect()
    )
    if rows.is_empty():
        sys.exit(f"no trades with a time of the exchange are in {DIR}")
    names = [f"{it['exchange']}-{it['market']}" for it in rows.iter_rows(named=True)]
    figure, axes = plt.subplots(figsize=(8, 4))
    axes.barh(names, rows["p99"], color="lightsteelblue", label="99th percentile")
    axes.barh(names, rows["p50"], color="steelblue", label="median")
    # Some exchanges send trades of the past when one subscribes.
    axes.set(title="From the exchange's clock to ours", xlabel="milliseconds", xscale="log")
    return figure, axes


for draw in (spreads, gaps, lag):
    figure, axes = draw()
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=6, ncols=2)
    figure.tight_layout()
    figure.savefig(OUT / f"{draw.__name__}.png", dpi=60)
    print(OUT / f"{draw.__name__}.png")
