#!/bin/sh
# systemd's own check of the unit, with the program where it looks for it.
set -eu
cd "$(dirname "$0")/.."

command -v systemd-analyze >/dev/null || { echo "skipped: there is no systemd-analyze"; exit 0; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
unit=$root/spread-aggregator.service
sed -E "s|^(ExecStart.*=)spread-aggregator|\1$(realpath "$1")|" \
    ops/systemd/spread-aggregator.service >"$unit"
said=$(systemd-analyze verify --man=no "$unit" 2>&1) || { echo "$said"; exit 1; }
# What it says of other units of the host is no matter of ours.
if echo "$said" | grep -F spread-aggregator; then exit 1; fi
systemd-analyze security --offline=true --no-pager "$unit" | tail -1
