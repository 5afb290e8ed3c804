//! The binary: arguments, logging, exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
    thread,
    time::SystemTime,
};

use clap::Parser;
use env_logger::fmt::Formatter;
use humantime::Rfc3339Timestamp;
use log::{LevelFilter, Record};
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
    builder.format(match format {
        LogFormat::Text => text,
        LogFormat::Json => json,
    });
    builder.init();
    log::set_max_level(level);
}

fn text(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (time, level) = (now(), record.level());
    let style = out.default_level_style(level);
    // What is wrong with a configuration takes several lines.
    let message = record.args().to_string().replace('\n', "\n    ");
    writeln!(out, "[{time} {style}{level:<5}{style:#}] {message}")
}

fn json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let line = serde_json::json!({
        "ts": now().to_string(),
        "level": record.level().as_str(),
        "target": record.target(),
        "thread": thread::current().name(),
        "message": record.args().to_string(),
    });
    writeln!(out, "{line}")
}

fn now() -> Rfc3339Timestamp {
    humantime::format_rfc3339_millis(SystemTime::now())
}
