//! Events that have been passed on already.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hash},
};

use hashbrown::HashMap;

use crate::market::{Channel, Event, Level, Quote, Trade, TradeId};

/// How many events of an instrument are remembered. Venues that send trades again on subscribe send
/// fewer, and two connections to one venue are hardly ever so far apart.
const REMEMBERED: usize = 256;

/// The latest events of a venue's instruments.
///
/// It outlives connections, since that is when events come again. A quote is known by the venue's
/// number, else by its time and what it says; a trade by its id, else likewise.
#[derive(Debug, Default)]
pub(super) struct Recent {
    channels: [Known; Channel::ALL.len()],
    hasher: foldhash::fast::RandomState,
}

/// By instrument; each holds hashes, the newest last.
type Known = HashMap<u32, VecDeque<u64>, foldhash::fast::RandomState>;

impl Recent {
    /// Whether an event has not been seen before; it has been from now on.
    pub(super) fn is_new(&mut self, event: &Event) -> bool {
        let (channel, hash) = match event {
            Event::Quote(quote) => (Channel::Quotes, self.quote(quote)),
            Event::Trade(trade) => (Channel::Trades, self.trade(trade)),
        };
        let known = self.channels[channel as usize].entry(event.instrument().0).or_default();
        // What comes again comes soon.
        if known.iter().rev().any(|&it| it == hash) {
            return false;
        }
        if known.len() == REMEMBERED {
            known.pop_front();
        }
        known.push_back(hash);
        true
    }

    /// Forgets all events of a channel.
    pub(super) fn forget(&mut self, channel: Channel) {
        self.channels[channel as usize] = Known::default();
    }

    fn quote(&self, it: &Quote) -> u64 {
        if let Some(sequence) = it.sequence {
            return self.hash(sequence);
        }
        let bits = |it: Option<Level>| it.map(|it| (it.price.to_bits(), it.size.to_bits()));
        self.hash((it.ts_event.map(|it| it.0), bits(it.bid), bits(it.ask)))
    }

    fn trade(&self, it: &Trade) -> u64 {
        match &it.id {
            TradeId::None => {
                let numbers = (it.price.to_bits(), it.size.to_bits());
                self.hash((it.ts_event.map(|it| it.0), numbers, it.side as u8))
            }
            id => self.hash(id),
        }
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

    fn new(recent: &mut Recent, events: &[Event]) -> Vec<bool> {
        events.iter().map(|it| recent.is_new(it)).collect()
    }

    #[test]
    fn a_trade_that_comes_again_is_known_and_one_like_it_is_not() {
        let mut recent = Recent::default();
        let first = [trade(1, "7", 1.0), trade(1, "8", 1.0), trade(2, "7", 1.0)];
        assert_eq!(new(&mut recent, &first), [true; 3]);
        let again = [trade(1, "8", 1.0), trade(1, "9", 1.0), trade(1, "7", 1.0)];
        assert_eq!(new(&mut recent, &again), [false, true, false]);
    }

    #[test]
    fn a_trade_without_an_id_is_known_by_what_it_says() {
        let mut recent = Recent::default();
        let events = [trade(1, "", 1.0), trade(1, "", 2.0), trade(1, "", 1.0)];
        assert_eq!(new(&mut recent, &events), [true, true, false]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        for n in 0..10 * REMEMBERED {
            assert!(recent.is_new(&trade(1, &n.to_string(), 1.0)));
        }
        assert_eq!(recent.channels[Channel::Trades as usize][&1].len(), REMEMBERED);
        recent.forget(Channel::Trades);
        assert!(recent.is_new(&trade(1, "1", 1.0)));
    }
}
