//! The command line: one file a subcommand. Data goes to stdout, logs to stderr.

mod compact;
mod completions;
mod decode;
mod demo;
mod gaps;
mod man;
mod recover;
mod replay;
mod run;
mod signals;
mod simulate;
mod symbols;
mod top;
mod validate;
mod verify;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use log::LevelFilter;

use crate::market::{Exchange, Market, Venue};

/// Records best bid/ask quotes and trades of crypto exchanges, day and night, on one host.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// Log more (repeat for more still) than `[log] level` says.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Log less (repeat for less still).
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,
    /// How log lines are written to stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect until SIGINT or SIGTERM, then close all files and print a summary.
    Run(run::Options),
    /// Run the same pipeline against simulated exchanges: no network, no configuration.
    Demo(demo::Options),
    /// Check the configuration and print the plan.
    Validate(validate::Options),
    /// Print what an exchange lists, one JSON object a line.
    Symbols(symbols::Options),
    /// Read raw frames, print normalised events: the tool for debugging a feed.
    Decode(decode::Options),
    /// Merge the files of finished days into few large ones, sorted by symbol and time.
    Compact(compact::Options),
    /// Read every file back and print a line for each that is wrong.
    Verify(verify::Options),
    /// Turn journals left by a crash into Parquet files, which run does by itself at its start.
    Recover(recover::Options),
    /// Serve the simulated exchanges, for load and fault tests.
    Simulate(simulate::Options),
    /// Feed captured raw frames through the same pipeline.
    Replay(replay::Options),
    /// Print the loss ledger, and how much of each day is covered.
    Gaps(gaps::Options),
    /// Show a running collector in the terminal: venues, rates, lags, queues, drops, memory.
    Top(top::Options),
    /// Print what a shell needs to complete the command line.
    Completions(completions::Options),
    /// Print the manual page, or write those of all commands into a folder.
    Man(man::Options),
}

/// How many levels more, or less, than what the configuration says.
#[derive(Clone, Copy, Debug)]
struct Verbosity(i16);

impl Verbosity {
    fn from(self, level: LevelFilter) -> LevelFilter {
        let wanted = (level as i16).saturating_add(self.0);
        let reached = LevelFilter::iter().take_while(|&it| it as i16 <= wanted);
        reached.last().unwrap_or(LevelFilter::Off)
    }
}

/// Which venue a command is about.
#[derive(Clone, Copy, Debug, Args)]
struct VenueArgs {
    /// The exchange, as in the configuration.
    #[arg(long)]
    exchange: Exchange,
    /// The market, as in the configuration.
    #[arg(long, default_value = "spot")]
    market: Market,
}

impl From<VenueArgs> for Venue {
    fn from(it: VenueArgs) -> Venue {
        Venue::new(it.exchange, it.market)
    }
}

/// Why a command ended early, and with which exit code.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage or an invalid configuration: exit code 2.
    Usage(anyhow::Error),
    /// It failed while running: exit code 1.
    Run(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(err: E) -> Self {
        Failure::Run(err.into())
    }
}

impl Cli {
    /// What is to be logged, and how.
    #[must_use]
    pub fn logging(&self) -> (LevelFilter, LogFormat) {
        (self.verbosity().from(LevelFilter::Info), self.log_format)
    }

    fn verbosity(&self) -> Verbosity {
        Verbosity(i16::from(self.verbose) - i16::from(self.quiet))
    }

    /// Runs the command and reports its failure on stderr.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let verbosity = self.verbosity();
        let done = match self.command {
            Command::Run(it) => run::run(&it, verbosity),
            Command::Demo(it) => demo::run(&it),
            Command::Simulate(it) => simulate::run(&it),
            Command::Validate(it) => validate::run(&it),
            Command::Symbols(it) => symbols::run(&it),
            Command::Decode(it) => decode::run(&it),
            Command::Compact(it) => compact::run(&it),
            Command::Verify(it) => verify::run(&it),
            Command::Recover(it) => recover::run(&it),
            Command::Replay(it) => replay::run(&it),
            Command::Gaps(it) => gaps::run(&it),
            Command::Top(it) => top::run(&it),
            Command::Completions(it) => completions::run(&it),
            Command::Man(it) => man::run(&it),
        };
        let (code, err) = match done {
            Ok(()) => return ExitCode::SUCCESS,
            // Whoever read our output has seen enough.
            Err(Failure::Run(err)) if is_broken_pipe(&err) => return ExitCode::SUCCESS,
            Err(Failure::Run(err)) => (1, err),
            Err(Failure::Usage(err)) => (2, err),
        };
        // Nothing is left to tell it to if stderr is gone as well.
        let _ = writeln!(io::stderr(), "spread-aggregator: {err:#}");
        ExitCode::from(code)
    }
}

fn is_broken_pipe(err: &anyhow::Error) -> bool {
    err.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_up_and_down_from_what_the_configuration_says_and_no_further_than_there_is() {
        use LevelFilter::{Debug, Error, Info, Off, Trace, Warn};
        for (level, more, expected) in [
            (Info, 0, Info),
            (Info, 1, Debug),
            (Info, 2, Trace),
            (Info, 3, Trace),
            (Info, -1, Warn),
            (Info, -2, Error),
            (Info, -3, Off),
            (Info, i16::MIN, Off),
            (Warn, 255, Trace),
            (Trace, -1, Debug),
            (Off, 1, Error),
        ] {
            assert_eq!(Verbosity(more).from(level), expected, "{more} from {level}");
        }
    }
}
