//! Recorded frames, where they are at hand: a folder `shared/corpus` beside the project.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use spread_aggregator::{
    exchange::{self, Inbox, Notice, Protocol},
    json::Object,
    market::{ConnId, Exchange, Instrument, Market, Venue},
    registry::Registry,
};

/// What we subscribe to; rows of other channels are for other readers.
const CHANNELS: [&str; 7] =
    ["bookTicker", "trade", "aggTrade", "orderbook.1", "publicTrade", "bbo-tbt", "trades"];

fn corpus() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("SKIPPED: there are no recorded frames at {}", dir.display());
    None
}

/// The exchanges there is code for.
fn known() -> impl Iterator<Item = Exchange> {
    let known = |it: &Exchange| exchange::find(Venue::new(*it, Market::Spot)).is_some();
    Exchange::ALL.into_iter().filter(known)
}

fn rows(dir: &Path, exchange: Exchange, kind: &str) -> Vec<Value> {
    let file = dir.join(exchange.name()).join(kind).with_extension("jsonl");
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// What a fresh connection makes of one frame, as the command line prints it.
fn decode(protocol: &Protocol, frame: &str) -> (Vec<Value>, Vec<Notice>, Option<String>) {
    let registry = Registry::default();
    let mut inbox = Inbox::new(ConnId(0));
    let mut failed = (protocol.decode)(frame, &mut inbox).err();
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
        failed = (protocol.decode)(frame, &mut inbox).err();
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

fn nanos(millis: &Value) -> Option<i64> {
    millis.as_i64().map(|it| it * 1_000_000)
}

#[test]
fn every_expected_row_is_read_as_others_read_it() {
    let Some(dir) = corpus() else { return };
    for exchange in known() {
        let (mut compared, mut skipped) = (0, 0);
        for row in rows(&dir, exchange, "expected") {
            if !CHANNELS.contains(&row["chan"].as_str().unwrap()) {
                skipped += 1;
                continue;
            }
            let frame = row["raw"].as_str().unwrap();
            let (events, _, failed) = decode(protocol(exchange, &row), frame);
            assert_eq!(failed, None, "{frame}");
            compare(&row, &events, frame);
            compared += 1;
        }
        println!("{exchange}: {compared} rows equal, {skipped} of channels not subscribed to");
        assert!(0 < compared, "{exchange}");
    }
}

fn compare(row: &Value, events: &[Value], frame: &str) {
    if row["kind"] == "bbo" {
        assert_eq!(events.len(), 1, "{frame}");
        let got = &events[0];
        assert_eq!(got["symbol_native"], row["symbol_raw"], "{frame}");
        assert_eq!(got["ts_event"].as_i64(), nanos(&row["ts_ms"]), "{frame}");
        let keys = [
            ("bid_price", "bid_px"),
            ("bid_size", "bid_qty"),
            ("ask_price", "ask_px"),
            ("ask_size", "ask_qty"),
        ];
        for (ours, theirs) in keys {
            assert_eq!(got[ours].as_f64(), number(&row[theirs]), "{ours} of {frame}");
        }
        return;
    }
    let trades = row["trades"].as_array().unwrap();
    assert_eq!(events.len(), trades.len(), "{frame}");
    for (got, expected) in events.iter().zip(trades) {
        assert_eq!(got["symbol_native"], row["symbol_raw"], "{frame}");
        assert_eq!(got["price"].as_f64(), number(&expected["price"]), "{frame}");
        assert_eq!(got["size"].as_f64(), number(&expected["qty"]), "{frame}");
        assert_eq!(got["side"], expected["side"], "{frame}");
        assert_eq!(got["trade_id"], expected["id"], "{frame}");
        assert_eq!(got["ts_event"].as_i64(), nanos(&expected["ts_ms"]), "{frame}");
    }
}

#[test]
fn every_other_frame_is_known_for_what_it_is() {
    let Some(dir) = corpus() else { return };
    for exchange in known() {
        for kind in ["ack", "error", "ping", "other", "depth"] {
            for row in rows(&dir, exchange, kind) {
                let frame = row["raw"].as_str().unwrap();
                let (events, notices, failed) = decode(protocol(exchange, &row), frame);
                assert_eq!(failed, None, "{frame}");
                assert!(events.is_empty(), "{events:?} from {frame}");
                let fits = notices.iter().all(|it| match kind {
                    "ack" => matches!(it, Notice::Accepted(_)),
                    "error" => matches!(it, Notice::Refused { .. }),
                    "ping" => matches!(it, Notice::Ping(_) | Notice::Pong),
                    _ => matches!(it, Notice::Ignored(_) | Notice::Unknown),
                });
                assert!(fits && notices.len() == 1, "{notices:?} from {frame}");
            }
        }
    }
}

#[test]
fn no_list_panics() {
    let Some(dir) = corpus() else { return };
    for exchange in known() {
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
