//! `demo`: the whole pipeline against simulated exchanges, without network or configuration.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use clap::Args;

use super::{
    Failure, run,
    signals::stopping_on_signals,
    simulate::{address, duration, rate, symbols, venues},
};
use crate::{
    config::{self, Plan},
    live::{Door, LiveError, process::usage},
    market::Channel,
    metrics::Metrics,
    pipeline::{self, Reload},
    simulator::{Options as Simulation, Simulator},
    stop::Stop,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How long.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = duration)]
    length: Duration,
    /// Data messages a second, over all venues.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = rate, allow_negative_numbers = true)]
    rate: f64,
    /// Instruments listed at each venue.
    #[arg(long, value_name = "N", default_value = "100", value_parser = symbols, allow_negative_numbers = true)]
    symbols: u32,
    /// The folder of the dataset. Simulated prices do not belong among real ones.
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    dir: PathBuf,
    /// The age at which files are closed.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    rotate: Option<Duration>,
    /// Where the dashboard is: port 8080, or any free one when that is taken.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let simulator = Simulator::bind(Simulation {
        venues: venues(&[]),
        symbols: options.symbols as usize,
        rate: options.rate,
        ..Simulation::default()
    })
    .context("failed to listen on the loopback interface")?;
    let plan = plan(options, &simulator).map_err(|err| Failure::Usage(err.into()))?;
    let (metrics, stop) = (Metrics::new(), Stop::default());
    let door = door(options, &plan).map_err(|err| {
        anyhow!("{err}; --listen says where, and port 0 takes a free one: --listen 127.0.0.1:0")
    })?;
    if let Some(door) = &door {
        let mut out = io::stdout().lock();
        writeln!(out, "dashboard: {}\n", door.url())?;
        out.flush()?;
    }
    let stage =
        Stage { options, simulator: &simulator, plan: &plan, metrics: &metrics, stop: &stop };
    let summary = stopping_on_signals(&stop, || stage.play(door))
        .context("failed to handle signals")?
        .context("failed to start a thread")??;
    let mut out = io::stdout().lock();
    run::print(&plan, &metrics, &summary, &mut out)?;
    print_query(&options.dir, &mut out)?;
    Ok(())
}

/// The configuration that a user would write to collect from the simulator.
fn plan(options: &Options, simulator: &Simulator) -> Result<Plan, config::ConfigError> {
    let mut text = String::new();
    for venue in venues(&[]) {
        let (name, market) = (venue.exchange, venue.market);
        let (ws, rest) = (simulator.ws_url(venue), simulator.rest_url(venue));
        write!(
            text,
            "[[exchange]]\nname = \"{name}\"\nmarket = \"{market}\"\n\
             ws_url = \"{ws}\"\nrest_url = \"{rest}\"\nmin_quote_volume = 0.0\n"
        )
        .expect("writing to a String does not fail");
    }
    let mut plan = config::parse(&text, Path::new("the demonstration's configuration"))?;
    plan.storage.dir.clone_from(&options.dir);
    plan.storage.rotate = options.rotate.unwrap_or(plan.storage.rotate);
    Ok(plan)
}

/// The usual port, unless somebody wants another or has it already.
fn door(options: &Options, plan: &Plan) -> Result<Option<Door>, LiveError> {
    let Some(live) = &plan.live else { return Ok(None) };
    match Door::open(options.listen.unwrap_or(live.listen)) {
        Err(err) if err.is_in_use() && options.listen.is_none() => {
            Door::open(SocketAddr::new(live.listen.ip(), 0)).map(Some)
        }
        opened => opened.map(Some),
    }
}

/// All that a demonstration needs.
struct Stage<'a> {
    options: &'a Options,
    simulator: &'a Simulator,
    plan: &'a Plan,
    metrics: &'a Metrics,
    stop: &'a Stop,
}

type Played = Result<pipeline::Summary, pipeline::PipelineError>;

impl Stage<'_> {
    fn play(&self, door: Option<Door>) -> io::Result<Played> {
        // The exchanges outlive the collector: a stop is not to look like a failure of theirs.
        let closing_time = Stop::default();
        thread::scope(|scope| {
            let spawn = |name: &str| thread::Builder::new().name(name.into());
            let serve = || self.simulator.serve(&closing_time);
            spawn("simulator").spawn_scoped(scope, serve)?;
            let watching = spawn("demo").spawn_scoped(scope, || self.watch());
            let run =
                || pipeline::run_at(door, self.plan, self.metrics, self.stop, &Reload::default());
            let played = watching.map(|_| run());
            self.stop.request();
            closing_time.request();
            played
        })
    }

    /// Ends the demonstration in time, and says how it goes on a terminal.
    fn watch(&self) {
        const EVERY: Duration = Duration::from_millis(500);
        let start = Instant::now();
        let mut before = self.decoded();
        let terminal = io::stderr().is_terminal();
        loop {
            let left = self.options.length.saturating_sub(start.elapsed());
            let stopped = self.stop.wait(EVERY.min(left));
            let decoded = self.decoded();
            if terminal {
                self.progress(start.elapsed(), decoded, decoded - before);
            }
            before = decoded;
            if stopped || left <= EVERY {
                break;
            }
        }
        if terminal {
            // Nobody is left to tell if the terminal has gone.
            let _ = writeln!(io::stderr());
        }
        self.stop.request();
    }

    fn decoded(&self) -> u64 {
        let venues = self.plan.venues.iter().map(|it| self.metrics.venue(it.protocol.venue));
        venues.map(|it| it.quotes.get() + it.trades.get()).sum()
    }

    fn progress(&self, elapsed: Duration, decoded: u64, just_now: u64) {
        let dropped: u64 = (0..self.plan.writers)
            .map(|n| self.metrics.queue(&format!("writer-{n}")).dropped.get())
            .sum();
        let files = Channel::ALL.map(|it| self.metrics.files(it).files.get());
        let memory =
            usage().map_or("?".into(), |it| ByteSize(it.resident).display().iec().to_string());
        let line = format!(
            "{:>3.0} s  {:>8} events/s  {decoded} events  {dropped} dropped  {} files  {memory}",
            elapsed.as_secs_f64(),
            just_now * 2,
            files.iter().sum::<u64>(),
        );
        // As above.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }
}

fn print_query(dir: &Path, out: &mut impl Write) -> io::Result<()> {
    let quotes = dir.join("quotes/**/*.parquet");
    writeln!(
        out,
        "\nPaste into DuckDB:\n  \
         SELECT exchange, market, count(*) AS quotes, count(DISTINCT symbol) AS symbols,\n         \
         round(avg((ask_price - bid_price) / bid_price * 1e4), 2) AS spread_bps\n  \
         FROM read_parquet('{}') GROUP BY ALL ORDER BY ALL;",
        quotes.display()
    )
}
