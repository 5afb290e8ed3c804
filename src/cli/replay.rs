//! `replay`: captured frames through the pipeline.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;

use super::{Failure, run, signals::stopping_on_signals};
use crate::{
    capture::Read,
    config::{self, Plan},
    metrics::Metrics,
    pipeline::{self, Pace, Replayed},
    stop::Stop,
};

/// The configuration that comes with the program.
const SHIPPED: &str = include_str!("../../config.toml");

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of the capture.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// How fast: 1 as it was received, 10 ten times as fast, max as fast as it can be stored.
    #[arg(long, value_name = "SPEED", default_value = "max", value_parser = pace)]
    speed: Pace,
    /// The folder of the dataset. It must not hold rows yet, or there would be two of each.
    #[arg(long, value_name = "DIR", default_value = "replay-data")]
    out: PathBuf,
    /// The configuration: [storage], [queues] and [spreads], and the fees. Without it, the one that
    /// comes with the program.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn pace(text: &str) -> Result<Pace, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Pace::Max),
        Ok(times) if times.is_finite() && (1e-3..=1e6).contains(&times) => Ok(Pace::Times(times)),
        _ => Err(format!("must be max, or a number such as 1 or 0.5, not {text:?}")),
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut plan = match &options.config {
        Some(path) => run::load(path)?,
        None => config::parse(SHIPPED, Path::new("the configuration that comes with the program"))
            .map_err(|err| Failure::Usage(err.into()))?,
    };
    Read::open(&options.dir)
        .with_context(|| format!("{} is no capture", options.dir.display()))
        .map_err(Failure::Usage)?;
    refuse_rows(&options.out).map_err(Failure::Usage)?;
    collect_from_nobody(&mut plan, &options.out);
    let (metrics, stop) = (Metrics::new(), Stop::default());
    let replay = || pipeline::replay(&options.dir, options.speed, &plan, &metrics, &stop);
    let replayed = stopping_on_signals(&stop, replay).context("failed to handle signals")??;
    print(&plan, &metrics, &replayed, &mut io::stdout().lock())?;
    Ok(())
}

/// Rows that are there already would be there twice.
fn refuse_rows(out: &Path) -> anyhow::Result<()> {
    for table in ["quotes", "trades", "spreads"] {
        let rows = fs::read_dir(out.join(table)).is_ok_and(|mut it| it.next().is_some());
        anyhow::ensure!(
            !rows,
            "{} holds {table} already: name another folder with --out, or remove it",
            out.display()
        );
    }
    Ok(())
}

/// Makes a plan of one that stores what is replayed, and does nothing else.
fn collect_from_nobody(plan: &mut Plan, out: &Path) {
    out.clone_into(&mut plan.storage.dir);
    // What is replayed may be old.
    plan.storage.keep_days = None;
    plan.live = None;
    plan.capture = None;
    plan.venues.clear();
}

fn print(
    plan: &Plan,
    metrics: &Metrics,
    replayed: &Replayed,
    out: &mut impl Write,
) -> io::Result<()> {
    let Replayed { summary, done, bad, stopped } = replayed;
    if *stopped {
        writeln!(out, "stopped before the end")?;
    }
    writeln!(
        out,
        "{} frames replayed; {} of connections that are not described; {} missing in the capture; \
         {} whose decoder panicked; {bad} parts of the capture unreadable",
        done.frames, done.strangers, done.lost, done.panics
    )?;
    run::print_stored(plan, metrics, summary, out)
}
