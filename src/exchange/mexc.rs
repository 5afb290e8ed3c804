//! MEXC: spot `aggre.bookTicker` and `aggre.deals` in protobuf; futures `depth.full` and `deal` in
//! JSON.
//!
//! <https://www.mexc.com/api-docs/spot-v3/websocket-market-streams>
//! <https://github.com/mexcdevelop/websocket-proto>
//! <https://www.mexc.com/api-docs/futures/websocket-api>

mod push;
mod rest;

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Mexc, Market::Spot),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://wbs-api.mexc.com/ws"),
        channels: &Channel::ALL,
    }],
    request: |it| {
        let params: Vec<_> = it.topics.iter().map(spot_topic).collect();
        let method = it.op.or("SUBSCRIPTION", "UNSUBSCRIPTION");
        json!({ "method": method, "params": params, "id": it.id }).to_string()
    },
    topic: spot_topic,
    decode: decode_answer,
    rest: Rest {
        url: "https://api.mexc.com",
        instruments: "/api/v3/exchangeInfo",
        read_instruments: rest::read_symbols,
        volumes: "/api/v3/ticker/24hr",
        read_volumes: rest::read_tickers,
    },
    limits: Limits {
        // What is beyond is refused or stays silent.
        topics_per_connection: 30,
        // 1024 bytes a request, up to 80 a topic.
        topics_per_request: 12,
        one_channel_per_request: false,
        // 100 messages a second.
        request_every: Duration::from_millis(100),
        connect_every: Duration::from_millis(200),
        // 24 hours.
        lifetime: Some(Duration::from_hours(23)),
    },
    quirks: Quirks {
        // The venue closes a connection that has neither data nor pings for 60 s.
        ping: Some(ping(|_| r#"{"method":"PING"}"#.into())),
        decode_binary: push::decode,
        ..Quirks::NONE
    },
};

pub(super) const PERP: Protocol = Protocol {
    venue: Venue::new(Exchange::Mexc, Market::Perp),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://contract.mexc.com/edge"),
        channels: &Channel::ALL,
    }],
    request: perp_request,
    topic: |it| format!("{}:{}", perp_method(it.channel), it.symbol),
    decode,
    rest: Rest {
        instruments: "/api/v1/contract/detail",
        read_instruments: rest::read_contracts,
        volumes: "/api/v1/contract/ticker",
        read_volumes: rest::read_amounts,
        ..SPOT.rest
    },
    limits: Limits {
        // 150 were fine.
        topics_per_connection: 100,
        topics_per_request: 1,
        one_channel_per_request: true,
        // 20 a second were fine.
        request_every: Duration::from_millis(60),
        ..SPOT.limits
    },
    quirks: Quirks { ping: Some(ping(|_| r#"{"method":"ping"}"#.into())), ..Quirks::NONE },
};

const fn ping(text: fn(i64) -> String) -> Ping {
    Ping { every: Duration::from_secs(15), text }
}

const BOOK_TICKER: &str = "spot@public.aggre.bookTicker.v3.api.pb@";
const DEALS: &str = "spot@public.aggre.deals.v3.api.pb@";

fn spot_topic(topic: &Topic<'_>) -> String {
    let stream = match topic.channel {
        Channel::Quotes => BOOK_TICKER,
        Channel::Trades => DEALS,
    };
    format!("{stream}100ms@{}", topic.symbol)
}

fn perp_method(it: Channel) -> &'static str {
    match it {
        Channel::Quotes => "sub.depth.full",
        Channel::Trades => "sub.deal",
    }
}

fn perp_request(it: &Request<'_>) -> String {
    let Some(&Topic { channel, symbol }) = it.topics.first() else { return String::new() };
    let param = match channel {
        // There is no channel for the best levels alone.
        Channel::Quotes => json!({ "symbol": symbol, "limit": 5 }),
        // Every trade, where the venue would merge them.
        Channel::Trades => json!({ "symbol": symbol, "compress": false }),
    };
    let method = format!("{}{}", it.op.or("", "un"), perp_method(channel));
    json!({ "method": method, "param": param }).to_string()
}

fn side(trade_type: i64) -> Side {
    match trade_type {
        1 => Side::Buy,
        2 => Side::Sell,
        _ => Side::Unknown,
    }
}

/// It is repeated for every topic of a refusal.
const REASON_CHARS_MAX: usize = 200;

/// Text frames of spot are answers.
fn decode_answer(text: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        id: Option<Id<'a>>,
        code: Option<Int>,
        #[serde(borrow)]
        msg: Option<Text<'a>>,
        #[serde(borrow)]
        method: Option<Text<'a>>,
    }
    let Answer { id, code, msg, method } = from_str(text)?;
    let said = msg.unwrap_or_default().0;
    match (code, &*said, method.as_ref().map(|it| &*it.0)) {
        (_, "PONG", _) => inbox.notice(Notice::Pong),
        (_, _, Some("PING")) => inbox.notice(Notice::Ping(r#"{"method":"PONG"}"#.into())),
        // Also what is refused has code 0.
        (Some(Int(code)), ..) => {
            let refused = code != 0 || said.starts_with("Not Subscribed");
            // What is said after the topics, if there are any.
            let why = said.rsplit(']').next().unwrap_or_default().trim_matches(['.', ' ']);
            let why: String = why.chars().take(REASON_CHARS_MAX).collect();
            let answer = |subject| {
                if refused {
                    Notice::Refused { subject, reason: format!("{code}: {why}") }
                } else {
                    Notice::Accepted(subject)
                }
            };
            let mut topics = said.split([',', '[', ']', ' ']).filter_map(subject).peekable();
            if topics.peek().is_none() {
                let request = id.map_or(Subject::Unnamed, |Id(id)| Subject::request(&id));
                inbox.notice(answer(request));
            }
            topics.for_each(|it| inbox.notice(answer(it)));
        }
        _ => inbox.notice(Notice::Unknown),
    }
    Ok(())
}

/// The topic that an answer names.
fn subject(word: &str) -> Option<Subject> {
    let (channel, rest) = match (word.strip_prefix(BOOK_TICKER), word.strip_prefix(DEALS)) {
        (Some(rest), _) => (Channel::Quotes, rest),
        (_, Some(rest)) => (Channel::Trades, rest),
        _ => return None,
    };
    rest.rsplit('@').next().map(|it| Subject::Topic(channel, it.to_owned()))
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(borrow)]
    symbol: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    ts: Option<Millis>,
}

#[derive(Deserialize)]
struct Depth {
    #[serde(default)]
    asks: Ladder,
    #[serde(default)]
    bids: Ladder,
    version: Option<Int>,
    cts: Option<Millis>,
}

#[derive(Deserialize)]
struct Print {
    #[serde(rename = "p")]
    price: Num,
    #[serde(rename = "v")]
    contracts: Num,
    #[serde(rename = "T")]
    side: Option<Int>,
    #[serde(rename = "t")]
    time: Option<Millis>,
    #[serde(default, rename = "i")]
    id: TradeId,
}

fn decode(text: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let Frame { channel, symbol, data, ts } = from_str(text)?;
    let Some(Text(channel)) = channel else {
        inbox.notice(Notice::Unknown);
        return Ok(());
    };
    let symbol = symbol.as_ref().map(|it| &*it.0);
    let said = data.map_or("", RawValue::get).trim_matches('"');
    match (&*channel, symbol, data) {
        ("push.depth.full", Some(symbol), Some(data)) => {
            let it: Depth = read(data)?;
            let ts = it.cts.or(ts).and_then(|it| it.0);
            inbox.quote(symbol, ts, it.version.map(|it| it.0), it.bids.best, it.asks.best)?;
        }
        ("push.deal", Some(symbol), Some(data)) => {
            one_or_each(data, |it: Print| {
                let side = side(it.side.map_or(0, |it| it.0));
                let ts = it.time.and_then(|it| it.0);
                inbox.trade(symbol, ts, level(it.price, it.contracts), side, it.id)
            })?;
        }
        ("pong", ..) => inbox.notice(Notice::Pong),
        (it, ..) if it.starts_with("rs.unsub") => inbox.notice(Notice::Unsubscribed),
        (it, ..) if it.starts_with("rs.") => {
            let subject = Subject::Unnamed;
            inbox.notice(match said {
                "success" => Notice::Accepted(subject),
                _ => Notice::Refused { subject, reason: said.to_owned() },
            });
        }
        (other, ..) => inbox.ignore(other),
    }
    Ok(())
}
