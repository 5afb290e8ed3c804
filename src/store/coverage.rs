//! How much of the time nothing is known to be missing, by instrument and UTC day.
//!
//! A day begins for an instrument with its first row, and ends for all of an exchange with the last
//! row of any. Of the time between, what is covered is that in which a run was collecting from the
//! exchange, from its first row of the day to its last, less all losses that the ledger declares of
//! the instrument.
//!
//! A loss of a whole connection is one of the instruments that had a row over that connection on that
//! day, and one of all of its market when none had, as is one of no connection.

mod losses;
mod spans;
mod symbols;

use std::path::Path;

use self::{losses::Losses, symbols::Symbols};
use super::{
    error::StoreError,
    gaps::Wanted,
    read::{Found, find},
    table::Table,
};
use crate::market::{Channel, Exchange, Market};

/// Microseconds in a UTC day.
const DAY: i64 = 86_400_000_000;

/// What is known of one instrument on one UTC day.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageRow {
    /// The UTC day, counted from the epoch.
    pub day: i32,
    /// Where it trades.
    pub exchange: Exchange,
    /// In which market.
    pub market: Market,
    /// The unified symbol.
    pub symbol: String,
    /// Its first row of the day, in microseconds since the epoch.
    pub from: i64,
    /// The last row of the day of any instrument of the exchange.
    pub to: i64,
    /// The part of the time between that is covered, from 0 to 1, by [`Channel`]; `None` without a
    /// row of that channel.
    pub covered: [Option<f64>; Channel::ALL.len()],
}

/// Shows what is covered of each instrument on each day to `show`, in the order of days, exchanges,
/// symbols and markets. Files of quotes and trades that cannot be read are left out and returned;
/// those of the ledger are returned by [`ledger`](super::ledger).
///
/// # Errors
/// When the files cannot be listed, the ledger is too large, or `show` fails.
pub fn coverage<E: From<StoreError>>(
    dir: &Path,
    wanted: &Wanted,
    mut show: impl FnMut(&CoverageRow) -> Result<(), E>,
) -> Result<Vec<StoreError>, E> {
    let mut faults = Vec::new();
    let losses = Losses::read(dir, wanted)?;
    let mut files = Vec::new();
    for channel in Channel::ALL {
        let of = |it| (channel, it);
        files.extend(find(dir, channel.into())?.into_iter().map(of));
    }
    let part = |it: &(Channel, Found)| (it.1.day, it.1.exchange);
    files.sort_by_key(part);
    for files in files.chunk_by(|a, b| part(a) == part(b)) {
        let (day, Some(exchange)) = part(&files[0]) else { continue };
        if wanted.exchange.is_some_and(|it| it != exchange) {
            continue;
        }
        let mut symbols = Symbols::default();
        for (channel, file) in files {
            let read = symbols.read(&file.path, Table::from(*channel), *channel);
            faults.extend(read.err());
        }
        for row in rows(&symbols, &losses, exchange, day) {
            if wanted.symbol.as_ref().is_none_or(|it| *it == row.symbol) {
                show(&row)?;
            }
        }
    }
    Ok(faults)
}

fn rows(
    symbols: &Symbols,
    losses: &Losses,
    exchange: Exchange,
    day: i32,
) -> impl Iterator<Item = CoverageRow> {
    let collected = symbols.collected();
    let start = i64::from(day).saturating_mul(DAY);
    let losses = losses.on(exchange, start, start.saturating_add(DAY), symbols);
    let to = collected.end().unwrap_or(start);
    symbols.iter().map(move |(market, symbol, it)| {
        let there = collected.within(it.first, to);
        let covered = |channel: Channel| {
            let whole = to.saturating_sub(it.first);
            let left = there.less(&losses.of(market, symbol, it, channel)).length();
            #[expect(clippy::cast_precision_loss, reason = "a day has 8.64e10 microseconds")]
            let part = if whole == 0 { 1.0 } else { left as f64 / whole as f64 };
            it.channels[channel as usize].then_some(part)
        };
        CoverageRow {
            day,
            exchange,
            market,
            symbol: symbol.to_owned(),
            from: it.first,
            to,
            covered: Channel::ALL.map(covered),
        }
    })
}
