//! `gaps`: the loss ledger of a dataset, and how much of each day is covered.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Args;
use serde::Serialize;

use super::{Failure, compact::dataset};
use crate::{
    market::{Channel, Exchange},
    store::{self, CoverageRow, GapRow, StoreError, Wanted},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of the dataset.
    dir: PathBuf,
    /// Only what concerns this symbol, such as BTC-USDT.
    #[arg(long, value_name = "S")]
    symbol: Option<String>,
    /// Only what concerns this exchange.
    #[arg(long, value_name = "X")]
    exchange: Option<Exchange>,
    /// Print JSON objects, one a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let Options { dir, symbol, exchange, json } = options;
    // A collector that has just begun has nothing but journals.
    if !dir.join("journal").is_dir() {
        dataset(dir)?;
    }
    let wanted = Wanted { symbol: symbol.clone(), exchange: *exchange };
    let mut out = BufWriter::new(io::stdout().lock());
    let (faults, covered) =
        if *json { objects(dir, &wanted, &mut out)? } else { tables(dir, &wanted, &mut out)? };
    out.flush()?;
    if let (0, Some(symbol)) = (covered, symbol) {
        log::warn!(
            "no rows of {symbol} are in {}: symbols are spelled like BTC-USDT",
            dir.display()
        );
    }
    if faults.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    Err(anyhow::anyhow!("not all files could be read\n{}", lines.join("\n")).into())
}

/// Files that could not be read, and for how many days of how many symbols there are rows.
type Printed = (Vec<StoreError>, u64);

/// A loss, as an object. Times are in nanoseconds, as in all our JSON.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Object<'a> {
    Gap {
        ts_from: i64,
        ts_to: i64,
        exchange: &'static str,
        market: &'static str,
        symbol: Option<&'a str>,
        stream: Option<&'static str>,
        reason: &'static str,
        dropped: Option<i64>,
        conn_id: Option<i32>,
    },
    Coverage {
        date: String,
        exchange: &'static str,
        market: &'static str,
        symbol: &'a str,
        ts_from: i64,
        ts_to: i64,
        quotes: Option<f64>,
        trades: Option<f64>,
    },
}

fn objects(dir: &Path, wanted: &Wanted, out: &mut impl Write) -> anyhow::Result<Printed> {
    let mut line = |object: Object<'_>| -> anyhow::Result<()> {
        serde_json::to_writer(&mut *out, &object).map_err(io::Error::from)?;
        Ok(out.write_all(b"\n")?)
    };
    let mut faults = store::ledger(dir, wanted, |it| {
        line(Object::Gap {
            ts_from: nanos(it.from),
            ts_to: nanos(it.to),
            exchange: it.exchange.name(),
            market: it.market.name(),
            symbol: it.symbol.as_deref(),
            stream: it.channel.map(Channel::name),
            reason: it.reason.name(),
            dropped: it.dropped,
            conn_id: it.conn,
        })
    })?;
    let mut covered_days = 0;
    faults.extend(store::coverage(dir, wanted, |it| {
        covered_days += 1;
        line(Object::Coverage {
            date: date(it),
            exchange: it.exchange.name(),
            market: it.market.name(),
            symbol: &it.symbol,
            ts_from: nanos(it.from),
            ts_to: nanos(it.to),
            quotes: it.covered[Channel::Quotes as usize],
            trades: it.covered[Channel::Trades as usize],
        })
    })?);
    Ok((faults, covered_days))
}

fn nanos(micros: i64) -> i64 {
    micros.saturating_mul(1_000)
}

fn tables(dir: &Path, wanted: &Wanted, out: &mut impl Write) -> anyhow::Result<Printed> {
    writeln!(
        out,
        "{:<27} {:<27} {:>12} {:<8} {:<6} {:<16} {:<6} {:<12} {:>9} {:>7}",
        "from",
        "to",
        "seconds",
        "exchange",
        "market",
        "symbol",
        "stream",
        "reason",
        "dropped",
        "conn"
    )?;
    let (mut rows, mut dropped) = (0_u64, 0_i64);
    let mut faults = store::ledger(dir, wanted, |it| -> anyhow::Result<()> {
        rows += 1;
        dropped = dropped.saturating_add(it.dropped.unwrap_or(0));
        Ok(loss(it, out)?)
    })?;
    writeln!(out, "{rows} losses, {dropped} events in those that are counted")?;
    writeln!(
        out,
        "\n{:<10} {:<8} {:<6} {:<16} {:<27} {:<27} {:>8} {:>8}",
        "date", "exchange", "market", "symbol", "first row", "last of all", "quotes %", "trades %"
    )?;
    let mut covered_days = 0;
    faults.extend(store::coverage(dir, wanted, |it| -> anyhow::Result<()> {
        covered_days += 1;
        Ok(covered(it, out)?)
    })?);
    Ok((faults, covered_days))
}

fn loss(it: &GapRow, out: &mut impl Write) -> io::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "seconds are shown to the millisecond")]
    let seconds = it.to.saturating_sub(it.from) as f64 / 1e6;
    writeln!(
        out,
        "{:<27} {:<27} {seconds:>12.3} {:<8} {:<6} {:<16} {:<6} {:<12} {:>9} {:>7}",
        time(it.from),
        time(it.to),
        it.exchange,
        it.market,
        it.symbol.as_deref().map_or_else(|| "*".to_owned(), plain),
        it.channel.map_or("*", Channel::name),
        it.reason.name(),
        known(it.dropped),
        known(it.conn),
    )
}

fn covered(it: &CoverageRow, out: &mut impl Write) -> io::Result<()> {
    // Rounded down: only what is whole is 100 %.
    let percent = |it: f64| format!("{:.3}", (it * 100_000.0).floor() / 1_000.0);
    let [quotes, trades] = it.covered.map(|it| it.map(percent));
    writeln!(
        out,
        "{:<10} {:<8} {:<6} {:<16} {:<27} {:<27} {:>8} {:>8}",
        date(it),
        it.exchange,
        it.market,
        plain(&it.symbol),
        time(it.from),
        time(it.to),
        known(quotes),
        known(trades),
    )
}

/// A name from a file without what a terminal would act on.
fn plain(name: &str) -> String {
    name.replace(char::is_control, "?")
}

fn known(it: Option<impl ToString>) -> String {
    it.map_or_else(|| "-".to_owned(), |it| it.to_string())
}

fn date(it: &CoverageRow) -> String {
    const DAY: i64 = 86_400_000_000;
    let text = time(i64::from(it.day).saturating_mul(DAY));
    text.split('T').next().unwrap_or_default().to_owned()
}

/// A time as people write it; as the number that it is when it is of no year that they do.
fn time(micros: i64) -> String {
    /// The year 10000.
    const END: u64 = 253_402_300_800_000_000;
    match u64::try_from(micros) {
        Ok(since) if since < END => {
            let at = SystemTime::UNIX_EPOCH + Duration::from_micros(since);
            humantime::format_rfc3339_micros(at).to_string()
        }
        _ => micros.to_string(),
    }
}
