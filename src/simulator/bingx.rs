//! `BingX` spot and USDT/USDC swaps: everything the server says is gzipped.
//! <https://bingx-api.github.io/docs/>

mod rest;

use std::time::{Duration, UNIX_EPOCH};

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    dialect::{Desk, Dialect, Opened, Rules, Session, Update},
    digits::Pen,
    frame::{Load, Wire},
    http::{Request, Response},
    listing::{Kind, Trap},
    pace::{Pace, Times},
    prices::{self, Book, Print, mix},
    world::Served,
};
use crate::market::{Channel, Market};

pub(super) const DIALECT: Dialect = Dialect {
    rules,
    native: |_, base, quote| format!("{base}-{quote}"),
    traps,
    price_places_max: 10,
    thousands: |market| market == Market::Perp,
    usdc: |_| true,
    contract: |_, _, _| None,
    posts: &[],
    rest: rest::answer,
    open,
    refusal: |status| match status {
        429 | 418 => rest::error(100_410, "code:100410: rate limited"),
        403 | 451 => rest::error(100_419, "your IP is not allowed"),
        404 => rest::error(100_400, "this api is not exist"),
        _ => rest::error(100_500, "Internal system error"),
    },
};

fn rules(market: Market) -> Rules {
    let swap = market == Market::Perp;
    Rules {
        ping_every: Some(Duration::from_secs(5)),
        // It is closed 30.5 s after it began.
        pong_within: Duration::from_millis(25_500),
        sockets_max: 60,
        replies: Wire::Gzip,
        data: Wire::Gzip,
        snapshot: swap,
        prints_max: if swap { 4 } else { 1 },
        reprints: swap,
        ..Rules::NONE
    }
}

fn traps(market: Market) -> Vec<Trap> {
    let trap = |native, base, quote, kind, price| Trap { native, base, quote, kind, price };
    match market {
        Market::Spot => vec![
            trap("OLD-USDT", "OLD", "USDT", Kind::Halted, 0.0012),
            trap("ETH-BTC", "ETH", "BTC", Kind::Regular, 0.0339),
            trap("LUNA-USDT", "LUNA", "USDT", Kind::Barred, 0.61),
            trap("BTC-EUR", "BTC", "EUR", Kind::Regular, 78_800.0),
            trap("SOON-USDT", "SOON", "USDT", Kind::Pending, 1.3),
        ],
        Market::Perp => vec![
            trap("OLD-USDT", "OLD", "USDT", Kind::Halted, 0.0012),
            trap("NCSKTSLA2USD-USDT", "NCSKTSLA2USD", "USDT", Kind::Stock, 412.0),
            trap("LUNA-USDT", "LUNA", "USDT", Kind::Barred, 0.61),
            // Nobody may open a position; it streams.
            trap("NEIROCTO-USDT", "NEIROCTO", "USDT", Kind::PreMarket, 0.000_61),
            trap("SOON-USDT", "SOON", "USDT", Kind::Pending, 1.3),
        ],
    }
}

/// Topics of a connection.
const TOPICS_MAX: usize = 200;
/// Requests of a connection.
const REQUESTS: Pace = (10, Duration::from_secs(1));
/// Pings that may still be answered.
const PINGS_MAX: usize = 6;
/// How old the first quote of a swap is, in milliseconds.
const STALE: u64 = 22 * 60_000;
/// Levels of a side that are told, of the five or more asked for.
const LEVELS: u64 = 3;

/// Styles of topics with quotes.
const BOOK_TICKER: u8 = 0;
const DEPTH: u8 = 1;

struct Bingx {
    market: Market,
    requests: Times,
    /// What has been asked of the client, in the words of spot.
    pings: Vec<[String; 2]>,
}

fn open(served: &Served, request: &Request, _client: u64) -> Opened {
    let market = served.venue.market;
    let path = match market {
        Market::Spot => "/market",
        Market::Perp => "/swap-market",
    };
    if request.path != path {
        return Err(Response::json(404, (DIALECT.refusal)(404)));
    }
    Ok(Box::new(Bingx { market, requests: Times::default(), pings: vec![] }))
}

/// A complaint: code and message.
type Complaint = (u32, &'static str);

impl Session for Bingx {
    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        if text == "Pong" {
            *desk.ponged |= self.market == Market::Perp;
            return;
        }
        // What is no request is not answered.
        let Ok(request) = serde_json::from_str::<Value>(text) else { return };
        if self.is_pong(&request) {
            *desk.ponged = true;
            return;
        }
        let Some(topic) = request["dataType"].as_str() else { return };
        let outcome = match request["reqType"].as_str() {
            _ if desk.limits && !self.requests.admit(REQUESTS, desk.now) => {
                Err((100_410, "rate limited"))
            }
            Some("sub") => self.subscribe(topic, desk),
            None if self.market == Market::Spot => self.subscribe(topic, desk),
            Some("unsub") => {
                desk.topics.remove(topic);
                Ok(())
            }
            _ => Err((100_400, "reqType not support")),
        };
        desk.reply(self.answer(&request["id"], outcome));
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        match (self.market, it.topic.style) {
            (_, DEPTH) => self.depth(it, book, out),
            (Market::Spot, _) => spot_ticker(it, book, out),
            (Market::Perp, _) => return swap_ticker(it, book, out),
        }
        Load::QUOTE
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], _: &mut Rng, out: &mut Vec<u8>) -> Load {
        match (self.market, prints) {
            (Market::Spot, [print]) => spot_trade(it, print, out),
            _ => swap_trades(it, prints, out),
        }
        Load::trades(prints.len())
    }

    fn ping(&mut self, now: u64) -> Option<String> {
        if self.market == Market::Perp {
            return Some("Ping".to_owned());
        }
        let ping = [format!("{:016x}{:016x}", mix(now), mix(!now)), shanghai(now)];
        let text = json!({"ping": ping[0], "time": ping[1]}).to_string();
        if PINGS_MAX == self.pings.len() {
            self.pings.remove(0);
        }
        self.pings.push(ping);
        Some(text)
    }
}

impl Bingx {
    fn is_pong(&self, request: &Value) -> bool {
        let said = ["pong", "time"].map(|it| request[it].as_str().unwrap_or_default());
        self.pings.iter().any(|it| *it == said)
    }

    fn subscribe(&self, topic: &str, desk: &mut Desk<'_>) -> Result<(), Complaint> {
        let unknown = (80_015, "dataType not support");
        let (symbol, stream) = topic.split_once('@').ok_or(unknown)?;
        let row = desk.served.row(symbol).filter(|it| it.moves() && !desk.served.refuses(it));
        let row = row.ok_or(unknown)?;
        let delivers = match stream {
            "bookTicker" => Some((Channel::Quotes, BOOK_TICKER)),
            "trade" => Some((Channel::Trades, 0)),
            "incrDepth" | "ticker" | "lastPrice" | "markPrice" => None,
            _ if self.is_depth(stream) => Some((Channel::Quotes, DEPTH)),
            _ => return Err(unknown),
        };
        if desk.limits && TOPICS_MAX <= desk.topics.len() && !desk.topics.contains(topic) {
            return Err((80_403, "your topic num over max 200"));
        }
        match delivers {
            Some((channel, style)) => desk.topics.add(topic, row.index, channel, style, 1),
            None => desk.topics.add_silent(topic),
        }
        Ok(())
    }

    fn is_depth(&self, stream: &str) -> bool {
        let (levels, every) = stream.split_once('@').unwrap_or((stream, ""));
        let every = match self.market {
            Market::Spot => every.is_empty(),
            Market::Perp => ["", "100ms", "200ms", "500ms"].contains(&every),
        };
        every && ["depth5", "depth10", "depth20", "depth50", "depth100"].contains(&levels)
    }

    fn answer(&self, id: &Value, outcome: Result<(), Complaint>) -> String {
        let (code, message) = outcome.err().unwrap_or((0, ""));
        match self.market {
            Market::Spot => {
                let message = if code == 0 { "SUCCESS" } else { message };
                json!({"code": code, "id": id, "msg": message, "timestamp": prices::now()})
            }
            Market::Perp => {
                json!({"id": id, "code": code, "msg": message, "dataType": "", "data": null})
            }
        }
        .to_string()
    }

    /// The worst ask comes first.
    fn depth(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) {
        out.put("{\"code\":0,\"dataType\":\"").put(&it.topic.name);
        match self.market {
            Market::Spot => out.put("\",\"success\":true,\"data\":{\"bids\":["),
            Market::Perp => out.put("\",\"ts\":").int(it.now).put(",\"data\":{\"bids\":["),
        };
        let level = |out: &mut Vec<u8>, first: bool, price: u64, size: u64| {
            out.put(if first { "[\"" } else { ",[\"" }).fixed(price, it.row.price_places);
            out.put("\",\"").fixed(size, it.row.size_places).put("\"]");
        };
        let bids = if book.bid == 0 { 0 } else { LEVELS.min(book.bid) };
        for step in 0..bids {
            let size = if step == 0 { book.bid_size } else { 1 + mix(book.bid + step) % 5000 };
            level(out, step == 0, book.bid - step, size);
        }
        out.put("],\"asks\":[");
        let asks = if book.ask == 0 { 0 } else { LEVELS };
        for step in (0..asks).rev() {
            let size = if step == 0 { book.ask_size } else { 1 + mix(book.ask + step) % 5000 };
            level(out, step + 1 == asks, book.ask + step, size);
        }
        out.put("]}}");
    }
}

/// A time as spot's pings have it.
fn shanghai(millis: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(millis) + Duration::from_hours(8);
    humantime::format_rfc3339_millis(time).to_string().replace('Z', "+0800")
}

/// A key of one letter, and its number as a string. An empty side is zero.
fn quoted(out: &mut Vec<u8>, key: &str, mantissa: u64, places: u32) {
    out.put(",\"").put(key).put("\":\"").fixed(mantissa, places).put("\"");
}

fn sides(it: &Update<'_>, book: &Book, out: &mut Vec<u8>) {
    quoted(out, "b", book.bid, it.row.price_places);
    quoted(out, "B", book.bid_size, it.row.size_places);
    quoted(out, "a", book.ask, it.row.price_places);
    quoted(out, "A", book.ask_size, it.row.size_places);
}

/// The first one of a topic is of long ago.
fn swap_ticker(it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
    let stale = it.last.is_none();
    let time = if stale { book.time.saturating_sub(STALE) } else { book.time };
    out.put("{\"code\":0,\"dataType\":\"").put(&it.topic.name);
    out.put("\",\"data\":{\"e\":\"bookTicker\",\"u\":").int(book.update);
    out.put(",\"E\":").int(it.now).put(",\"T\":").int(time);
    out.put(",\"s\":\"").put(&it.row.native).put("\"");
    sides(it, book, out);
    out.put("}}");
    if stale { Load::NO_QUOTE } else { Load::QUOTE }
}

/// Spot orders its keys by the alphabet.
fn spot_ticker(it: &Update<'_>, book: &Book, out: &mut Vec<u8>) {
    out.put("{\"code\":0,\"data\":{\"A\":\"").fixed(book.ask_size, it.row.size_places).put("\"");
    quoted(out, "B", book.bid_size, it.row.size_places);
    out.put(",\"E\":").int(it.now);
    quoted(out, "a", book.ask, it.row.price_places);
    quoted(out, "b", book.bid, it.row.price_places);
    out.put(",\"e\":\"bookTicker\",\"s\":\"").put(&it.row.native);
    out.put("\"},\"dataType\":\"").put(&it.topic.name).put("\",\"success\":true");
    if it.row.index % 2 == 1 {
        out.put(",\"timestamp\":").int(it.now);
    }
    out.put("}");
}

/// The newest comes first, and none has an id.
fn swap_trades(it: &Update<'_>, prints: &[Print], out: &mut Vec<u8>) {
    out.put("{\"code\":0,\"dataType\":\"").put(&it.topic.name).put("\",\"data\":[");
    for (i, print) in prints.iter().rev().enumerate() {
        out.put(if 0 < i { ",{\"q\":\"" } else { "{\"q\":\"" });
        out.fixed(print.size, it.row.size_places);
        out.put("\",\"p\":\"").fixed(print.price, it.row.price_places);
        out.put("\",\"T\":").int(print.time);
        out.put(if print.buy { ",\"m\":false" } else { ",\"m\":true" });
        out.put(",\"s\":\"").put(&it.row.native).put("\"}");
    }
    out.put("]}");
}

/// Every third instrument spells it like the old documentation: everything is a string.
fn spot_trade(it: &Update<'_>, print: &Print, out: &mut Vec<u8>) {
    let quote = if it.row.index % 3 == 2 { "\"" } else { "" };
    let maker = if print.buy { "false" } else { "true" };
    out.put("{\"code\":0,\"data\":{\"E\":").put(quote).int(it.now).put(quote);
    out.put(",\"T\":").put(quote).int(print.time).put(quote);
    out.put(",\"e\":\"trade\",\"m\":").put(quote).put(maker).put(quote);
    quoted(out, "p", print.price, it.row.price_places);
    quoted(out, "q", print.size, it.row.size_places);
    out.put(",\"s\":\"").put(&it.row.native).put("\",\"t\":\"").int(print.id);
    out.put("\"},\"dataType\":\"").put(&it.topic.name);
    if quote.is_empty() {
        out.put("\",\"success\":true,\"timestamp\":").int(it.now).put("}");
    } else {
        out.put("\",\"Success\":true}");
    }
}
