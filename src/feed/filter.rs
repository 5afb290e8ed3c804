//! What a feed has passed on already, so that what several connections bring is passed on once.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::recent::Recent;
use crate::market::{Channel, Event, Nanos, Quote};

/// For so long after a connection has followed another it may still bring what the other one had
/// brought: it was behind, or it tells on subscribe what is so already.
const LAG_MAX: Duration = Duration::from_secs(10);

/// Takes out of events what has been passed on before.
#[derive(Debug)]
pub(super) struct Filter {
    /// Whether the venue sends trades more than once.
    repeats: bool,
    recent: Recent,
    watch: Watch,
    floors: Floors,
}

/// Whether other connections may have brought the same.
#[derive(Clone, Copy, Debug)]
enum Watch {
    /// There is one.
    Off,
    /// Two deliver.
    Overlap,
    /// The last one has ended, and the next one has yet to come.
    Between,
    /// One has followed another.
    Until(Instant),
}

impl Filter {
    pub(super) fn new(repeats: bool) -> Self {
        Self { repeats, recent: Recent::default(), watch: Watch::Off, floors: Floors::default() }
    }

    /// Two connections deliver from now on; `latest` is what the old one has passed on last.
    pub(super) fn begin(&mut self, latest: impl Iterator<Item = Quote>) {
        self.watch = Watch::Overlap;
        for quote in latest {
            self.recent.is_new(&Event::Quote(quote));
            self.floors.set(&quote);
        }
    }

    /// One connection is left.
    pub(super) fn end(&mut self, now: Instant) {
        self.watch = Watch::Until(now + LAG_MAX);
        self.floors = Floors::default();
    }

    /// The only connection has ended; `latest` is what it has passed on last. Many venues tell the
    /// state of a book on subscribe, and that may be the one they told last.
    pub(super) fn ended(&mut self, latest: impl Iterator<Item = Quote>) {
        self.watch = Watch::Between;
        self.floors = Floors::default();
        latest.for_each(|it| _ = self.recent.is_new(&Event::Quote(it)));
    }

    /// Lets the time of a connection pass; says whether what another one brought is over and
    /// forgotten.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        if matches!(self.watch, Watch::Between) {
            self.watch = Watch::Until(now + LAG_MAX);
        }
        let over = matches!(self.watch, Watch::Until(it) if it <= now);
        if over {
            self.calm();
        }
        over
    }

    /// Forgets what the other connection brought.
    pub(super) fn calm(&mut self) {
        self.watch = Watch::Off;
        self.recent.forget(Channel::Quotes);
        if !self.repeats {
            self.recent.forget(Channel::Trades);
        }
    }

    /// Takes out what has been passed on before; returns how much that was.
    pub(super) fn drop_repeated(&mut self, events: &mut Vec<Event>) -> u64 {
        let watch = !matches!(self.watch, Watch::Off);
        if !watch && !self.repeats {
            return 0;
        }
        let before = events.len();
        events.retain(|event| match event {
            Event::Quote(_) if !watch => true,
            Event::Quote(quote) if self.floors.is_below(quote) => false,
            _ => self.recent.is_new(event),
        });
        (before - events.len()) as u64
    }
}

/// How far each instrument's quotes had come when the overlap began: what is older has been passed
/// on, and need not be remembered.
#[derive(Debug, Default)]
struct Floors(HashMap<u32, (Option<i64>, Option<Nanos>), foldhash::fast::RandomState>);

impl Floors {
    fn set(&mut self, quote: &Quote) {
        self.0.insert(quote.instrument.0, (quote.sequence, quote.ts_event));
    }

    fn is_below(&self, quote: &Quote) -> bool {
        self.0.get(&quote.instrument.0).is_some_and(|it| match (quote.sequence, it.0) {
            (Some(new), Some(old)) => new <= old,
            _ => quote.ts_event < it.1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{ConnId, InstrumentId, Level, Side, Trade, TradeId};

    fn quote(sequence: Option<i64>, ts_event: i64, price: f64) -> Quote {
        Quote {
            instrument: InstrumentId(1),
            conn: ConnId(0),
            ts_event: Some(Nanos(ts_event)),
            ts_recv: Nanos(9),
            bid: Some(Level { price, size: 1.0 }),
            ask: None,
            sequence,
        }
    }

    fn trade(id: u64) -> Event {
        Event::Trade(Trade {
            instrument: InstrumentId(1),
            conn: ConnId(0),
            ts_event: Some(Nanos(7)),
            ts_recv: Nanos(8),
            price: 1.0,
            size: 1.0,
            side: Side::Buy,
            id: TradeId::Number(id),
        })
    }

    /// Which of the events pass.
    fn passed(filter: &mut Filter, events: &[Event]) -> Vec<bool> {
        let pass = |it: &Event| filter.drop_repeated(&mut vec![it.clone()]) == 0;
        events.iter().map(pass).collect()
    }

    fn quotes(filter: &mut Filter, quotes: &[Quote]) -> Vec<bool> {
        passed(filter, &quotes.iter().map(|it| Event::Quote(*it)).collect::<Vec<_>>())
    }

    #[test]
    fn numbered_quotes_pass_once_also_those_that_come_late() {
        let of = |n| quote(Some(n), 7, 1.0);
        let mut filter = Filter::new(false);
        assert_eq!(
            quotes(&mut filter, &[of(4), of(5), of(5)]),
            [true; 3],
            "there is one connection"
        );
        filter.begin([of(5)].into_iter());
        // The next connection is ahead of the old one, which has the ones between.
        let got = quotes(&mut filter, &[of(5), of(9), of(6), of(7), of(9), of(6), of(3), of(10)]);
        assert_eq!(got, [false, true, true, true, false, false, false, true]);
    }

    #[test]
    fn quotes_without_a_number_pass_once_by_their_time_and_what_they_say() {
        let of = |ts, price| quote(None, ts, price);
        let mut filter = Filter::new(false);
        filter.begin([of(1, 1.0)].into_iter());
        let got =
            [of(1, 1.0), of(3, 3.0), of(1, 2.0), of(2, 1.0), of(3, 3.0), of(3, 1.0), of(0, 4.0)];
        let want = [false, true, true, true, false, true, false];
        assert_eq!(quotes(&mut filter, &got), want);
    }

    #[test]
    fn a_connection_that_was_behind_when_it_took_over_repeats_nothing() {
        let now = Instant::now();
        let of = |n| Event::Quote(quote(Some(n), 7, 1.0));
        let mut filter = Filter::new(false);
        filter.begin([quote(Some(5), 7, 1.0)].into_iter());
        assert_eq!(passed(&mut filter, &[of(6), of(7), trade(1), trade(2)]), [true; 4]);
        filter.end(now);
        filter.tick(now + LAG_MAX / 2);
        // Its numbers may be others: those of before say nothing of it.
        let got = passed(&mut filter, &[of(2), of(6), of(7), of(8), trade(1), trade(2), trade(3)]);
        assert_eq!(got, [true, false, false, true, false, false, true]);
        filter.tick(now + LAG_MAX);
        assert_eq!(passed(&mut filter, &[of(8), trade(3)]), [true; 2], "nothing is looked for");
    }

    #[test]
    fn what_is_told_on_subscribe_passes_unless_it_was_told_last() {
        let now = Instant::now();
        let of = |n| quote(Some(n), 7, 1.0);
        let mut filter = Filter::new(false);
        filter.ended([of(5)].into_iter());
        // The numbers of another server may be lower.
        assert_eq!(quotes(&mut filter, &[of(5), of(3), of(6)]), [false, true, true]);
        filter.tick(now);
        assert!(!filter.tick(now + LAG_MAX / 2));
        assert_eq!(quotes(&mut filter, &[of(5), of(7)]), [false, true]);
        assert!(filter.tick(now + LAG_MAX));
        assert_eq!(quotes(&mut filter, &[of(5)]), [true], "nothing is looked for");
    }

    #[test]
    fn trades_of_a_venue_that_repeats_them_pass_once_whenever_they_come() {
        let mut filter = Filter::new(true);
        assert_eq!(passed(&mut filter, &[trade(1), trade(1)]), [true, false]);
        filter.begin(std::iter::empty());
        let now = Instant::now();
        filter.end(now);
        filter.tick(now + LAG_MAX);
        assert_eq!(passed(&mut filter, &[trade(1), trade(2)]), [false, true]);
    }
}
