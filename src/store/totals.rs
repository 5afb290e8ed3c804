//! What has become of rows.

use std::iter::Sum;

use super::table::Table;

/// What has been done with the rows that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Quotes in files that are whole and in place.
    pub rows_quotes: u64,
    /// Trades in files that are whole and in place.
    pub rows_trades: u64,
    /// Rows of spreads and of the loss ledger in files that are whole and in place.
    pub records: u64,
    /// Rows that are in journals of which no file could be made; the next run will.
    pub rows_left: u64,
    /// Rows that could not be written.
    pub rows_lost: u64,
    /// Files that are whole and in place.
    pub files: u64,
}

impl Totals {
    /// Counts a file.
    pub(super) fn add(&mut self, table: Table, rows: u64) {
        self.files += 1;
        match table {
            Table::Quotes => self.rows_quotes += rows,
            Table::Trades => self.rows_trades += rows,
            Table::Spreads | Table::Gaps => self.records += rows,
        }
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Totals::default(), |sum, it| Totals {
            rows_quotes: sum.rows_quotes + it.rows_quotes,
            rows_trades: sum.rows_trades + it.rows_trades,
            records: sum.records + it.records,
            rows_left: sum.rows_left + it.rows_left,
            rows_lost: sum.rows_lost + it.rows_lost,
            files: sum.files + it.files,
        })
    }
}
