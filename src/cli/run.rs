//! `run`: collect until a signal.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use clap::Args;

use super::{Failure, Verbosity, signals::heeding_signals};
use crate::{
    config::{self, Plan},
    exchange,
    metrics::{Metrics, ReconnectReason},
    pipeline::{self, Reload, Summary},
    stop::Stop,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
}

pub(super) fn run(options: &Options, verbosity: Verbosity) -> Result<(), Failure> {
    let as_wanted = |mut plan: Plan| {
        plan.log_level = verbosity.from(plan.log_level);
        plan
    };
    let plan = as_wanted(load(&options.config)?);
    log::set_max_level(plan.log_level);
    let (metrics, stop) = (Metrics::new(), Stop::default());
    let reload = Reload::default();
    let reread = || match config::load(&options.config) {
        Ok(plan) => reload.offer(as_wanted(plan)),
        Err(err) => log::error!("{err}; the configuration stays as it was"),
    };
    let door = pipeline::door(&plan).map_err(|err| {
        anyhow!("{err}; listen in [live] says where, and enabled = false there does without")
    })?;
    let collect = || pipeline::run_at(door, &plan, &metrics, &stop, &reload);
    let summary = heeding_signals(&stop, reread, collect).context("failed to handle signals")??;
    print(&plan, &metrics, &summary, &mut io::stdout().lock())?;
    Ok(())
}

/// Reads a configuration; one that is not valid is wrong usage.
pub(super) fn load(path: &std::path::Path) -> Result<Plan, Failure> {
    config::load(path).map_err(|err| {
        let is_missing = matches!(&err, config::ConfigError::Read { cause, .. }
            if cause.kind() == io::ErrorKind::NotFound);
        let err = anyhow::Error::from(err);
        Failure::Usage(if is_missing {
            anyhow!("{err}; -c names a configuration, and demo runs without one")
        } else {
            err
        })
    })
}

/// What was received, what became of it, and where it is.
pub(super) fn print(
    plan: &Plan,
    metrics: &Metrics,
    summary: &Summary,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(
        out,
        "{:<14}{:>8}{:>8}{:>13}{:>11}{:>13}{:>12}{:>9}{:>12}",
        "venue",
        "symbols",
        "conns",
        "messages",
        "received",
        "quotes",
        "trades",
        "errors",
        "reconnects"
    )?;
    for it in &summary.venues {
        let venue = metrics.venue(it.venue);
        let reconnects: u64 = ReconnectReason::ALL.iter().map(|&why| venue.reconnects(why)).sum();
        writeln!(
            out,
            "{:<14}{:>8}{:>8}{:>13}{:>11}{:>13}{:>12}{:>9}{:>12}",
            it.venue,
            it.instruments,
            it.connections,
            venue.messages.get(),
            ByteSize(venue.bytes.get()).display().iec_short().to_string(),
            venue.quotes.get(),
            venue.trades.get(),
            venue.decode_errors.get(),
            reconnects
        )?;
    }
    writeln!(out)?;
    print_stored(plan, metrics, summary, out)
}

/// What has become rows, and where they are.
pub(super) fn print_stored(
    plan: &Plan,
    metrics: &Metrics,
    summary: &Summary,
    out: &mut impl Write,
) -> io::Result<()> {
    let venues = exchange::ALL.iter().map(|it| metrics.venue(it.venue));
    let decoded: u64 = venues.map(|it| it.quotes.get() + it.trades.get()).sum();
    let written = summary.written;
    writeln!(
        out,
        "{decoded} events decoded in {:.1} s: {} quotes and {} trades written to {} files in {}, \
         {} dropped from full queues, {} lost to write errors",
        summary.elapsed.as_secs_f64(),
        written.rows_quotes,
        written.rows_trades,
        written.files,
        plan.storage.dir.display(),
        summary.dropped,
        written.rows_lost
    )?;
    if 0 < written.rows_left {
        writeln!(out, "{} rows stay in journals: run again, or recover", written.rows_left)?;
    }
    if plan.spreads.is_some() {
        let it = metrics.spreads();
        writeln!(
            out,
            "{} episodes of crosses that pay; {} of {} quotes came too late to be compared in order",
            it.episodes.get(),
            it.late.get(),
            it.updates.get()
        )?;
    }
    Ok(())
}
