//! The losses of the ledger, as far as they make a difference to what is covered.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    super::{
        error::{Cause, StoreError},
        gaps::{GapRow, Wanted, read_rows},
        read::find,
        table::Table,
    },
    spans::Spans,
    symbols::{Conn, Symbol, Symbols},
};
use crate::market::{Channel, Exchange, Market};

/// Stretches of time that are kept, of 16 bytes each. Those of one subject that touch are one.
const SPANS_MAX: usize = 4_000_000;

/// What is lost: all subjects of one exchange are together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    exchange: Exchange,
    market: Market,
    channel: Option<Channel>,
    of: Of,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Symbol(String),
    Connection(Conn),
    All,
}

/// The losses there are, by subject.
#[derive(Debug, Default)]
pub(super) struct Losses(BTreeMap<Subject, Spans>);

/// Those of one exchange and day.
pub(super) struct Day<'a>(Vec<(Market, Option<Channel>, &'a Of, Spans)>);

impl Losses {
    /// Reads the ledger in `dir`; files that cannot be read are left out.
    pub(super) fn read(dir: &Path, wanted: &Wanted) -> Result<Self, StoreError> {
        let mut all = Losses::default();
        for file in find(dir, Table::Gaps)? {
            let mut spans: BTreeMap<Subject, Vec<(i64, i64)>> = BTreeMap::new();
            // Whoever prints the ledger says which files cannot be read.
            let _ = read_rows(&file.path, |row, run| {
                if row.from < row.to && wanted.takes(&row) {
                    let (from, to) = (row.from, row.to);
                    spans.entry(Subject::of(row, run)).or_default().push((from, to));
                }
            });
            for (subject, spans) in spans {
                all.0.entry(subject).or_default().add(&Spans::of(spans));
            }
            if SPANS_MAX < all.0.values().map(Spans::len).sum() {
                return Err(StoreError::during("add up", dir)(Cause::Losses));
            }
        }
        Ok(all)
    }

    /// The losses at `exchange` between two times. Of which instruments those of a connection are, is
    /// said by `symbols`.
    pub(super) fn on(&self, exchange: Exchange, from: i64, to: i64, symbols: &Symbols) -> Day<'_> {
        let here = self.0.iter().filter(|it| it.0.exchange == exchange);
        let day = here.map(|(subject, spans)| {
            let Subject { market, channel, of, .. } = subject;
            let known = |it: &Of| match it {
                Of::Connection((run, conn)) => symbols
                    .iter()
                    .any(|(at, _, it)| at == *market && it.came_over(run.as_deref(), *conn)),
                Of::Symbol(_) | Of::All => true,
            };
            let of = if known(of) { of } else { &Of::All };
            (*market, *channel, of, spans.within(from, to))
        });
        Day(day.filter(|it| !it.3.is_empty()).collect())
    }
}

impl Day<'_> {
    /// Those of one channel of an instrument.
    pub(super) fn of(&self, market: Market, name: &str, it: &Symbol, channel: Channel) -> Spans {
        let is_of = |of: &Of| match of {
            Of::Symbol(symbol) => symbol == name,
            Of::Connection((run, conn)) => it.came_over(run.as_deref(), *conn),
            Of::All => true,
        };
        let mut all = Spans::default();
        for (at, of_channel, of, spans) in &self.0 {
            if *at == market && of_channel.is_none_or(|it| it == channel) && is_of(of) {
                all.add(spans);
            }
        }
        all
    }
}

impl Subject {
    fn of(row: GapRow, run: Option<&str>) -> Self {
        let of = match (row.symbol, row.conn) {
            (Some(symbol), _) => Of::Symbol(symbol),
            (None, Some(conn)) => Of::Connection((run.map(Arc::from), conn)),
            (None, None) => Of::All,
        };
        Self { exchange: row.exchange, market: row.market, channel: row.channel, of }
    }
}
