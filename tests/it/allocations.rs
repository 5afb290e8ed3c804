//! A quote is decoded and queued without an allocation, once a connection has had some.

use std::time::{Duration, Instant};

use allocation_counter::measure;
use spread_aggregator::{
    channel::{self, Received},
    exchange::{ALL, Protocol},
    feed::session::{Patience, Session},
    market::{Channel, ConnId, Nanos},
    registry::Registry,
};

use super::decode::{fixtures, frames, lists};

const ROUNDS: u64 = 100;
/// Allocations and bytes of any other frame, at most: 8 bytes are the JSON parser's, to step over lists
/// within lists, 24 are an id of a trade that is neither a number nor a UUID.
const MOST: (u64, u64) = (1, 24);
/// The venue whose quotes are lists of levels.
const NESTED: &str = "mexc-perp";

/// The frames of `kind` among the fixtures of a venue.
fn of(protocol: &Protocol, kind: &str) -> Vec<(String, Vec<u8>, bool)> {
    let files = fixtures(protocol).into_iter();
    files
        .filter(|it| it.file_stem().is_some_and(|it| it == kind))
        .flat_map(|it| frames(&it))
        .collect()
}

#[test]
fn a_quote_is_decoded_and_queued_without_an_allocation() {
    for protocol in ALL {
        let registry = Registry::default();
        let instruments = lists(protocol, &mut String::new()).into_iter();
        let ids = instruments.map(|it| registry.intern(it).unwrap());
        let known: Vec<_> = ids.map(|it| (it, registry.get(it).unwrap())).collect();
        let patience = Patience {
            heartbeat_timeout: Duration::from_mins(1),
            stale_after: Duration::from_mins(1),
        };
        let now = Instant::now();
        let mut session = Session::new(protocol, patience, ConnId(0), &known, &Channel::ALL, now);
        let (tx, rx) = channel::fair::queue(1, 1_000);
        let (mut evicted, mut batch) = (Vec::new(), Vec::new());
        for kind in ["quote", "trade"] {
            let mut frames = of(protocol, kind);
            let mut events = 0;
            let mut receive = |(text, bytes, is_text): &(String, Vec<u8>, bool)| {
                if *is_text {
                    session.on_text(text, Nanos(42), now);
                } else {
                    session.on_binary(bytes, Nanos(42), now);
                }
                let is_plain = session.unknown_frames == 0 && session.decode_errors == 0;
                (session.unknown_frames, session.decode_errors) = (0, 0);
                events += session.events().len() as u64;
                assert_eq!(tx.send(0, session.events(), &mut evicted), Ok(0));
                assert_ne!(rx.drain(&mut batch, 1_000), Received::Closed);
                let has_data = !batch.is_empty();
                batch.clear();
                is_plain && has_data
            };
            // The fixtures have frames, too, that are unusual.
            frames.retain(&mut receive);
            assert!(!frames.is_empty(), "{} {kind}", protocol.venue);
            let mut least = u64::MAX;
            for frame in &frames {
                let counted = measure(|| (0..ROUNDS).for_each(|_| assert!(receive(frame))));
                let a_frame = (counted.count_total / ROUNDS, counted.bytes_total / ROUNDS);
                assert!(a_frame <= MOST, "{} {kind}: {a_frame:?}: {}", protocol.venue, frame.0);
                least = least.min(a_frame.0);
            }
            assert!(ROUNDS <= events, "{} {kind}", protocol.venue);
            if kind == "quote" && protocol.venue.to_string() != NESTED {
                assert_eq!(least, 0, "{}: the usual form of a quote", protocol.venue);
            }
        }
    }
}
