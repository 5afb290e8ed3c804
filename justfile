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

# DuckDB, Polars, pandas and Spark read what a demonstration and the tests wrote
readers: test
    target/debug/spread-aggregator demo --for 5s --dir target/tmp/demo
    tests/readers/read_all.py target/tmp/demo
    tests/readers/read_all.py target/tmp/readers
    tests/readers/pruning.py target/tmp/day
    tests/readers/cookbook.py target/tmp/readers

# measurements
bench:
    cargo bench

# the pipeline against simulated exchanges
run *args:
    cargo run --release -- demo {{args}}
