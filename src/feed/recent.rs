//! Trades that have been passed on already.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hash},
};

use crate::market::{Event, Trade, TradeId};

/// How many trades of an instrument are remembered. Venues that send trades again on subscribe send
/// fewer.
const REMEMBERED: usize = 128;

/// The latest trades of a venue's instruments, for venues that send some of them again.
///
/// It outlives connections, since that is when trades come again. A trade without an id is known by
/// its time, price, size and side.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// By instrument; each holds hashes, the newest last.
    trades: hashbrown::HashMap<u32, VecDeque<u64>, foldhash::fast::RandomState>,
    hasher: foldhash::fast::RandomState,
}

impl Recent {
    /// Takes out of `events` the trades that have been in it before; returns how many.
    pub(super) fn drop_repeated(&mut self, events: &mut Vec<Event>) -> u64 {
        let before = events.len();
        events.retain(|event| match event {
            Event::Quote(_) => true,
            Event::Trade(trade) => self.is_new(trade),
        });
        (before - events.len()) as u64
    }

    fn is_new(&mut self, trade: &Trade) -> bool {
        let hash = match &trade.id {
            TradeId::None => {
                let numbers = (trade.price.to_bits(), trade.size.to_bits());
                self.hash((trade.ts_event.map(|it| it.0), numbers, trade.side as u8))
            }
            id => self.hash(id),
        };
        let known = self.trades.entry(trade.instrument.0).or_default();
        // A trade that comes again comes soon.
        if known.iter().rev().any(|&it| it == hash) {
            return false;
        }
        if known.len() == REMEMBERED {
            known.pop_front();
        }
        known.push_back(hash);
        true
    }

    fn hash(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{ConnId, InstrumentId, Nanos, Side};

    fn trade(instrument: u32, id: &str, price: f64) -> Event {
        Event::Trade(Trade {
            instrument: InstrumentId(instrument),
            conn: ConnId(0),
            ts_event: Some(Nanos(7)),
            ts_recv: Nanos(8),
            price,
            size: 1.0,
            side: Side::Buy,
            id: TradeId::parse(id),
        })
    }

    #[test]
    fn a_trade_that_comes_again_is_dropped_and_one_like_it_is_not() {
        let mut recent = Recent::default();
        let mut first = vec![trade(1, "7", 1.0), trade(1, "8", 1.0), trade(2, "7", 1.0)];
        assert_eq!(recent.drop_repeated(&mut first), 0);
        let mut again = vec![trade(1, "8", 1.0), trade(1, "9", 1.0), trade(1, "7", 1.0)];
        assert_eq!(recent.drop_repeated(&mut again), 2);
        assert_eq!(again, [trade(1, "9", 1.0)]);
    }

    #[test]
    fn a_trade_without_an_id_is_known_by_what_it_says() {
        let mut recent = Recent::default();
        let mut events = vec![trade(1, "", 1.0), trade(1, "", 2.0), trade(1, "", 1.0)];
        assert_eq!(recent.drop_repeated(&mut events), 1);
        assert_eq!(events, [trade(1, "", 1.0), trade(1, "", 2.0)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        for n in 0..10 * REMEMBERED {
            assert_eq!(recent.drop_repeated(&mut vec![trade(1, &n.to_string(), 1.0)]), 0);
        }
        assert_eq!(recent.trades[&1].len(), REMEMBERED);
    }
}
