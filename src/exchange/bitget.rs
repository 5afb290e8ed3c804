//! Bitget classic v2: `books1` and `trade`, spot and USDT futures.
//!
//! <https://www.bitget.com/api-doc/spot/websocket/public/Depth-Channel>
//! <https://www.bitget.com/api-doc/spot/websocket/public/Trades-Channel>

mod rest;

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Bitget, Market::Spot),
    endpoints: &[Endpoint {
        address: Address::Fixed("wss://ws.bitget.com/v2/ws/public"),
        channels: &Channel::ALL,
    }],
    request: |it| request(it, "SPOT"),
    topic: |it| topic(it, "SPOT"),
    decode,
    rest: Rest {
        url: "https://api.bitget.com",
        instruments: "/api/v2/spot/public/symbols",
        read_instruments: rest::read_instruments,
        volumes: "/api/v2/spot/market/tickers",
        read_volumes: rest::read_volumes,
    },
    limits: Limits {
        // 1000; fewer than 50 are advised, 150 were fine.
        topics_per_connection: 100,
        // 4096 bytes a request, up to 100 a topic.
        topics_per_request: 40,
        one_channel_per_request: false,
        // 10 messages a second, pings included.
        request_every: Duration::from_millis(150),
        // 300 in 5 minutes.
        connect_every: Duration::from_millis(1100),
        // 24 hours, by its own FAQ.
        lifetime: Some(Duration::from_hours(23)),
    },
    quirks: Quirks {
        // The venue closes a connection that has not pinged for two minutes, whatever flows.
        ping: Some(Ping { every: Duration::from_secs(20), text: |_| "ping".into() }),
        // Each subscription begins with the latest trades.
        repeats_trades: true,
        hot,
        ..Quirks::NONE
    },
};

pub(super) const PERP: Protocol = Protocol {
    venue: Venue::new(Exchange::Bitget, Market::Perp),
    // A symbol of another product is accepted and stays silent.
    request: |it| request(it, "USDT-FUTURES"),
    topic: |it| topic(it, "USDT-FUTURES"),
    rest: Rest {
        instruments: "/api/v2/mix/market/contracts?productType=USDT-FUTURES",
        volumes: "/api/v2/mix/market/tickers?productType=USDT-FUTURES",
        ..SPOT.rest
    },
    ..SPOT
};

fn channel(it: Channel) -> &'static str {
    match it {
        Channel::Quotes => "books1",
        Channel::Trades => "trade",
    }
}

fn topic(it: &Topic<'_>, product: &str) -> String {
    format!("instType:{product},channel:{},instId:{}", channel(it.channel), it.symbol)
}

fn request(it: &Request<'_>, product: &str) -> String {
    let arg = |it: &Topic<'_>| json!({ "instType": product, "channel": channel(it.channel), "instId": it.symbol });
    let args: Vec<_> = it.topics.iter().map(arg).collect();
    json!({ "op": it.op.or("subscribe", "unsubscribe"), "args": args }).to_string()
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    arg: Option<Arg<'a>>,
    #[serde(borrow)]
    code: Option<Id<'a>>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Arg<'a> {
    #[serde(borrow, alias = "topic")]
    channel: Option<Text<'a>>,
    #[serde(borrow, rename = "instId", alias = "symbol")]
    symbol: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Book {
    asks: Ladder,
    bids: Ladder,
    ts: Option<Millis>,
    seq: Option<Int>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Print<'a> {
    ts: Option<Millis>,
    price: Num,
    size: Num,
    #[serde(borrow)]
    side: Option<Text<'a>>,
    #[serde(default)]
    trade_id: TradeId,
}

fn hot(text: &str, inbox: &mut Inbox) -> Option<()> {
    let mut it = Scan::of(text);
    it.text(r#"{"action":"snapshot","arg":{"instType":"#)?;
    let symbol = it.text(r#","channel":"books1","instId":"#)?;
    let asks = it.ladder(r#"},"data":[{"asks":"#)?;
    let bids = it.ladder(r#","bids":"#)?;
    // What else there is has come and gone.
    it.skip(r#","checksum":0"#);
    let sequence = it.whole(r#","seq":"#)?;
    if it.skip(r#","pseq":"#) {
        it.whole("")?;
    }
    let ts = it.millis(r#","ts":"#)?;
    it.millis(r#"}],"ts":"#)?;
    it.end("}")?;
    inbox.quote(symbol, ts.0, Some(sequence), bids.best, asks.best).ok()
}

fn decode(text: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
    match text {
        "pong" => inbox.notice(Notice::Pong),
        "ping" => inbox.notice(Notice::Ping("pong".into())),
        _ => decode_json(from_str(text)?, inbox)?,
    }
    Ok(())
}

fn decode_json(frame: Frame<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let arg = frame.arg.as_ref();
    let name = arg.and_then(|it| it.channel.as_ref()).map(|it| &*it.0);
    let symbol = arg.and_then(|it| it.symbol.as_ref()).map(|it| &*it.0);
    let subject = || match (name, symbol) {
        (Some("books1"), Some(symbol)) => Subject::Topic(Channel::Quotes, symbol.to_owned()),
        (Some("trade"), Some(symbol)) => Subject::Topic(Channel::Trades, symbol.to_owned()),
        _ => Subject::Unnamed,
    };
    match (frame.event.as_ref().map(|it| &*it.0), name, symbol, frame.data) {
        (None, Some("books1"), Some(symbol), Some(data)) => each(data, |it: Book| {
            let (ts, sequence) = (it.ts.and_then(|it| it.0), it.seq.map(|it| it.0));
            inbox.quote(symbol, ts, sequence, it.bids.best, it.asks.best)
        })?,
        // A subscription starts with a snapshot of past trades, the newest first: after a reconnect
        // they fill the gap, and say again what came before it. Their ids tell which.
        (None, Some("trade"), Some(symbol), Some(data)) => {
            each(data, |it| print(symbol, it, inbox))?;
        }
        (None, Some(other), _, Some(_)) => inbox.ignore(other),
        (Some("subscribe"), ..) => inbox.notice(Notice::Accepted(subject())),
        (Some("unsubscribe"), ..) => inbox.notice(Notice::Unsubscribed),
        (Some("error"), ..) => {
            let subject = subject();
            let (code, said) = (frame.code.unwrap_or_default().0, frame.msg.unwrap_or_default().0);
            inbox.notice(Notice::Refused { subject, reason: format!("{code}: {said}") });
        }
        _ => inbox.notice(Notice::Unknown),
    }
    Ok(())
}

fn print(symbol: &str, it: Print<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let side = side(it.side.as_ref());
    inbox.trade(symbol, it.ts.and_then(|it| it.0), level(it.price, it.size), side, it.trade_id)
}
