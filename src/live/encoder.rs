//! From what is told to what is sent.

use std::{cell::RefCell, collections::HashSet, sync::Arc};

use foldhash::fast::RandomState;
use tungstenite::Bytes;

use super::{frame, protocol::Venues, subscriber::Told};
use crate::{
    json::Object,
    market::{Best, Cross, Instrument, InstrumentId},
    metrics::LiveMetrics,
    registry::Registry,
};

/// The instruments by number, without the registry's lock.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    registry: &'a Registry,
    metrics: &'a LiveMetrics,
    instruments: Vec<Arc<Instrument>>,
    symbols: HashSet<String, RandomState>,
    scratch: RefCell<Vec<u8>>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(registry: &'a Registry, metrics: &'a LiveMetrics) -> Self {
        let (symbols, scratch) = (HashSet::default(), RefCell::default());
        Self { registry, metrics, instruments: Vec::new(), symbols, scratch }
    }

    /// Takes in the instruments that are new. To be called before messages are told of them.
    pub(super) fn catch_up(&mut self) {
        while let Some(it) = self.registry.get(InstrumentId(self.len())) {
            if !self.symbols.contains(&it.symbol) {
                self.symbols.insert(it.symbol.clone());
            }
            self.instruments.push(it);
        }
    }

    fn len(&self) -> u32 {
        u32::try_from(self.instruments.len()).expect("no more than the registry holds")
    }

    /// Whether any instrument has this symbol.
    pub(super) fn knows(&self, symbol: &str) -> bool {
        self.symbols.contains(symbol)
    }

    /// The instrument of a number that the registry has given.
    pub(super) fn instrument(&self, id: InstrumentId) -> &Arc<Instrument> {
        &self.instruments[id.0 as usize]
    }

    /// Of which symbols a message is, the one that it says first, and of which venues.
    pub(super) fn about(&self, told: &Told) -> ([&str; 2], Venues) {
        match told {
            Told::Event(event) => {
                let it = self.instrument(event.instrument());
                ([&it.symbol, &it.symbol], Venues::one(it.venue))
            }
            Told::Cross(cross) | Told::Best(Best { cross, .. }) => {
                let [buy, sell] = [cross.buy, cross.sell].map(|it| self.instrument(it));
                let venues = Venues::one(buy.venue).or(Venues::one(sell.venue));
                ([&buy.symbol, &sell.symbol], venues)
            }
        }
    }

    /// The message as it goes to all who want it.
    pub(super) fn frame(&self, told: &Told) -> Bytes {
        let mut json = self.scratch.borrow_mut();
        json.clear();
        let object = match told {
            Told::Event(event) => Object::event(event, self.instrument(event.instrument())),
            Told::Cross(cross) => {
                Object::cross(cross, self.instrument(cross.buy), self.instrument(cross.sell))
            }
            Told::Best(it) => {
                let Cross { buy, sell, .. } = it.cross;
                Object::best(it, self.instrument(buy), self.instrument(sell))
            }
        };
        serde_json::to_writer(&mut *json, &object).expect("plain values into a Vec");
        self.metrics.serialised.inc();
        frame::text(&json)
    }
}
