//! Gate.io v4: `book_ticker` and `trades`, spot and USDT futures.
//!
//! Among the trades of futures are some that were not made in the book, `is_internal`: the venue took
//! over a position, or deleveraged it. They are kept, because others' records of the stream, which ours
//! is compared with, have them as trades like any; a column that tells them apart there is not.
//!
//! <https://www.gate.com/docs/developers/apiv4/ws/en/#best-bid-or-ask-price>
//! <https://www.gate.com/docs/developers/futures/ws/en/#best-ask-bid-subscription>

mod rest;

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Gateio, Market::Spot),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://api.gateio.ws/ws/v4/"),
        channels: &Channel::ALL,
    }],
    request: |it| request(it, spot_channel),
    topic: |it| format!("{}:{}", spot_channel(it.channel), it.symbol),
    decode,
    rest: Rest {
        url: "https://api.gateio.ws",
        instruments: "/api/v4/spot/currency_pairs",
        read_instruments: rest::read_pairs,
        volumes: "/api/v4/spot/tickers",
        read_volumes: rest::read_volumes,
    },
    limits: Limits {
        topics_per_connection: 200,
        topics_per_request: 100,
        one_channel_per_request: true,
        request_every: Duration::from_millis(100),
        // 300 connections at a time.
        connect_every: Duration::from_millis(500),
        lifetime: None,
    },
    quirks: Quirks { ping: Some(ping(|time| ping_text(time, "spot.ping"))), hot, ..Quirks::NONE },
};

pub(super) const PERP: Protocol = Protocol {
    venue: Venue::new(Exchange::Gateio, Market::Perp),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://fx-ws.gateio.ws/v4/ws/usdt"),
        channels: &Channel::ALL,
    }],
    request: |it| request(it, perp_channel),
    topic: |it| format!("{}:{}", perp_channel(it.channel), it.symbol),
    rest: Rest {
        instruments: "/api/v4/futures/usdt/contracts",
        read_instruments: rest::read_contracts,
        volumes: "/api/v4/futures/usdt/tickers",
        ..SPOT.rest
    },
    quirks: Quirks {
        ping: Some(ping(|time| ping_text(time, "futures.ping"))),
        // Without it sizes are whole numbers, cut off where a contract can be traded in parts.
        hot,
        headers: &[("x-gate-size-decimal", "1")],
        ..Quirks::NONE
    },
    ..SPOT
};

/// The venue closes a connection it has not heard from for 30 s.
const fn ping(text: fn(i64) -> String) -> Ping {
    Ping { every: Duration::from_secs(12), text }
}

fn ping_text(time: i64, channel: &str) -> String {
    json!({ "time": time, "channel": channel }).to_string()
}

fn spot_channel(it: Channel) -> &'static str {
    match it {
        Channel::Quotes => "spot.book_ticker",
        Channel::Trades => "spot.trades",
    }
}

fn perp_channel(it: Channel) -> &'static str {
    match it {
        Channel::Quotes => "futures.book_ticker",
        Channel::Trades => "futures.trades",
    }
}

/// A request that names one unknown symbol is refused as a whole.
fn request(it: &Request<'_>, name: fn(Channel) -> &'static str) -> String {
    let channel = it.topics.first().map(|it| name(it.channel));
    let payload: Vec<_> = it.topics.iter().map(|it| it.symbol).collect();
    json!({
        "time": it.time,
        "id": it.id,
        "channel": channel,
        "event": it.op.or("subscribe", "unsubscribe"),
        "payload": payload,
    })
    .to_string()
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Id<'a>>,
    #[serde(borrow)]
    error: Option<Failure<'a>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    code: Option<Int>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Book<'a> {
    #[serde(rename = "t")]
    time: Option<Millis>,
    #[serde(rename = "u")]
    update: Option<Int>,
    #[serde(borrow, rename = "s")]
    symbol: Text<'a>,
    #[serde(rename = "b")]
    bid: Num,
    #[serde(rename = "B")]
    bid_size: Num,
    #[serde(rename = "a")]
    ask: Num,
    #[serde(rename = "A")]
    ask_size: Num,
}

#[derive(Deserialize)]
struct Print<'a> {
    #[serde(default)]
    id: TradeId,
    create_time: Option<Seconds>,
    create_time_ms: Option<Millis>,
    #[serde(borrow, alias = "contract")]
    currency_pair: Text<'a>,
    price: Num,
    /// Of a spot trade, in the base asset.
    amount: Option<Num>,
    #[serde(borrow)]
    side: Option<Text<'a>>,
    /// Of a futures trade, in contracts; negative when the taker sold.
    size: Option<Signed>,
}

/// Sizes of perpetuals are numbers of contracts, and are not quoted.
fn hot(text: &str, inbox: &mut Inbox) -> Option<()> {
    let mut it = Scan::of(text);
    it.whole(r#"{"time":"#)?;
    it.whole(r#","time_ms":"#)?;
    let channel = it.text(r#","channel":"#)?.split_once('.')?.1;
    // Without a time it may be a book that there is not.
    let ts = it.millis(r#","event":"update","result":{"t":"#)?.0?;
    let update = it.whole(r#","u":"#)?;
    let symbol = it.text(r#","s":"#)?;
    let bid = level(it.num(r#","b":"#)?, it.num(r#","B":"#)?);
    let ask = level(it.num(r#","a":"#)?, it.num(r#","A":"#)?);
    it.end("}}").filter(|()| channel == "book_ticker")?;
    inbox.quote(symbol, Some(ts), Some(update), bid, ask).ok()
}

fn decode(text: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
    if text.starts_with('[') {
        inbox.ignore("a list");
        return Ok(());
    }
    let frame: Frame<'_> = from_str(text)?;
    let channel = frame.channel.as_ref().map(|it| &*it.0);
    let kind = channel.map(|it| it.split_once('.').map_or(it, |it| it.1));
    match (kind, frame.event.as_ref().map(|it| &*it.0), frame.result) {
        (Some("pong"), ..) => inbox.notice(Notice::Pong),
        (_, Some("subscribe" | "unsubscribe"), _) => answer(frame, inbox),
        (Some("book_ticker"), Some("update"), Some(result)) => {
            one_or_each(result, |it| book(&it, inbox))?;
        }
        (Some("trades"), Some("update"), Some(result)) => {
            one_or_each(result, |it| print(it, inbox))?;
        }
        (Some("system"), _, result) => {
            inbox.notice(Notice::Closing(result.map_or("", RawValue::get).to_owned()));
        }
        (_, Some("upgrade"), _) => inbox.notice(Notice::Closing("upgrade".into())),
        // Also an answer to text that was no request.
        _ if frame.error.is_some() => answer(frame, inbox),
        _ => inbox.notice(channel.map_or(Notice::Unknown, |it| Notice::Ignored(it.to_owned()))),
    }
    Ok(())
}

fn answer(frame: Frame<'_>, inbox: &mut Inbox) {
    let subject = frame.id.map_or(Subject::Unnamed, |Id(id)| Subject::request(&id));
    // Whatever the result says.
    inbox.notice(match frame.error {
        None => Notice::Accepted(subject),
        Some(Failure { code, message }) => {
            let code = code.map_or(0, |it| it.0);
            let reason = format!("{code}: {}", message.unwrap_or_default().0);
            Notice::Refused { subject, reason }
        }
    });
}

fn book(it: &Book<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let (ts, sequence) = (it.time.and_then(|it| it.0), it.update.map(|it| it.0));
    if ts.is_none() && sequence == Some(0) {
        inbox.ignore("a book that there is not");
        return Ok(());
    }
    let (bid, ask) = (level(it.bid, it.bid_size), level(it.ask, it.ask_size));
    inbox.quote(&it.symbol.0, ts, sequence, bid, ask)
}

fn print(it: Print<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let (size, side) = match (it.amount, it.side.as_ref().map(|it| &*it.0), it.size) {
        (Some(size), Some("buy"), _) => (size, Side::Buy),
        (Some(size), Some("sell"), _) => (size, Side::Sell),
        (Some(size), _, _) => (size, Side::Unknown),
        (None, _, Some(Signed(size))) if size < 0.0 => (Num(-size), Side::Sell),
        (None, _, Some(Signed(size))) => (Num(size), Side::Buy),
        (None, _, None) => return Err(DecodeError::Value("a trade without a size")),
    };
    let ts = it.create_time_ms.and_then(|it| it.0).or(it.create_time.and_then(|it| it.0));
    inbox.trade(&it.currency_pair.0, ts, level(it.price, size), side, it.id)
}
