//! The loss ledger, as those see it who have a loss to declare.
//!
//! A loss goes into a bounded queue and from there into the dataset. Should that queue overflow, what
//! makes room is not forgotten: rows are summed up by venue, channel and reason and declared once
//! more as soon as there is room, so that sums stay exact where the single rows do not.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    mem,
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    channel::{Sender, Sent},
    market::{Channel, Gap, GapReason, Record, Venue},
    metrics::{GapMetrics, Metrics, QueueMetrics},
};

/// Sums go in when fewer records than this are queued: they are not to push out others.
const ROOM_BELOW: usize = 1_000;

/// Where losses are declared. Clones declare into the same ledger, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Sender<Record>,
    gaps: GapMetrics,
    metrics: QueueMetrics,
    /// What has had to make room: at most a row for each venue, channel and reason.
    sums: Mutex<BTreeMap<Key, Gap>>,
}

type Key = (Venue, Option<Channel>, GapReason);

impl Ledger {
    /// A ledger whose rows go into `queue`, which is called `ledger` in the metrics.
    #[must_use]
    pub fn new(queue: Sender<Record>, metrics: &Metrics) -> Self {
        let (gaps, metrics) = (metrics.gaps(), metrics.queue("ledger"));
        Self(Arc::new(Shared { queue, gaps, metrics, sums: Mutex::default() }))
    }

    /// Declares a loss. It never waits.
    pub fn declare(&self, mut gap: Gap) {
        // A clock that was set back.
        (gap.from, gap.to) = (gap.from.min(gap.to), gap.from.max(gap.to));
        self.0.gaps.of(gap.venue, gap.reason).inc();
        self.send(gap);
    }

    /// Declares once more, summed up, what has had to make room; says whether nothing is left.
    #[expect(clippy::must_use_candidate, reason = "who asks every second need not look")]
    pub fn retry(&self) -> bool {
        if self.0.queue.len() < ROOM_BELOW {
            let sums = mem::take(&mut *self.0.sums.lock());
            for sum in sums.into_values() {
                self.send(sum);
            }
        }
        self.0.sums.lock().is_empty()
    }

    fn send(&self, gap: Gap) {
        let mut lost = Vec::new();
        match self.0.queue.send(Record::Gap(gap), &mut lost) {
            Sent::Queued => return,
            Sent::Evicted(_) => {}
            Sent::Closed(record) => lost.push(record),
        }
        self.0.metrics.dropped.inc_by(lost.len() as u64);
        for record in lost {
            if let Record::Gap(gap) = record {
                self.sum_up(gap);
            }
        }
    }

    fn sum_up(&self, gap: Gap) {
        match self.0.sums.lock().entry((gap.venue, gap.channel, gap.reason)) {
            Entry::Vacant(none) => {
                none.insert(Gap { instrument: None, conn: None, ..gap });
            }
            Entry::Occupied(mut sum) => {
                let sum = sum.get_mut();
                (sum.from, sum.to) = (sum.from.min(gap.from), sum.to.max(gap.to));
                sum.dropped = sum.dropped.zip(gap.dropped).map(|(a, b)| a.saturating_add(b));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel::newest,
        market::{ConnId, Exchange, InstrumentId, Market, Nanos},
    };

    const VENUE: Venue = Venue::new(Exchange::Okx, Market::Spot);

    fn gap(from: i64, to: i64, dropped: Option<u64>) -> Gap {
        Gap {
            from: Nanos(from),
            to: Nanos(to),
            venue: VENUE,
            instrument: Some(InstrumentId(7)),
            channel: Some(Channel::Trades),
            reason: GapReason::SequenceGap,
            dropped,
            conn: Some(ConnId(1)),
        }
    }

    #[test]
    fn what_does_not_fit_is_declared_later_as_a_sum() {
        let (queue, records) = newest(2);
        let metrics = Metrics::new();
        let ledger = Ledger::new(queue, &metrics);
        for n in 1..=5 {
            ledger.declare(gap(n, n + 10, Some(n.unsigned_abs())));
        }
        let mut got = Vec::new();
        let _ = records.drain(&mut got, 9);
        assert_eq!(got, [4, 5].map(|n| Record::Gap(gap(n, n + 10, Some(n.unsigned_abs())))));
        assert!(ledger.retry());
        got.clear();
        let _ = records.drain(&mut got, 9);
        let sum = Gap { instrument: None, conn: None, ..gap(1, 13, Some(6)) };
        assert_eq!(got, [Record::Gap(sum)]);
        assert_eq!(metrics.queue("ledger").dropped.get(), 3);
        assert_eq!(metrics.gaps().of(VENUE, GapReason::SequenceGap).get(), 5, "each once");
    }

    #[test]
    fn a_sum_of_what_is_not_known_is_not_known() {
        let (queue, records) = newest(1);
        let ledger = Ledger::new(queue, &Metrics::new());
        for dropped in [Some(1), None, Some(2), Some(4)] {
            ledger.declare(gap(1, 2, dropped));
        }
        let mut got = Vec::new();
        let _ = records.drain(&mut got, 9);
        assert!(ledger.retry());
        let _ = records.drain(&mut got, 9);
        assert!(matches!(got[..], [_, Record::Gap(Gap { dropped: None, .. })]), "{got:?}");
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_gap_that_ends_before_it_begins() {
        let (queue, records) = newest(1);
        Ledger::new(queue, &Metrics::new()).declare(gap(9, 3, None));
        let mut got = Vec::new();
        let _ = records.drain(&mut got, 9);
        assert_eq!(got, [Record::Gap(gap(3, 9, None))]);
    }
}
