//! The binary: arguments, logging, exit code.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use log::LevelFilter;
use spread_aggregator::cli::{Cli, LogFormat};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (level, format) = cli.logging();
    start_logging(level, format);
    cli.run()
}

/// Logs are events of the control plane, one a line, never one a message. How much of them is the
/// `log` crate's maximum, so that it can change while all runs.
fn start_logging(level: LevelFilter, format: LogFormat) {
    let mut builder = env_logger::Builder::new();
    // Other crates' lines are theirs, not the operator's.
    builder.filter_level(LevelFilter::Warn);
    builder.filter_module("spread_aggregator", LevelFilter::Trace);
    builder.format_timestamp_millis().format_target(false);
    if format == LogFormat::Json {
        builder.format(|out, record| {
            let line = serde_json::json!({
                "ts": out.timestamp_millis().to_string(),
                "level": record.level().as_str(),
                "target": record.target(),
                "thread": std::thread::current().name(),
                "message": record.args().to_string(),
            });
            writeln!(out, "{line}")
        });
    }
    builder.init();
    log::set_max_level(level);
}
