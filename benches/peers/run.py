#!/usr/bin/env python3
"""Reads the same frames with this project and with others, on one core, and prints what each takes: decoding alone.

    benches/peers/run.py [--corpus FOLDER] [--rounds N] [--seconds S]

Installs barter-data and crypto-msg-parser from crates.io, cryptofeed and ccxt from PyPI, all below target/peers.
What does not install is said and left out.

Frames: tests/fixtures, and the traffic recorded in FOLDER (../shared/corpus/replay) where it is there. A library is
measured on those that it reads and that say the same there (as many events, the same first price), and this project
on the very same ones, in turn: medians of the rounds, by the processor time of the thread.

What is timed, from the text of a frame in memory to the library's own event:
- spread-aggregator: Protocol::read into an Inbox, as its connections do, with a look at the clock for each frame.
- barter-data: the stream's parser and transformer, which make market events; Binance's frames without the envelope,
  as it subscribes to them there; told which of its streams the frame is of.
- crypto-msg-parser: parse_bbo and parse_trade, told which it is.
- cryptofeed: a feed's message_handler, with a callback that does nothing.
- ccxt: the client's handle_message, which updates its caches; nobody awaits them.
"""

import argparse
import gzip
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benches/peers"
TARGET = ROOT / "target/peers"
PYTHON = TARGET / "venv/bin/python"
RUST = TARGET / "rust/release/peers"
PINNED = ["ccxt==4.5.90", "cryptofeed==2.4.1", "orjson==3.13.0", "protobuf==7.36.2"]
VERSIONS = {"barter-data": "0.13.0", "crypto-msg-parser": "2.9.2", "cryptofeed": "2.4.1", "ccxt": "4.5.90"}
RECORDED = "binance_spot_usdm_coinm_20240808.txt.gz"
# Python reads so many of the recorded frames; all would take minutes a round.
RECORDED_MAX = 5_000


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--corpus", type=Path, default=ROOT.parent / "shared/corpus/replay")
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--seconds", type=float, default=0.1, help="of processor time, at least, for each set of frames")
    args = args.parse_args()
    TARGET.mkdir(parents=True, exist_ok=True)
    programs = install()
    frames = fixtures() + recorded(args.corpus)
    path = TARGET / "frames.tsv"
    path.write_text("".join("\t".join(it) + "\n" for it in frames))
    # One core for all that is measured.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ours = taken([RUST, "ours"], path)
    results = {}
    for name, program in programs.items():
        results[name] = compare(name, program, path, frames, ours, args)
    show(frames, ours, results, args)


def install():
    """How each library is called; without those that cannot be."""
    programs = {}
    for features in ["barter-data,crypto-msg-parser", "barter-data", "crypto-msg-parser", ""]:
        build = ["cargo", "build", "--release", "--target-dir", TARGET / "rust", "--no-default-features"]
        if not subprocess.run([*build, "--features", features], cwd=HERE / "rust").returncode:
            break
    else:
        sys.exit("SKIPPED: this project does not build here")
    for name in ["barter-data", "crypto-msg-parser"]:
        if name in features.split(","):
            programs[name] = [RUST, name]
        else:
            print(f"SKIPPED: {name} does not build here")
    made = PYTHON.exists() or not subprocess.run([sys.executable, "-m", "venv", TARGET / "venv"]).returncode
    for name in ["cryptofeed", "ccxt"]:
        wanted = [it for it in PINNED if it.split("==")[0] != ("ccxt" if name == "cryptofeed" else "cryptofeed")]
        if made and not subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *wanted]).returncode:
            programs[name] = [PYTHON, HERE / "read.py", name]
        else:
            print(f"SKIPPED: {name} does not install here")
    return programs


def fixtures():
    """(source, venue, channel, form, frame) of each."""
    frames = []
    for path in sorted((ROOT / "tests/fixtures").glob("*-*/*")):
        channel = path.name.split(".")[0].removesuffix("_gzip")
        if channel in ("quote", "trade") and path.suffix in (".txt", ".b64"):
            form = "base64" if path.suffix == ".b64" else "text"
            frames += [("fixture", path.parent.name, channel, form, it) for it in path.read_text().splitlines()]
    return frames


def recorded(folder):
    """The same of the recorded traffic, in the order in which it came."""
    if not (folder / RECORDED).exists():
        print(f"SKIPPED: there is no recorded traffic at {folder}")
        return []
    markets = {"binance/spot": "binance-spot", "binance/swap": "binance-perp"}
    frames = []
    for line in gzip.open(folder / RECORDED, "rt"):
        _, market, frame = line.rstrip("\n").split(" ", 2)
        channel = "quote" if "@bookTicker" in frame else "trade" if "rade\"," in frame else None
        if market in markets and channel:
            frames.append(("recorded", markets[market], channel, "text", frame))
    return frames


def taken(program, path):
    """What a library makes of the frames it reads, by line."""
    out = subprocess.run([*program, path, "take"], check=True, stdout=subprocess.PIPE, text=True,
                         stderr=open(TARGET / f"{program[-1]}.log", "w")).stdout
    rows = (it.split() for it in out.splitlines())
    return {int(line): (int(events), float(price)) for line, events, price in rows}


def compare(name, program, path, frames, ours, args):
    """By set: how many frames, and the median nanoseconds a frame of ours and of theirs."""
    theirs = taken(program, path)
    both = [it for it in ours if it in theirs and same(ours[it], theirs[it])]
    sets = {}
    for line in both:
        source, venue, channel = frames[line][:3]
        sets.setdefault((source, venue, channel), []).append(line)
        if source == "recorded":
            sets.setdefault((source, "all", "all"), []).append(line)
    if program[0] == PYTHON:
        sets = {it: lines[:RECORDED_MAX] for it, lines in sets.items()}
    if not sets:
        return {}
    lines = TARGET / f"{name}.sets"
    lines.write_text("".join(f"{' '.join(it)}\t{' '.join(map(str, lines))}\n" for it, lines in sets.items()))
    rounds = [[timed(it, path, lines, args) for it in ([RUST, "ours"], program)] for _ in range(args.rounds)]
    median = lambda side, it: statistics.median(round[side][it] for round in rounds)
    return {it: (len(lines), median(0, it), median(1, it)) for it, lines in sets.items()}


def same(one, other):
    return one[0] == other[0] and abs(one[1] - other[1]) <= 1e-9 * abs(one[1])


def timed(program, path, lines, args):
    out = subprocess.check_output([*program, path, "time", lines, str(args.seconds)], text=True)
    rows = (it.split("\t") for it in out.splitlines())
    return {tuple(name.split(" ")): float(seconds) / int(frames) * 1e9 for name, frames, _, seconds in rows}


def show(frames, ours, results, args):
    commit = subprocess.check_output(["git", "describe", "--always", "--dirty"], cwd=ROOT, text=True).strip()
    model = next((it.split(": ")[1].strip() for it in open("/proc/cpuinfo") if it.startswith("model name")), "?")
    print(f"\n{model}, one core; {platform.platform()}; commit {commit}; median of {args.rounds} rounds")
    if any(it[0] == "recorded" for it in frames):
        print("\n| recorded traffic | frames | frames/s | ours on the same | ratio |\n|---|---|---|---|---|")
        for name, sets in results.items():
            for (source, venue, channel), (count, mine, theirs) in sets.items():
                if source == "recorded":
                    of = "all, mixed" if venue == "all" else f"{venue} {channel}"
                    print(f"| {name} {VERSIONS[name]}: {of} | {count:,} | {1e9 / theirs:,.0f} | {1e9 / mine:,.0f} "
                          f"| {theirs / mine:.1f} |")
    counts = {}
    for line in ours:
        counts[frames[line][:3]] = counts.get(frames[line][:3], 0) + 1
    print("\n| fixtures |", " | ".join(f"{it} {VERSIONS[it]}" for it in results), "|")
    print("|---" * (len(results) + 1) + "|")
    for at, count in counts.items():
        if at[0] == "fixture":
            print(f"| {at[1]} {at[2]} |", " | ".join(cell(it.get(at), count) for it in results.values()), "|")


def cell(result, count):
    if not result:
        return "–"
    frames, mine, theirs = result
    part = "" if frames == count else f" ({frames} of {count})"
    return f"{1e9 / theirs:,.0f}, {theirs / mine:.1f}{part}"


if __name__ == "__main__":
    main()
