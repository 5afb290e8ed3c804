//! `symbols`: what a venue lists, one JSON object a line.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::{Failure, VenueArgs, run};
use crate::{
    config::{self, Plan},
    feed::discovery::discover,
    market::{Instrument, Venue},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    venue: VenueArgs,
    /// The configuration, for the filters and addresses of this venue. When left out, the default
    /// filters apply.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    exchange: &'static str,
    market: &'static str,
    symbol: &'a str,
    symbol_native: &'a str,
    contract_size: f64,
}

impl<'a> From<&'a Instrument> for Line<'a> {
    fn from(it: &'a Instrument) -> Self {
        Line {
            exchange: it.venue.exchange.name(),
            market: it.venue.market.name(),
            symbol: &it.symbol,
            symbol_native: &it.symbol_native,
            contract_size: it.contract_size,
        }
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let venue = Venue::from(options.venue);
    let plan = plan(options, venue)?;
    let it = plan.venues.iter().find(|it| it.protocol.venue == venue).ok_or_else(|| {
        Failure::Usage(anyhow::anyhow!("the configuration has no enabled [[exchange]] for {venue}"))
    })?;
    let found = discover(&it.http()?, it.protocol, &it.rest_base, &it.filter)
        .with_context(|| format!("failed to read the lists of {venue}"))?;
    let mut out = BufWriter::new(io::stdout().lock());
    for instrument in &found.instruments {
        serde_json::to_writer(&mut out, &Line::from(instrument)).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

fn plan(options: &Options, venue: Venue) -> Result<Plan, Failure> {
    if let Some(path) = &options.config {
        return run::load(path);
    }
    let (name, market) = (venue.exchange, venue.market);
    let text = format!("[[exchange]]\nname = \"{name}\"\nmarket = \"{market}\"");
    let name = Path::new("the default configuration");
    config::parse(&text, name).map_err(|err| Failure::Usage(err.into()))
}
