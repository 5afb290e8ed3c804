//! Whatever WebSocket clients say, each is sent whole frames of JSON, and nothing is left of one that
//! has gone.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{
    arbitrary::{Arbitrary, Result, Unstructured},
    fuzz_target,
};
use spread_aggregator::{
    live::offline::{Offline, settings},
    market::{ConnId, Event, InstrumentId, Level, Nanos, Quote, Side, Trade, TradeId},
    registry::Registry,
};
use spread_aggregator_fuzz::{instrument, piece, venue};

static PORT: LazyLock<Offline> = LazyLock::new(|| {
    let registry = Registry::default();
    for (id, symbol) in (0..).zip(["A-B", "C-D", "1000A-B"]) {
        let (_, it) = instrument(venue(id as u8 * 5), id, symbol);
        registry.intern((*it).clone()).expect("room");
    }
    Offline::new(settings(), registry)
});

/// What two clients send.
#[derive(Debug)]
struct Case([Vec<u8>; 2]);

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let mut said = [Vec::new(), Vec::new()];
        while !input.is_empty() {
            let way = input.arbitrary::<u8>()?;
            let to = &mut said[usize::from(way & 1)];
            if way & 2 == 0 {
                // The first byte of a frame, and what it carries.
                let first = input.arbitrary()?;
                frame(first, piece(input)?, [way; 4], to);
            } else {
                to.extend_from_slice(piece(input)?);
            }
        }
        Ok(Case(said))
    }
}

fn frame(first: u8, payload: &[u8], mask: [u8; 4], to: &mut Vec<u8>) {
    to.push(first);
    match payload.len() {
        len @ 0..126 => to.push(0x80 | len as u8),
        len => {
            to.push(0xfe);
            to.extend((len as u16).to_be_bytes());
        }
    }
    to.extend(mask);
    to.extend(payload.iter().zip(mask.iter().cycle()).map(|(it, mask)| it ^ mask));
}

fn events() -> Vec<Event> {
    let (conn, ts_event) = (ConnId(0), None);
    let event = |n: u32| {
        let (instrument, ts_recv) = (InstrumentId(n / 2 % 3), Nanos(n.into()));
        if n % 2 == 0 {
            let bid = Some(Level { price: 1.5, size: 2.0 });
            Event::Quote(Quote { instrument, conn, ts_event, ts_recv, bid, ask: None, sequence: None })
        } else {
            let (side, id) = (Side::Unknown, TradeId::parse("\"\n"));
            Event::Trade(Trade {
                instrument, conn, ts_event, ts_recv, price: 1.5, size: 2.0, side, id,
            })
        }
    };
    (0..32).map(event).collect()
}

/// What a server's frame carries: its opcode, and its payload.
fn unframed(frame: &[u8]) -> (u8, &[u8]) {
    let [first, second, rest @ ..] = frame else { panic!("{frame:?}") };
    let (len, payload) = match (second, rest) {
        (126, [a, b, payload @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), payload),
        (127, rest) => (rest.len() - 8, &rest[8..]),
        (len, payload) => (usize::from(*len), payload),
    };
    assert_eq!((first & 0xf0, len), (0x80, payload.len()), "{frame:?}");
    (first & 0x0f, payload)
}

fuzz_target!(|case: Case| {
    let [first, second] = &case.0;
    let sent = PORT.clients(&[first, second], &events());
    for it in sent {
        let mut hellos = 0;
        for frame in &it.frames {
            let (opcode, payload) = unframed(frame);
            if opcode == 10 {
                assert!(payload.len() <= 125);
                continue;
            }
            assert_eq!(opcode, 1);
            let json: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
            let kind = json["type"].as_str().expect("a type");
            let known = ["hello", "subscribed", "unsubscribed", "error", "quote", "trade"];
            assert!(known.contains(&kind), "{json}");
            hellos += usize::from(kind == "hello");
            if matches!(kind, "quote" | "trade") {
                assert!(json["symbol"].is_string() && json["ts_recv"].is_number(), "{json}");
            }
        }
        assert_eq!(hellos, 1);
        // What RFC 6455, section 7.4, lets be said; 1005 stands for no code at all.
        let sayable = matches!(it.code, 1000..=1003 | 1005 | 1007..=1014 | 3000..=4999);
        assert!(sayable, "closed with {}", it.code);
    }
});
