//! BingX: `@bookTicker` and `@trade`, spot and linear swaps.
//!
//! <https://bingx-api.github.io/docs-v3/#/en/Spot/Websocket%20Market%20Data>
//! <https://bingx-api.github.io/docs-v3/#/en/Swap/Websocket%20Market%20Data>

mod rest;

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Bingx, Market::Spot),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://open-api-ws.bingx.com/market"),
        channels: &Channel::ALL,
    }],
    // A list in `dataType` is ignored in silence.
    request: |it| {
        let topic = it.topics.first().map(topic);
        let kind = it.op.or("sub", "unsub");
        json!({ "id": it.id.to_string(), "reqType": kind, "dataType": topic }).to_string()
    },
    topic,
    decode,
    rest: Rest {
        url: "https://open-api.bingx.com",
        instruments: "/openApi/spot/v1/common/symbols",
        read_instruments: rest::read_pairs,
        volumes: "/openApi/spot/v1/ticker/24hr",
        read_volumes: rest::read_volumes,
    },
    limits: Limits {
        // 200.
        topics_per_connection: 180,
        topics_per_request: 1,
        one_channel_per_request: true,
        // Fewer than 10 a second.
        request_every: Duration::from_millis(111),
        connect_every: Duration::from_millis(500),
        lifetime: None,
    },
    // The server pings, in its own words, every 5 s.
    // Frames may hold trades that earlier ones held.
    quirks: Quirks { hot, decode_binary, repeats_trades: true, timestamp: true, ..Quirks::NONE },
};

pub(super) const PERP: Protocol = Protocol {
    venue: Venue::new(Exchange::Bingx, Market::Perp),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://open-api-swap.bingx.com/swap-market"),
        channels: &Channel::ALL,
    }],
    rest: Rest {
        instruments: "/openApi/swap/v2/quote/contracts",
        read_instruments: rest::read_contracts,
        volumes: "/openApi/swap/v2/quote/ticker",
        ..SPOT.rest
    },
    ..SPOT
};

/// The largest frame, a book of 1,000 levels, is below 100 KiB.
const INFLATED_BYTES_MAX: usize = 4 << 20;
/// The first quote after a subscription may be minutes old: what is sent this much later than it
/// happened says nothing of the book.
const STALE: i64 = 5_000_000_000;

fn topic(topic: &Topic<'_>) -> String {
    match topic.channel {
        Channel::Quotes => format!("{}@bookTicker", topic.symbol),
        Channel::Trades => format!("{}@trade", topic.symbol),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    #[serde(borrow)]
    id: Option<Id<'a>>,
    code: Option<Int>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
    /// Empty in some answers.
    #[serde(borrow)]
    data_type: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    ping: Option<Id<'a>>,
    #[serde(borrow)]
    time: Option<Id<'a>>,
}

#[derive(Deserialize)]
struct Book {
    #[serde(rename = "E")]
    sent: Option<Millis>,
    /// When the book became what it is.
    #[serde(rename = "T")]
    changed: Option<Millis>,
    #[serde(rename = "u")]
    update: Option<Int>,
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
struct Print {
    #[serde(rename = "T")]
    time: Option<Millis>,
    #[serde(rename = "p")]
    price: Num,
    #[serde(rename = "q")]
    size: Num,
    #[serde(rename = "m")]
    buyer_is_maker: Option<Flag>,
    /// Swaps have none.
    #[serde(default, rename = "t")]
    id: TradeId,
}

/// Every frame is a gzip member of its own, pings too.
fn decode_binary(frame: &[u8], inbox: &mut Inbox) -> Result<(), DecodeError> {
    let mut gunzip = std::mem::take(&mut inbox.gunzip);
    let read = |text: &str| hot(text, inbox).map_or_else(|| decode(text, inbox), Ok);
    let result = gunzip.unpack(frame, INFLATED_BYTES_MAX).and_then(read);
    inbox.gunzip = gunzip;
    result
}

fn hot(text: &str, inbox: &mut Inbox) -> Option<()> {
    let mut it = Scan::of(text);
    it.past(r#"{"code":0,"data"#)?;
    if it.skip(r#"":{"#) { hot_spot(it, inbox) } else { hot_perp(it, inbox) }
}

fn hot_spot(mut it: Scan<'_>, inbox: &mut Inbox) -> Option<()> {
    let (ask_size, bid_size) = (it.num(r#""A":"#)?, it.num(r#","B":"#)?);
    let sent = it.millis(r#","E":"#)?;
    let (ask, bid) = (it.num(r#","a":"#)?, it.num(r#","b":"#)?);
    it.text(r#","e":"bookTicker","s":"#)?;
    let symbol = it.text(r#"},"dataType":"#)?.strip_suffix("@bookTicker")?;
    it.past(r#","success":true"#)?;
    if it.skip(r#","timestamp":"#) {
        it.whole("")?;
    }
    it.end("}")?;
    inbox.quote(symbol, sent.0, None, level(bid, bid_size), level(ask, ask_size)).ok()
}

fn hot_perp(mut it: Scan<'_>, inbox: &mut Inbox) -> Option<()> {
    let symbol = it.text(r#"Type":"#)?.strip_suffix("@bookTicker")?;
    let update = it.whole(r#","data":{"e":"bookTicker","u":"#)?;
    let sent = it.millis(r#","E":"#)?.0?;
    let changed = it.millis(r#","T":"#)?.0?;
    it.text(r#","s":"#)?;
    let bid = level(it.num(r#","b":"#)?, it.num(r#","B":"#)?);
    let ask = level(it.num(r#","a":"#)?, it.num(r#","A":"#)?);
    it.end("}}")?;
    if STALE < sent.0.saturating_sub(changed.0) {
        return None;
    }
    inbox.quote(symbol, Some(sent), Some(update), bid, ask).ok()
}

fn decode(text: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
    match text.trim() {
        "Ping" | "ping" => inbox.notice(Notice::Ping("Pong".into())),
        "Pong" | "pong" => inbox.notice(Notice::Pong),
        json => decode_json(from_str(json)?, inbox)?,
    }
    Ok(())
}

fn decode_json(frame: Frame<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let refused = frame.code.is_some_and(|it| it.0 != 0);
    let topic = frame.data_type.as_ref().and_then(|it| it.0.split_once('@'));
    match (topic, frame.data) {
        (Some((symbol, "bookTicker")), Some(data)) if !refused => {
            book(symbol, &read(data)?, inbox)?;
        }
        (Some((symbol, "trade")), Some(data)) if !refused => {
            one_or_each(data, |it| print(symbol, it, inbox))?;
        }
        (Some((_, other)), Some(_)) if !refused => inbox.ignore(other),
        _ => answer(frame, inbox),
    }
    Ok(())
}

fn answer(frame: Frame<'_>, inbox: &mut Inbox) {
    let subject = frame.id.map_or(Subject::Unnamed, |Id(id)| Subject::request(&id));
    inbox.notice(match (frame.ping, frame.code) {
        (Some(Id(ping)), _) => {
            let time = frame.time.map(|it| it.0);
            Notice::Ping(json!({ "pong": ping, "time": time }).to_string())
        }
        (None, Some(Int(0))) => Notice::Accepted(subject),
        (None, Some(Int(code))) => {
            let reason = format!("{code}: {}", frame.msg.unwrap_or_default().0);
            Notice::Refused { subject, reason }
        }
        (None, None) => Notice::Unknown,
    });
}

fn book(symbol: &str, it: &Book, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let ts = it.sent.and_then(|it| it.0);
    let changed = it.changed.and_then(|it| it.0);
    if let (Some(sent), Some(changed)) = (ts, changed)
        && STALE < sent.0.saturating_sub(changed.0)
    {
        inbox.ignore("a stale quote");
        return Ok(());
    }
    let (bid, ask) = (level(it.bid, it.bid_size), level(it.ask, it.ask_size));
    inbox.quote(symbol, ts, it.update.map(|it| it.0), bid, ask)
}

fn print(symbol: &str, it: Print, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let side = match it.buyer_is_maker {
        Some(Flag(true)) => Side::Sell,
        Some(Flag(false)) => Side::Buy,
        None => Side::Unknown,
    };
    inbox.trade(symbol, it.time.and_then(|it| it.0), level(it.price, it.size), side, it.id)
}
