//! Gate.io v4, spot and USDT futures.
//! <https://www.gate.com/docs/developers/apiv4/ws/en/>

mod rest;

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    dialect::{Desk, Dialect, Echo, Opened, Proof, Rules, Session, Update},
    digits::Pen,
    frame::Load,
    http::{Request, Response},
    listing::{self, Kind, Trap},
    prices::{self, Book, Print, mix},
    world::Served,
};
use crate::market::{Channel, Market};

pub(super) const DIALECT: Dialect = Dialect {
    rules,
    native: |_, base, quote| format!("{base}_{quote}"),
    traps,
    price_places_max: 10,
    thousands: |_| false,
    // One address of the futures is one currency.
    usdc: |market| market == Market::Spot,
    contract: |market, _, price| match market {
        Market::Spot => None,
        Market::Perp => Some(listing::small_contract(price)),
    },
    posts: &[],
    rest: rest::answer,
    open,
    refusal: |status| match status {
        429 => rest::error("TOO_MANY_REQUESTS", "Request Rate limit Exceeded"),
        403 | 451 => rest::error("FORBIDDEN", "access from your region is restricted"),
        404 => rest::error("NOT_FOUND", "no such path"),
        400 => rest::error("INVALID_PROTOCOL", "bad request"),
        _ => rest::error("SERVER_ERROR", "internal server error"),
    },
};

fn rules(market: Market) -> Rules {
    Rules {
        idle_max: Some(Duration::from_mins(1)),
        unsubscribed_max: Some(Duration::from_secs(30)),
        proof: Proof::Anything,
        sockets_max: 300,
        echo: Echo::Renumbered,
        prints_max: if market == Market::Spot { 1 } else { 3 },
        ..Rules::NONE
    }
}

fn traps(market: Market) -> Vec<Trap> {
    let trap = |native, base, quote, kind, price| Trap { native, base, quote, kind, price };
    match market {
        Market::Spot => vec![
            trap("OLD_USDT", "OLD", "USDT", Kind::Halted, 0.0012),
            trap("ETH_BTC", "ETH", "BTC", Kind::Regular, 0.0339),
            // Listed as tradable, and unknown to the socket.
            trap("AMPL_USDT", "AMPL", "USDT", Kind::Barred, 1.17),
            trap("BTC3L_USDT", "BTC3L", "USDT", Kind::Regular, 0.0214),
            trap("SOON_USDT", "SOON", "USDT", Kind::PreMarket, 1.3),
        ],
        Market::Perp => vec![
            trap("OLD_USDT", "OLD", "USDT", Kind::Halted, 0.0012),
            trap("TSLAX_USDT", "TSLAX", "USDT", Kind::Stock, 412.0),
            trap("LUNA_USDT", "LUNA", "USDT", Kind::Barred, 0.61),
            trap("SOON_USDT", "SOON", "USDT", Kind::Pending, 1.3),
            trap("OPENAI_USDT", "OPENAI", "USDT", Kind::PreMarket, 721.0),
        ],
    }
}

/// How far the time of a request may be off, in seconds.
const TIME_OFF_MAX: u64 = 60;
/// One trade of the futures in so many is a liquidation taken over.
const INTERNAL_EVERY: u8 = 24;
/// One state of the book of a thin instrument in so many is that there is none.
const NO_BOOK_EVERY: u64 = 40;

struct Gateio {
    market: Market,
    /// Sizes of the futures are decimal strings.
    decimal: bool,
    conn_id: String,
    /// Answers given, of which each has a trace.
    answers: u64,
}

fn open(served: &Served, request: &Request, client: u64) -> Opened {
    let market = served.venue.market;
    let path = match market {
        Market::Spot => "/ws/v4/",
        Market::Perp => "/v4/ws/usdt",
    };
    if request.path != path {
        return Err(Response::json(404, (DIALECT.refusal)(404)));
    }
    let decimal = request.header("x-gate-size-decimal") == Some("1");
    Ok(Box::new(Gateio { market, decimal, conn_id: hex(client), answers: mix(client) }))
}

fn hex(n: u64) -> String {
    format!("{:016x}", mix(n))
}

/// A complaint: code and message.
type Complaint = (u32, String);

impl Session for Gateio {
    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return desk.reply(self.answer(&Value::Null, Err((1, "invalid json".to_owned()))));
        };
        if request["channel"] == format!("{}.ping", self.prefix()) {
            *desk.pinged = true;
            return desk.reply(self.pong());
        }
        let outcome = self.act(&request, desk);
        desk.reply(self.answer(&request, outcome));
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        self.head(it, "book_ticker", out);
        let none = it.row.thin && book.update.is_multiple_of(NO_BOOK_EVERY);
        let (time, update) = if none { (0, 0) } else { (book.time, book.update) };
        out.put("{\"t\":").int(time).put(",\"u\":").int(update);
        out.put(",\"s\":\"").put(&it.row.native);
        let sides = [("b", "B", book.bid, book.bid_size), ("a", "A", book.ask, book.ask_size)];
        for (i, (price_key, size_key, price, size)) in sides.into_iter().enumerate() {
            let (price, size) = if none { (0, 0) } else { (price, size) };
            out.put(if i == 0 { "\",\"" } else { ",\"" }).put(price_key).put("\":\"");
            if price != 0 {
                out.trimmed(price, it.row.price_places);
            }
            out.put("\",\"").put(size_key).put("\":");
            self.size(out, it, size);
        }
        out.put("}}");
        if none { Load::NO_QUOTE } else { Load::QUOTE }
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], rng: &mut Rng, out: &mut Vec<u8>) -> Load {
        match self.market {
            Market::Spot => {
                let [print] = prints else { return Load::default() };
                self.spot_trade(it, print, rng, out);
                Load::trades(1)
            }
            Market::Perp => self.futures_trades(it, prints, rng, out),
        }
    }

    fn notice(&self, now: u64) -> Option<String> {
        let result = json!({"type": "upgrade", "msg": "reconnect please"});
        let channel = format!("{}.system", self.prefix());
        let it =
            json!({"time": now / 1000, "channel": channel, "event": "update", "result": result});
        Some(it.to_string())
    }
}

impl Gateio {
    fn prefix(&self) -> &'static str {
        match self.market {
            Market::Spot => "spot",
            Market::Perp => "futures",
        }
    }

    fn act(&self, request: &Value, desk: &mut Desk<'_>) -> Result<(), Complaint> {
        let malformed = |what: &str| (1, format!("invalid request: {what}"));
        let id = &request["id"];
        if !id.is_null() && id.as_i64().is_none_or(|it| i32::try_from(it).is_err()) {
            return Err(malformed("id"));
        }
        let time = request["time"].as_u64().ok_or_else(|| malformed("time"))?;
        if TIME_OFF_MAX < time.abs_diff(prices::now() / 1000) {
            return Err(malformed("time is not within 60 seconds of the server's"));
        }
        let channel = request["channel"].as_str().ok_or_else(|| malformed("channel"))?;
        let payload: Option<Vec<&str>> =
            request["payload"].as_array().and_then(|it| it.iter().map(Value::as_str).collect());
        let payload = payload.filter(|it| !it.is_empty()).ok_or_else(|| malformed("payload"))?;
        match request["event"].as_str() {
            Some("subscribe") => self.subscribe(channel, &payload, desk),
            Some("unsubscribe") => {
                for it in payload {
                    desk.topics.remove(&key(channel, it));
                }
                Ok(())
            }
            _ => Err(malformed("event")),
        }
    }

    /// All of a payload or nothing.
    fn subscribe(
        &self,
        channel: &str,
        payload: &[&str],
        desk: &mut Desk<'_>,
    ) -> Result<(), Complaint> {
        let unknown = || (2, format!("unknown channel {channel}"));
        let (prefix, kind) = channel.split_once('.').ok_or_else(unknown)?;
        let delivers = match kind {
            _ if prefix != self.prefix() => return Err(unknown()),
            "book_ticker" => Some(Channel::Quotes),
            "trades" => Some(Channel::Trades),
            "tickers" => None,
            // What follows the name says how it is wanted.
            "order_book" | "order_book_update" => {
                desk.topics.add_silent(&key(channel, self.find(payload[0], desk.served)?.1));
                return Ok(());
            }
            // It is not looked at.
            "obu" => {
                for it in payload {
                    desk.topics.add_silent(&key(channel, it));
                }
                return Ok(());
            }
            _ => return Err(unknown()),
        };
        let rows: Result<Vec<_>, _> = payload.iter().map(|it| self.find(it, desk.served)).collect();
        for (row, name) in rows? {
            match delivers.filter(|_| desk.served.rows[row].moves()) {
                Some(it) => desk.topics.add(&key(channel, name), row, it, 0, 1),
                None => desk.topics.add_silent(&key(channel, name)),
            }
        }
        Ok(())
    }

    /// The instrument of a name. Those of the futures that are not ASCII are listed, and that is
    /// all.
    fn find<'n>(&self, name: &'n str, served: &Served) -> Result<(usize, &'n str), Complaint> {
        let known = self.market == Market::Spot || name.is_ascii();
        let row = served.row(name).filter(|it| it.listed() && !served.refuses(it));
        match row.filter(|it| known && it.kind != Kind::Barred) {
            Some(row) => Ok((row.index, name)),
            None => Err(match self.market {
                Market::Spot => (2, format!("unknown currency pair: {name}")),
                Market::Perp => (2, format!("unknown contract {name}")),
            }),
        }
    }

    fn stamped(&mut self) -> Value {
        self.answers = mix(self.answers.wrapping_add(1));
        let now = prices::now();
        json!({
            "time": now / 1000, "time_ms": now, "conn_id": self.conn_id,
            "trace_id": format!("{}{}", hex(self.answers), hex(!self.answers)),
        })
    }

    fn pong(&mut self) -> String {
        let mut it = self.stamped();
        it["channel"] = format!("{}.pong", self.prefix()).into();
        it["event"] = "".into();
        it["result"] = Value::Null;
        it.to_string()
    }

    fn answer(&mut self, request: &Value, outcome: Result<(), Complaint>) -> String {
        let mut it = self.stamped();
        it["requestId"] = it["trace_id"].clone();
        for key in ["id", "channel", "event", "payload"] {
            if !request[key].is_null() {
                it[key] = request[key].clone();
            }
        }
        let status = match outcome {
            Ok(()) => "success",
            Err((code, message)) => {
                it["error"] = json!({"code": code, "message": message});
                "fail"
            }
        };
        it["result"] = json!({"status": status});
        it.to_string()
    }

    /// All before the result.
    fn head(&self, it: &Update<'_>, kind: &str, out: &mut Vec<u8>) {
        out.put("{\"time\":").int(it.now / 1000).put(",\"time_ms\":").int(it.now);
        out.put(",\"channel\":\"").put(self.prefix()).put(".").put(kind);
        out.put("\",\"event\":\"update\",\"result\":");
    }

    /// A size as this connection wants it. Whole numbers are what is left of others.
    fn size(&self, out: &mut Vec<u8>, it: &Update<'_>, size: u64) {
        if self.market == Market::Spot || self.decimal {
            out.put("\"").trimmed(size, it.row.size_places).put("\"");
        } else {
            out.int(size / 10_u64.pow(it.row.size_places));
        }
    }

    fn spot_trade(&self, it: &Update<'_>, print: &Print, rng: &mut Rng, out: &mut Vec<u8>) {
        self.head(it, "trades", out);
        out.put("{\"id\":").int(print.id).put(",\"id_market\":").int(print.aggregate);
        out.put(",\"create_time\":").int(print.time / 1000);
        out.put(",\"create_time_ms\":\"").int(print.time).put(".");
        out.int(rng.u64(1000..10_000));
        out.put(if print.buy { "\",\"side\":\"buy" } else { "\",\"side\":\"sell" });
        out.put("\",\"currency_pair\":\"").put(&it.row.native);
        out.put("\",\"amount\":\"").trimmed(print.size, it.row.size_places);
        out.put("\",\"price\":\"").trimmed(print.price, it.row.price_places);
        out.put("\",\"range\":\"").int(print.id).put("-").int(print.id);
        // It came with the books that share their orders.
        out.put(if it.row.index % 2 == 1 { "\",\"trade_mode\":0}}" } else { "\"}}" });
    }

    fn futures_trades(
        &self,
        it: &Update<'_>,
        prints: &[Print],
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) -> Load {
        self.head(it, "trades", out);
        for (i, print) in prints.iter().enumerate() {
            out.put(if i == 0 { "[{\"size\":" } else { ",{\"size\":" });
            let start = out.len();
            self.size(out, it, print.size);
            if !print.buy && out[start..] != *b"0" {
                out.insert(if self.decimal { start + 1 } else { start }, b'-');
            }
            out.put(",\"id\":").int(print.id).put(",\"create_time\":").int(print.time / 1000);
            out.put(",\"create_time_ms\":").int(print.time);
            out.put(",\"price\":\"").trimmed(print.price, it.row.price_places);
            out.put("\",\"contract\":\"").put(&it.row.native);
            let internal = rng.u8(..INTERNAL_EVERY) == 0;
            out.put(if internal { "\",\"is_internal\":true}" } else { "\"}" });
        }
        out.put("]}");
        Load::trades(prints.len())
    }
}

fn key(channel: &str, native: &str) -> String {
    format!("{channel}:{native}")
}
