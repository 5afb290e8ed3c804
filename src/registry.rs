//! Every instrument the process has met, each under one small number.
//!
//! Names are interned once, when an instrument list is read; events carry the number. Reading a
//! list again changes nothing that is there, so the registry does not grow with reconnects.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use parking_lot::RwLock;

use crate::market::{Instrument, InstrumentId, Venue};

/// How many instruments fit. 16 venues list about 12,000 today; names that come and go over a year
/// stay far below this, and a list made up by a hostile peer cannot fill the memory.
pub const INSTRUMENTS_MAX: usize = 100_000;

/// The registry has no room for one more instrument.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry is full: {INSTRUMENTS_MAX} instruments")]
pub struct Full;

/// Instruments by id, and ids by (venue, native symbol).
#[derive(Debug)]
pub struct Registry {
    inner: RwLock<Inner>,
    /// By id, the place of its venue and one more; 0 for an id that there is not.
    venues: Box<[AtomicU8]>,
}

const _: () = assert!(Venue::COUNT < u8::MAX as usize, "a place fits into a byte");

#[derive(Debug, Default)]
struct Inner {
    instruments: Vec<Arc<Instrument>>,
    ids: HashMap<(Venue, String), InstrumentId>,
}

impl Default for Registry {
    fn default() -> Self {
        let venues = (0..INSTRUMENTS_MAX).map(|_| AtomicU8::new(0)).collect();
        Self { inner: RwLock::default(), venues }
    }
}

impl Registry {
    /// The id of `instrument`: a new one for a name not met before, else the one it has had.
    ///
    /// An instrument whose unified symbol or contract size has changed since gets a new id, so that
    /// rows written under the old one keep their meaning.
    ///
    /// # Errors
    /// When [`INSTRUMENTS_MAX`] is reached.
    pub fn intern(&self, instrument: Instrument) -> Result<InstrumentId, Full> {
        let mut inner = self.inner.write();
        let key = (instrument.venue, instrument.symbol_native.clone());
        if let Some(&id) = inner.ids.get(&key)
            && *inner.instruments[id.0 as usize] == instrument
        {
            return Ok(id);
        }
        if inner.instruments.len() == INSTRUMENTS_MAX {
            return Err(Full);
        }
        let id = InstrumentId(u32::try_from(inner.instruments.len()).expect("below the maximum"));
        let place = u8::try_from(key.0.index() + 1).expect("asserted above");
        self.venues[id.0 as usize].store(place, Ordering::Release);
        inner.instruments.push(Arc::new(instrument));
        inner.ids.insert(key, id);
        Ok(id)
    }

    /// The venue of an id, if it is one of ours. Without a lock, for those who ask for each event.
    #[must_use]
    pub fn venue(&self, id: InstrumentId) -> Option<Venue> {
        let place = self.venues.get(id.0 as usize)?.load(Ordering::Acquire);
        Some(Venue::at(usize::from(place).checked_sub(1)?))
    }

    /// The instrument of an id, if it is one of ours.
    #[must_use]
    pub fn get(&self, id: InstrumentId) -> Option<Arc<Instrument>> {
        self.inner.read().instruments.get(id.0 as usize).cloned()
    }

    /// The instruments as they are now: those whose name has another meaning by now are left out.
    #[must_use]
    pub fn current(&self) -> Vec<Arc<Instrument>> {
        let inner = self.inner.read();
        let mut ids: Vec<_> = inner.ids.values().collect();
        ids.sort_unstable();
        ids.into_iter().map(|it| Arc::clone(&inner.instruments[it.0 as usize])).collect()
    }

    /// How many instruments have been met.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.read().instruments.len()
    }

    /// Whether none has been met.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Exchange, Market};

    fn instrument(market: Market, n: usize) -> Instrument {
        Instrument {
            venue: Venue::new(Exchange::Bybit, market),
            symbol: format!("C{n}-USDT"),
            symbol_native: format!("C{n}USDT"),
            contract_size: 1.0,
        }
    }

    #[test]
    fn discovering_again_changes_nothing() {
        let registry = Registry::default();
        let discover = || -> Vec<_> {
            Market::ALL
                .into_iter()
                .flat_map(|market| (0..500).map(move |n| instrument(market, n)))
                .map(|it| registry.intern(it).expect("room"))
                .collect()
        };
        let first = discover();
        for _ in 0..100 {
            assert_eq!(discover(), first);
        }
        assert_eq!(registry.len(), 1000);
    }

    #[test]
    fn one_name_on_two_markets_is_two_instruments() {
        let registry = Registry::default();
        let spot = registry.intern(instrument(Market::Spot, 1)).expect("room");
        let perp = registry.intern(instrument(Market::Perp, 1)).expect("room");
        assert_ne!(spot, perp);
        assert_eq!(registry.get(perp).expect("known").venue.market, Market::Perp);
    }

    #[test]
    fn an_id_knows_its_venue() {
        let registry = Registry::default();
        for market in [Market::Perp, Market::Spot] {
            let wanted = instrument(market, 1);
            let id = registry.intern(wanted.clone()).expect("room");
            assert_eq!(registry.venue(id), Some(wanted.venue));
        }
        assert_eq!(registry.venue(InstrumentId(2)), None);
        assert_eq!(registry.venue(InstrumentId(u32::MAX)), None);
    }

    #[test]
    fn a_contract_that_changed_its_size_is_another_instrument() {
        let registry = Registry::default();
        let old = registry.intern(instrument(Market::Perp, 1)).expect("room");
        let resized = Instrument { contract_size: 10.0, ..instrument(Market::Perp, 1) };
        let new = registry.intern(resized.clone()).expect("room");
        assert_ne!(old, new);
        assert_eq!(registry.intern(resized.clone()), Ok(new));
        assert_eq!(registry.current(), [Arc::new(resized)]);
    }

    #[test]
    fn the_registry_is_bounded() {
        let registry = Registry::default();
        for n in 0..INSTRUMENTS_MAX {
            registry.intern(instrument(Market::Spot, n)).expect("room");
        }
        assert_eq!(registry.intern(instrument(Market::Spot, INSTRUMENTS_MAX)), Err(Full));
        assert_eq!(registry.intern(instrument(Market::Spot, 7)), Ok(InstrumentId(7)));
    }
}
