//! KuCoin classic: spot `level1` and `match`, futures `tickerV2` and `execution`.
//!
//! <https://www.kucoin.com/docs/websocket/spot-trading/public-channels/level1-bbo-market-data>
//! <https://www.kucoin.com/docs/websocket/futures-trading/public-channels/get-ticker-v2>

mod rest;

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Kucoin, Market::Spot),
    // Handed out with a token that is good for a day.
    endpoints: &[Endpoint {
        address: Address::Fetched { post: "/api/v1/bullet-public", read: rest::read_address },
        channels: &Channel::ALL,
    }],
    request: |it| request(it, spot_channel),
    topic: |it| format!("{}:{}", spot_channel(it.channel), it.symbol),
    decode,
    rest: Rest {
        url: "https://api.kucoin.com",
        instruments: "/api/v2/symbols",
        read_instruments: rest::read_symbols,
        volumes: "/api/v1/market/allTickers",
        read_volumes: rest::read_tickers,
    },
    limits: Limits {
        // 300 or 400, by different pages.
        topics_per_connection: 300,
        topics_per_request: 100,
        one_channel_per_request: true,
        // 100 messages in 10 s, pings included.
        request_every: Duration::from_millis(150),
        // 30 a minute.
        connect_every: Duration::from_millis(2100),
        // A token is good for 24 hours.
        lifetime: Some(Duration::from_hours(23)),
    },
    quirks: Quirks {
        // The venue names 18 s, and closes a connection it has not heard from for 60 s, whatever
        // flows.
        ping: Some(Ping {
            every: Duration::from_secs(12),
            text: |time| json!({ "id": time.to_string(), "type": "ping" }).to_string(),
        }),
        greeting: true,
        hot,
        ..Quirks::NONE
    },
};

pub(super) const PERP: Protocol = Protocol {
    venue: Venue::new(Exchange::Kucoin, Market::Perp),
    request: |it| request(it, perp_channel),
    topic: |it| format!("{}:{}", perp_channel(it.channel), it.symbol),
    rest: Rest {
        url: "https://api-futures.kucoin.com",
        instruments: CONTRACTS,
        read_instruments: rest::read_contracts,
        volumes: CONTRACTS,
        read_volumes: rest::read_turnovers,
    },
    ..SPOT
};

/// Lists contracts and their turnover; the tickers have none.
const CONTRACTS: &str = "/api/v1/contracts/active";

fn spot_channel(it: Channel) -> &'static str {
    match it {
        Channel::Quotes => "/spotMarket/level1",
        Channel::Trades => "/market/match",
    }
}

fn perp_channel(it: Channel) -> &'static str {
    match it {
        Channel::Quotes => "/contractMarket/tickerV2",
        Channel::Trades => "/contractMarket/execution",
    }
}

fn request(it: &Request<'_>, name: fn(Channel) -> &'static str) -> String {
    let channel = it.topics.first().map_or("", |it| name(it.channel));
    let symbols: Vec<_> = it.topics.iter().map(|it| it.symbol).collect();
    json!({
        "id": it.id.to_string(),
        "type": it.op.or("subscribe", "unsubscribe"),
        "topic": format!("{channel}:{}", symbols.join(",")),
        "privateChannel": false,
        "response": true,
    })
    .to_string()
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    topic: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Id<'a>>,
    #[serde(borrow)]
    code: Option<Id<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Level1 {
    #[serde(default)]
    asks: Best,
    #[serde(default)]
    bids: Best,
    timestamp: Option<Millis>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ticker {
    sequence: Option<Int>,
    best_bid_price: Option<Num>,
    best_bid_size: Option<Num>,
    best_ask_price: Option<Num>,
    best_ask_size: Option<Num>,
    ts: Option<Stamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Print<'a> {
    #[serde(borrow)]
    side: Option<Text<'a>>,
    price: Num,
    size: Num,
    #[serde(default)]
    trade_id: TradeId,
    #[serde(alias = "ts")]
    time: Option<Stamp>,
}

fn hot(text: &str, inbox: &mut Inbox) -> Option<()> {
    let mut it = Scan::of(text);
    let (channel, symbol) = it.text(r#"{"topic":"#)?.split_once(':')?;
    it.past(r#","type":"message","subject":"#)?;
    match channel {
        "/spotMarket/level1" => hot_level1(it, symbol, inbox),
        "/contractMarket/tickerV2" => hot_ticker(it, symbol, inbox),
        _ => None,
    }
}

fn hot_level1(mut it: Scan<'_>, symbol: &str, inbox: &mut Inbox) -> Option<()> {
    let ask = it.best(r#""level1","data":{"asks":"#)?;
    let bid = it.best(r#","bids":"#)?;
    let ts = it.millis(r#","timestamp":"#)?;
    it.end("}}")?;
    inbox.quote(symbol, ts.0, None, bid.0, ask.0).ok()
}

/// Sizes are numbers of contracts.
fn hot_ticker(mut it: Scan<'_>, symbol: &str, inbox: &mut Inbox) -> Option<()> {
    it.whole(r#""tickerV2","sn":"#)?;
    it.text(r#","data":{"symbol":"#)?;
    let sequence = it.whole(r#","sequence":"#)?;
    let (bid_size, bid) = (it.num(r#","bestBidSize":"#)?, it.num(r#","bestBidPrice":"#)?);
    let (ask, ask_size) = (it.num(r#","bestAskPrice":"#)?, it.num(r#","bestAskSize":"#)?);
    let ts = it.stamp(r#","ts":"#)?;
    it.end("}}")?;
    inbox.quote(symbol, ts.0, Some(sequence), level(bid, bid_size), level(ask, ask_size)).ok()
}

fn decode(text: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let frame: Frame<'_> = from_str(text)?;
    let kind = frame.kind.as_ref().map(|it| &*it.0);
    // Quotes of spot name their symbol nowhere else.
    let topic = frame.topic.as_ref().map(|it| it.0.split_once(':').unwrap_or((&it.0, "")));
    match (kind, topic, frame.data) {
        (Some("message"), Some(("/spotMarket/level1", symbol)), Some(data)) => {
            let it: Level1 = read(data)?;
            inbox.quote(symbol, it.timestamp.and_then(|it| it.0), None, it.bids.0, it.asks.0)?;
        }
        (Some("message"), Some(("/contractMarket/tickerV2", symbol)), Some(data)) => {
            ticker(symbol, &read(data)?, inbox)?;
        }
        (
            Some("message"),
            Some(("/market/match" | "/contractMarket/execution", symbol)),
            Some(data),
        ) => one_or_each(data, |it| print(symbol, it, inbox))?,
        (Some("message"), Some((other, _)), _) => inbox.ignore(other),
        (Some(kind), ..) => {
            let notice = control(kind, &frame);
            inbox.notice(notice);
        }
        _ => inbox.notice(Notice::Unknown),
    }
    Ok(())
}

fn control(kind: &str, frame: &Frame<'_>) -> Notice {
    let subject = frame.id.as_ref().map_or(Subject::Unnamed, |Id(id)| Subject::request(id));
    match kind {
        "welcome" => Notice::Welcome,
        "ack" => Notice::Accepted(subject),
        "pong" => Notice::Pong,
        "error" => {
            let code = frame.code.as_ref().map_or("", |it| &*it.0);
            let said = frame.data.map_or("", RawValue::get).trim_matches('"');
            let reason = format!("{code}: {said}");
            match code {
                // The token is not good, or there have been too many errors.
                "401" | "420001" => Notice::Closing(reason),
                _ => Notice::Refused { subject, reason },
            }
        }
        other => Notice::Ignored(other.to_owned()),
    }
}

fn ticker(symbol: &str, it: &Ticker, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let side = |price: Option<Num>, size: Option<Num>| {
        level(price.unwrap_or_default(), size.unwrap_or_default())
    };
    let bid = side(it.best_bid_price, it.best_bid_size);
    let ask = side(it.best_ask_price, it.best_ask_size);
    inbox.quote(symbol, it.ts.and_then(|it| it.0), it.sequence.map(|it| it.0), bid, ask)
}

fn print(symbol: &str, it: Print<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let side = side(it.side.as_ref());
    inbox.trade(symbol, it.time.and_then(|it| it.0), level(it.price, it.size), side, it.trade_id)
}
