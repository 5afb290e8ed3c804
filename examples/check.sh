#!/usr/bin/env bash
# Runs every example against a demonstration: examples/check.sh PYTHON PROGRAM
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
program=${2:-target/debug/spread-aggregator}
out=target/tmp/examples
rm -rf "$out"
mkdir -p "$out"
export SPARK_LOCAL_IP=127.0.0.1

"$program" demo --for 20s --listen 127.0.0.1:0 --dir "$out/data" >"$out/demo.txt" 2>"$out/demo.log" &
demo=$!
url=
for _ in $(seq 600); do
    url=$(sed -n 's|^dashboard: http://|ws://|p' "$out/demo.txt")
    [ -n "$url" ] && break
    sleep 0.1
done
[ -n "$url" ] || { cat "$out/demo.log"; exit 1; }
"$python" examples/follow.py "${url%/}/ws" BTC-USDT 20 >"$out/quotes.jsonl"
[ "$(grep -c '"type": "quote"' "$out/quotes.jsonl")" = 20 ]
wait "$demo"

"$python" examples/draw.py "$out/data" "$out"
for picture in spreads gaps lag; do
    [ -s "$out/$picture.png" ]
done
"$python" examples/spark_bars.py "$out/data" "$out/bars" 2>"$out/spark.log" || { cat "$out/spark.log"; exit 1; }
