//! Whatever a venue sends, reading it returns; it does not panic, and nothing impossible comes out.

use std::{fs, sync::Arc};

use proptest::prelude::*;
use spread_aggregator::{
    exchange::{ALL, Inbox, Protocol},
    market::{ConnId, Event, Instrument, InstrumentId, Level, Nanos},
};

use super::decode::{fixtures, frames};

/// Symbols that the fixtures mention, so that damaged frames get as far as whole ones.
const SYMBOLS: [&str; 7] =
    ["ADAUSDT", "1000BONKUSDT", "ADA-USDT", "ADA-USDT-SWAP", "币USDC", "ADA_USDT", "ADAUSDTM"];

fn inbox(protocol: &Protocol) -> Inbox {
    let mut inbox = Inbox::new(ConnId(0));
    for (id, symbol) in (0..).map(InstrumentId).zip(SYMBOLS) {
        let instrument = Instrument {
            venue: protocol.venue,
            symbol: symbol.into(),
            symbol_native: symbol.into(),
            contract_size: 1e300,
        };
        inbox.list(id, &Arc::new(instrument));
    }
    inbox.ts_recv = Nanos(1);
    inbox
}

/// A fixture with a few bytes changed reaches deeper than random bytes do.
fn damaged_fixture() -> impl Strategy<Value = Vec<u8>> {
    let files = ALL.iter().flat_map(|it| fixtures(it));
    let frames: Vec<Vec<u8>> = files
        .flat_map(|it| {
            let whole = fs::read(&it).unwrap();
            frames(&it).into_iter().map(|(_, frame, _)| frame).chain([whole])
        })
        .filter(|it| !it.is_empty())
        .collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(frames), edits, any::<prop::sample::Index>()).prop_map(
        |(mut frame, edits, cut)| {
            for (at, byte) in edits {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            // One in four is cut short as well.
            let cut = cut.index(frame.len() * 4) + 1;
            frame.truncate(cut);
            frame
        },
    )
}

fn is_possible(level: Option<Level>) -> bool {
    level.is_none_or(|it| {
        it.price.is_finite() && it.size.is_finite() && 0.0 < it.price && 0.0 < it.size
    })
}

/// Whether `frame` is of a shape that is read the fast way; if so, the parser reads the same.
fn is_hot(protocol: &Protocol, frame: &str) -> bool {
    let [mut fast, mut parsed] = [inbox(protocol), inbox(protocol)];
    let hot = (protocol.quirks.hot)(frame, &mut fast).is_some();
    if hot {
        (protocol.decode)(frame, &mut parsed).unwrap();
        assert_eq!(fast.notices, parsed.notices, "{frame}");
    }
    assert_eq!(fast.events, parsed.events, "{frame}");
    hot
}

#[test]
fn the_usual_frames_are_read_the_fast_way() {
    // The others' quotes are binary, or lists of levels.
    const SLOW: [&str; 2] = ["mexc-spot", "mexc-perp"];
    for protocol in ALL {
        let venue = protocol.venue.to_string();
        let quotes = fixtures(protocol).into_iter().find(|it| it.ends_with("quote.txt"));
        let quotes = quotes.map_or_else(Vec::new, |it| frames(&it));
        let hot = quotes.iter().any(|(shown, ..)| is_hot(protocol, shown));
        assert_eq!(hot, !SLOW.contains(&venue.as_str()), "{venue}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_frame_panics_and_no_impossible_number_comes_out(
        frame in prop_oneof![3 => damaged_fixture(), 1 => prop::collection::vec(any::<u8>(), 0..200)]
    ) {
        for protocol in ALL {
            let mut inbox = inbox(protocol);
            let text = String::from_utf8_lossy(&frame);
            is_hot(protocol, &text);
            let _ = protocol.read(&text, &mut inbox);
            let _ = (protocol.quirks.decode_binary)(&frame, &mut inbox);
            for event in &inbox.events {
                let possible = match event {
                    Event::Quote(it) => is_possible(it.bid) && is_possible(it.ask),
                    Event::Trade(it) => is_possible(Some(Level { price: it.price, size: it.size })),
                };
                prop_assert!(possible, "{event:?}");
            }
            let _ = (protocol.rest.read_instruments)(&text, &mut Vec::new());
            let _ = (protocol.rest.read_volumes)(&text, &mut Vec::new());
        }
    }
}
