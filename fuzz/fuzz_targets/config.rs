//! Whatever a configuration says, reading it returns: a plan, or what is wrong and where.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use spread_aggregator::config;

fuzz_target!(|text: &str| {
    if let Err(err) = config::parse(text, Path::new("fuzzed.toml")) {
        assert!(err.to_string().contains("fuzzed.toml"), "{err}");
    }
});
