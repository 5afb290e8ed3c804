#!/usr/bin/env python3
"""Runs the examples of docs/data.md.

    tests/readers/cookbook.py DIR    # a dataset with quotes, trades and gaps

Every fenced block of the cookbook is run as it stands, but for the date and the hour, which become
some of the dataset's, and for `data`, which becomes DIR. The examples of a section have to agree on how many rows
there are and on the sum of each number. Exit code 1 if one fails, is empty or does not agree.
"""

import math
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs" / "data.md"
DATE = "2026-11-23"
SECTIONS = 5
SPARK = "--master local[1] --conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false"


def examples(text):
    """Yields (section, engine, code)."""
    cookbook = text.split("\n## Cookbook\n")[1].split("\n## ")[0]
    section = ""
    for heading, engine, code in re.findall(
        r"^### ([^\n]+)$|^```(sql|python \w+)\n(.*?)^```$", cookbook, re.M | re.S
    ):
        section = heading or section
        if not heading:
            yield section, engine.removeprefix("python "), code


def frame(engine, result):
    """The result as a pandas frame."""
    if engine == "sql":
        return result.df()
    return {"polars": lambda: result.to_pandas(), "pandas": lambda: result.reset_index(),
            "spark": lambda: result.toPandas()}[engine]()


def summary(table):
    """Rows, and the sum of each number that does not depend on which of two rows of one time comes
    first, nor on what else an engine returns."""
    names = {"bid_price", "spread_bps", "gross_bps", "high", "low", "volume", "seconds"} & set(table.columns)
    numbers = {it: float(table[it].sum()) for it in names}
    return len(table), numbers


def agree(section, one, other):
    (rows, numbers), (other_rows, others) = one, other
    # Of several quotes of one time any may be the last.
    tolerance = 0.01 * rows if "as-of" in section else 1e-5
    return rows == other_rows and numbers.keys() == others.keys() and all(
        math.isclose(numbers[it], others[it], rel_tol=1e-9, abs_tol=tolerance) for it in numbers
    )


def main(root):
    import duckdb

    duckdb.sql("SET TimeZone = 'UTC'")
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{SPARK} pyspark-shell"
    # Spark's, of the newest pandas.
    warnings.filterwarnings("ignore")
    dates = sorted(it.name.removeprefix("date=") for it in root.glob("quotes/date=*"))
    date = DATE if DATE in dates else dates[0]
    scope, first, failed = {}, {}, False
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(root.resolve(), f"{folder}/data")
        os.chdir(folder)
        quotes = f"data/quotes/date={date}/exchange=binance/*.parquet"
        [(last,)] = duckdb.sql(f"SELECT hour(max(ts_recv)) FROM '{quotes}'").fetchall()
        # All at once: one after the other would take the 13:00 that 12:00 became for the end.
        stand_in = {DATE: date, "12:00:00Z": f"{last:02}:00:00Z", "13:00:00Z": f"{last:02}:59:59.999999Z"}
        for section, engine, code in examples(DOCS.read_text()):
            code = re.sub("|".join(stand_in), lambda found: stand_in[found[0]], code)
            try:
                if engine == "sql":
                    scope["result"] = duckdb.sql(code)
                else:
                    exec(compile(code, f"{DOCS}: {section}, {engine}", "exec"), scope)
                if engine == "setup":
                    scope["spark"].sparkContext.setLogLevel("ERROR")
                    continue
                found = summary(frame(engine, scope.pop("result")))
            except Exception as error:  # whatever it is, it is the answer
                print(f"{section}, {engine}: FAILED: {type(error).__name__}: {error}")
                failed = True
                continue
            print(f"{section}, {engine}: {found}")
            expected = first.setdefault(section, found)
            if found[0] == 0 or not found[1] or not agree(section, found, expected):
                print(f"{section}, {engine}: WRONG: not {expected}")
                failed = True
    return failed or len(first) < SECTIONS


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: cookbook.py DIR")
    sys.exit(main(Path(sys.argv[1])))
