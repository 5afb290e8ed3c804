#!/usr/bin/env bash
# Makes a corpus of the fixtures: one file a frame, the venue's place in `exchange::ALL` before it.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p corpus/decode
n=0
for exchange in binance bybit okx bitget gateio kucoin mexc bingx; do
    for market in spot perp; do
        venue=$(printf '\\x%02x' "$n")
        n=$((n + 1))
        for file in ../tests/fixtures/$exchange-$market/*; do
            at="corpus/decode/$exchange-$market-$(basename "$file")"
            case $file in
                *.json) { printf '%b' "$venue"; cat "$file"; } > "$at" ;;
                *.txt)
                    i=0
                    while IFS= read -r line; do
                        i=$((i + 1))
                        printf '%b%s' "$venue" "$line" > "$at-$i"
                    done < "$file" ;;
                *.b64)
                    i=0
                    while IFS= read -r line; do
                        i=$((i + 1))
                        { printf '%b' "$venue"; printf '%s' "$line" | base64 -d; } > "$at-$i"
                    done < "$file" ;;
            esac
        done
    done
done
mkdir -p corpus/config
cp ../config.toml corpus/config/
echo "$(ls corpus/decode | wc -l) inputs"
