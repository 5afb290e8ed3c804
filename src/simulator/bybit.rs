//! Bybit v5, spot and linear contracts.
//! <https://bybit-exchange.github.io/docs/v5/ws/connect>

mod rest;

use std::{collections::HashSet, time::Duration};

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    dialect::{Desk, Dialect, Opened, Rules, Session, Update},
    digits,
    frame::Load,
    http::{Request, Response},
    listing::{Kind, Trap},
    prices::{Book, Print, mix},
    world::Served,
};
use crate::market::{Channel, Market};

pub(super) const DIALECT: Dialect = Dialect {
    rules,
    native,
    traps,
    price_places_max: 10,
    thousands: |market| market == Market::Perp,
    usdc: |_| true,
    contract: |_, _, _| None,
    posts: &[],
    rest: rest::answer,
    open,
    refusal: |status| match status {
        403 => r#"{"retCode":403,"retMsg":"access too frequent"}"#.to_owned(),
        429 => rest::error(10006, "Too many visits!"),
        451 => rest::error(10009, "IP from this region is restricted"),
        _ => rest::error(10016, "Server error"),
    },
};

fn rules(_: Market) -> Rules {
    Rules {
        idle_max: Some(Duration::from_mins(10)),
        connects: (500, Duration::from_mins(5)),
        connects_status: 403,
        snapshot: true,
        late_acks: true,
        repeat_after: Some(Duration::from_secs(3)),
        one_sided: true,
        prints_max: 5,
        cut: Some((1000, "idle")),
        ..Rules::NONE
    }
}

/// Contracts paid in USDC are named after their base alone.
fn native(market: Market, base: &str, quote: &str) -> String {
    match (market, quote) {
        (Market::Perp, "USDC") => format!("{base}PERP"),
        _ => format!("{base}{quote}"),
    }
}

fn traps(market: Market) -> Vec<Trap> {
    let trap = |native, base, quote, kind, price| Trap { native, base, quote, kind, price };
    match market {
        Market::Spot => vec![
            trap("TSLAXUSDT", "TSLAX", "USDT", Kind::Stock, 412.0),
            trap("ETHBTC", "ETH", "BTC", Kind::Regular, 0.0339),
            trap("BTCEUR", "BTC", "EUR", Kind::Regular, 78_800.0),
            trap("BTCUSDE", "BTC", "USDE", Kind::Regular, 91_240.0),
            trap("SOLBTC", "SOL", "BTC", Kind::Regular, 0.00167),
        ],
        Market::Perp => vec![
            trap("BTCUSDT-25DEC26", "BTC", "USDT", Kind::Dated, 91_900.0),
            trap("TSLAUSDT", "TSLA", "USDT", Kind::Stock, 412.0),
            trap("BTC-25DEC26", "BTC", "USDC", Kind::Dated, 91_900.0),
            trap("ETHUSDT-25DEC26", "ETH", "USDT", Kind::Dated, 3_121.0),
            trap("XAUUSDT", "XAU", "USDT", Kind::Stock, 4_071.0),
        ],
    }
}

/// Characters of topic names a connection may ask for.
const ARGS_MAX: usize = 21_000;
/// Topics a request may name, on spot.
const SPOT_ARGS_MAX: usize = 10;
/// Trade ids of spot are decimal; those of different instruments differ.
const SPOT_TRADE_ID: u64 = 2_290_000_000_000_000_000;

struct Bybit {
    market: Market,
    conn_id: String,
    /// Characters of topic names asked for so far.
    args: usize,
}

fn open(served: &Served, request: &Request, client: u64) -> Opened {
    let market = served.venue.market;
    let path = match market {
        Market::Spot => "/v5/public/spot",
        Market::Perp => "/v5/public/linear",
    };
    if request.path != path {
        return Err(Response::json(404, ""));
    }
    let id = mix(client);
    let mut conn_id = Vec::new();
    match market {
        Market::Spot => digits::uuid(&mut conn_id, id, mix(id)),
        Market::Perp => digits::hex(&mut conn_id, id),
    }
    let conn_id = String::from_utf8(conn_id).unwrap_or_default();
    Ok(Box::new(Bybit { market, conn_id, args: 0 }))
}

enum Topic {
    Live { row: usize, channel: Channel },
    Silent,
}

impl Session for Bybit {
    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return desk.reply(self.answer(false, "error:invalid json", &Value::Null, ""));
        };
        let id = &request["req_id"];
        let op = request["op"].as_str().unwrap_or_default();
        let spot = self.market == Market::Spot;
        let answer = match op {
            "ping" => {
                *desk.pinged = true;
                Ok("pong")
            }
            "subscribe" => {
                self.subscribe(&request["args"], desk).map(|()| if spot { "subscribe" } else { "" })
            }
            "unsubscribe" => {
                unsubscribe(&request["args"], desk).map(|()| if spot { "unsubscribe" } else { "" })
            }
            _ => Err(format!("error:unknown op,op:{op}")),
        };
        desk.reply(match answer {
            Ok(message) => self.answer(true, message, id, op),
            Err(problem) => self.answer(false, &problem, id, op),
        });
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        let change = it.last.filter(|_| it.row.index % 2 == 1).and_then(|it| change(it, book));
        out.extend_from_slice(b"{\"topic\":\"");
        out.extend_from_slice(it.topic.name.as_bytes());
        out.extend_from_slice(b"\",\"ts\":");
        digits::integer(out, it.now);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(if change.is_some() { b"delta" } else { b"snapshot" });
        out.extend_from_slice(b"\",\"data\":{\"s\":\"");
        out.extend_from_slice(it.row.native.as_bytes());
        out.extend_from_slice(b"\",\"b\":[");
        if change != Some(Side::Ask) {
            let gone = it.last.filter(|_| change.is_some()).map(|it| it.bid);
            level(out, it, gone, book.bid, book.bid_size);
        }
        out.extend_from_slice(b"],\"a\":[");
        if change != Some(Side::Bid) {
            let gone = it.last.filter(|_| change.is_some()).map(|it| it.ask);
            level(out, it, gone, book.ask, book.ask_size);
        }
        out.extend_from_slice(b"],\"u\":");
        digits::integer(out, book.update);
        out.extend_from_slice(b",\"seq\":");
        digits::integer(out, sequence(book.update));
        out.extend_from_slice(b"},\"cts\":");
        digits::integer(out, book.time);
        out.push(b'}');
        Load::QUOTE
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], _: &mut Rng, out: &mut Vec<u8>) -> Load {
        out.extend_from_slice(b"{\"topic\":\"");
        out.extend_from_slice(it.topic.name.as_bytes());
        out.extend_from_slice(b"\",\"type\":\"snapshot\",\"ts\":");
        digits::integer(out, it.now);
        out.extend_from_slice(b",\"data\":[");
        for (i, print) in prints.iter().enumerate() {
            if 0 < i {
                out.push(b',');
            }
            self.trade(out, it, print);
        }
        out.extend_from_slice(b"]}");
        Load::trades(prints.len())
    }
}

impl Bybit {
    fn answer(&self, success: bool, message: &str, id: &Value, op: &str) -> String {
        let mut it = json!({
            "success": success, "ret_msg": message, "conn_id": self.conn_id, "op": op,
        });
        if !id.is_null() {
            it["req_id"] = id.clone();
        }
        it.to_string()
    }

    /// All of a request or nothing.
    fn subscribe(&mut self, args: &Value, desk: &mut Desk<'_>) -> Result<(), String> {
        let names = names(args)?;
        if desk.limits && self.market == Market::Spot && SPOT_ARGS_MAX < names.len() {
            return Err(format!("args size >{SPOT_ARGS_MAX}"));
        }
        let args = self.args + names.iter().map(|it| it.len()).sum::<usize>();
        if desk.limits && ARGS_MAX < args {
            return Err(format!("error:args length >{ARGS_MAX}"));
        }
        let mut asked = HashSet::new();
        let mut found = vec![];
        for &name in &names {
            let unknown = || format!("error:handler not found,topic:{name}");
            found.push(find(desk.served, name).ok_or_else(unknown)?);
            if desk.topics.contains(name) || !asked.insert(name) {
                return Err(format!("error:already subscribed,topic:{name}"));
            }
        }
        self.args = args;
        for (name, topic) in names.into_iter().zip(found) {
            match topic {
                Topic::Live { row, channel } => desk.topics.add(name, row, channel, 0, 1),
                Topic::Silent => desk.topics.add_silent(name),
            }
        }
        Ok(())
    }

    fn trade(&self, out: &mut Vec<u8>, it: &Update<'_>, print: &Print) {
        out.extend_from_slice(b"{\"T\":");
        digits::integer(out, print.time);
        out.extend_from_slice(b",\"s\":\"");
        out.extend_from_slice(it.row.native.as_bytes());
        out.extend_from_slice(if print.buy { b"\",\"S\":\"Buy\"" } else { b"\",\"S\":\"Sell\"" });
        out.extend_from_slice(b",\"v\":\"");
        digits::fixed(out, print.size, it.row.size_places);
        out.extend_from_slice(b"\",\"p\":\"");
        digits::fixed(out, print.price, it.row.price_places);
        out.extend_from_slice(b"\",\"i\":\"");
        if self.market == Market::Spot {
            digits::integer(out, SPOT_TRADE_ID + ((it.row.index as u64 % 1000) << 50) + print.id);
        } else {
            let high = mix(print.id ^ ((it.row.index as u64) << 48));
            digits::uuid(out, high, mix(high));
            let tick: &[u8] =
                if print.buy { b"\",\"L\":\"PlusTick" } else { b"\",\"L\":\"ZeroMinusTick" };
            out.extend_from_slice(tick);
        }
        out.extend_from_slice(b"\",\"BT\":false,\"RPI\":false,\"seq\":");
        digits::integer(out, sequence(print.update));
        out.push(b'}');
    }
}

fn unsubscribe(args: &Value, desk: &mut Desk<'_>) -> Result<(), String> {
    for name in names(args)? {
        desk.topics.remove(name);
    }
    Ok(())
}

fn names(args: &Value) -> Result<Vec<&str>, String> {
    let all = args.as_array().filter(|it| !it.is_empty());
    let all = all.and_then(|it| it.iter().map(Value::as_str).collect());
    all.ok_or_else(|| "error:args invalid".to_owned())
}

/// What a name stands for; `None` when the venue has no such topic.
fn find(served: &Served, name: &str) -> Option<Topic> {
    let (kind, symbol) = name.rsplit_once('.')?;
    let row = served.row(symbol).filter(|it| it.listed() && !served.refuses(it))?;
    let channel = match kind {
        "orderbook.1" => Channel::Quotes,
        "publicTrade" => Channel::Trades,
        "orderbook.50" | "orderbook.200" | "orderbook.1000" | "tickers" => {
            return Some(Topic::Silent);
        }
        _ if kind.starts_with("kline.") => return Some(Topic::Silent),
        _ => return None,
    };
    Some(if row.moves() { Topic::Live { row: row.index, channel } } else { Topic::Silent })
}

/// The cross sequence grows faster than the update id.
fn sequence(update: u64) -> u64 {
    update * 3
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Bid,
    Ask,
}

/// The side that has changed; `None` when it has to be told as a whole.
fn change(last: &Book, book: &Book) -> Option<Side> {
    let there = ![last.bid, last.ask, book.bid, book.ask].contains(&0);
    let bid = (last.bid, last.bid_size) != (book.bid, book.bid_size);
    let ask = (last.ask, last.ask_size) != (book.ask, book.ask_size);
    match (bid, ask) {
        (true, false) if there => Some(Side::Bid),
        (false, true) if there => Some(Side::Ask),
        _ => None,
    }
}

/// The levels of one side: none, the new one, or the one that is gone and the new one.
fn level(out: &mut Vec<u8>, it: &Update<'_>, gone: Option<u64>, price: u64, size: u64) {
    if price == 0 {
        return;
    }
    out.extend_from_slice(b"[\"");
    if let Some(gone) = gone.filter(|it| *it != price) {
        digits::fixed(out, gone, it.row.price_places);
        out.extend_from_slice(b"\",\"0\"],[\"");
    }
    digits::fixed(out, price, it.row.price_places);
    out.extend_from_slice(b"\",\"");
    digits::fixed(out, size, it.row.size_places);
    out.extend_from_slice(b"\"]");
}
