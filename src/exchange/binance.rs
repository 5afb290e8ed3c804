//! Binance: spot `@bookTicker` and `@trade`; USD-M futures `@bookTicker` and `@aggTrade`.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>
//! <https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams>

mod rest;

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Binance, Market::Spot),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://stream.binance.com:9443/stream"),
        channels: &Channel::ALL,
    }],
    request: |it| request(it, spot_topic),
    topic: spot_topic,
    decode,
    rest: Rest {
        url: "https://api.binance.com",
        instruments: "/api/v3/exchangeInfo?symbolStatus=TRADING&permissions=SPOT&showPermissionSets=false",
        read_instruments: rest::read_instruments,
        volumes: "/api/v3/ticker/24hr?type=MINI",
        read_volumes: rest::read_volumes,
    },
    limits: Limits {
        // 1024 streams; a request of 437 was once ignored in silence.
        topics_per_connection: 1000,
        topics_per_request: 200,
        one_channel_per_request: false,
        // 5 messages a second in a rolling window, pongs included.
        request_every: Duration::from_millis(350),
        // 300 in 5 minutes.
        connect_every: Duration::from_secs(1),
        // 24 hours.
        lifetime: Some(Duration::from_hours(23)),
    },
    // Those of `aggTrade` are too, as it leaves out what was not matched by the book; those of
    // `trade` on the futures are not.
    quirks: Quirks { hot, consecutive_trade_ids: true, ..Quirks::NONE },
};

pub(super) const PERP: Protocol = Protocol {
    venue: Venue::new(Exchange::Binance, Market::Perp),
    // On the wrong path a subscription is accepted and stays silent.
    endpoints: &[
        Endpoint {
            address: Address::Fixed("wss://fstream.binance.com/public/stream"),
            channels: &[Channel::Quotes],
        },
        Endpoint {
            address: Address::Fixed("wss://fstream.binance.com/market/stream"),
            channels: &[Channel::Trades],
        },
    ],
    request: |it| request(it, perp_topic),
    topic: perp_topic,
    rest: Rest {
        url: "https://fapi.binance.com",
        instruments: "/fapi/v1/exchangeInfo",
        volumes: "/fapi/v1/ticker/24hr",
        ..SPOT.rest
    },
    limits: Limits { topics_per_connection: 200, ..SPOT.limits },
    ..SPOT
};

fn spot_topic(topic: &Topic<'_>) -> String {
    let stream = match topic.channel {
        Channel::Quotes => "bookTicker",
        Channel::Trades => "trade",
    };
    format!("{}@{stream}", topic.symbol.to_ascii_lowercase())
}

fn perp_topic(topic: &Topic<'_>) -> String {
    let stream = match topic.channel {
        Channel::Quotes => "bookTicker",
        Channel::Trades => "aggTrade",
    };
    format!("{}@{stream}", topic.symbol.to_ascii_lowercase())
}

fn request(it: &Request<'_>, name: fn(&Topic<'_>) -> String) -> String {
    let params: Vec<_> = it.topics.iter().map(name).collect();
    let method = it.op.or("SUBSCRIBE", "UNSUBSCRIBE");
    json!({ "method": method, "params": params, "id": it.id }).to_string()
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    stream: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(borrow)]
    id: Option<Id<'a>>,
    #[serde(borrow)]
    error: Option<Failure<'a>>,
    code: Option<Int>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    msg: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, rename = "e")]
    event: Option<Text<'a>>,
    #[serde(rename = "E")]
    event_time: Option<Millis>,
    #[serde(rename = "T")]
    trade_time: Option<Millis>,
    #[serde(borrow, rename = "s")]
    symbol: Option<Text<'a>>,
    #[serde(rename = "u")]
    update: Option<Int>,
    #[serde(rename = "b")]
    bid: Option<Num>,
    #[serde(rename = "B")]
    bid_size: Option<Num>,
    /// The ask, or the number of an aggregate trade.
    #[serde(borrow)]
    a: Option<&'a RawValue>,
    #[serde(rename = "A")]
    ask_size: Option<Num>,
    #[serde(rename = "t")]
    trade: Option<u64>,
    #[serde(rename = "p")]
    price: Option<Num>,
    #[serde(rename = "q")]
    size: Option<Num>,
    #[serde(rename = "m")]
    buyer_is_maker: Option<bool>,
    /// How the trade came about; books are matched by `MARKET` alone.
    #[serde(borrow, rename = "X")]
    execution: Option<Text<'a>>,
}

fn hot(text: &str, inbox: &mut Inbox) -> Option<()> {
    let mut it = Scan::of(text);
    it.text(r#"{"stream":"#)?;
    // Quotes of spot have no name.
    if it.skip(r#","data":{"u":"#) {
        return hot_quote(it, inbox);
    }
    match it.text(r#","data":{"e":"#)? {
        "bookTicker" => {
            it.past(r#","u":"#)?;
            hot_quote(it, inbox)
        }
        "trade" => hot_trade(it, inbox),
        "aggTrade" => hot_aggregate(it, inbox),
        _ => None,
    }
}

fn hot_quote(mut it: Scan<'_>, inbox: &mut Inbox) -> Option<()> {
    let update = it.whole("")?;
    let symbol = it.text(r#","s":"#)?;
    // Of perpetuals, since 2026-06, as `st` is.
    if it.skip(r#","ps":"#) {
        it.text("")?;
    }
    let bid = level(it.num(r#","b":"#)?, it.num(r#","B":"#)?);
    let ask = level(it.num(r#","a":"#)?, it.num(r#","A":"#)?);
    let mut sent = None;
    if it.skip(r#","T":"#) {
        it.millis("")?;
        sent = it.millis(r#","E":"#)?.0;
    }
    hot_end(it)?;
    inbox.quote(symbol, sent, Some(update), bid, ask).ok()
}

fn hot_trade(mut it: Scan<'_>, inbox: &mut Inbox) -> Option<()> {
    it.millis(r#","E":"#)?;
    // Perpetuals order the keys differently.
    let early = if it.skip(r#","T":"#) { Some(it.millis("")?) } else { None };
    let symbol = it.text(r#","s":"#)?;
    let id = it.whole(r#","t":"#)?;
    let level = level(it.num(r#","p":"#)?, it.num(r#","q":"#)?);
    let time = match early {
        Some(time) => it.past(r#","X":"MARKET""#).map(|()| time)?,
        None => it.millis(r#","T":"#)?,
    };
    let sold = it.flag(r#","m":"#)?;
    if it.skip(r#","M":"#) {
        it.flag("")?;
    }
    hot_end(it)?;
    inbox.trade(symbol, time.0, level, taker(sold), TradeId::Number(id.cast_unsigned())).ok()
}

fn hot_aggregate(mut it: Scan<'_>, inbox: &mut Inbox) -> Option<()> {
    it.millis(r#","E":"#)?;
    let id = it.whole(r#","a":"#)?;
    let symbol = it.text(r#","s":"#)?;
    let level = level(it.num(r#","p":"#)?, it.num(r#","q":"#)?);
    // Since 2026-06, as `st` is.
    if it.skip(r#","nq":"#) {
        it.text("")?;
    }
    it.whole(r#","f":"#)?;
    it.whole(r#","l":"#)?;
    let time = it.millis(r#","T":"#)?;
    let sold = it.flag(r#","m":"#)?;
    hot_end(it)?;
    inbox.trade(symbol, time.0, level, taker(sold), TradeId::Number(id.cast_unsigned())).ok()
}

fn hot_end(mut it: Scan<'_>) -> Option<()> {
    if it.skip(r#","st":"#) {
        it.whole("")?;
    }
    it.end("}}")
}

fn taker(sold: bool) -> Side {
    if sold { Side::Sell } else { Side::Buy }
}

fn decode(text: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
    match from_str(text) {
        Ok(Frame { stream, data: Some(data), .. }) => event(stream, &data, inbox)?,
        Ok(Frame { error: Some(Failure { msg }), id, .. }) => refused(id, msg, inbox),
        Ok(Frame { code: Some(_), msg: Some(msg), id, .. }) => refused(id, Some(msg), inbox),
        Ok(Frame { id: Some(Id(id)), .. }) => {
            inbox.notice(Notice::Accepted(Subject::request(&id)));
        }
        // A connection to `/ws` sends events without an envelope.
        Ok(_) => match from_str(text) {
            Ok(data) => event(None, &data, inbox)?,
            Err(err) => unusual(text, err, inbox)?,
        },
        Err(err) => unusual(text, err, inbox)?,
    }
    Ok(())
}

fn event(stream: Option<Text<'_>>, it: &Data<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    match it.event.as_ref().map(|it| &*it.0) {
        Some("bookTicker") => quote(it, inbox)?,
        // Spot quotes have no name.
        None if it.bid.is_some() && it.ask_size.is_some() => quote(it, inbox)?,
        Some("trade" | "aggTrade") => trade(it, inbox)?,
        Some("serverShutdown") => inbox.notice(Notice::Closing("serverShutdown".into())),
        Some(other) => inbox.ignore(other),
        None => inbox.notice(match stream {
            Some(Text(stream)) => Notice::Ignored(stream.into_owned()),
            None => Notice::Unknown,
        }),
    }
    Ok(())
}

fn quote(it: &Data<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let (Some(symbol), Some(bid), Some(bid_size), Some(ask), Some(ask_size)) =
        (&it.symbol, it.bid, it.bid_size, it.a, it.ask_size)
    else {
        return Err(DecodeError::Value("a quote without its symbol, prices or sizes"));
    };
    let ts = it.event_time.and_then(|it| it.0);
    let (bid, ask) = (level(bid, bid_size), level(read(ask)?, ask_size));
    inbox.quote(&symbol.0, ts, it.update.map(|it| it.0), bid, ask)
}

fn trade(it: &Data<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    if it.execution.as_ref().is_some_and(|it| it.0 != "MARKET") {
        inbox.ignore("a trade outside the book");
        return Ok(());
    }
    let (Some(symbol), Some(price), Some(size), Some(sold)) =
        (&it.symbol, it.price, it.size, it.buyer_is_maker)
    else {
        return Err(DecodeError::Value("a trade without its symbol, price, size or side"));
    };
    let id = match (it.trade, it.a) {
        (Some(id), _) => TradeId::Number(id),
        (None, Some(aggregate)) => TradeId::Number(read(aggregate)?),
        (None, None) => TradeId::None,
    };
    let side = taker(sold);
    inbox.trade(&symbol.0, it.trade_time.and_then(|it| it.0), level(price, size), side, id)
}

fn refused(id: Option<Id<'_>>, msg: Option<Text<'_>>, inbox: &mut Inbox) {
    let subject = id.map_or(Subject::Unnamed, |Id(id)| Subject::request(&id));
    let reason = msg.unwrap_or_default().0.into_owned();
    inbox.notice(Notice::Refused { subject, reason });
}

/// A frame that does not fit: an error, unless it is of a stream that we do not use, where the same
/// letters mean other things.
fn unusual(text: &str, err: serde_json::Error, inbox: &mut Inbox) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Name<'a> {
        #[serde(borrow)]
        stream: Option<Text<'a>>,
        #[serde(borrow, rename = "e")]
        event: Option<Text<'a>>,
    }
    let used = |name: &str| {
        let kind = name.rsplit('@').next().unwrap_or(name);
        matches!(kind, "bookTicker" | "trade" | "aggTrade")
    };
    // A list is what all-market streams send.
    let names: Vec<Name<'_>> = from_str(text).or_else(|_| from_str(text).map(|it| vec![it]))?;
    match names.first() {
        Some(Name { stream: Some(Text(name)), .. } | Name { event: Some(Text(name)), .. })
            if !used(name) =>
        {
            inbox.ignore(name);
            Ok(())
        }
        _ => Err(err.into()),
    }
}
