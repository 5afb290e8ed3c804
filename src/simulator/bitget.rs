//! Bitget v2, spot and USDT futures on one address.
//! <https://www.bitget.com/docs/classic/websocket-intro>

mod rest;

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    dialect::{Desk, Dialect, Echo, Opened, Proof, Rules, Session, Update},
    digits::Pen,
    frame::Load,
    http::{Request, Response},
    listing::{Kind, Trap},
    pace::{Pace, Times},
    prices::{Book, Print},
    world::Served,
};
use crate::market::{Channel, Market};

pub(super) const DIALECT: Dialect = Dialect {
    rules,
    native: |_, base, quote| format!("{base}{quote}"),
    traps,
    price_places_max: 10,
    thousands: |market| market == Market::Perp,
    // Contracts paid in USDC are a product, and a list, of their own.
    usdc: |market| market == Market::Spot,
    contract: |_, _, _| None,
    posts: &[],
    rest: rest::answer,
    open,
    refusal: |status| match status {
        429 => rest::error("429", "Too Many Requests"),
        403 | 451 => rest::error("40012", "Service is not available in your region"),
        404 => rest::error("40404", "Request URL NOT FOUND"),
        _ => rest::error("40015", "System is abnormal, please try again later"),
    },
};

fn rules(_: Market) -> Rules {
    Rules {
        // 127 to 142 s after the last ping, whatever flows.
        idle_max: Some(Duration::from_secs(130)),
        proof: Proof::Pings,
        frames: Some((10, Duration::from_secs(1))),
        connects: (300, Duration::from_mins(5)),
        sockets_max: 100,
        snapshot: true,
        echo: Echo::Same,
        prints_max: 5,
        history: 10,
        ..Rules::NONE
    }
}

fn traps(market: Market) -> Vec<Trap> {
    let trap = |native, base, quote, kind, price| Trap { native, base, quote, kind, price };
    match market {
        Market::Spot => vec![
            trap("LUNAUSDT", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("ETHBTC", "ETH", "BTC", Kind::Regular, 0.0339),
            trap("SOONUSDT", "SOON", "USDT", Kind::Pending, 1.3),
            trap("BTCEUR", "BTC", "EUR", Kind::Regular, 78_800.0),
            trap("FTTUSDT", "FTT", "USDT", Kind::Barred, 0.82),
        ],
        Market::Perp => vec![
            trap("BTCUSDT_261225", "BTC", "USDT", Kind::Dated, 91_900.0),
            trap("TSLAUSDT", "TSLA", "USDT", Kind::Stock, 412.0),
            trap("LUNAUSDT", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("SOONUSDT", "SOON", "USDT", Kind::Pending, 1.3),
            trap("OPENAIUSDT", "OPENAI", "USDT", Kind::PreMarket, 72.1),
        ],
    }
}

const PRODUCTS: [&str; 4] = ["SPOT", "USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES"];
/// Bytes of a request.
const REQUEST_MAX: usize = 4096;
/// Requests to subscribe.
const SUBSCRIBES: Pace = (240, Duration::from_hours(1));
/// Channels of a connection.
const CHANNELS_MAX: usize = 1000;
/// Where trade ids begin, and how far apart those of two instruments are.
const TRADE_ID: u64 = 1_235_000_000_000_000_000;
const TRADE_IDS: u64 = 1 << 42;
/// What `seq` of every second instrument is above: the numbers that an f64 can tell apart.
const SEQUENCE_HIGH: u64 = 1 << 53;

struct Bitget {
    market: Market,
    subscribes: Times,
}

fn open(served: &Served, request: &Request, _client: u64) -> Opened {
    if request.path != "/v2/ws/public" {
        return Err(Response::json(404, (DIALECT.refusal)(404)));
    }
    Ok(Box::new(Bitget { market: served.venue.market, subscribes: Times::default() }))
}

/// A complaint: code and message.
type Complaint = (u32, String);

impl Session for Bitget {
    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        if text == "ping" {
            *desk.pinged = true;
            return desk.reply("pong");
        }
        if desk.limits && REQUEST_MAX < text.len() {
            *desk.close = Some(None);
            return;
        }
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        if let Err(complaint) = self.act(&request, desk) {
            desk.reply(self.error(&Value::Null, &request["op"], complaint));
        }
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        self.head(it, "snapshot", "books1", out);
        out.put("{\"asks\":[");
        level(out, it, book.ask, book.ask_size);
        out.put("],\"bids\":[");
        level(out, it, book.bid, book.bid_size);
        let high = it.row.index % 2 == 1;
        let sequence = book.update + if high { SEQUENCE_HIGH } else { 0 };
        // What else there is has come and gone with the versions.
        out.put(if it.row.index.is_multiple_of(3) { "]" } else { "],\"checksum\":0" });
        out.put(",\"seq\":").int(sequence);
        out.put(if it.row.index % 3 == 1 { ",\"pseq\":0" } else { "" });
        out.put(",\"ts\":\"").int(book.time).put("\"}],\"ts\":").int(it.now).put("}");
        Load::QUOTE
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], _: &mut Rng, out: &mut Vec<u8>) -> Load {
        self.rows(it, "update", prints.iter(), out);
        Load::trades(prints.len())
    }

    fn history(&self, it: &Update<'_>, prints: &[Print], out: &mut Vec<u8>) {
        self.rows(it, "snapshot", prints.iter().rev(), out);
    }
}

impl Bitget {
    fn act(&mut self, request: &Value, desk: &mut Desk<'_>) -> Result<(), Complaint> {
        let args = request["args"].as_array().filter(|it| !it.is_empty());
        let op = request["op"].as_str().ok_or_else(|| (30002, "Illegal request".to_owned()))?;
        if !["subscribe", "unsubscribe"].contains(&op) {
            return Err((30003, format!("Invalid op: {op}")));
        }
        let args = args.ok_or_else(|| (30002, "Illegal request".to_owned()))?;
        if desk.limits && op == "subscribe" && !self.subscribes.admit(SUBSCRIBES, desk.now) {
            *desk.close = Some(None);
            return Err((30006, "The requests are too many".to_owned()));
        }
        for arg in args {
            let answer = match op {
                "subscribe" => self.subscribe(arg, desk),
                _ => key(arg).map(|it| _ = desk.topics.remove(&it)),
            };
            desk.reply(match answer {
                Ok(()) => json!({"event": op, "arg": arg}).to_string(),
                Err(complaint) => self.error(arg, &request["op"], complaint),
            });
        }
        Ok(())
    }

    /// The code is a number or a string.
    fn error(&self, arg: &Value, op: &Value, (code, message): Complaint) -> String {
        let mut it = json!({"event": "error", "msg": message, "op": op});
        it["code"] = match self.market {
            Market::Spot => code.into(),
            Market::Perp => code.to_string().into(),
        };
        if !arg.is_null() {
            it["arg"] = arg.clone();
        }
        it.to_string()
    }

    /// An instrument under the name of another product is accepted, and stays silent.
    fn subscribe(&self, arg: &Value, desk: &mut Desk<'_>) -> Result<(), Complaint> {
        let (product, channel, native) = parts(arg)?;
        let delivers = match channel {
            "books1" => Some(Channel::Quotes),
            "trade" => Some(Channel::Trades),
            "books" | "books5" | "books15" | "ticker" => None,
            _ => return Err((30016, "Param error".to_owned())),
        };
        let missing = || {
            let what = format!("instType:{product},channel:{channel},instId:{native}");
            (30001, format!("{what},precision:null doesn't exist"))
        };
        let row = desk.served.row(native).filter(|it| it.listed() && !desk.served.refuses(it));
        let row = row.filter(|_| PRODUCTS.contains(&product)).ok_or_else(missing)?;
        let key = key(arg)?;
        if desk.limits && CHANNELS_MAX <= desk.topics.len() && !desk.topics.contains(&key) {
            return Err((30007, "request over limit".to_owned()));
        }
        match delivers.filter(|_| product == self.product() && row.moves()) {
            Some(it) => desk.topics.add(&key, row.index, it, 0, 1),
            None => desk.topics.add_silent(&key),
        }
        Ok(())
    }

    fn product(&self) -> &'static str {
        match self.market {
            Market::Spot => "SPOT",
            Market::Perp => "USDT-FUTURES",
        }
    }

    /// All before the first row.
    fn head(&self, it: &Update<'_>, action: &str, channel: &str, out: &mut Vec<u8>) {
        out.put("{\"action\":\"").put(action);
        out.put("\",\"arg\":{\"instType\":\"").put(self.product());
        out.put("\",\"channel\":\"").put(channel);
        out.put("\",\"instId\":\"").put(&it.row.native).put("\"},\"data\":[");
    }

    fn rows<'p>(
        &self,
        it: &Update<'_>,
        action: &str,
        prints: impl Iterator<Item = &'p Print>,
        out: &mut Vec<u8>,
    ) {
        self.head(it, action, "trade", out);
        for (i, print) in prints.enumerate() {
            out.put(if 0 < i { ",{\"ts\":\"" } else { "{\"ts\":\"" }).int(print.time);
            out.put("\",\"price\":\"").fixed(print.price, it.row.price_places);
            out.put("\",\"size\":\"").fixed(print.size, it.row.size_places);
            out.put(if print.buy { "\",\"side\":\"buy" } else { "\",\"side\":\"sell" });
            let id = TRADE_ID + it.row.index as u64 * TRADE_IDS + print.id;
            out.put("\",\"tradeId\":\"").int(id).put("\"}");
        }
        out.put("],\"ts\":").int(it.now).put("}");
    }
}

fn parts(arg: &Value) -> Result<(&str, &str, &str), Complaint> {
    match ["instType", "channel", "instId"].map(|it| arg[it].as_str()) {
        [Some(product), Some(channel), Some(native)] => Ok((product, channel, native)),
        _ => Err((30016, "Param error".to_owned())),
    }
}

fn key(arg: &Value) -> Result<String, Complaint> {
    parts(arg).map(|(product, channel, native)| format!("{product}:{channel}:{native}"))
}

/// A side of one level, or of none.
fn level(out: &mut Vec<u8>, it: &Update<'_>, price: u64, size: u64) {
    if price != 0 {
        out.put("[\"").fixed(price, it.row.price_places);
        out.put("\",\"").fixed(size, it.row.size_places).put("\"]");
    }
}
