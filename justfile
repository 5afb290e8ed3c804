# The commands of the README and of .ci/run.

# what there is
default:
    @just --list

# format, lints, documentation
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# the whole test suite
test:
    cargo test

# every interleaving of the queue
loom:
    RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 cargo test -p loom-tests --target-dir target/loom

# coverage-guided fuzzing of one target: decode list session capture journal http client config
fuzz target seconds="600":
    fuzz/seed.sh
    CARGO_INCREMENTAL=0 RUSTC_WRAPPER="$PWD/fuzz/rustc.sh" cargo build --manifest-path fuzz/Cargo.toml --target-dir target --bin {{target}}
    mkdir -p fuzz/artifacts
    target/debug/{{target}} -max_total_time={{seconds}} -max_len=16384 -rss_limit_mb=1024 -artifact_prefix=fuzz/artifacts/{{target}}- fuzz/corpus/{{target}}

# DuckDB, Polars, pandas and Spark read what a demonstration and the tests wrote
readers: test
    target/debug/spread-aggregator demo --for 5s --dir target/tmp/demo
    tests/readers/read_all.py target/tmp/demo
    tests/readers/read_all.py target/tmp/readers
    tests/readers/shards.py target/tmp/shards/data 3
    tests/readers/spreads.sh
    tests/readers/pruning.py target/tmp/day
    tests/readers/cookbook.py target/tmp/readers

# the scripts of examples/ against a demonstration
examples: test
    examples/check.sh target/readers/bin/python target/debug/spread-aggregator

# the book of docs/ (it needs mdbook)
book:
    mdbook build

# clients that others wrote read the simulated exchanges, and what the program serves
clients: test
    tests/clients/ccxt_pro.py target/debug/spread-aggregator
    tests/clients/sdks.py target/debug/spread-aggregator
    tests/clients/live.py target/debug/spread-aggregator

# the dashboard in a browser (it needs chromium, node and npm)
browser: test
    mkdir -p target/browser
    cp tests/browser/package.json tests/browser/package-lock.json target/browser
    cd target/browser && npm ci --no-audit --no-fund
    node --test tests/browser/page.test.mjs

# licences, sources and bans of the dependencies, and advisories (it needs cargo-deny)
deny:
    cargo deny check

# a Debian package (it needs cargo-deb)
deb:
    cargo build --release
    ops/deb.sh

# a real Prometheus scrapes a demonstration; alerts, dashboard and unit are checked (.ci/run makes the two folders)
ops:
    cargo build
    promtool check rules ops/prometheus/alerts.yml
    promtool test rules ops/prometheus/alerts_test.yml
    ops/check.py target/debug/spread-aggregator 20
    target/tools/bin/python ops/grafana/schema.py
    target/readers/bin/python ops/grafana/panels.py target/debug/spread-aggregator 20 target/tmp/grafana.png
    ops/verify-unit.sh target/debug/spread-aggregator

# the picture of the Grafana dashboard in docs/, in four minutes
panels:
    cargo build
    target/readers/bin/python ops/grafana/panels.py target/debug/spread-aggregator 240 docs/pictures/grafana.png

# measurements
bench:
    cargo bench

# what barter-data, crypto-msg-parser, cryptofeed and ccxt take to decode the same frames (they are installed first)
peers *args:
    benches/peers/run.py {{args}}

# the highest rate that two cores take without a loss, and what it costs: simulate and run, side by side
load *args:
    cargo build --release
    benches/load/load.py target/release/spread-aggregator {{args}}

# a day against exchanges that fail at random, or --minutes N; the report has what memory has grown by
soak *args:
    cargo build --release
    benches/soak/soak.py target/release/spread-aggregator --report target/tmp/soak.md {{args}}

# the pipeline against simulated exchanges
run *args:
    cargo run --release -- demo {{args}}
