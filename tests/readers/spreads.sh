#!/usr/bin/env bash
# Records simulated exchanges for a moment, or for as long as asked, and has spreads.py make the spreads again.
#
#     tests/readers/spreads.sh [PYTHON [SECONDS [PROGRAM]]]    # a python that has polars
#
# Fees are so small, and the guard so narrow, that both decide often; quotes are put in order over
# longer than a busy machine lets a thread wait.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:-python3}
seconds=${2:-20}
program=${3:-target/debug/spread-aggregator}
dir=target/tmp/spreads
rm -rf "$dir"
mkdir -p "$dir"

"$program" simulate --listen 127.0.0.1:0 --rate 5000 --symbols 60 >"$dir/exchanges.toml" &
exchanges=$!
trap 'kill -INT "$exchanges"; wait "$exchanges" || true' EXIT
until grep -q 'rest_url.*bingx-perp' "$dir/exchanges.toml"; do
    kill -0 "$exchanges"
    sleep 0.1
done
cat - <(sed 's/^name/taker_fee_bps = 1.0\nname/' "$dir/exchanges.toml") >"$dir/config.toml" <<END
[storage]
dir = "$dir/data"
[live]
listen = "127.0.0.1:0"
[spreads]
max_quote_age = "500ms"
hysteresis_bps = 1.0
identity_guard = 0.0008
identity_after = "2s"
reorder = "5s"
[defaults]
min_quote_volume = 0.0
END
# In the foreground, since otherwise it sends two signals, and the second ends the program at once.
timeout --foreground --preserve-status --signal INT "$seconds" "$program" run -c "$dir/config.toml"
"$python" tests/readers/spreads.py "$dir/data" taker_fee_bps=1 max_quote_age=0.5 \
    hysteresis_bps=1 identity_guard=0.0008 identity_after=2
