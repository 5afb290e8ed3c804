//! `KuCoin`'s classic sockets, spot and futures, which take a token.
//! <https://www.kucoin.com/docs/websocket/basic-info/apply-connect-token/introduction>

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
    pace::{Pace, Times},
    prices::{self, Book, Print, mix},
    world::Served,
};
use crate::market::{Channel, Market};

pub(super) const DIALECT: Dialect = Dialect {
    rules,
    native,
    traps,
    price_places_max: 12,
    thousands: |_| false,
    usdc: |_| true,
    contract: |market, kind, price| match (market, kind) {
        (Market::Spot, _) => None,
        (_, Kind::Inverse) => Some(1.0),
        _ => Some(listing::tiny_contract(price)),
    },
    posts: &[rest::BULLET],
    rest: rest::answer,
    open,
    refusal: |status| match status {
        429 => rest::error("429000", "Too Many Requests"),
        403 | 451 => rest::error("400302", "Our services are not available in your region"),
        404 => rest::error("404000", "Not Found"),
        400 => rest::error("400100", "Bad Request"),
        _ => rest::error("500000", "Internal Server Error"),
    },
};

fn rules(market: Market) -> Rules {
    Rules {
        // Whatever flows.
        idle_max: Some(Duration::from_millis(60_400)),
        proof: Proof::Pings,
        connects: (30, Duration::from_mins(1)),
        sockets_max: 800,
        // About what a message takes to get there and back.
        begins_after: Duration::from_millis(20),
        echo: if market == Market::Perp { Echo::Renumbered } else { Echo::Never },
        cut: BYE,
        ..Rules::NONE
    }
}

fn native(market: Market, base: &str, quote: &str) -> String {
    match market {
        Market::Spot => format!("{base}-{quote}"),
        Market::Perp => format!("{}{quote}M", rest::currency(base)),
    }
}

fn traps(market: Market) -> Vec<Trap> {
    let trap = |native, base, quote, kind, price| Trap { native, base, quote, kind, price };
    match market {
        Market::Spot => vec![
            trap("LUNA-USDT", "LUNA", "USDT", Kind::Halted, 0.61),
            // Shown as BSV-USDT.
            trap("BCHSV-USDT", "BCHSV", "USDT", Kind::Regular, 21.4),
            trap("ETH-BTC", "ETH", "BTC", Kind::Regular, 0.0339),
            trap("BTC-EUR", "BTC", "EUR", Kind::Regular, 78_800.0),
            trap("SOON-USDT", "SOON", "USDT", Kind::Pending, 1.3),
        ],
        Market::Perp => vec![
            trap("XBTUSDM", "BTC", "USD", Kind::Inverse, 91_250.0),
            trap("XBTMZ26", "BTC", "USD", Kind::Dated, 91_900.0),
            trap("LUNAUSDTM", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("OPENAIUSDTM", "OPENAI", "USDT", Kind::PreMarket, 721.0),
            trap("SOONUSDTM", "SOON", "USDT", Kind::Pending, 1.3),
        ],
    }
}

const BYE: super::dialect::Farewell = Some((1000, "Bye"));
/// Messages of a client.
const MESSAGES: Pace = (100, Duration::from_secs(10));
/// Symbols of one request, and topics of a connection to spot.
const REQUEST_TOPICS_MAX: usize = 100;
const SPOT_TOPICS_MAX: usize = 300;

/// Beginnings of topics that deliver here, and of others there are.
const fn streams(market: Market) -> [(&'static str, Option<Channel>); 6] {
    match market {
        Market::Spot => [
            ("/spotMarket/level1", Some(Channel::Quotes)),
            ("/market/match", Some(Channel::Trades)),
            ("/market/ticker", None),
            ("/market/level2", None),
            ("/spotMarket/level2Depth5", None),
            ("/spotMarket/level2Depth50", None),
        ],
        Market::Perp => [
            ("/contractMarket/tickerV2", Some(Channel::Quotes)),
            ("/contractMarket/execution", Some(Channel::Trades)),
            ("/contractMarket/ticker", None),
            ("/contractMarket/level2", None),
            ("/contractMarket/level2Depth5", None),
            ("/contractMarket/level2Depth50", None),
        ],
    }
}

struct Kucoin {
    market: Market,
    id: String,
    /// Whether its token was good.
    welcome: bool,
    messages: Times,
    /// Whether it is told why it is cut.
    explains: bool,
}

/// The path of an endpoint is its venue's; a client that puts it behind what it has configured
/// names the venue twice.
fn open(served: &Served, request: &Request, client: u64) -> Opened {
    let path = request.path.trim_matches('/');
    if !path.is_empty() && path != served.venue.to_string() {
        return Err(Response::json(404, (DIALECT.refusal)(404)));
    }
    let token = request.parameter("token").unwrap_or_default();
    let id = request.parameter("connectId").map(str::to_owned);
    Ok(Box::new(Kucoin {
        market: served.venue.market,
        id: id.unwrap_or_else(|| format!("{:016x}", mix(client))),
        welcome: served.tokens.redeem(token) && !served.faults.refuses_tokens(),
        messages: Times::default(),
        explains: client.is_multiple_of(2),
    }))
}

/// A complaint: code and message.
type Complaint = (u32, String);

impl Session for Kucoin {
    fn start(&mut self, desk: &mut Desk<'_>) {
        if self.welcome {
            return desk.reply(json!({"id": self.id, "type": "welcome"}).to_string());
        }
        desk.reply(error(&self.id.clone().into(), (401, "token is expired".to_owned())));
        *desk.close = Some(BYE);
    }

    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        if desk.limits && !self.messages.admit(MESSAGES, desk.now) {
            *desk.close = Some(BYE);
            let complaint = (509, "exceed max message count per 10 seconds".to_owned());
            return desk.reply(error(&self.id.clone().into(), complaint));
        }
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            let id = format!("{:016x}", mix(prices::now()));
            return desk.reply(error(&id.into(), (400, "Unable to parse the message".to_owned())));
        };
        let id = match &request["id"] {
            Value::Number(it) => it.to_string().into(),
            it => it.clone(),
        };
        let outcome = match request["type"].as_str() {
            Some("ping") => {
                *desk.pinged = true;
                let now = prices::now() * 1000;
                return desk.reply(json!({"id": id, "type": "pong", "timestamp": now}).to_string());
            }
            Some("subscribe") => self.subscribe(&request, desk),
            Some("unsubscribe") => self.unsubscribe(&request, desk),
            other => Err((415, format!("type is not supported: {}", other.unwrap_or_default()))),
        };
        match outcome {
            Ok(()) if request["response"] == true => {
                desk.reply(json!({"id": id, "type": "ack"}).to_string());
            }
            Ok(()) => {}
            Err(complaint) => desk.reply(error(&id, complaint)),
        }
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        match self.market {
            Market::Spot => {
                self.head(it, Channel::Quotes, "level1", book.update, out);
                out.put("{\"asks\":[");
                level(out, it, book.ask, book.ask_size);
                out.put("],\"bids\":[");
                level(out, it, book.bid, book.bid_size);
                out.put("],\"timestamp\":").int(book.time).put("}}");
            }
            Market::Perp => {
                self.head(it, Channel::Quotes, "tickerV2", book.update, out);
                out.put("{\"symbol\":\"").put(&it.row.native);
                out.put("\",\"sequence\":").int(book.update);
                out.put(",\"bestBidSize\":").int(book.bid_size).put(",\"bestBidPrice\":\"");
                price(out, it, book.bid);
                out.put("\",\"bestAskPrice\":\"");
                price(out, it, book.ask);
                out.put("\",\"bestAskSize\":").int(book.ask_size);
                out.put(",\"ts\":").int(nanos(book.time, book.update)).put("}}");
            }
        }
        Load::QUOTE
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], _: &mut Rng, out: &mut Vec<u8>) -> Load {
        let [print] = prints else { return Load::default() };
        let side = if print.buy { "buy" } else { "sell" };
        let time = nanos(print.time, print.id);
        let id = format!("{:010x}", mix(print.id) >> 24);
        match self.market {
            Market::Spot => {
                self.head(it, Channel::Trades, "trade.l3match", print.update, out);
                out.put("{\"sequence\":\"").int(print.update).put("\",\"type\":\"match");
                out.put("\",\"symbol\":\"").put(&it.row.native).put("\",\"side\":\"").put(side);
                out.put("\",\"price\":\"").trimmed(print.price, it.row.price_places);
                out.put("\",\"size\":\"").trimmed(print.size, it.row.size_places);
                out.put("\",\"tradeId\":\"").int(trade_id(print.id));
                out.put("\",\"takerOrderId\":\"69").put(&id);
                out.put("\",\"makerOrderId\":\"68").put(&id);
                out.put("\",\"time\":\"").int(time).put("\"}}");
            }
            Market::Perp => {
                self.head(it, Channel::Trades, "match", print.update, out);
                out.put("{\"symbol\":\"").put(&it.row.native);
                out.put("\",\"sequence\":").int(print.update);
                out.put(",\"side\":\"").put(side).put("\",\"size\":").int(print.size);
                out.put(",\"price\":\"").trimmed(print.price, it.row.price_places);
                out.put("\",\"takerOrderId\":\"16").int(print.id);
                out.put("\",\"makerOrderId\":\"15").int(print.id);
                out.put("\",\"tradeId\":\"").int(print.id);
                out.put("\",\"ts\":").int(time).put("}}");
            }
        }
        Load::trades(1)
    }

    fn last_words(&self) -> Option<String> {
        self.explains.then(|| error(&self.id.clone().into(), (400, "ping timeout".to_owned())))
    }
}

impl Kucoin {
    /// All symbols of a topic or none. Those of the futures need not exist.
    fn subscribe(&self, request: &Value, desk: &mut Desk<'_>) -> Result<(), Complaint> {
        let (stream, symbols, delivers) = self.topic(request)?;
        if REQUEST_TOPICS_MAX < symbols.len() && desk.limits {
            let most = REQUEST_TOPICS_MAX;
            return Err((509, format!("exceed max subscription count per request: {most}")));
        }
        let spot = self.market == Market::Spot;
        let new = symbols.iter().filter(|it| !desk.topics.contains(&key(stream, it))).count();
        if desk.limits && spot && SPOT_TOPICS_MAX < desk.topics.len() + new {
            let most = SPOT_TOPICS_MAX;
            let problem = format!("exceed max subscription count limitation of {most} per session");
            return Err((509, problem));
        }
        let served = desk.served;
        let find = |it: &str| served.row(it).filter(|it| it.listed() && !served.refuses(it));
        let unknown = |it: &&&str| spot && **it != "all" && find(it).is_none();
        if let Some(unknown) = symbols.iter().find(unknown) {
            return Err((404, format!("topic {stream}:{unknown} is not found")));
        }
        for it in symbols {
            match (find(it).filter(|it| it.moves()), delivers) {
                (Some(row), Some(channel)) => {
                    desk.topics.add(&key(stream, it), row.index, channel, 0, 1);
                }
                _ => desk.topics.add_silent(&key(stream, it)),
            }
        }
        Ok(())
    }

    fn unsubscribe(&self, request: &Value, desk: &mut Desk<'_>) -> Result<(), Complaint> {
        let (stream, symbols, _) = self.topic(request)?;
        for it in symbols {
            desk.topics.remove(&key(stream, it));
        }
        Ok(())
    }

    /// The beginning of a topic, its symbols, and what it delivers.
    fn topic<'r>(
        &self,
        request: &'r Value,
    ) -> Result<(&'r str, Vec<&'r str>, Option<Channel>), Complaint> {
        let missing = || (406, "topic is required".to_owned());
        let topic = request["topic"].as_str().filter(|it| !it.is_empty()).ok_or_else(missing)?;
        let unknown = || (404, format!("topic {topic} is not found"));
        let (stream, symbols) = topic.split_once(':').ok_or_else(unknown)?;
        let known = streams(self.market).into_iter().find(|it| it.0 == stream);
        Ok((stream, symbols.split(',').collect(), known.ok_or_else(unknown)?.1))
    }

    /// All before the data.
    fn head(
        &self,
        it: &Update<'_>,
        channel: Channel,
        subject: &str,
        sequence: u64,
        out: &mut Vec<u8>,
    ) {
        let [quotes, trades, ..] = streams(self.market);
        let stream = if channel == Channel::Quotes { quotes.0 } else { trades.0 };
        out.put("{\"topic\":\"").put(stream).put(":").put(&it.row.native);
        out.put("\",\"type\":\"message\",\"subject\":\"").put(subject);
        if self.market == Market::Perp {
            out.put("\",\"sn\":").int(sequence).put(",\"data\":");
        } else {
            out.put("\",\"data\":");
        }
    }
}

fn key(stream: &str, symbol: &str) -> String {
    format!("{stream}:{symbol}")
}

fn error(id: &Value, (code, data): Complaint) -> String {
    json!({"id": id, "type": "error", "code": code, "data": data}).to_string()
}

/// A time to the nanosecond, the last digits of which tell things apart.
fn nanos(millis: u64, n: u64) -> u64 {
    millis * 1_000_000 + n % 1_000_000
}

/// More than an f64 can tell apart.
fn trade_id(n: u64) -> u64 {
    20_630_000_000_000_000 + n
}

/// A side as price and size, without an array around them, or nothing.
fn level(out: &mut Vec<u8>, it: &Update<'_>, price: u64, size: u64) {
    if price != 0 {
        out.put("\"").trimmed(price, it.row.price_places);
        out.put("\",\"").trimmed(size, it.row.size_places).put("\"");
    }
}

/// A price, or zero for an empty side.
fn price(out: &mut Vec<u8>, it: &Update<'_>, price: u64) {
    out.trimmed(price, it.row.price_places);
}
