//! OKX v5, spot and swaps.
//! <https://www.okx.com/docs-v5/en/>

mod rest;

use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    dialect::{Desk, Dialect, Opened, Rules, Session, Update},
    digits,
    frame::Load,
    http::{Request, Response},
    listing::{self, Kind, Trap},
    prices::{Book, Print, mix},
    world::Served,
};
use crate::market::{Channel, Market};

pub(super) const DIALECT: Dialect = Dialect {
    rules,
    native: |market, base, quote| match market {
        Market::Spot => format!("{base}-{quote}"),
        Market::Perp => format!("{base}-{quote}-SWAP"),
    },
    traps,
    price_places_max: 12,
    thousands: |_| false,
    usdc: |_| true,
    contract: |market, kind, price| match (market, kind) {
        (Market::Spot, _) => None,
        (_, Kind::Inverse) => Some(if 10_000.0 < price { 100.0 } else { 10.0 }),
        _ => Some(listing::round_contract(price)),
    },
    posts: &[],
    rest: rest::answer,
    open,
    refusal: |status| match status {
        429 => rest::error("50011", "Too Many Requests"),
        451 => rest::error("50051", "Service not available in your region"),
        _ => rest::error("50001", "Service temporarily unavailable. Try again later"),
    },
};

fn rules(_: Market) -> Rules {
    Rules {
        idle_max: Some(Duration::from_secs(30)),
        unsubscribed_max: Some(Duration::from_secs(30)),
        connects: (3, Duration::from_secs(1)),
        snapshot: true,
        repeat_after: Some(Duration::from_mins(1)),
        cut: Some((4004, "no data received in 30s")),
        ..Rules::NONE
    }
}

fn traps(market: Market) -> Vec<Trap> {
    let trap = |native, base, quote, kind, price| Trap { native, base, quote, kind, price };
    match market {
        Market::Spot => vec![
            trap("LUNA-USDT", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("ETH-BTC", "ETH", "BTC", Kind::Regular, 0.0339),
            trap("BTC-USD", "BTC", "USD", Kind::Regular, 91_250.0),
            trap("BTC-EUR", "BTC", "EUR", Kind::Regular, 78_800.0),
            trap("SOON-USDT", "SOON", "USDT", Kind::Pending, 1.3),
        ],
        Market::Perp => vec![
            trap("BTC-USD-SWAP", "BTC", "USD", Kind::Inverse, 91_250.0),
            trap("OPENAI-USDT-SWAP", "OPENAI", "USDT", Kind::PreMarket, 721.0),
            trap("LUNA-USDT-SWAP", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("ETH-USD-SWAP", "ETH", "USD", Kind::Inverse, 3_098.0),
            trap("SOON-USDT-SWAP", "SOON", "USDT", Kind::Pending, 1.3),
        ],
    }
}

/// Requests of a connection in an hour, and the hour.
const REQUESTS_MAX: u32 = 480;
const HOUR: Duration = Duration::from_hours(1);
const ARGS_BYTES_MAX: usize = 64 * 1024;
const ID_MAX: usize = 32;

struct Okx {
    conn_id: String,
    /// Requests since the hour began.
    requests: u32,
    hour: Instant,
}

fn open(_: &Served, request: &Request, client: u64) -> Opened {
    if request.path != "/ws/v5/public" {
        return Err(Response::json(404, rest::error("50001", "no such path")));
    }
    let conn_id = format!("{:08x}", mix(client) >> 32);
    Ok(Box::new(Okx { conn_id, requests: 0, hour: Instant::now() }))
}

/// A complaint: code and message.
type Complaint = (&'static str, String);

impl Session for Okx {
    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        if text == "ping" {
            *desk.pinged = true;
            return desk.reply("pong");
        }
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        let id = request["id"].as_str();
        if let Err(complaint) = self.act(text, &request, desk) {
            if complaint.0 == "60014" {
                *desk.close = Some(Some((1008, "too many requests")));
            }
            desk.reply(self.error(id, complaint));
        }
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        out.extend_from_slice(b"{\"arg\":{\"channel\":\"bbo-tbt\",\"instId\":\"");
        out.extend_from_slice(it.row.native.as_bytes());
        out.extend_from_slice(b"\"},\"data\":[{\"asks\":[");
        level(out, it, book.ask, book.ask_size);
        out.extend_from_slice(b"],\"bids\":[");
        level(out, it, book.bid, book.bid_size);
        out.extend_from_slice(b"],\"ts\":\"");
        digits::integer(out, it.now);
        out.extend_from_slice(b"\",\"seqId\":");
        digits::integer(out, book.update);
        out.extend_from_slice(b"}]}");
        Load::QUOTE
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], rng: &mut Rng, out: &mut Vec<u8>) -> Load {
        let native = it.row.native.as_bytes();
        out.extend_from_slice(b"{\"arg\":{\"channel\":\"trades\",\"instId\":\"");
        out.extend_from_slice(native);
        out.extend_from_slice(b"\"},\"data\":[");
        for (i, print) in prints.iter().enumerate() {
            out.extend_from_slice(if 0 < i { b",{\"instId\":\"" } else { b"{\"instId\":\"" });
            out.extend_from_slice(native);
            out.extend_from_slice(b"\",\"tradeId\":\"");
            digits::integer(out, print.id);
            out.extend_from_slice(b"\",\"px\":\"");
            digits::trimmed(out, print.price, it.row.price_places);
            out.extend_from_slice(b"\",\"sz\":\"");
            digits::trimmed(out, print.size, it.row.size_places);
            let side: &[u8] = if print.buy { b"\",\"side\":\"buy" } else { b"\",\"side\":\"sell" };
            out.extend_from_slice(side);
            out.extend_from_slice(b"\",\"ts\":\"");
            digits::integer(out, print.time);
            out.extend_from_slice(b"\",\"count\":\"");
            digits::integer(out, print.fills);
            // One in a few comes from a maker of the retail programme.
            let source: &[u8] =
                if rng.u8(..16) == 0 { b"\",\"source\":\"1" } else { b"\",\"source\":\"0" };
            out.extend_from_slice(source);
            out.extend_from_slice(b"\",\"seqId\":");
            digits::integer(out, print.update);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
        Load::trades(prints.len())
    }
}

impl Okx {
    fn act(&mut self, text: &str, request: &Value, desk: &mut Desk<'_>) -> Result<(), Complaint> {
        let illegal = || ("60012", format!("Illegal request: {text}"));
        let op = request["op"].as_str().filter(|it| ["subscribe", "unsubscribe"].contains(it));
        let (Some(op), Some(args)) = (op, request["args"].as_array()) else {
            return Err(illegal());
        };
        if !accepts_id(&request["id"]) {
            return Err(("60033", "Parameter id error".to_owned()));
        }
        if desk.limits {
            self.count(desk.now)?;
            if ARGS_BYTES_MAX < text.len() {
                return Err(("60013", "Invalid args".to_owned()));
            }
        }
        for arg in args {
            let answer = match op {
                "subscribe" => subscribe(arg, desk),
                _ => unsubscribe(arg, desk),
            };
            match answer {
                Ok(()) => desk.reply(self.ack(request["id"].as_str(), op, arg)),
                Err(None) => return Err(illegal()),
                Err(Some(complaint)) => {
                    desk.reply(self.error(request["id"].as_str(), complaint));
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, now: Instant) -> Result<(), Complaint> {
        if HOUR <= now - self.hour {
            (self.hour, self.requests) = (now, 0);
        }
        self.requests += 1;
        if REQUESTS_MAX < self.requests {
            return Err(("60014", "Requests too frequent".to_owned()));
        }
        Ok(())
    }

    fn ack(&self, id: Option<&str>, op: &str, arg: &Value) -> String {
        let mut it = json!({"event": op, "arg": arg, "connId": self.conn_id});
        if let Some(id) = id {
            it["id"] = id.into();
        }
        it.to_string()
    }

    fn error(&self, id: Option<&str>, (code, message): Complaint) -> String {
        let mut it =
            json!({"event": "error", "code": code, "msg": message, "connId": self.conn_id});
        if let Some(id) = id {
            it["id"] = id.into();
        }
        it.to_string()
    }
}

fn accepts_id(id: &Value) -> bool {
    let plain = |it: &str| it.len() <= ID_MAX && it.bytes().all(|it| it.is_ascii_alphanumeric());
    id.is_null() || id.as_str().is_some_and(plain)
}

/// `None` for an argument that is none.
fn subscribe(arg: &Value, desk: &mut Desk<'_>) -> Result<(), Option<Complaint>> {
    let channel = arg["channel"].as_str().ok_or(None)?;
    if channel == "instruments" && arg["instType"].is_string() {
        desk.topics.add_silent("instruments");
        return Ok(());
    }
    let native = arg["instId"].as_str().ok_or(None)?;
    let delivers = match channel {
        "bbo-tbt" => Some(Channel::Quotes),
        "trades" => Some(Channel::Trades),
        "tickers" | "books" | "books5" => None,
        _ => return Err(Some(missing(channel, native))),
    };
    let served = desk.served;
    let row = served.row(native).filter(|it| it.listed() && !served.refuses(it));
    let row = row.ok_or_else(|| Some(missing(channel, native)))?;
    match delivers.filter(|_| row.moves()) {
        Some(it) => desk.topics.add(&key(channel, native), row.index, it, 0, 3),
        None => desk.topics.add_silent(&key(channel, native)),
    }
    Ok(())
}

fn unsubscribe(arg: &Value, desk: &mut Desk<'_>) -> Result<(), Option<Complaint>> {
    let channel = arg["channel"].as_str().ok_or(None)?;
    desk.topics.remove(&key(channel, arg["instId"].as_str().unwrap_or_default()));
    Ok(())
}

fn key(channel: &str, native: &str) -> String {
    format!("{channel}:{native}")
}

fn missing(channel: &str, native: &str) -> Complaint {
    let message = "Subscribe failed, wrong URL or";
    ("60018", format!("{message} channel:{channel},instId:{native} doesn't exist."))
}

/// A side of one level, or of none.
fn level(out: &mut Vec<u8>, it: &Update<'_>, price: u64, size: u64) {
    if price == 0 {
        return;
    }
    out.extend_from_slice(b"[\"");
    digits::trimmed(out, price, it.row.price_places);
    out.extend_from_slice(b"\",\"");
    digits::trimmed(out, size, it.row.size_places);
    out.extend_from_slice(b"\",\"0\",\"");
    digits::integer(out, 1 + size % 23);
    out.extend_from_slice(b"\"]");
}
