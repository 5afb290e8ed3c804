//! `simulate`: the simulated exchanges as a process of their own.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use anyhow::Context;
use clap::Args;

use super::{Failure, signals::stopping_on_signals};
use crate::{
    market::{Exchange, Market, Venue},
    simulator::{FaultPlan, Options as Simulation, Simulator},
    stop::Stop,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// The exchanges to serve, spot and perp each. All there are when left out.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    exchanges: Vec<Exchange>,
    /// Instruments listed at each venue.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    symbols: u32,
    /// Data messages a second, over all venues.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = rate)]
    rate: f64,
    /// Decides prices and chance.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Do not enforce the exchanges' limits.
    #[arg(long)]
    no_limits: bool,
    /// What goes wrong, and when: KIND[=ARG][@VENUE][:after=10s][:for=5s], such as
    /// drop@okx-spot:after=10s. May be repeated.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<FaultPlan>,
}

/// A rate on the command line.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1e8).contains(&rate) => Ok(rate),
        _ => Err("must be a number of messages a second, from 0 to 100000000".to_owned()),
    }
}

/// Every venue of `exchanges`, or of all when there are none.
pub(super) fn venues(exchanges: &[Exchange]) -> Vec<Venue> {
    let wanted = |it: &Exchange| exchanges.is_empty() || exchanges.contains(it);
    let wanted = Exchange::ALL.into_iter().filter(wanted);
    wanted.flat_map(|it| Market::ALL.map(|market| Venue::new(it, market))).collect()
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let simulator = Simulator::bind(Simulation {
        listen: options.listen,
        venues: venues(&options.exchanges),
        symbols: options.symbols as usize,
        rate: options.rate,
        seed: options.seed,
        limits: !options.no_limits,
        faults: options.faults.clone(),
        ..Simulation::default()
    })
    .with_context(|| format!("failed to listen on {}", options.listen))?;
    print_config(options, &simulator, &mut io::stdout().lock())?;
    let stop = Stop::default();
    stopping_on_signals(&stop, || simulator.serve(&stop)).context("failed to handle signals")?;
    Ok(())
}

/// What to put into a configuration to collect from here.
fn print_config(options: &Options, simulator: &Simulator, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "# Simulated exchanges on {}; what they have sent: GET /stats",
        simulator.addr()
    )?;
    for venue in venues(&options.exchanges) {
        writeln!(
            out,
            "[[exchange]]\nname = \"{}\"\nmarket = \"{}\"\nws_url = \"{}\"\nrest_url = \"{}\"",
            venue.exchange,
            venue.market,
            simulator.ws_url(venue),
            simulator.rest_url(venue)
        )?;
    }
    out.flush()
}

/// How long a demonstration is, as in `--for 60s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(it) if it != Duration::ZERO => Ok(it),
        _ => Err("must be a duration such as 20s or 5m".to_owned()),
    }
}
