//! Binance spot and USD-M futures.
//! <https://github.com/binance/binance-spot-api-docs>

mod events;
mod rest;

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    dialect::{Desk, Dialect, Opened, Rules, Session, Update},
    frame::Load,
    http::{Request, Response},
    listing::{Kind, Trap},
    prices::{Book, Print},
    world::Served,
};
use crate::market::{Channel, Market};

pub(super) const DIALECT: Dialect = Dialect {
    rules,
    native: |_, base, quote| format!("{base}{quote}"),
    traps,
    price_places_max: 8,
    thousands: |market| market == Market::Perp,
    usdc: |_| true,
    contract: |_, _, _| None,
    posts: &[],
    rest: rest::answer,
    open,
    refusal,
};

fn rules(market: Market) -> Rules {
    let (ping_every, pong_within, frames) = match market {
        Market::Spot => (20, 60, 5),
        Market::Perp => (180, 600, 10),
    };
    Rules {
        ping_every: Some(Duration::from_secs(ping_every)),
        pong_within: Duration::from_secs(pong_within),
        frames: Some((frames, Duration::from_secs(1))),
        connects: (300, Duration::from_mins(5)),
        cut: Some((1008, "Pong timeout")),
        excess: Some((1008, "Too many requests")),
        ..Rules::NONE
    }
}

fn traps(market: Market) -> Vec<Trap> {
    let trap = |native, base, quote, kind, price| Trap { native, base, quote, kind, price };
    match market {
        Market::Spot => vec![
            trap("LUNAUSDT", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("ETHBTC", "ETH", "BTC", Kind::Regular, 0.0339),
            trap("XMRUSDT", "XMR", "USDT", Kind::Barred, 331.0),
            trap("BTCEUR", "BTC", "EUR", Kind::Regular, 78_800.0),
            trap("FTTUSDT", "FTT", "USDT", Kind::Halted, 0.82),
        ],
        Market::Perp => vec![
            trap("BTCUSDT_261225", "BTC", "USDT", Kind::Dated, 91_900.0),
            trap("TSLAUSDT", "TSLA", "USDT", Kind::Stock, 412.0),
            trap("LUNAUSDT", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("ETHUSDT_261225", "ETH", "USDT", Kind::Dated, 3_121.0),
            trap("SOONUSDT", "SOON", "USDT", Kind::Pending, 1.3),
        ],
    }
}

fn refusal(status: u16) -> String {
    match status {
        451 => json!({"code": 0, "msg": "Service unavailable from a restricted location according \
            to 'b. Eligibility' in https://www.binance.com/en/terms. Please contact customer \
            service if you believe you received this message in error."}),
        418 => json!({"code": -1003, "msg": "Way too many requests; IP banned."}),
        429 => json!({"code": -1003, "msg": "Too many requests; current limit is 6000 request \
            weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling \
            the API."}),
        _ => {
            json!({"code": -1000, "msg": "An unknown error occurred while processing the request."})
        }
    }
    .to_string()
}

/// Which streams of the futures a path carries. The others are acknowledged and stay silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    All,
    Public,
    Market,
}

const TRADE: u8 = 0;
const AGG_TRADE: u8 = 1;

/// Streams of one connection.
const fn streams_max(market: Market) -> usize {
    match market {
        Market::Spot => 1024,
        Market::Perp => 200,
    }
}

struct Binance {
    market: Market,
    class: Class,
    /// Events are wrapped: `{"stream":…,"data":…}`.
    combined: bool,
    /// Event times are in microseconds.
    micros: bool,
    named: Vec<String>,
}

fn open(served: &Served, request: &Request, _client: u64) -> Opened {
    let market = served.venue.market;
    let (class, path) = match (market, request.path.as_str()) {
        (Market::Spot, path) => (Class::All, path),
        (Market::Perp, path) => {
            match (path.strip_prefix("/public"), path.strip_prefix("/market")) {
                (Some(path), _) => (Class::Public, path),
                (_, Some(path)) => (Class::Market, path),
                // The address of before the split delivers what /public does.
                _ => (Class::Public, path),
            }
        }
    };
    let (combined, named) = match path.trim_end_matches('/') {
        "/ws" => (false, ""),
        "/stream" => (true, request.parameter("streams").unwrap_or_default()),
        path => match path.strip_prefix("/ws/") {
            Some(named) => (false, named),
            None => return Err(Response::json(404, refusal(404))),
        },
    };
    let named: Vec<_> = named.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let unit = request.parameter("timeUnit").unwrap_or_default();
    let micros = market == Market::Spot && unit.eq_ignore_ascii_case("microsecond");
    if streams_max(market) < named.len() {
        return Err(Response::json(400, r#"{"code":4,"msg":"Too many subscriptions"}"#));
    }
    let mut session = Binance { market, class, combined, micros, named: Vec::new() };
    // A name that is none is taken and never heard of again: clients number their sockets that way.
    let known = |it: &String| !matches!(session.find(served, it), Stream::Invalid);
    session.named = named.into_iter().filter(known).collect();
    Ok(Box::new(session))
}

enum Stream {
    Live {
        row: usize,
        channel: Channel,
        style: u8,
    },
    /// Acknowledged, and that is all.
    Silent,
    Invalid,
}

impl Session for Binance {
    fn start(&mut self, desk: &mut Desk<'_>) {
        for name in std::mem::take(&mut self.named) {
            self.subscribe(&name, desk);
        }
    }

    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return desk.reply(r#"{"id":null,"error":{"code":3,"msg":"Invalid json"}}"#);
        };
        let id = request["id"].clone();
        let answer = if self.accepts_id(&id) {
            self.answer(&request, desk)
        } else {
            Err((2, "Invalid request: request ID must be an unsigned integer"))
        };
        desk.reply(match answer {
            Ok(result) => json!({"result": result, "id": id}).to_string(),
            Err((code, msg)) => json!({"error": {"code": code, "msg": msg}, "id": id}).to_string(),
        });
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        self.wrap(it, out, |out| self.book_ticker(out, it, book));
        Load::QUOTE
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], rng: &mut Rng, out: &mut Vec<u8>) -> Load {
        let [print] = prints else { return Load::default() };
        let mut print = *print;
        // Liquidations taken over by the insurance fund come in the same stream.
        let raw_perp = self.market == Market::Perp && it.topic.style == TRADE;
        let kind: &[u8] = match rng.u8(..) {
            0..2 if raw_perp => b"INSURANCE_FUND",
            2 if raw_perp => b"NA",
            _ => b"MARKET",
        };
        if kind == b"NA" {
            (print.price, print.size) = (0, 0);
        }
        self.wrap(it, out, |out| {
            if it.topic.style == AGG_TRADE {
                self.agg_trade(out, it, &print);
            } else {
                self.trade(out, it, &print, kind);
            }
        });
        match kind {
            b"MARKET" => Load::trades(1),
            _ => Load { withheld: 1, ..Load::trades(0) },
        }
    }
}

impl Binance {
    fn accepts_id(&self, id: &Value) -> bool {
        match (self.market, id) {
            (Market::Spot, Value::String(it)) => {
                it.len() <= 36 && it.bytes().all(|it| it.is_ascii_alphanumeric())
            }
            (Market::Spot, it) => it.is_null() || it.is_i64() || it.is_u64(),
            (Market::Perp, it) => it.is_u64(),
        }
    }

    fn answer(
        &mut self,
        request: &Value,
        desk: &mut Desk<'_>,
    ) -> Result<Value, (i32, &'static str)> {
        match request["method"].as_str() {
            Some("SUBSCRIBE") => {
                let names = self.streams(&request["params"], desk)?;
                let new = names.iter().filter(|it| !desk.topics.contains(it)).count();
                if desk.limits && streams_max(self.market) < desk.topics.len() + new {
                    return Err((4, "Too many subscriptions"));
                }
                for it in names {
                    self.subscribe(it, desk);
                }
                Ok(Value::Null)
            }
            Some("UNSUBSCRIBE") => {
                for it in self.streams(&request["params"], desk)? {
                    desk.topics.remove(it);
                }
                Ok(Value::Null)
            }
            Some("LIST_SUBSCRIPTIONS") => Ok(desk.topics.names().collect()),
            Some("GET_PROPERTY") if request["params"][0] == "combined" => Ok(self.combined.into()),
            Some("SET_PROPERTY") if request["params"][0] == "combined" => {
                let wanted = request["params"][1].as_bool();
                self.combined = wanted.ok_or((1, "Invalid value type: expected Boolean"))?;
                Ok(Value::Null)
            }
            Some("GET_PROPERTY" | "SET_PROPERTY") => Err((0, "Unknown property")),
            Some(_) => Err((
                2,
                "Invalid request: unknown variant, expected one of `SUBSCRIBE`, \
                `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
            )),
            None => Err((2, "Invalid request: method must be a string")),
        }
    }

    fn streams<'v>(
        &self,
        params: &'v Value,
        desk: &Desk<'_>,
    ) -> Result<Vec<&'v str>, (i32, &'static str)> {
        let all = params.as_array().ok_or((2, "Invalid request: params must be an array"))?;
        let valid = |it: &'v Value| {
            it.as_str().filter(|it| !matches!(self.find(desk.served, it), Stream::Invalid))
        };
        let names: Option<Vec<_>> = all.iter().map(valid).collect();
        names.ok_or((2, "Invalid request: invalid stream"))
    }

    fn subscribe(&self, name: &str, desk: &mut Desk<'_>) {
        match self.find(desk.served, name) {
            Stream::Live { row, channel, style } => {
                let fills_max = if style == AGG_TRADE { 3 } else { 1 };
                desk.topics.add(name, row, channel, style, fills_max);
            }
            Stream::Silent | Stream::Invalid => desk.topics.add_silent(name),
        }
    }

    /// What a name stands for. One of no instrument is as good as any other, only silent.
    fn find(&self, served: &Served, name: &str) -> Stream {
        if let Some(rest) = name.strip_prefix('!') {
            return if rest.is_empty() { Stream::Invalid } else { Stream::Silent };
        }
        let Some((symbol, kind)) = name.split_once('@') else { return Stream::Invalid };
        if symbol.is_empty() || kind.is_empty() {
            return Stream::Invalid;
        }
        let (channel, style, class) = match kind {
            "bookTicker" => (Channel::Quotes, 0, Class::Public),
            "trade" => (Channel::Trades, TRADE, Class::Public),
            "aggTrade" => (Channel::Trades, AGG_TRADE, Class::Market),
            _ => return Stream::Silent,
        };
        let lower = symbol.to_lowercase() == symbol;
        let row = served.row(&symbol.to_uppercase()).filter(|_| lower);
        match row.filter(|it| it.moves() && !served.refuses(it)) {
            Some(row) if [Class::All, class].contains(&self.class) => {
                Stream::Live { row: row.index, channel, style }
            }
            _ => Stream::Silent,
        }
    }
}
