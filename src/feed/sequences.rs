//! Trades that a venue's own numbers leave out.

use std::{collections::HashSet, time::Duration};

use hashbrown::HashMap;

use crate::market::{Channel, ConnId, Gap, GapReason, InstrumentId, Nanos, Trade, TradeId, Venue};

/// How late a trade may come after its successors: while one connection takes over from another,
/// they deliver the same trades some time apart.
const LATE_MAX: Duration = Duration::from_secs(5);
/// Jumps that wait for late trades. When there are more, the oldest waits no longer.
const JUMPS_MAX: usize = 1_000;
/// A greater jump is taken for a new way of numbering: nobody knows how many trades are in it. The
/// busiest instruments see a tenth of this in an hour.
const MISSING_MAX: u64 = 10_000_000;

/// How far the trades of each instrument have come, at a venue that numbers them one by one.
///
/// It outlives connections, since that is when trades are missed.
#[derive(Debug)]
pub(super) struct Sequences {
    venue: Venue,
    /// By instrument.
    latest: HashMap<u32, Latest, foldhash::fast::RandomState>,
    jumps: Vec<Jump>,
}

#[derive(Clone, Copy, Debug)]
struct Latest {
    number: u64,
    ts_recv: Nanos,
    conn: ConnId,
    /// A number below, which may be the beginning of another count.
    stray: Option<u64>,
}

/// Numbers left out.
#[derive(Clone, Copy, Debug)]
struct Jump {
    /// The number before and the number after.
    between: (u64, u64),
    missing: u64,
    gap: Gap,
}

impl Sequences {
    pub(super) fn new(venue: Venue) -> Self {
        Self { venue, latest: HashMap::default(), jumps: Vec::new() }
    }

    /// Takes in a trade; returns what cannot wait any longer.
    pub(super) fn trade(&mut self, trade: &Trade) -> Option<Gap> {
        let TradeId::Number(number) = trade.id else { return None };
        let Trade { ts_recv, conn, .. } = *trade;
        let new = Latest { number, ts_recv, conn, stray: None };
        let Some(latest) = self.latest.get_mut(&trade.instrument.0) else {
            self.latest.insert(trade.instrument.0, new);
            return None;
        };
        if number == latest.number.wrapping_add(1) {
            *latest = new;
            return None;
        }
        if number <= latest.number {
            self.late(trade.instrument, new);
            return None;
        }
        let old = std::mem::replace(latest, new);
        self.jump(trade.instrument, old, new)
    }

    /// Lets time pass: what has waited long enough for late trades is handed to `declare`.
    pub(super) fn tick(&mut self, now: Nanos, declare: impl FnMut(Gap)) {
        let late_max = i64::try_from(LATE_MAX.as_nanos()).expect("a few seconds");
        self.release(declare, |it| late_max <= now.0.saturating_sub(it.gap.to.0));
    }

    /// Hands all that waits to `declare`.
    pub(super) fn flush(&mut self, declare: impl FnMut(Gap)) {
        self.release(declare, |_| true);
    }

    /// Forgets all instruments but these: what is not subscribed to is not missed.
    pub(super) fn keep(&mut self, instruments: impl Iterator<Item = InstrumentId>) {
        let kept: HashSet<_> = instruments.map(|it| it.0).collect();
        self.latest.retain(|id, _| kept.contains(id));
    }

    fn release(&mut self, mut declare: impl FnMut(Gap), is_due: impl Fn(&Jump) -> bool) {
        self.jumps.retain(|it| {
            let due = is_due(it);
            if due {
                declare(it.declared());
            }
            !due
        });
    }

    fn jump(&mut self, instrument: InstrumentId, old: Latest, new: Latest) -> Option<Gap> {
        let waited = (self.jumps.len() == JUMPS_MAX).then(|| self.jumps.remove(0).declared());
        let gap = Gap {
            from: old.ts_recv,
            to: new.ts_recv,
            venue: self.venue,
            instrument: Some(instrument),
            channel: Some(Channel::Trades),
            reason: GapReason::SequenceGap,
            dropped: None,
            conn: (old.conn == new.conn).then_some(new.conn),
        };
        let missing = new.number - old.number - 1;
        self.jumps.push(Jump { between: (old.number, new.number), missing, gap });
        waited
    }

    /// A number that is not above all before: it fills a jump, or another count begins.
    #[cold]
    fn late(&mut self, instrument: InstrumentId, new: Latest) {
        let fills = |it: &Jump| {
            let (before, after) = it.between;
            it.gap.instrument == Some(instrument) && before < new.number && new.number < after
        };
        if let Some(at) = self.jumps.iter().position(fills) {
            self.jumps[at].missing -= 1;
            if self.jumps[at].missing == 0 {
                self.jumps.remove(at);
            }
            return;
        }
        let latest = self.latest.get_mut(&instrument.0).expect("its latest is above");
        if latest.stray.is_some_and(|it| it.checked_add(1) == Some(new.number)) {
            *latest = new;
        } else {
            latest.stray = Some(new.number);
        }
    }
}

impl Jump {
    fn declared(&self) -> Gap {
        Gap { dropped: (self.missing <= MISSING_MAX).then_some(self.missing), ..self.gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Exchange, Market, Side};

    const SECOND: i64 = 1_000_000_000;

    fn trade(instrument: u32, number: u64, second: i64) -> Trade {
        Trade {
            instrument: InstrumentId(instrument),
            conn: ConnId(1),
            ts_event: None,
            ts_recv: Nanos(second * SECOND),
            price: 1.0,
            size: 1.0,
            side: Side::Buy,
            id: TradeId::Number(number),
        }
    }

    fn sequences() -> Sequences {
        Sequences::new(Venue::new(Exchange::Binance, Market::Spot))
    }

    /// From, to and number of what is missing after trades of one instrument, a second apart.
    fn missing(numbers: &[u64]) -> Vec<(i64, i64, Option<u64>)> {
        let mut it = sequences();
        let mut gaps = Vec::new();
        for (second, &number) in (0..).zip(numbers) {
            gaps.extend(it.trade(&trade(7, number, second)));
        }
        it.flush(|gap| gaps.push(gap));
        let of = |it: &Gap| (it.from.0 / SECOND, it.to.0 / SECOND, it.dropped);
        gaps.iter().map(of).collect()
    }

    #[test]
    fn numbers_left_out_are_counted_exactly() {
        assert_eq!(missing(&[5, 6, 7, 8]), []);
        assert_eq!(missing(&[5, 6, 9, 10, 12]), [(1, 2, Some(2)), (3, 4, Some(1))]);
        assert_eq!(missing(&[0, u64::MAX]), [(0, 1, None)], "another way of numbering");
        assert_eq!(missing(&[u64::MAX, 0, 1, 2]), []);
        assert_eq!(missing(&[u64::MAX, 5, 6]), []);
    }

    #[test]
    fn a_trade_that_comes_late_is_not_missing() {
        assert_eq!(missing(&[5, 8, 6, 7, 9]), []);
        assert_eq!(missing(&[5, 8, 7, 9]), [(0, 1, Some(1))]);
        assert_eq!(missing(&[5, 8, 10, 9, 6, 11]), [(0, 1, Some(1))]);
    }

    #[test]
    fn a_count_that_begins_anew_is_no_gap() {
        assert_eq!(missing(&[500, 501, 1, 2, 3, 5]), [(4, 5, Some(1))]);
        assert_eq!(missing(&[500, 3, 501, 502]), [], "one that strayed is no new count");
        assert_eq!(missing(&[500, 500, 501]), []);
    }

    #[test]
    fn a_jump_is_declared_once_late_trades_have_had_their_time() {
        let mut it = sequences();
        assert_eq!(it.trade(&trade(1, 5, 10)), None);
        assert_eq!(it.trade(&trade(1, 7, 11)), None);
        let mut gaps = Vec::new();
        it.tick(Nanos(15 * SECOND), |gap| gaps.push(gap));
        assert_eq!(gaps, []);
        it.tick(Nanos(16 * SECOND), |gap| gaps.push(gap));
        let expected = Gap {
            from: Nanos(10 * SECOND),
            to: Nanos(11 * SECOND),
            venue: Venue::new(Exchange::Binance, Market::Spot),
            instrument: Some(InstrumentId(1)),
            channel: Some(Channel::Trades),
            reason: GapReason::SequenceGap,
            dropped: Some(1),
            conn: Some(ConnId(1)),
        };
        assert_eq!(gaps, [expected]);
        it.flush(|gap| panic!("again: {gap:?}"));
    }

    #[test]
    fn instruments_are_counted_apart_and_forgotten_when_they_are_not_carried() {
        let mut it = sequences();
        for number in [1, 2] {
            assert_eq!(it.trade(&trade(1, number, 0)), None);
            assert_eq!(it.trade(&trade(2, 100 * number, 0)), None);
        }
        it.keep([InstrumentId(2)].into_iter());
        assert_eq!(it.trade(&trade(1, 9, 0)), None);
        let mut gaps = Vec::new();
        it.flush(|gap| gaps.push(gap));
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].instrument, Some(InstrumentId(2)));
    }

    #[test]
    fn jumps_that_wait_are_bounded_and_none_is_lost() {
        let mut it = sequences();
        let mut gaps = Vec::new();
        for n in 0..3 * JUMPS_MAX as u64 {
            gaps.extend(it.trade(&trade(1, 2 * n, 0)));
            assert!(it.jumps.len() <= JUMPS_MAX);
        }
        it.flush(|gap| gaps.push(gap));
        assert_eq!(gaps.len(), 3 * JUMPS_MAX - 1);
    }

    #[test]
    fn a_trade_without_a_number_says_nothing() {
        let mut it = sequences();
        for id in [TradeId::None, TradeId::parse("a-b")] {
            assert_eq!(it.trade(&Trade { id, ..trade(1, 0, 0) }), None);
        }
        assert!(it.latest.is_empty());
    }
}
