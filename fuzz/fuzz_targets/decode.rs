//! Whatever a venue sends, reading it returns: the first byte chooses the venue, the rest is a
//! frame, text and binary, and a list.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use spread_aggregator::{
    exchange::{ALL, Inbox, Notice},
    market::{ConnId, Event, Instrument, InstrumentId, Level, Nanos},
};

/// A frame may mention more symbols than there are in any fixture.
const SYMBOLS_MAX: u32 = 64;

fn is_possible(level: Option<Level>) -> bool {
    level.is_none_or(|it| {
        it.price.is_finite() && it.size.is_finite() && 0.0 < it.price && 0.0 < it.size
    })
}

fuzz_target!(|data: &[u8]| {
    let [venue, frame @ ..] = data else { return };
    let protocol = ALL[usize::from(*venue) % ALL.len()];
    let text = String::from_utf8_lossy(frame);
    let mut inbox = Inbox::new(ConnId(0));
    inbox.ts_recv = Nanos(1);
    for id in 0..SYMBOLS_MAX {
        inbox.events.clear();
        inbox.notices.clear();
        let _ = protocol.read(&text, &mut inbox);
        let _ = (protocol.quirks.decode_binary)(frame, &mut inbox);
        let unlisted = inbox.notices.iter().find_map(|it| match it {
            Notice::Unlisted(symbol) => Some(symbol.clone()),
            _ => None,
        });
        // Once its symbols are known, a frame is read to its end.
        let Some(symbol) = unlisted else { break };
        let instrument = Instrument {
            venue: protocol.venue,
            symbol: symbol.clone(),
            symbol_native: symbol,
            contract_size: 1e300,
        };
        inbox.list(InstrumentId(id), &Arc::new(instrument));
    }
    // What is read the fast way is what the parser reads.
    inbox.events.clear();
    if (protocol.quirks.hot)(&text, &mut inbox).is_some() {
        let fast = std::mem::take(&mut inbox.events);
        (protocol.decode)(&text, &mut inbox).expect("the fast way reads good frames only");
        assert_eq!(fast, inbox.events);
    }
    for event in &inbox.events {
        let possible = match event {
            Event::Quote(it) => is_possible(it.bid) && is_possible(it.ask),
            Event::Trade(it) => is_possible(Some(Level { price: it.price, size: it.size })),
        };
        assert!(possible, "{event:?}");
    }
    let _ = (protocol.rest.read_instruments)(&text, &mut Vec::new());
    let _ = (protocol.rest.read_volumes)(&text, &mut Vec::new());
});
