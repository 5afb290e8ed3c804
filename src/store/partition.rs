//! What is told apart by files, and how files are called.

use std::path::PathBuf;

use arrow::datatypes::Date32Type;

use super::table::Table;
use crate::market::Exchange;

/// What parts the id of a run from the rest of a file's name. It does not occur in an id.
pub(super) const SEPARATOR: char = '_';

/// What is told apart by files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partition {
    pub(super) table: Table,
    /// `None` for a table that is not parted by exchange.
    pub(super) exchange: Option<Exchange>,
    /// The UTC day of [`Table::time`], counted from the epoch.
    pub(super) day: i32,
}

impl Partition {
    /// `quotes/date=2026-11-23/exchange=binance` or `gaps/date=2026-11-23`
    pub(super) fn folder(self) -> PathBuf {
        let exchange = self.exchange.map(|it| format!("/exchange={it}")).unwrap_or_default();
        PathBuf::from(format!("{}/date={}{exchange}", self.table, date(self.day)))
    }

    /// The name of the `n`th file of part `index` of a run, without its ending:
    /// `20261123T140301Z-1f3a9c2b77d1_quotes-binance-2026-11-23-0-1`
    pub(super) fn file(self, run: &str, index: &str, n: u64) -> String {
        let exchange = self.exchange.map(|it| format!("-{it}")).unwrap_or_default();
        format!("{run}{SEPARATOR}{}{exchange}-{}-{index}-{n}", self.table, date(self.day))
    }

    /// Reads a name back.
    pub(super) fn of(file: &str) -> Option<Self> {
        let (_, rest) = file.split_once(SEPARATOR)?;
        let (table, rest) = rest.split_once('-')?;
        let table = Table::ALL.into_iter().find(|it| it.name() == table)?;
        let (exchange, rest) = if table.is_by_exchange() {
            let (exchange, rest) = rest.split_once('-')?;
            (Some(exchange.parse().ok()?), rest)
        } else {
            (None, rest)
        };
        let day = day(rest.get(..DATE_LEN)?)?;
        Some(Self { table, exchange, day })
    }
}

/// `2026-11-23`
const DATE_LEN: usize = 10;

/// A day, counted from the epoch, as it is written in names.
pub(super) fn date(day: i32) -> String {
    let date = Date32Type::to_naive_date_opt(day).expect("chrono reaches further than i64");
    date.to_string()
}

/// A date as [`date`] writes it.
pub(super) fn day(text: &str) -> Option<i32> {
    let day = Date32Type::from_naive_date(text.parse().ok()?);
    (date(day) == text).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back() {
        for table in Table::ALL {
            for exchange in Exchange::ALL {
                let exchange = table.is_by_exchange().then_some(exchange);
                let partition = Partition { table, exchange, day: 20_780 };
                let name = partition.file("20261123T140301Z-1f3a9c2b77d1", "0", 12);
                assert_eq!(Partition::of(&name), Some(partition), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        for name in [
            "",
            "quotes-okx-2026-11-23-0-1",
            "run_quotes-krakn-2026-11-23-0-1",
            "run_quotes-2026-11-23-0-1",
            "run_candles-okx-2026-11-23-0-1",
            "run_quotes-okx-2026-13-23-0-1",
            "run_quotes-okx-2026-1-2-0-1",
            "run_gaps-20261123",
            "run_gaps-é026-11-23-0-1",
            "run_crash",
        ] {
            assert_eq!(Partition::of(name), None, "{name}");
        }
    }
}
