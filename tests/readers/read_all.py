#!/usr/bin/env python3
"""Reads a dataset with DuckDB, Polars, pandas and Spark, no option set, and compares what they see.

    cargo test --test it && tests/readers/read_all.py target/tmp/readers
    pip install duckdb polars pandas pyarrow pyspark    # Spark wants Java 17

Prints each reader's count and first row. Exit code 1 if any of them fails, finds another number of
rows than the others, or takes a column for something else than it is.
"""

import sys
from pathlib import Path

NAMES = ["exchange", "market", "symbol", "symbol_native"]
COLUMNS = {
    "quotes": ["ts_event", "ts_recv", *NAMES, "bid_price", "bid_size", "ask_price", "ask_size",
               "sequence", "conn_id"],
    "trades": ["ts_event", "ts_recv", *NAMES, "price", "size", "side", "trade_id", "conn_id"],
    "spreads": ["symbol", "market", "buy_exchange", "sell_exchange", "ts_open", "ts_close",
                "peak_gross_bps", "peak_net_bps", "ask_price_at_peak", "bid_price_at_peak",
                "size_at_peak", "max_leg_age_us", "updates"],
    "gaps": ["ts_from", "ts_to", "exchange", "market", "symbol", "stream", "reason", "dropped",
             "conn_id"],
}
# Folders of these have folders of exchanges.
BY_EXCHANGE = ["quotes", "trades"]
TIMES = ["ts_event", "ts_recv", "ts_open", "ts_close", "ts_from", "ts_to"]
TEXTS = [*NAMES, "side", "trade_id", "buy_exchange", "sell_exchange", "stream", "reason"]
INTEGERS = {"sequence": 64, "conn_id": 32, "max_leg_age_us": 64, "updates": 64, "dropped": 64}


def kind(column):
    """What a column is: time, text or the width of an integer; all else is a float."""
    if column in TIMES:
        return "time"
    return "text" if column in TEXTS else INTEGERS.get(column, "float")


def exchanges_of(frame):
    """The exchanges in a frame of Polars or pandas."""
    return {str(it) for it in frame["exchange"].unique()} if "exchange" in frame.columns else set()


# Each reader returns (rows, [(column, kind)], exchanges, sample row): a list, so that a column that
# is there twice is seen.


def duckdb_reads(folder):
    import duckdb

    source = f"read_parquet('{folder}/**/*.parquet')"
    kinds = {"TIMESTAMP WITH TIME ZONE": "time", "VARCHAR": "text", "DOUBLE": "float",
             "BIGINT": 64, "INTEGER": 32, "DATE": "date"}
    columns = duckdb.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()
    [(rows,)] = duckdb.sql(f"SELECT count(*) FROM {source}").fetchall()
    exchanges = set()
    if any(it[0] == "exchange" for it in columns):
        exchanges = duckdb.sql(f"SELECT DISTINCT exchange FROM {source}").fetchall()
    # Every value is decoded, not only the footers read.
    sums = ", ".join(f'count("{it[0]}"), max("{it[0]}")' for it in columns)
    duckdb.sql(f"SELECT {sums} FROM {source}").fetchall()
    [sample] = duckdb.sql(f"SELECT * FROM {source} LIMIT 1").fetchall()
    columns = [(it[0], kinds.get(it[1], it[1])) for it in columns]
    return rows, columns, {it[0] for it in exchanges}, sample


def polars_reads(folder):
    import polars as pl

    kinds = {pl.Float64: "float", pl.Int64: 64, pl.Int32: 32, pl.Date: "date", pl.String: "text",
             pl.Datetime("us", "UTC"): "time"}
    frame = pl.scan_parquet(folder).collect()

    def name(dtype):
        return "text" if isinstance(dtype, (pl.Categorical, pl.Enum)) else kinds.get(dtype, dtype)

    columns = [(it, name(dtype)) for it, dtype in frame.schema.items()]
    return frame.height, columns, exchanges_of(frame), frame.row(0)


def pandas_reads(folder):
    import pandas as pd

    frame = pd.read_parquet(folder)

    def name(dtype):
        if isinstance(dtype, pd.CategoricalDtype):
            return "text"
        # Integers with nulls become floats: that is how pandas is.
        kinds = {"datetime64[us, UTC]": "time", "float64": "float", "int32": 32, "int64": 64,
                 "object": "text", "str": "text"}
        return kinds.get(str(dtype), str(dtype))

    columns = [(it, name(dtype)) for it, dtype in zip(frame.columns, frame.dtypes)]
    columns = [(it, INTEGERS.get(it, of) if of == "float" else of) for it, of in columns]
    return len(frame), columns, exchanges_of(frame), tuple(frame.iloc[0])


def spark_reads(folder):
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    frame = spark.read.parquet(str(folder))
    kinds = {"timestamp": "time", "string": "text", "double": "float", "bigint": 64, "int": 32,
             "date": "date"}
    columns = [(it, kinds.get(of, of)) for it, of in frame.dtypes]
    # Every value is decoded, not only the footers read.
    frame.write.format("noop").mode("overwrite").save()
    exchanges = set()
    if "exchange" in frame.columns:
        exchanges = {it.exchange for it in frame.select("exchange").distinct().collect()}
    return frame.count(), columns, exchanges, tuple(frame.first())


READERS = {"duckdb": duckdb_reads, "polars": polars_reads, "pandas": pandas_reads,
           "spark": spark_reads}


def wrong(channel, columns, exchanges, there):
    """What is wrong with what a reader saw."""
    names = [name for name, _ in columns]
    for name in COLUMNS[channel]:
        if names.count(name) != 1:
            yield f"{name} is there {names.count(name)} times"
    for extra in set(names) - set(COLUMNS[channel]) - {"date"}:
        yield f"{extra} is not one of ours"
    for name, of in columns:
        if name in COLUMNS[channel] and of != kind(name):
            yield f"{name} is {of}, not {kind(name)}"
    if channel in BY_EXCHANGE and exchanges != there:
        yield f"exchanges {exchanges}, not {there}"


def main(root):
    failed = False
    for channel in COLUMNS:
        folder = root / channel
        # There may have been no episode and no loss.
        if channel not in BY_EXCHANGE and not any(folder.glob("**/*.parquet")):
            continue
        there = {it.name.partition("=")[2] for it in folder.glob("date=*/exchange=*")}
        counts = set()
        for reader, read in READERS.items():
            try:
                rows, columns, exchanges, sample = read(folder)
            except Exception as error:  # whatever it is, it is the answer
                print(f"{channel} {reader}: FAILED: {type(error).__name__}: {error}")
                failed = True
                continue
            counts.add(rows)
            print(f"{channel} {reader}: {rows} rows, {sample}")
            for line in wrong(channel, columns, exchanges, there):
                print(f"{channel} {reader}: WRONG: {line}")
                failed = True
        if len(counts) != 1 or 0 in counts:
            print(f"{channel}: WRONG: counts {sorted(counts)}")
            failed = True
    return failed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: read_all.py DIR")
    sys.exit(main(Path(sys.argv[1])))
