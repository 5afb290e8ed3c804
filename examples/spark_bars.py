#!/usr/bin/env python3
"""Makes bars of one second of a dataset's trades with Spark, and writes them as Parquet.

    examples/spark_bars.py DIR OUT      # needs pyspark and Java
"""

import argparse

from pyspark.sql import SparkSession, functions as f

arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
arguments.add_argument("source", metavar="DIR", help="of the dataset")
arguments.add_argument("out", metavar="OUT", help="where the bars go")
options = arguments.parse_args()
source, out = options.source, options.out
spark = (
    SparkSession.builder.appName("bars")
    .master("local[1]")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
trades = spark.read.parquet(f"{source}/trades")
second = f.date_trunc("second", "ts_recv").alias("second")
bars = trades.groupBy("exchange", "market", "symbol", second).agg(
    f.min_by("price", "ts_recv").alias("open"),
    f.max("price").alias("high"),
    f.min("price").alias("low"),
    f.max_by("price", "ts_recv").alias("close"),
    f.sum("size").alias("volume"),
    f.count("*").alias("trades"),
)
bars.write.mode("overwrite").parquet(out)
written = spark.read.parquet(out)
counted, stored = written.agg(f.sum("trades")).first()[0], trades.count()
assert 0 < stored == counted, f"{stored} trades, {counted} in bars"
print(f"{written.count()} bars of {stored} trades in {out}")
