//! What one connection has lost while it was up: topics that went mute, frames that could not be
//! read. It is told the time, and what is over is taken out as rows of the loss ledger.

use crate::market::{Channel, ConnId, Event, Gap, GapReason, InstrumentId, Nanos, Venue};

const SECOND: i64 = 1_000_000_000;
/// No unreadable frame for this long: what follows is another matter.
const READABLE_AFTER: i64 = 10 * SECOND;
/// What lasts longer is declared in parts, so that the ledger is never far behind.
const CUT_AFTER: i64 = 60 * SECOND;

/// The losses of one connection.
#[derive(Debug)]
pub(super) struct Lapses {
    venue: Venue,
    conn: ConnId,
    /// Topics that were asked for anew and have not delivered yet, each once.
    stale: Vec<Stale>,
    /// When the first and the last of the unreadable frames came.
    unreadable: Option<(Nanos, Nanos)>,
    over: Vec<Gap>,
}

#[derive(Debug)]
struct Stale {
    instrument: InstrumentId,
    channel: Channel,
    last: Nanos,
}

impl Lapses {
    pub(super) fn new(venue: Venue, conn: ConnId) -> Self {
        Self { venue, conn, stale: Vec::new(), unreadable: None, over: Vec::new() }
    }

    /// A topic is asked for anew; its last data came at `last`.
    pub(super) fn resubscribed(&mut self, instrument: InstrumentId, channel: Channel, last: Nanos) {
        if !self.stale.iter().any(|it| it.instrument == instrument && it.channel == channel) {
            self.stale.push(Stale { instrument, channel, last });
        }
    }

    /// Takes in data: topics that are heard of again are not stale any more.
    pub(super) fn data(&mut self, events: &[Event]) {
        if self.stale.is_empty() {
            return;
        }
        for event in events {
            let same =
                |it: &Stale| it.instrument == event.instrument() && it.channel == event.channel();
            if let Some(at) = self.stale.iter().position(same) {
                let it = self.stale.swap_remove(at);
                self.end_stale(&it, event.ts_recv());
            }
        }
    }

    /// A frame could not be read.
    pub(super) fn unreadable(&mut self, ts_recv: Nanos) {
        let (first, last) = self.unreadable.unwrap_or((ts_recv, ts_recv));
        self.unreadable = Some((first.min(ts_recv), last.max(ts_recv)));
    }

    /// An instrument is not expected to deliver any more.
    pub(super) fn forget(&mut self, instrument: InstrumentId) {
        self.stale.retain(|it| it.instrument != instrument);
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Nanos) {
        if let Some((first, last)) = self.unreadable
            && (READABLE_AFTER <= now.0.saturating_sub(last.0)
                || CUT_AFTER <= now.0.saturating_sub(first.0))
        {
            self.end_unreadable();
        }
    }

    /// The connection has ended: what it owes will never come.
    pub(super) fn end(&mut self, at: Nanos) {
        self.end_unreadable();
        for it in std::mem::take(&mut self.stale) {
            self.end_stale(&it, at);
        }
    }

    /// What is over and has not been taken out yet.
    pub(super) fn over(&mut self) -> &mut Vec<Gap> {
        &mut self.over
    }

    fn end_stale(&mut self, it: &Stale, to: Nanos) {
        self.over.push(Gap {
            from: it.last,
            to,
            instrument: Some(it.instrument),
            channel: Some(it.channel),
            reason: GapReason::Stale,
            ..self.gap()
        });
    }

    fn end_unreadable(&mut self) {
        if let Some((from, to)) = self.unreadable.take() {
            self.over.push(Gap { from, to, reason: GapReason::DecodeError, ..self.gap() });
        }
    }

    /// All that these rows share.
    fn gap(&self) -> Gap {
        Gap {
            from: Nanos::default(),
            to: Nanos::default(),
            venue: self.venue,
            instrument: None,
            channel: None,
            reason: GapReason::DecodeError,
            dropped: None,
            conn: Some(self.conn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Exchange, Market, Quote};

    fn lapses() -> Lapses {
        Lapses::new(Venue::new(Exchange::Okx, Market::Spot), ConnId(7))
    }

    fn quote(instrument: u32, second: i64) -> Event {
        Event::Quote(Quote {
            instrument: InstrumentId(instrument),
            conn: ConnId(7),
            ts_event: None,
            ts_recv: Nanos(second * SECOND),
            bid: None,
            ask: None,
            sequence: None,
        })
    }

    /// From and to, in seconds.
    fn times(lapses: &mut Lapses) -> Vec<(i64, i64)> {
        lapses.over().drain(..).map(|it| (it.from.0 / SECOND, it.to.0 / SECOND)).collect()
    }

    #[test]
    fn a_topic_is_missing_from_its_last_data_to_its_next() {
        let mut it = lapses();
        for _ in 0..2 {
            it.resubscribed(InstrumentId(1), Channel::Quotes, Nanos(3 * SECOND));
        }
        it.resubscribed(InstrumentId(1), Channel::Trades, Nanos(4 * SECOND));
        it.data(&[quote(2, 8)]);
        assert_eq!(times(&mut it), []);
        it.data(&[quote(2, 9), quote(1, 9), quote(1, 10)]);
        let gap = Gap {
            from: Nanos(3 * SECOND),
            to: Nanos(9 * SECOND),
            venue: it.venue,
            instrument: Some(InstrumentId(1)),
            channel: Some(Channel::Quotes),
            reason: GapReason::Stale,
            dropped: None,
            conn: Some(ConnId(7)),
        };
        assert_eq!(*it.over(), [gap]);
        it.over().clear();
        it.end(Nanos(20 * SECOND));
        assert_eq!(times(&mut it), [(4, 20)], "the trades never came");
    }

    #[test]
    fn a_topic_that_is_taken_off_is_not_missing() {
        let mut it = lapses();
        it.resubscribed(InstrumentId(1), Channel::Quotes, Nanos(3));
        it.forget(InstrumentId(1));
        it.end(Nanos(20));
        assert_eq!(times(&mut it), []);
    }

    #[test]
    fn unreadable_frames_within_seconds_are_one_row_and_many_are_one_a_minute() {
        let mut it = lapses();
        let mut rows = Vec::new();
        for second in 0..200 {
            if [0, 5, 9, 30].contains(&second) || 100 <= second {
                it.unreadable(Nanos(second * SECOND));
            }
            it.tick(Nanos(second * SECOND));
            rows.extend(times(&mut it));
        }
        it.end(Nanos(200 * SECOND));
        rows.extend(times(&mut it));
        assert_eq!(rows, [(0, 9), (30, 30), (100, 160), (161, 199)]);
    }
}
