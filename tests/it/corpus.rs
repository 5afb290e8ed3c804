//! Recorded frames, where they are at hand: a folder `shared/corpus` beside the project.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use spread_aggregator::{
    exchange::{self, Inbox, Notice, Protocol},
    json::Object,
    market::{ConnId, Exchange, Instrument, Market, Venue},
    registry::Registry,
};

/// What we subscribe to; rows of other channels are for other readers.
fn channels(exchange: Exchange) -> &'static [&'static str] {
    match exchange {
        Exchange::Binance => &["bookTicker", "trade", "aggTrade"],
        Exchange::Bybit => &["orderbook.1", "publicTrade"],
        Exchange::Okx => &["bbo-tbt", "trades"],
        Exchange::Bingx => &["bookTicker", "trade"],
        Exchange::Bitget => &["books1", "trade"],
        Exchange::Gateio => {
            &["spot.book_ticker", "spot.trades", "futures.book_ticker", "futures.trades"]
        }
        Exchange::Kucoin => &[
            "/spotMarket/level1",
            "/market/match",
            "/contractMarket/tickerV2",
            "/contractMarket/execution",
        ],
        Exchange::Mexc => &[
            "pb:publicAggreBookTicker",
            "pb:publicAggreDeals",
            "pb:bookTicker",
            "pb:deals",
            "push.depth.full",
            "push.deal",
        ],
    }
}

/// Why a row is not for us, if it is not.
fn foreign(row: &Value) -> Option<&'static str> {
    match row["proto"].as_str() {
        // Protocols that a venue has besides the one we speak.
        Some("bitget-v3" | "kucoin-uta") => Some("of another protocol"),
        Some("mexc-spot-pb") if row["raw_b64"].is_null() => Some("rendered as JSON"),
        _ => None,
    }
}

fn corpus() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("SKIPPED: there are no recorded frames at {}", dir.display());
    None
}

fn rows(dir: &Path, exchange: Exchange, kind: &str) -> Vec<Value> {
    let file = dir.join(exchange.name()).join(kind).with_extension("jsonl");
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// A frame as it came.
enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

fn frame(row: &Value) -> Frame {
    match (row["raw"].as_str(), row["raw_b64"].as_str()) {
        (Some(text), _) => Frame::Text(text.to_owned()),
        (None, Some(text)) => Frame::Binary(BASE64_STANDARD.decode(text).unwrap()),
        (None, None) => panic!("no frame: {row}"),
    }
}

/// What a fresh connection makes of one frame, as the command line prints it.
fn decode(protocol: &Protocol, frame: &Frame) -> (Vec<Value>, Vec<Notice>, Option<String>) {
    let read = |inbox: &mut Inbox| match frame {
        Frame::Text(text) => protocol.read(text, inbox).err(),
        Frame::Binary(bytes) => (protocol.quirks.decode_binary)(bytes, inbox).err(),
    };
    let registry = Registry::default();
    let mut inbox = Inbox::new(ConnId(0));
    let mut failed = read(&mut inbox);
    while let Some(Notice::Unlisted(symbol)) =
        inbox.notices.iter().find(|it| matches!(it, Notice::Unlisted(_))).cloned()
    {
        let venue = protocol.venue;
        let (symbol, symbol_native) = (symbol.clone(), symbol);
        let instrument = Instrument { venue, symbol, symbol_native, contract_size: 1.0 };
        let id = registry.intern(instrument.clone()).unwrap();
        inbox.list(id, &Arc::new(instrument));
        inbox.events.clear();
        inbox.notices.clear();
        failed = read(&mut inbox);
    }
    let json = |event| {
        let instrument = registry.get(spread_aggregator::market::Event::instrument(event)).unwrap();
        serde_json::to_value(Object::event(event, &instrument)).unwrap()
    };
    let events = inbox.events.iter().map(json).collect();
    (events, inbox.notices, failed.map(|it| it.to_string()))
}

fn protocol(exchange: Exchange, row: &Value) -> &'static Protocol {
    let market = row["market"].as_str().map_or(Market::Spot, |it| it.parse().unwrap());
    exchange::find(Venue::new(exchange, market)).unwrap()
}

/// The number that a literal of the corpus spells.
fn number(literal: &Value) -> Option<f64> {
    literal.as_str().map(|it| it.parse().unwrap())
}

/// The corpus has times in milliseconds, cut off where the frame has more.
fn millis(ts_event: &Value) -> Option<i64> {
    ts_event.as_i64().map(|it| it.div_euclid(1_000_000))
}

#[test]
fn every_expected_row_is_read_as_others_read_it() {
    let Some(dir) = corpus() else { return };
    for exchange in Exchange::ALL {
        let (mut compared, mut skipped) = (0, BTreeMap::new());
        for row in rows(&dir, exchange, "expected") {
            let subscribed = channels(exchange).contains(&row["chan"].as_str().unwrap());
            let other = (!subscribed).then_some("of a channel not subscribed to");
            if let Some(why) = foreign(&row).or(other) {
                *skipped.entry(why).or_insert(0) += 1;
                continue;
            }
            let (events, _, failed) = decode(protocol(exchange, &row), &frame(&row));
            assert_eq!(failed, None, "{row}");
            compare(&row, &events);
            compared += 1;
        }
        println!("{exchange}: {compared} rows equal, skipped: {skipped:?}");
        assert!(0 < compared, "{exchange}");
    }
}

fn compare(row: &Value, events: &[Value]) {
    if row["kind"] == "bbo" {
        assert_eq!(events.len(), 1, "{row}");
        let got = &events[0];
        compare_symbol(row, got);
        assert_eq!(millis(&got["ts_event"]), row["ts_ms"].as_i64(), "{row}");
        for side in ["bid", "ask"] {
            let of = |it: &str| number(&row[format!("{side}_{it}")]);
            // A price without a size is no level: we have that side as an empty one.
            let expected = [of("px").filter(|_| of("qty").is_some()), of("qty")];
            let ours = |it: &str| got[format!("{side}_{it}")].as_f64();
            assert_eq!([ours("price"), ours("size")], expected, "{side} of {row}");
        }
        return;
    }
    let trades = row["trades"].as_array().unwrap();
    assert_eq!(events.len(), trades.len(), "{row}");
    for (got, expected) in events.iter().zip(trades) {
        compare_symbol(row, got);
        assert_eq!(got["price"].as_f64(), number(&expected["price"]), "{row}");
        assert_eq!(got["size"].as_f64(), number(&expected["qty"]), "{row}");
        assert_eq!(got["side"], expected["side"], "{row}");
        assert_eq!(got["trade_id"], expected["id"], "{row}");
        assert_eq!(millis(&got["ts_event"]), expected["ts_ms"].as_i64(), "{row}");
    }
}

/// Some readers give no symbol.
fn compare_symbol(row: &Value, got: &Value) {
    if let Some(symbol) = row["symbol_raw"].as_str() {
        assert_eq!(got["symbol_native"], symbol, "{row}");
    }
}

#[test]
fn every_other_frame_is_known_for_what_it_is() {
    let Some(dir) = corpus() else { return };
    for exchange in Exchange::ALL {
        for kind in ["ack", "error", "ping", "other", "depth"] {
            for row in rows(&dir, exchange, kind) {
                let subscribed = |it: &&str| Some(*it) == row["chan"].as_str();
                if foreign(&row).is_some() || channels(exchange).iter().any(subscribed) {
                    continue;
                }
                let (events, notices, failed) = decode(protocol(exchange, &row), &frame(&row));
                assert_eq!(failed, None, "{row}");
                assert!(events.is_empty(), "{events:?} from {row}");
                let fits = notices.iter().all(|it| match kind {
                    "ack" => {
                        matches!(it, Notice::Accepted(_) | Notice::Unsubscribed | Notice::Welcome)
                    }
                    "error" => matches!(it, Notice::Refused { .. }),
                    "ping" => matches!(it, Notice::Ping(_) | Notice::Pong),
                    _ => matches!(it, Notice::Ignored(_) | Notice::Unknown),
                });
                assert!(fits && notices.len() == 1, "{notices:?} from {row}");
            }
        }
    }
}

#[test]
fn no_list_panics() {
    let Some(dir) = corpus() else { return };
    for exchange in Exchange::ALL {
        for market in Market::ALL {
            let rest = exchange::find(Venue::new(exchange, market)).unwrap().rest;
            for row in rows(&dir, exchange, "symbols_rest") {
                // Some are of another market or cut short: an error is fine.
                let _ = (rest.read_instruments)(row["raw"].as_str().unwrap(), &mut Vec::new());
            }
            for row in rows(&dir, exchange, "tickers_rest") {
                let _ = (rest.read_volumes)(row["raw"].as_str().unwrap(), &mut Vec::new());
            }
        }
    }
}
