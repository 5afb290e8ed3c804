#!/bin/sh
# Makes a Debian package of a built collector, target/debian/*.deb: ops/deb.sh [PROGRAM]
# It needs cargo-deb (`cargo install cargo-deb`); Cargo.toml says what goes where.
set -eu
cd "$(dirname "$0")/.."

binary=${1:-target/release/spread-aggregator}
[ -x "$binary" ] || { echo "$binary is not there: cargo build --release" >&2; exit 1; }
command -v cargo-deb >/dev/null || { echo "cargo-deb is not there: cargo install cargo-deb" >&2; exit 1; }

stage=target/deb
rm -rf "$stage"
mkdir -p "$stage/man"
# Names of functions stay, for traces of a fault; lines would be three quarters of the package.
strip --strip-debug -o "$stage/spread-aggregator" "$binary"
"$binary" man "$stage/man"
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"$stage/$shell"
done
cargo deb --no-build
