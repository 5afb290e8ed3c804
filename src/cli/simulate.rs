//! `simulate`: the simulated exchanges as a process of their own.

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::{Context, anyhow};
use clap::Args;

use super::{Failure, signals::stopping_on_signals};
use crate::{
    market::{Exchange, Market, Venue},
    simulator::{Certificate, FaultPlan, Options as Simulation, Simulator},
    stop::Stop,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001", value_parser = address)]
    listen: SocketAddr,
    /// The exchanges to serve. All there are when left out.
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    exchanges: Vec<Exchange>,
    /// The market to serve of each, spot or perp. Both when left out.
    #[arg(long)]
    market: Option<Market>,
    /// Instruments listed at each venue.
    #[arg(long, value_name = "N", default_value = "100", value_parser = symbols, allow_negative_numbers = true)]
    symbols: u32,
    /// Data messages a second, over all venues.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = rate, allow_negative_numbers = true)]
    rate: f64,
    /// The part of them that are trades.
    #[arg(long, value_name = "PART", default_value = "0.1", value_parser = part, allow_negative_numbers = true)]
    trade_share: f64,
    /// Decides prices and chance.
    #[arg(long, value_name = "N", default_value = "0", value_parser = seed, allow_negative_numbers = true)]
    seed: u64,
    /// When it all began, as in 2026-11-23T12:00:00Z: simulators of the same options send the same.
    /// Now when left out.
    #[arg(long, value_name = "TIME", value_parser = time)]
    start: Option<SystemTime>,
    /// How often what is due is written to a busy connection.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = duration)]
    tick: Duration,
    /// Frames that go out with one write, and with TLS in one record. As many as are due when left
    /// out.
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    frames_per_write: Option<NonZeroUsize>,
    /// Serve TLS, for the name localhost: a certificate and its PKCS #8 key, both in PEM form.
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"])]
    tls: Vec<PathBuf>,
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

/// Instruments of a venue on the command line.
pub(super) fn symbols(text: &str) -> Result<u32, String> {
    /// As many as a collector can know.
    const MAX: u32 = 100_000;
    match text.parse() {
        Ok(symbols @ 1..=MAX) => Ok(symbols),
        _ => Err(format!("must be a whole number from 1 to {MAX}")),
    }
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "must be a whole number, 0 or more".to_owned())
}

/// An address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an address such as 127.0.0.1:9001".to_owned())
}

fn time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "must be a time such as 2026-11-23T12:00:00Z".to_owned())
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "must be a whole number, 1 or more".to_owned())
}

fn part(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(part) if (0.0..=1.0).contains(&part) => Ok(part),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

/// Every venue of `exchanges`, or of all when there are none.
pub(super) fn venues(exchanges: &[Exchange]) -> Vec<Venue> {
    let wanted = |it: &Exchange| exchanges.is_empty() || exchanges.contains(it);
    let wanted = Exchange::ALL.into_iter().filter(wanted);
    wanted.flat_map(|it| Market::ALL.map(|market| Venue::new(it, market))).collect()
}

impl Options {
    fn venues(&self) -> Vec<Venue> {
        let mut venues = venues(&self.exchanges);
        venues.retain(|it| self.market.is_none_or(|market| it.market == market));
        venues
    }

    fn certificate(&self) -> anyhow::Result<Option<Certificate>> {
        let [chain, key] = &self.tls[..] else { return Ok(None) };
        let read = |path: &PathBuf| {
            fs::read(path).with_context(|| format!("failed to read {}", path.display()))
        };
        Ok(Some(Certificate { chain: read(chain)?, key: read(key)? }))
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let simulator = Simulator::bind(Simulation {
        listen: options.listen,
        venues: options.venues(),
        symbols: options.symbols as usize,
        rate: options.rate,
        trade_share: options.trade_share,
        seed: options.seed,
        start: options.start.unwrap_or_else(SystemTime::now),
        tick: options.tick,
        frames_per_write: options.frames_per_write,
        tls: options.certificate().map_err(Failure::Usage)?,
        limits: !options.no_limits,
        faults: options.faults.clone(),
        ..Simulation::default()
    })
    .map_err(|err| {
        if err.kind() == io::ErrorKind::InvalidInput {
            return Failure::Usage(err.into());
        }
        let listen = options.listen;
        let hint = "--listen says where, and port 0 takes a free one: --listen 127.0.0.1:0";
        Failure::Run(anyhow!("failed to listen on {listen}: {err}; {hint}"))
    })?;
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
    for venue in options.venues() {
        writeln!(
            out,
            "[[exchange]]\nname = \"{}\"\nmarket = \"{}\"\nws_url = \"{}\"\nrest_url = \"{}\"",
            venue.exchange,
            venue.market,
            simulator.ws_url(venue),
            simulator.rest_url(venue)
        )?;
        if let Some(chain) = options.tls.first() {
            writeln!(out, "ca_file = {:?}", std::path::absolute(chain)?.display().to_string())?;
        }
    }
    out.flush()
}

/// How long a demonstration is, as in `--for 60s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(it) if it != Duration::ZERO => Ok(it),
        _ => Err("must be a duration such as 20s or 5m, longer than none".to_owned()),
    }
}
