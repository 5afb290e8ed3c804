//! What a frame with data counts for, judged by its page.

use std::collections::HashSet;

use serde_json::Value;
use spread_aggregator::{
    market::{Exchange, Market, Venue},
    simulator::Sent,
};

/// What a good frame counts for; `None` of a bad one. `seen` is what identifies the trades of
/// before, where there is no id.
pub(super) fn count(venue: Venue, frame: &Value, seen: &mut HashSet<String>) -> Option<Sent> {
    match (venue.exchange, venue.market) {
        (Exchange::Binance, _) => binance(frame),
        (Exchange::Bybit, _) => bybit(frame),
        (Exchange::Okx, _) => okx(frame),
        (Exchange::Bitget, _) => bitget(frame),
        (Exchange::Gateio, _) => gateio(frame),
        (Exchange::Kucoin, _) => kucoin(frame),
        (Exchange::Mexc, Market::Spot) => mexc_spot(frame),
        (Exchange::Mexc, Market::Perp) => mexc_perp(frame),
        (Exchange::Bingx, market) => bingx(market, frame, seen),
    }
}

const WITHHELD: Sent = Sent { withheld: 1, ..NOTHING };
const NOTHING: Sent = Sent {
    frames: 0,
    quotes: 0,
    repeats: 0,
    trades: 0,
    repeated_trades: 0,
    withheld: 0,
    lost_trades: 0,
    garbage: 0,
    bytes: 0,
    distinct_quotes: 0,
    distinct_trades: 0,
    skipped: 0,
    connections: 0,
    open: 0,
};

fn quote(good: bool) -> Option<Sent> {
    good.then_some(Sent { quotes: 1, ..NOTHING })
}

fn trades(n: usize) -> Sent {
    Sent { trades: n as u64, ..NOTHING }
}

/// A decimal, spelled as a string.
fn is_decimal(it: &Value) -> bool {
    it.as_str().is_some_and(|it| it.parse::<f64>().is_ok_and(|it| 0.0 <= it))
}

/// All rows as trades, when all are good.
fn rows(data: &Value, good: impl Fn(&Value) -> bool) -> Option<Sent> {
    let rows = data.as_array()?;
    rows.iter().all(good).then(|| trades(rows.len()))
}

fn binance(frame: &Value) -> Option<Sent> {
    let data = if frame["stream"].is_string() { &frame["data"] } else { frame };
    if data["e"] == "aggTrade" || data["e"] == "trade" {
        let real = data["X"].is_null() || data["X"] == "MARKET";
        return data["p"].is_string().then(|| if real { trades(1) } else { WITHHELD });
    }
    quote(data["u"].is_u64() && data["b"].is_string())
}

fn bybit(frame: &Value) -> Option<Sent> {
    if frame["topic"].as_str()?.starts_with("orderbook") {
        return quote(frame["data"]["u"].is_u64());
    }
    rows(&frame["data"], |it| it["seq"].is_u64())
}

fn okx(frame: &Value) -> Option<Sent> {
    if frame["arg"]["channel"] == "bbo-tbt" {
        return quote(frame["data"][0]["seqId"].is_u64());
    }
    rows(&frame["data"], |it| it["seqId"].is_u64())
}

fn bitget(frame: &Value) -> Option<Sent> {
    if frame["arg"]["channel"] == "books1" {
        return quote(frame["action"] == "snapshot" && frame["data"][0]["seq"].is_u64());
    }
    let good = |it: &Value| is_decimal(&it["price"]) && is_decimal(&it["tradeId"]);
    let all = rows(&frame["data"], good)?;
    let history = Sent { repeated_trades: all.trades, ..NOTHING };
    Some(if frame["action"] == "snapshot" { history } else { all })
}

fn gateio(frame: &Value) -> Option<Sent> {
    let result = &frame["result"];
    if frame["channel"].as_str()?.ends_with(".book_ticker") {
        return if result["u"] == 0 { Some(WITHHELD) } else { quote(result["u"].is_u64()) };
    }
    if result.is_object() {
        let good = is_decimal(&result["amount"]) && is_decimal(&result["create_time_ms"]);
        return good.then(|| trades(1));
    }
    let signed = |it: &str| it.parse::<f64>().is_ok_and(|it| it != 0.0);
    let good =
        |it: &Value| it["size"].as_str().is_some_and(signed) && it["create_time_ms"].is_u64();
    rows(result, good)
}

fn kucoin(frame: &Value) -> Option<Sent> {
    let data = &frame["data"];
    match frame["subject"].as_str()? {
        "level1" => {
            let flat = |it: &Value| it[0].is_null() || it[0].is_string();
            quote(data["timestamp"].is_u64() && flat(&data["asks"]) && flat(&data["bids"]))
        }
        "tickerV2" => quote(data["bestBidSize"].is_u64() && data["ts"].is_u64()),
        "trade.l3match" => {
            (is_decimal(&data["size"]) && data["time"].is_string()).then(|| trades(1))
        }
        "match" => (data["size"].is_u64() && data["ts"].is_u64()).then(|| trades(1)),
        _ => None,
    }
}

fn mexc_spot(frame: &Value) -> Option<Sent> {
    if frame["314"].is_array() {
        let good = |it: &Value| is_decimal(&it["1"]) && is_decimal(&it["2"]);
        return rows(&frame["314"][0]["1"], good);
    }
    let book = &frame["315"][0];
    let side = |price: &str| book[price].is_null() || is_decimal(&book[price]);
    if book.is_null() { Some(WITHHELD) } else { quote(side("1") && side("3")) }
}

fn mexc_perp(frame: &Value) -> Option<Sent> {
    if frame["channel"] == "push.depth.full" {
        return quote(frame["data"]["version"].is_u64());
    }
    rows(&frame["data"], |it| it["p"].is_number() && it["v"].is_number())
}

fn bingx(market: Market, frame: &Value, seen: &mut HashSet<String>) -> Option<Sent> {
    let (data, topic) = (&frame["data"], frame["dataType"].as_str()?);
    if topic.ends_with("@bookTicker") {
        let (sent, happened) = (data["E"].as_u64()?, data["T"].as_u64());
        let stale = happened.is_some_and(|it| 5_000 < sent - it);
        let good = is_decimal(&data["b"]) && is_decimal(&data["A"]);
        return if stale { Some(WITHHELD) } else { quote(good) };
    }
    if topic.contains("@depth") {
        return quote(data["asks"].is_array() && data["bids"].is_array());
    }
    if market == Market::Spot {
        let time = data["T"].is_u64() || is_decimal(&data["T"]);
        return (is_decimal(&data["t"]) && time).then(|| trades(1));
    }
    let all = rows(data, |it| is_decimal(&it["p"]) && it["T"].is_u64())?;
    let told = |it: &&Value| !seen.insert(it.to_string());
    let again = data.as_array()?.iter().filter(told).count() as u64;
    Some(Sent { trades: all.trades - again, repeated_trades: again, ..NOTHING })
}
