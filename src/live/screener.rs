//! Which symbols have another best cross than a moment ago.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

use crate::market::{Best, InstrumentId, Level, Nanos};

/// How often the engine is asked. Each time takes its lock for a millisecond; half of this is how old
/// what is told has grown by then, and the page is to show a cross within 250 ms.
const EVERY: Duration = Duration::from_millis(125);

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Screener {
    asked: Option<Instant>,
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
}

impl Screener {
    /// Whether it is time to ask; if so, the next time is later.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.asked.is_none_or(|it| EVERY <= now.saturating_duration_since(it));
        if is_due {
            self.asked = Some(now);
        }
        is_due
    }

    /// Whether it is not what was told last; it is what was told from now on.
    pub(super) fn is_new(&mut self, best: &Best) -> bool {
        let Best { cross, received, episodes, .. } = *best;
        let (legs, levels) = ([cross.buy, cross.sell], [cross.ask, cross.bid]);
        let key = Key { legs, levels, received, episodes };
        self.told.insert(best.place, key) != Some(key)
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

    fn best(place: usize, received: i64) -> Best {
        let level = Level { price: 1.0, size: 1.0 };
        let ts_recv = Nanos(received);
        let cross = Cross {
            buy: InstrumentId(1),
            sell: InstrumentId(2),
            ask: level,
            bid: level,
            gross_bps: 0.0,
            net_bps: 0.0,
            leg_age: 0,
            ts_recv,
        };
        let received = [ts_recv; 2];
        Best { place, cross, received, leg_ages: [0; 2], expires: 0, episodes: 0 }
    }

    #[test]
    fn the_same_is_told_once_however_old_it_has_become() {
        let mut screener = Screener::default();
        assert!(screener.is_new(&best(0, 5)));
        assert!(screener.is_new(&best(1, 5)));
        assert!(!screener.is_new(&Best { leg_ages: [7; 2], ..best(0, 5) }));
        assert!(screener.is_new(&best(0, 6)), "quoted again");
        assert!(screener.is_new(&Best { episodes: 1, ..best(0, 6) }));
        screener.forget();
        assert!(screener.is_new(&best(1, 5)));
    }

    #[test]
    fn the_engine_is_asked_four_times_a_second() {
        let (mut screener, start) = (Screener::default(), Instant::now());
        assert!(screener.is_due(start));
        assert!(!screener.is_due(start + EVERY / 2));
        assert!(screener.is_due(start + EVERY));
        assert!(!screener.is_due(start + EVERY));
    }
}
