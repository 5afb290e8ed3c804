#!/usr/bin/env python3
"""Reads what several collectors wrote into one folder with DuckDB and Spark, no option set.

    cargo test --test it shards && tests/readers/shards.py target/tmp/shards/data 3
    pip install duckdb pyspark    # Spark wants Java 17

Prints each reader's counts. Exit code 1 if they differ, if there are other than so many collectors, if
a symbol comes from two of them, or if a trade is there twice.
"""

import sys
from pathlib import Path

CHANNELS = ["quotes", "trades"]
SYMBOL = "exchange, market, symbol"
# The run that wrote a file is the start of its name.
RUN = r"regexp_extract({}, '([^/_]+)_[^/]*$', 1)"
COUNTS = f"""
    SELECT count(*), count(DISTINCT run),
           (SELECT count(*) FROM (SELECT {SYMBOL} FROM rows GROUP BY {SYMBOL}
                                  HAVING 1 < count(DISTINCT run)) AS shared),
           count(*) - (SELECT count(*) FROM (SELECT DISTINCT {SYMBOL}, {{key}} FROM rows) AS once)
    FROM rows"""
# What no two rows of a channel share; quotes are told apart by nothing that every exchange gives.
KEYS = {"quotes": "run, ts_recv, conn_id, bid_price, bid_size, ask_price, ask_size, sequence",
        "trades": "trade_id"}


def duckdb_counts(folder, channel):
    import duckdb

    source = f"read_parquet('{folder}/**/*.parquet', filename = true)"
    duckdb.sql(f"CREATE OR REPLACE TEMP VIEW rows AS SELECT *, {RUN.format('filename')} AS run "
               f"FROM {source}")
    [counts] = duckdb.sql(COUNTS.format(key=KEYS[channel])).fetchall()
    return counts


def spark_counts(folder, channel):
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    frame = spark.read.parquet(str(folder))
    frame.selectExpr("*", f"{RUN.format('input_file_name()')} AS run").createOrReplaceTempView("rows")
    [counts] = spark.sql(COUNTS.format(key=KEYS[channel])).collect()
    return tuple(counts)


def main(root, collectors):
    failed = False
    for channel in CHANNELS:
        counts = {"duckdb": duckdb_counts(root / channel, channel),
                  "spark": spark_counts(root / channel, channel)}
        for reader, (rows, runs, shared, twice) in counts.items():
            print(f"{channel} {reader}: {rows} rows of {runs} collectors, {shared} symbols of more "
                  f"than one, {twice} rows twice")
            wrong = runs != collectors or shared != 0 or (channel == "trades" and twice != 0)
            failed |= wrong or rows == 0
        if len(set(counts.values())) != 1:
            print(f"{channel}: WRONG: the readers differ")
            failed = True
    return failed


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: shards.py DIR COLLECTORS")
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
