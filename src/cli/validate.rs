//! `validate`: check the configuration and print the plan.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use bytesize::ByteSize;
use clap::Args;

use super::{Failure, run};
use crate::{
    config::{Plan, VenuePlan},
    feed::{
        discovery::discover,
        plan::{connections, plan as plan_connections},
        shard::Shard,
    },
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// Also ask each exchange what it lists.
    #[arg(long)]
    online: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let plan = run::load(&options.config)?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<12}{:<8}{:<15}{:>14}{:>13}{:>9}",
        "exchange", "market", "channels", "symbols", "connections", "threads"
    )?;
    let mut failed = Vec::new();
    let mut threads = 0;
    for venue in &plan.venues {
        let (symbols, exact) = match options.online.then(|| listed(venue)) {
            None if venue.filter.symbols.is_empty() => (venue.filter.max_symbols, false),
            None => (venue.filter.symbols.len(), plan.shard == Shard::WHOLE),
            Some(Ok(symbols)) => (symbols, true),
            Some(Err(err)) => {
                failed.push(format!("{}: {err:#}", venue.protocol.venue));
                continue;
            }
        };
        threads += row(venue, symbols, exact, &mut out)?;
    }
    totals(&plan, threads, &mut out)?;
    if failed.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(failed.join("\n")).into()) }
}

fn listed(venue: &VenuePlan) -> anyhow::Result<usize> {
    let found = discover(&venue.http()?, venue.protocol, &venue.rest_base, &venue.filter)?;
    anyhow::ensure!(found.missing.is_empty(), "not listed: {}", found.missing.join(", "));
    Ok(found.instruments.len())
}

fn row(venue: &VenuePlan, symbols: usize, exact: bool, out: &mut impl Write) -> io::Result<usize> {
    let shares = plan_connections(venue.protocol, &venue.channels, symbols, venue.threads);
    let connections = connections(&shares);
    let channels: Vec<_> = venue.channels.iter().map(|it| it.name()).collect();
    let at_most = |n: usize| if exact { n.to_string() } else { format!("up to {n}") };
    writeln!(
        out,
        "{:<12}{:<8}{:<15}{:>14}{:>13}{:>9}",
        venue.protocol.venue.exchange,
        venue.protocol.venue.market,
        channels.join(","),
        at_most(symbols),
        at_most(connections),
        // One more waits for the venue's lists.
        at_most(connections + 1)
    )?;
    Ok(connections + 1)
}

fn totals(plan: &Plan, threads: usize, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\nwriters: {}, threads in all: up to {}; queues of {} events; files in {}, {}",
        plan.writers,
        // The main thread, those for signals, journals and the ledger, at first the recovery, those for
        // spreads and captures, and two that serve.
        threads
            + plan.writers
            + 5
            + usize::from(plan.spreads.is_some())
            + usize::from(plan.capture.is_some())
            + 2 * usize::from(plan.live.is_some()),
        plan.queue_capacity,
        plan.storage.dir.display(),
        plan.storage.compression
    )?;
    if plan.shard != Shard::WHOLE {
        writeln!(out, "this host takes shard {} of the symbols", plan.shard)?;
    }
    match &plan.capture {
        Some(it) => writeln!(
            out,
            "raw frames are kept in {}, up to {}",
            it.dir.display(),
            ByteSize(it.max_size).display().iec()
        )?,
        None => writeln!(out, "raw frames are not kept")?,
    }
    match &plan.live {
        Some(live) => writeln!(
            out,
            "served on http://{}/ {}, up to {} WebSocket clients of two threads each",
            live.listen,
            if live.token.is_some() { "to those who show the token" } else { "to everybody" },
            live.max_clients
        ),
        None => writeln!(out, "served to nobody"),
    }
}
