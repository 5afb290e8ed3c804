#!/usr/bin/env python3
"""How much of a compacted day do readers read that look for one symbol's hour?

    cargo test --test it day_for_other_readers && tests/readers/pruning.py target/tmp/day

DIR has one folder of quotes with one compacted file. The statistics in its footer have to narrow the
search to a few percent of the file, and so have the bytes that DuckDB and Spark read, by the system's
count. Polars and pandas (pyarrow) do not use statistics of columns that are dictionaries: what they
read is printed. Exit code 1 if it is too much, or if a reader finds other rows than a full scan does.
"""

import os
import sys
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path

# Of the bytes of the file. The footer, which is always read, is a part of it.
MOST = 0.05
# What a reader may read; of Spark, all of its process is counted.
MOST_READ = {"duckdb": 0.05, "spark": 0.1}
COLUMNS = ["ts_recv", "bid_price", "ask_price"]
HOUR = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
SPARK = "--master local[1] --conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false"


def narrowed(path, symbol, start, end):
    """The bytes that the footer leaves to be read, and how many row groups of how many."""
    import pyarrow.parquet as pq

    footer = pq.ParquetFile(path).metadata
    names = footer.schema.to_arrow_schema().names
    at = {name: names.index(name) for name in ["symbol", "market", "ts_recv"]}
    left, count = footer.serialized_size, 0
    for group in (footer.row_group(it) for it in range(footer.num_row_groups)):
        assert [it.column_index for it in group.sorting_columns] == list(at.values())
        columns = [group.column(it) for it in range(group.num_columns)]
        for column in columns:
            assert column.statistics is not None, column.path_in_schema
            assert column.has_column_index and column.has_offset_index, column.path_in_schema
        symbols, times = (columns[at[it]].statistics for it in ["symbol", "ts_recv"])
        if symbols.min <= symbol <= symbols.max and times.min < end and start <= times.max:
            left += sum(it.total_compressed_size for it in columns)
            count += 1
    return left, count, footer.num_row_groups


def bytes_read(process="self"):
    """What a process has read so far, from the cache or the disk."""
    lines = Path(f"/proc/{process}/io").read_text().splitlines()
    return int(next(it for it in lines if it.startswith("rchar")).split()[1])


# Each reader returns how many rows it has found, and how many bytes it has read for them.


def duckdb_reads(path, symbol, start, end):
    import duckdb

    before = bytes_read()
    found = duckdb.execute(
        f"SELECT {', '.join(COLUMNS)} FROM read_parquet(?) "
        "WHERE symbol = ? AND ts_recv >= ? AND ts_recv < ?", [str(path), symbol, start, end]
    ).fetchall()
    return len(found), bytes_read() - before


def spark_reads(path, symbol, start, end):
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{SPARK} pyspark-shell"
    warnings.filterwarnings("ignore")
    spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    process = spark.sparkContext._gateway.proc.pid

    def read():
        before = bytes_read(process)
        found = (
            spark.read.parquet(str(path))
            .where(f"symbol = '{symbol}' AND ts_recv >= timestamp '{start:%F %T}'"
                   f" AND ts_recv < timestamp '{end:%F %T}'")
            .select(COLUMNS).collect()
        )
        return len(found), bytes_read(process) - before

    # The first ones load classes.
    return min((read() for _ in range(3)), key=lambda it: it[1])


def polars_reads(path, symbol, start, end):
    import polars as pl

    before = bytes_read()
    found = (
        pl.scan_parquet(path)
        .filter(pl.col("symbol") == symbol, pl.col("ts_recv").is_between(start, end, "left"))
        .select(COLUMNS).collect()
    )
    return found.height, bytes_read() - before


def pandas_reads(path, symbol, start, end):
    import pandas as pd

    filters = [("symbol", "==", symbol), ("ts_recv", ">=", start), ("ts_recv", "<", end)]
    before = bytes_read()
    found = pd.read_parquet(path, columns=COLUMNS, filters=filters)
    return len(found), bytes_read() - before


READERS = {"duckdb": duckdb_reads, "spark": spark_reads, "polars": polars_reads,
           "pandas": pandas_reads}


def main(root):
    import duckdb

    [path] = root.glob("quotes/date=*/exchange=*/*.parquet")
    size, end, failed = path.stat().st_size, HOUR + timedelta(hours=1), False
    for symbol in ["S000-USDT", "S321-USDT", "S500-USDT"]:
        left, count, groups = narrowed(path, symbol, HOUR, end)
        print(f"{symbol}: {count} of {groups} row groups, {left / size:.2%} of {size} bytes")
        failed |= MOST < left / size or count == 0
        every = duckdb.sql(f"SELECT symbol, ts_recv FROM '{path}'").fetchall()
        expected = sum(it[0] == symbol and HOUR <= it[1] < end for it in every)
        for name, read in READERS.items():
            found, read = read(path, symbol, HOUR, end)
            print(f"{symbol}: {name} has read {read / size:.2%}, found {found} rows")
            if found != expected or expected == 0:
                print(f"{symbol}: {name}: WRONG: not {expected} rows")
                failed = True
            if not 0 < read / size <= MOST_READ.get(name, 1):
                print(f"{symbol}: {name}: WRONG: not at most {MOST_READ.get(name, 1):.0%}")
                failed = True
    return failed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: pruning.py DIR")
    sys.exit(main(Path(sys.argv[1])))
