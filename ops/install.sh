#!/bin/sh
# Installs a built collector on this host as a service of systemd; run as root from the repository.
# Run it again to upgrade: the configuration and the data stay as they are.
set -eu
cd "$(dirname "$0")/.."

binary=${1:-target/release/spread-aggregator}
root=${DESTDIR:-}
[ -x "$binary" ] || { echo "$binary is not there: cargo build --release" >&2; exit 1; }

install -D -m 0755 "$binary" "$root/usr/local/bin/spread-aggregator"
install -D -m 0644 ops/systemd/spread-aggregator.service \
    "$root/etc/systemd/system/spread-aggregator.service"
install -D -m 0644 docs/operations.md "$root/usr/local/share/doc/spread-aggregator/operations.md"
install -d "$root/usr/local/share/man/man1"
"$binary" man "$root/usr/local/share/man/man1"
if [ ! -e "$root/etc/spread-aggregator/config.toml" ]; then
    install -D -m 0644 config.toml "$root/etc/spread-aggregator/config.toml"
fi

# Into another root, for a package or an image, there is no service manager to tell.
[ -z "$root" ] || exit 0
systemctl daemon-reload
systemctl enable spread-aggregator
systemctl restart spread-aggregator
systemctl --no-pager status spread-aggregator
