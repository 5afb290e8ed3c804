#!/usr/bin/env bash
# The compiler, for RUSTC_WRAPPER: with libFuzzer's coverage in our own crates, and without it in all
# others, which are as the program has built them.
rustc=$1
shift
case " $* " in
    *" --crate-name spread_aggregator "* | *" --crate-name spread_aggregator_fuzz "* | *" fuzz_targets/"*)
        exec "$rustc" "$@" --cfg fuzzing -Ccodegen-units=16 -Cpasses=sancov-module \
            -Cllvm-args=-sanitizer-coverage-level=4 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
            -Cllvm-args=-sanitizer-coverage-pc-table \
            -Cllvm-args=-sanitizer-coverage-trace-compares ;;
    *) exec "$rustc" "$@" ;;
esac
