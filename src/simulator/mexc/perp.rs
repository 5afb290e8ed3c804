//! The contract socket: JSON both ways, one symbol a request.
//! <https://www.mexc.com/api-docs/futures/websocket-api>

use fastrand::Rng;
use serde_json::{Value, json};

use crate::{
    market::Channel,
    simulator::{
        dialect::{Desk, Opened, Session, Update},
        digits::Pen,
        frame::Load,
        http::{Request, Response},
        prices::{self, Book, Print, mix},
    },
};

/// Levels of a side that are told, of the five or more asked for.
const LEVELS: u64 = 3;

struct Perp;

pub(super) fn open(request: &Request) -> Opened {
    match request.path.as_str() {
        "/edge" => Ok(Box::new(Perp)),
        _ => Err(Response::json(404, super::rest::refusal(404))),
    }
}

impl Session for Perp {
    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        let now = prices::now();
        // Whatever else it is is not answered.
        let Some(method) = request["method"].as_str() else { return };
        if method == "ping" {
            *desk.pinged = true;
            return desk.reply(json!({"channel": "pong", "data": now, "ts": now}).to_string());
        }
        let Some((verb, stream)) = method.split_once('.') else { return };
        let outcome = match (verb, stream) {
            (_, "tickers") => Ok(()),
            ("sub", "depth.full" | "deal" | "depth" | "ticker") => {
                subscribe(stream, &request["param"], desk)
            }
            ("unsub" | "usub", "depth.full" | "deal" | "depth" | "ticker") => {
                let symbol = request["param"]["symbol"].as_str().unwrap_or_default();
                desk.topics.remove(&key(stream, symbol));
                Ok(())
            }
            _ => return,
        };
        let reply = match outcome {
            Ok(()) => json!({"channel": format!("rs.{method}"), "data": "success", "ts": now}),
            Err(problem) => json!({"channel": "rs.error", "data": problem, "ts": now}),
        };
        desk.reply(reply.to_string());
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        out.put("{\"symbol\":\"").put(&it.row.native);
        out.put("\",\"data\":{\"cts\":").int(book.time).put(",\"asks\":[");
        levels(it, book, book.ask, book.ask_size, out);
        out.put("],\"bids\":[");
        levels(it, book, book.bid, book.bid_size, out);
        out.put("],\"version\":").int(book.update);
        out.put("},\"channel\":\"push.depth.full\",\"ts\":").int(it.now).put("}");
        Load::QUOTE
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], rng: &mut Rng, out: &mut Vec<u8>) -> Load {
        out.put("{\"symbol\":\"").put(&it.row.native).put("\",\"data\":[");
        for (i, print) in prints.iter().enumerate() {
            out.put(if 0 < i { ",{\"p\":" } else { "{\"p\":" });
            out.fixed(print.price, it.row.price_places).put(",\"v\":");
            contracts(it, print.size, out);
            out.put(if print.buy { ",\"T\":1" } else { ",\"T\":2" });
            out.put(",\"O\":").int(rng.u64(1..4)).put(",\"M\":2,\"t\":").int(print.time);
            if it.row.index % 4 != 3 {
                out.put(",\"i\":\"").int(print.id).put("\"");
            }
            out.put("}");
        }
        out.put("],\"channel\":\"push.deal\",\"ts\":").int(it.now).put("}");
        Load::trades(prints.len())
    }
}

fn subscribe(stream: &str, param: &Value, desk: &mut Desk<'_>) -> Result<(), String> {
    let symbol = param["symbol"].as_str().unwrap_or_default();
    let served = desk.served;
    let row = served.row(symbol).filter(|it| it.listed() && !served.refuses(it));
    let row = row.ok_or_else(|| format!("Contract [{symbol}] not exists"))?;
    let delivers = match stream {
        "depth.full" => {
            let limit = param["limit"].as_u64().unwrap_or(20);
            if ![5, 10, 20, 50].contains(&limit) {
                return Err(format!("limit [{limit}] is invalid"));
            }
            Some(Channel::Quotes)
        }
        "deal" => Some(Channel::Trades),
        _ => None,
    };
    match delivers.filter(|_| row.moves()) {
        Some(channel) => desk.topics.add(&key(stream, symbol), row.index, channel, 0, 1),
        None => desk.topics.add_silent(&key(stream, symbol)),
    }
    Ok(())
}

fn key(stream: &str, symbol: &str) -> String {
    format!("{stream}:{symbol}")
}

/// The levels of one side, best first: price, contracts, orders.
fn levels(it: &Update<'_>, book: &Book, best: u64, size: u64, out: &mut Vec<u8>) {
    let is_bid = best == book.bid;
    let count = if best == 0 { 0 } else { LEVELS };
    for step in 0..count {
        let price = if is_bid { best.saturating_sub(step) } else { best + step };
        if price == 0 {
            return;
        }
        out.put(if step == 0 { "[" } else { ",[" }).fixed(price, it.row.price_places).put(",");
        contracts(it, if step == 0 { size } else { 1 + mix(price) % 5000 }, out);
        out.put(",").int(1 + (size + step) % 23).put("]");
    }
}

/// A number of contracts, spelled like one of Java's decimals without trailing zeros by every
/// second instrument: `7.548E+4`.
fn contracts(it: &Update<'_>, size: u64, out: &mut Vec<u8>) {
    let plain = it.row.index.is_multiple_of(2) || !size.is_multiple_of(10) || size == 0;
    if plain {
        out.trimmed(size, it.row.size_places);
        return;
    }
    let exponent = size.ilog10();
    let mut mantissa = size;
    let mut places = exponent;
    while mantissa.is_multiple_of(10) {
        mantissa /= 10;
        places -= 1;
    }
    out.fixed(mantissa, places).put("E+").int(exponent.into());
}
