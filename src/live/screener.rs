//! Which symbols have another best cross than a moment ago.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

use crate::market::{Best, InstrumentId, Level, Nanos};

/// How often the engine is asked, which takes its lock for a millisecond each time. What begins or ceases
/// to pay is told then: the page is to show it within 250 ms.
const EVERY: Duration = Duration::from_millis(25);

/// In which of so many times all that has changed is told: more than a reader can follow.
const ALL_EVERY: u32 = 8;

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Screener {
    asked: Option<Instant>,
    times: u32,
    /// By the number of the symbol and market.
    told: HashMap<usize, Key, RandomState>,
}

/// Two of one key say the same.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Key {
    legs: [InstrumentId; 2],
    /// A frame may hold several quotes of an instrument.
    levels: [Level; 2],
    received: [Nanos; 2],
    episodes: u32,
    pays: bool,
}

impl Screener {
    /// Whether it is time to ask; if so, the next time is later.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.asked.is_none_or(|it| EVERY <= now.saturating_duration_since(it));
        if is_due {
            self.asked = Some(now);
            self.times = self.times.wrapping_add(1);
        }
        is_due
    }

    /// Whether it is to be told: it is not what was told last, and cannot wait or need not. If so, it is
    /// what was told from now on.
    pub(super) fn is_new(&mut self, best: &Best) -> bool {
        let Best { cross, received, episodes, .. } = *best;
        let (legs, levels) = ([cross.buy, cross.sell], [cross.ask, cross.bid]);
        let key = Key { legs, levels, received, episodes, pays: 0.0 < cross.net_bps };
        let told = self.told.get(&best.place);
        let can_wait = told.is_some_and(|it| it.pays == key.pays);
        let is_new = told != Some(&key) && (!can_wait || self.times.is_multiple_of(ALL_EVERY));
        if is_new {
            self.told.insert(best.place, key);
        }
        is_new
    }

    /// Nobody listens.
    pub(super) fn forget(&mut self) {
        self.told.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Cross;

    fn best(place: usize, received: i64, net_bps: f64) -> Best {
        let level = Level { price: 1.0, size: 1.0 };
        let ts_recv = Nanos(received);
        let cross = Cross {
            buy: InstrumentId(1),
            sell: InstrumentId(2),
            ask: level,
            bid: level,
            gross_bps: 0.0,
            net_bps,
            leg_age: 0,
            ts_recv,
        };
        let received = [ts_recv; 2];
        Best { place, cross, received, leg_ages: [0; 2], expires: 0, episodes: 0 }
    }

    #[test]
    fn the_same_is_told_once_however_old_it_has_become() {
        let mut screener = Screener::default();
        assert!(screener.is_new(&best(0, 5, 0.0)));
        assert!(screener.is_new(&best(1, 5, 0.0)));
        assert!(!screener.is_new(&Best { leg_ages: [7; 2], ..best(0, 5, 0.0) }));
        assert!(screener.is_new(&best(0, 6, 0.0)), "quoted again");
        assert!(screener.is_new(&Best { episodes: 1, ..best(0, 6, 0.0) }));
        screener.forget();
        assert!(screener.is_new(&best(1, 5, 0.0)));
    }

    #[test]
    fn what_begins_or_ceases_to_pay_is_told_at_once_and_all_else_now_and_then() {
        let (mut screener, mut now) = (Screener::default(), Instant::now());
        let mut told = |net_bps: [f64; 2], received| {
            now += EVERY;
            assert!(screener.is_due(now));
            [0, 1].map(|it| screener.is_new(&best(it, received, net_bps[it])))
        };
        assert_eq!(told([-1.0, -1.0], 1), [true; 2], "at first sight");
        assert_eq!(told([2.0, -1.0], 2), [true, false], "one begins");
        assert_eq!(told([-1.0, -1.0], 3), [true, false], "it ceases");
        for received in 4..ALL_EVERY.into() {
            assert_eq!(told([-1.0, -1.0], received), [false; 2]);
        }
        assert_eq!(told([-1.0, -1.0], 100), [true; 2], "it is time for all");
    }

    #[test]
    fn the_engine_is_asked_now_and_then() {
        let (mut screener, start) = (Screener::default(), Instant::now());
        assert!(screener.is_due(start));
        assert!(!screener.is_due(start + EVERY / 2));
        assert!(screener.is_due(start + EVERY));
        assert!(!screener.is_due(start + EVERY));
    }
}
