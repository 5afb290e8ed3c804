//! Bybit v5: `orderbook.1` and `publicTrade`, spot and linear.
//!
//! <https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook>
//! <https://bybit-exchange.github.io/docs/v5/websocket/public/trade>

mod rest;

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Bybit, Market::Spot),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://stream.bybit.com/v5/public/spot"),
        channels: &Channel::ALL,
    }],
    request: |it| {
        let args: Vec<_> = it.topics.iter().map(topic).collect();
        let op = it.op.or("subscribe", "unsubscribe");
        json!({ "req_id": it.id.to_string(), "op": op, "args": args }).to_string()
    },
    topic,
    decode,
    rest: Rest {
        url: "https://api.bybit.com",
        instruments: "/v5/market/instruments-info?category=spot",
        read_instruments: rest::read_instruments,
        volumes: "/v5/market/tickers?category=spot",
        read_volumes: rest::read_volumes,
    },
    limits: Limits {
        // 21,000 characters of topics, 24 a topic.
        topics_per_connection: 300,
        topics_per_request: 10,
        one_channel_per_request: false,
        request_every: Duration::from_millis(100),
        // 500 in 5 minutes.
        connect_every: Duration::from_millis(650),
        lifetime: None,
    },
    quirks: Quirks {
        ping: Some(Ping { every: Duration::from_secs(20), text: |_| r#"{"op":"ping"}"#.into() }),
        hot,
        ..Quirks::NONE
    },
};

pub(super) const PERP: Protocol = Protocol {
    venue: Venue::new(Exchange::Bybit, Market::Perp),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://stream.bybit.com/v5/public/linear"),
        channels: &Channel::ALL,
    }],
    rest: Rest {
        instruments: PERP_INSTRUMENTS,
        volumes: "/v5/market/tickers?category=linear",
        ..SPOT.rest
    },
    limits: Limits { topics_per_request: 50, ..SPOT.limits },
    ..SPOT
};

/// Only the linear list has pages.
const PERP_INSTRUMENTS: &str = "/v5/market/instruments-info?category=linear&limit=1000";

fn topic(topic: &Topic<'_>) -> String {
    match topic.channel {
        Channel::Quotes => format!("orderbook.1.{}", topic.symbol),
        Channel::Trades => format!("publicTrade.{}", topic.symbol),
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    topic: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    /// When it was pushed: a repeated snapshot is as good as new, whatever the age of its `cts`.
    ts: Option<Millis>,
    /// The time of the matching engine.
    cts: Option<Millis>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    op: Option<Text<'a>>,
    success: Option<bool>,
    #[serde(borrow)]
    ret_msg: Option<Text<'a>>,
    #[serde(borrow)]
    req_id: Option<Id<'a>>,
}

#[derive(Deserialize)]
struct Book<'a> {
    #[serde(borrow, rename = "s")]
    symbol: Text<'a>,
    #[serde(default, rename = "b")]
    bids: Ladder,
    #[serde(default, rename = "a")]
    asks: Ladder,
    #[serde(rename = "u")]
    update: Option<Int>,
}

#[derive(Deserialize)]
struct Print<'a> {
    #[serde(rename = "T")]
    time: Option<Millis>,
    #[serde(borrow, rename = "s")]
    symbol: Text<'a>,
    #[serde(borrow, rename = "S")]
    side: Text<'a>,
    #[serde(rename = "v")]
    size: Num,
    #[serde(rename = "p")]
    price: Num,
    #[serde(default, rename = "i")]
    id: TradeId,
}

fn hot(text: &str, inbox: &mut Inbox) -> Option<()> {
    let mut it = Scan::of(text);
    it.text(r#"{"topic":"#)?.strip_prefix("orderbook.1.")?;
    // Spot and perpetuals order the keys differently.
    let early = if it.skip(r#","ts":"#) { Some(it.millis("")?) } else { None };
    let kind = it.text(r#","type":"#)?;
    let ts = if let Some(ts) = early { ts } else { it.millis(r#","ts":"#)? };
    let symbol = it.text(r#","data":{"s":"#)?;
    let (bids, asks) = (it.ladder(r#","b":"#)?, it.ladder(r#","a":"#)?);
    let update = it.whole(r#","u":"#)?;
    it.whole(r#","seq":"#)?;
    it.millis(r#"},"cts":"#)?;
    it.end("}")?;
    let delta = kind == "delta";
    inbox.update(symbol, ts.0, Some(update), moved(bids, delta), moved(asks, delta)).ok()
}

fn decode(text: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let frame: Frame<'_> = from_str(text)?;
    if let Frame { topic: Some(topic), data: Some(data), .. } = &frame {
        if topic.0.starts_with("orderbook.1.") {
            book(&frame, data, inbox)?;
        } else if topic.0.starts_with("publicTrade.") {
            each(data, |it| print(it, inbox))?;
        } else {
            inbox.ignore(&topic.0);
        }
        return Ok(());
    }
    let subject = frame.req_id.map_or(Subject::Unnamed, |Id(id)| Subject::request(&id));
    let said = frame.ret_msg.unwrap_or_default().0;
    inbox.notice(match (frame.op.as_ref().map(|it| &*it.0), frame.success) {
        // The answer to a ping is called "ping" here and "pong" there.
        (Some("ping" | "pong"), _) => Notice::Pong,
        (Some("subscribe"), Some(true)) => Notice::Accepted(subject),
        (Some("unsubscribe"), Some(true)) => Notice::Unsubscribed,
        (Some(_), Some(false)) => Notice::Refused { subject, reason: said.into_owned() },
        _ => Notice::Unknown,
    });
    Ok(())
}

fn book(frame: &Frame<'_>, data: &RawValue, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let Book { symbol, bids, asks, update } = read(data)?;
    let ts = frame.ts.or(frame.cts).and_then(|it| it.0);
    let delta = frame.kind.as_ref().is_some_and(|it| it.0 == "delta");
    let (bids, asks) = (moved(bids, delta), moved(asks, delta));
    inbox.update(&symbol.0, ts, update.map(|it| it.0), bids, asks)
}

/// A delta lists what moved: the old best with size 0 and the new one, or nothing.
fn moved(it: Ladder, delta: bool) -> Update {
    if delta && it.listed == 0 { Update::Unchanged } else { Update::Now(it.best) }
}

fn print(it: Print<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let side = match &*it.side.0 {
        "Buy" => Side::Buy,
        "Sell" => Side::Sell,
        _ => Side::Unknown,
    };
    let ts = it.time.and_then(|it| it.0);
    inbox.trade(&it.symbol.0, ts, level(it.price, it.size), side, it.id)
}
