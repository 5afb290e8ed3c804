//! From what is told to what is sent.

use std::{cell::RefCell, collections::HashSet, sync::Arc};

use foldhash::fast::RandomState;
use serde::Serialize;

use super::{
    frame::{Draft, Frame},
    protocol::Venues,
    subscriber::Told,
};
use crate::{
    json::{Object, Of, Quoted, Traded},
    market::{Best, Cross, Event, Instrument, InstrumentId},
    metrics::LiveMetrics,
    registry::Registry,
};

/// The instruments by number, without the registry's lock.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    registry: &'a Registry,
    metrics: &'a LiveMetrics,
    instruments: Vec<Arc<Instrument>>,
    /// Of each instrument, what all messages of it say: an object without its braces.
    names: Vec<Box<[u8]>>,
    symbols: HashSet<String, RandomState>,
    draft: RefCell<Draft>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(registry: &'a Registry, metrics: &'a LiveMetrics) -> Self {
        let (instruments, names) = Default::default();
        let (symbols, draft) = Default::default();
        Self { registry, metrics, instruments, names, symbols, draft }
    }

    /// Takes in the instruments that are new. To be called before messages are told of them.
    pub(super) fn catch_up(&mut self) {
        while let Some(it) = self.registry.get(InstrumentId(self.len())) {
            if !self.symbols.contains(&it.symbol) {
                self.symbols.insert(it.symbol.clone());
            }
            let names = serde_json::to_vec(&Of::new(&it)).expect("plain values into a Vec");
            self.names.push(names[1..names.len() - 1].into());
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

    /// Of which symbol and venue an instrument is.
    pub(super) fn of(&self, id: InstrumentId) -> (&str, Venues) {
        let it = self.instrument(id);
        (&it.symbol, Venues::one(it.venue))
    }

    /// Of which symbols a message is, the one that it says first, and of which venues.
    pub(super) fn about(&self, told: &Told) -> ([&str; 2], Venues) {
        match told {
            Told::Event(event) => {
                let (symbol, venues) = self.of(event.instrument());
                ([symbol, symbol], venues)
            }
            Told::Cross(cross) | Told::Best(Best { cross, .. }) => {
                let [buy, sell] = [cross.buy, cross.sell].map(|it| self.instrument(it));
                let venues = Venues::one(buy.venue).or(Venues::one(sell.venue));
                ([&buy.symbol, &sell.symbol], venues)
            }
        }
    }

    /// The message as it goes to all who want it.
    pub(super) fn frame(&self, told: &Told) -> Frame {
        let mut draft = self.draft.borrow_mut();
        let json = draft.begin();
        match told {
            Told::Event(Event::Quote(it)) => {
                self.event(json, "quote", it.instrument, &Quoted::from(it));
            }
            Told::Event(Event::Trade(it)) => {
                self.event(json, "trade", it.instrument, &Traded::from(it));
            }
            Told::Cross(it) => {
                write(json, &Object::cross(it, self.instrument(it.buy), self.instrument(it.sell)));
            }
            Told::Best(it) => {
                let Cross { buy, sell, .. } = it.cross;
                write(json, &Object::best(it, self.instrument(buy), self.instrument(sell)));
            }
        }
        self.metrics.serialised.inc();
        draft.text()
    }

    /// As [`Object::event`] is written, with less to do for each.
    fn event(&self, json: &mut Vec<u8>, kind: &str, of: InstrumentId, values: &impl Serialize) {
        json.extend_from_slice(b"{\"type\":\"");
        json.extend_from_slice(kind.as_bytes());
        json.extend_from_slice(b"\",");
        json.extend_from_slice(&self.names[of.0 as usize]);
        let brace = json.len();
        write(json, values);
        json[brace] = b',';
    }
}

fn write(json: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(json, value).expect("plain values into a Vec");
}

#[cfg(test)]
mod tests {
    use super::{super::frame, *};
    use crate::{
        market::{ConnId, Exchange, Level, Market, Nanos, Quote, Side, Trade, TradeId, Venue},
        metrics::Metrics,
    };

    #[test]
    fn an_event_is_written_as_its_object_is() {
        let (registry, metrics) = (Registry::default(), Metrics::new());
        let listed = Instrument {
            venue: Venue::new(Exchange::ALL[1], Market::Perp),
            symbol: "\u{dc}\"1-USDT".to_owned(),
            symbol_native: "\\_1USDT".to_owned(),
            contract_size: 1.0,
        };
        let instrument = registry.intern(listed.clone()).expect("room");
        let mut encoder = Encoder::new(&registry, &metrics.live);
        encoder.catch_up();
        let (conn, ts_recv) = (ConnId(3), Nanos(1_700_000_000_000_000_001));
        let quote = |ts_event, bid, sequence| {
            let ask = Some(Level { price: 1e-9, size: 5e21 });
            Event::Quote(Quote { instrument, conn, ts_event, ts_recv, bid, ask, sequence })
        };
        let trade = |id| {
            let (price, size, side) = (0.1, 3.0, Side::Sell);
            let ts_event = Some(Nanos(-1));
            Event::Trade(Trade { instrument, conn, ts_event, ts_recv, price, size, side, id })
        };
        for event in [
            quote(None, None, None),
            quote(Some(Nanos(5)), Some(Level { price: 0.1, size: 0.3 }), Some(-7)),
            trade(TradeId::None),
            trade(TradeId::Number(7)),
            trade(TradeId::Uuid([0xab; 16])),
            trade(TradeId::Text("a\"b".into())),
        ] {
            let object = serde_json::to_vec(&Object::event(&event, &listed)).expect("plain values");
            let frame = encoder.frame(&Told::Event(event.clone()));
            assert_eq!(frame, frame::text(&object), "{event:?}");
        }
        assert_eq!(metrics.live.serialised.get(), 6);
    }
}
