//! Frames to events, by venue and channel, on the fixtures; and on recorded traffic where it is at
//! hand (`../shared/corpus/replay`).

use std::{fs, hint::black_box, io::Read, path::Path, process::Command, slice, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spread_aggregator::{
    exchange::{self, ALL, Inbox, Notice, Protocol},
    market::{ConnId, Exchange, Instrument, Market, Nanos, Venue},
    registry::Registry,
};

/// How often a fixture is read in one go.
const REPEAT: usize = 1_000;

/// A frame of either kind.
#[derive(Clone)]
enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

impl Frame {
    fn decode(&self, protocol: &Protocol, inbox: &mut Inbox) {
        match black_box(self) {
            Frame::Text(frame) => protocol.read(frame, inbox),
            Frame::Binary(frame) => (protocol.quirks.decode_binary)(frame, inbox),
        }
        .expect("a good frame");
    }
}

/// An inbox that knows all symbols of `frames`.
fn inbox(protocol: &Protocol, frames: &[Frame]) -> Inbox {
    let registry = Registry::default();
    let mut inbox = Inbox::new(ConnId(0));
    for frame in frames {
        loop {
            frame.decode(protocol, &mut inbox);
            let unlisted = inbox.notices.iter().find_map(|it| match it {
                Notice::Unlisted(symbol) => Some(symbol.clone()),
                _ => None,
            });
            inbox.events.clear();
            inbox.notices.clear();
            let Some(symbol) = unlisted else { break };
            let instrument = Instrument {
                venue: protocol.venue,
                symbol: symbol.clone(),
                symbol_native: symbol,
                contract_size: 1.0,
            };
            let id = registry.intern(instrument.clone()).expect("room");
            inbox.list(id, &Arc::new(instrument));
        }
    }
    inbox.ts_recv = Nanos(1);
    inbox
}

fn read_all(protocol: &Protocol, inbox: &mut Inbox, frames: &[Frame]) -> usize {
    let mut events = 0;
    for frame in frames {
        frame.decode(protocol, inbox);
        events += inbox.events.len();
        inbox.events.clear();
        inbox.notices.clear();
    }
    events
}

/// The frames of a fixture, if there is one of that name.
fn fixture(venue: Venue, name: &str) -> Option<Vec<Frame>> {
    let text = fs::read_to_string(format!("tests/fixtures/{venue}/{name}")).ok()?;
    let binary = |line: &str| Frame::Binary(BASE64_STANDARD.decode(line).expect("base64"));
    let text_frame = |line: &str| Frame::Text(line.to_owned());
    let is_binary = name.split_once('.').is_some_and(|it| it.1 == "b64");
    Some(text.lines().map(|it| if is_binary { binary(it) } else { text_frame(it) }).collect())
}

const FIXTURES: [&str; 6] =
    ["quote.txt", "quote.b64", "quote_gzip.b64", "trade.txt", "trade.b64", "trade_gzip.b64"];

fn fixtures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for protocol in ALL {
        for name in FIXTURES {
            let Some(mut frames) = fixture(protocol.venue, name) else { continue };
            let mut inbox = inbox(protocol, &frames);
            // Some are answers.
            frames.retain(|it| 0 < read_all(protocol, &mut inbox, slice::from_ref(it)));
            assert!(!frames.is_empty(), "{} {name}: no data", protocol.venue);
            let frames: Vec<_> = frames.iter().cycle().take(REPEAT).cloned().collect();
            group.throughput(Throughput::Elements(REPEAT as u64));
            group.bench_function(format!("{}/{name}", protocol.venue), |it| {
                it.iter(|| {
                    let events = read_all(protocol, &mut inbox, &frames);
                    assert!(REPEAT <= events);
                });
            });
        }
    }
    group.finish();
}

/// `receive time, exchange/market, frame` a line.
fn recorded(market: &str) -> Vec<Frame> {
    let path = Path::new("../shared/corpus/replay/binance_spot_usdm_coinm_20240808.txt.gz");
    let unpacked = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip");
    let mut text = String::new();
    unpacked.stdout.as_slice().read_to_string(&mut text).expect("text");
    let frame = |line: &str| -> Option<String> {
        let mut parts = line.splitn(3, ' ');
        (parts.nth(1)? == market).then(|| parts.next().map(str::to_owned))?
    };
    let subscribed = |it: &String| it.contains("@bookTicker") || it.contains("rade\",");
    text.lines().filter_map(frame).filter(subscribed).map(Frame::Text).collect()
}

fn traffic(criterion: &mut Criterion) {
    if !Path::new("../shared/corpus/replay").exists() {
        eprintln!("SKIPPED: there is no recorded traffic at ../shared/corpus/replay");
        return;
    }
    let mut group = criterion.benchmark_group("decode/recorded");
    for (name, market) in [("binance/spot", Market::Spot), ("binance/swap", Market::Perp)] {
        let protocol = exchange::find(Venue::new(Exchange::Binance, market)).expect("code for it");
        let frames = recorded(name);
        let mut inbox = inbox(protocol, &frames);
        let expected = read_all(protocol, &mut inbox, &frames);
        assert!(frames.len() * 9 / 10 < expected, "{expected} events of {} frames", frames.len());
        group.throughput(Throughput::Elements(frames.len() as u64));
        group.bench_function(name, |it| {
            it.iter(|| assert_eq!(read_all(protocol, &mut inbox, &frames), expected));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = fixtures, traffic
}
criterion_main!(benches);
