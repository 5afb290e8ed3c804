//! The tables of a dataset.

use std::fmt;

use crate::market::Channel;

/// A table: a folder of files that have the same columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Best bid and ask.
    Quotes,
    /// Trades as they happened.
    Trades,
    /// Episodes of crosses between exchanges that earned something.
    Spreads,
    /// The loss ledger.
    Gaps,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 4] = [Table::Quotes, Table::Trades, Table::Spreads, Table::Gaps];

    /// The lower-case name, which is also that of its folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Table::Quotes => Channel::Quotes.name(),
            Table::Trades => Channel::Trades.name(),
            Table::Spreads => "spreads",
            Table::Gaps => "gaps",
        }
    }

    /// The column whose UTC day is that of the folder `date=`: of a row that is about a stretch of
    /// time its end, for only then is it known. So each row can be checked against its folder, and
    /// is found under the day on which it was written.
    #[must_use]
    pub const fn time(self) -> &'static str {
        match self {
            Table::Quotes | Table::Trades => "ts_recv",
            Table::Spreads => "ts_close",
            Table::Gaps => "ts_to",
        }
    }

    /// The channel whose events it holds; `None` if it holds records.
    #[must_use]
    pub const fn channel(self) -> Option<Channel> {
        match self {
            Table::Quotes => Some(Channel::Quotes),
            Table::Trades => Some(Channel::Trades),
            Table::Spreads | Table::Gaps => None,
        }
    }

    /// Whether there is a folder `exchange=` below that of the date.
    #[must_use]
    pub const fn is_by_exchange(self) -> bool {
        self.channel().is_some()
    }
}

impl From<Channel> for Table {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Quotes => Table::Quotes,
            Channel::Trades => Table::Trades,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
