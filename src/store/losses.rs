//! Rows that are given up, as the loss ledger wants them.

use arrow::array::RecordBatch;

use super::names::markets;
use crate::market::{Channel, Exchange, Gap, GapReason, Market, Nanos, Venue};

/// Rows that are given up while the disk refuses, by market.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses([Option<Loss>; Market::ALL.len()]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loss {
    rows: u64,
    from: Nanos,
    to: Nanos,
}

impl Losses {
    /// Adds the rows of `batch`: the last row that was written before was received at `from`, the
    /// last of these at `to`.
    pub(super) fn add(&mut self, batch: &RecordBatch, from: Nanos, to: Nanos) {
        for market in markets(batch).flatten() {
            let loss = self.0[market as usize].get_or_insert(Loss { rows: 0, from, to });
            loss.rows += 1;
            (loss.from, loss.to) = (loss.from.min(from), loss.to.max(to));
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.0.iter().flatten().map(|it| it.rows).sum()
    }

    /// A row of the ledger for each market, if these were rows of `channel` of `exchange`.
    pub(super) fn gaps(&self, channel: Channel, exchange: Exchange) -> impl Iterator<Item = Gap> {
        Market::ALL.into_iter().zip(self.0).filter_map(move |(market, loss)| {
            let Loss { rows, from, to } = loss?;
            Some(Gap {
                from,
                to,
                venue: Venue::new(exchange, market),
                instrument: None,
                channel: Some(channel),
                reason: GapReason::WriteError,
                dropped: Some(rows),
                conn: None,
            })
        })
    }
}
