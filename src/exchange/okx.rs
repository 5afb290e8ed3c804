//! OKX v5: `bbo-tbt` and `trades`, spot and linear swaps.
//!
//! <https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel>
//! <https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-trades-channel>

mod rest;

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Okx, Market::Spot),
    endpoints: &[Endpoint {
        // Port 8443, which older clients use, was announced to close on 2026-10-31.
        address: Address::Fixed("wss://ws.okx.com/ws/v5/public"),
        channels: &Channel::ALL,
    }],
    request: |it| {
        let arg = |it: &Topic<'_>| json!({ "channel": channel(it.channel), "instId": it.symbol });
        let args: Vec<_> = it.topics.iter().map(arg).collect();
        let op = it.op.or("subscribe", "unsubscribe");
        json!({ "id": it.id.to_string(), "op": op, "args": args }).to_string()
    },
    topic: |it| format!("{},instId:{}", channel(it.channel), it.symbol),
    decode,
    rest: Rest {
        url: "https://www.okx.com",
        instruments: "/api/v5/public/instruments?instType=SPOT",
        read_instruments: rest::read_instruments,
        volumes: "/api/v5/market/tickers?instType=SPOT",
        read_volumes: rest::read_volumes,
    },
    limits: Limits {
        topics_per_connection: 300,
        // 64 KB a request and 480 requests an hour.
        topics_per_request: 100,
        one_channel_per_request: false,
        request_every: Duration::from_millis(200),
        // 3 a second.
        connect_every: Duration::from_millis(400),
        lifetime: None,
    },
    quirks: Quirks {
        // The venue closes a connection it has not heard from for 30 s.
        ping: Some(Ping { every: Duration::from_secs(20), text: |_| "ping".into() }),
        hot,
        // Whether a subscription begins with old trades is not documented.
        repeats_trades: true,
        ..Quirks::NONE
    },
};

pub(super) const PERP: Protocol = Protocol {
    venue: Venue::new(Exchange::Okx, Market::Perp),
    rest: Rest {
        instruments: "/api/v5/public/instruments?instType=SWAP",
        volumes: "/api/v5/market/tickers?instType=SWAP",
        ..SPOT.rest
    },
    ..SPOT
};

fn channel(it: Channel) -> &'static str {
    match it {
        Channel::Quotes => "bbo-tbt",
        Channel::Trades => "trades",
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Id<'a>>,
    #[serde(borrow)]
    code: Option<Id<'a>>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
    #[serde(borrow)]
    arg: Option<Arg<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Arg<'a> {
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(borrow, rename = "instId")]
    symbol: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Book {
    asks: Ladder,
    bids: Ladder,
    ts: Option<Millis>,
    #[serde(rename = "seqId")]
    sequence: Option<Int>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Print<'a> {
    #[serde(borrow)]
    trade_id: Id<'a>,
    px: Num,
    sz: Num,
    #[serde(borrow)]
    side: Text<'a>,
    ts: Option<Millis>,
}

fn hot(text: &str, inbox: &mut Inbox) -> Option<()> {
    let mut it = Scan::of(text);
    let symbol = it.text(r#"{"arg":{"channel":"bbo-tbt","instId":"#)?;
    let asks = it.ladder(r#"},"data":[{"asks":"#)?;
    let bids = it.ladder(r#","bids":"#)?;
    let ts = it.millis(r#","ts":"#)?;
    let sequence = it.whole(r#","seqId":"#)?;
    it.end("}]}")?;
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
    match (frame.event.as_ref().map(|it| &*it.0), name, symbol, frame.data) {
        (None, Some("bbo-tbt"), Some(symbol), Some(data)) => each(data, |it: Book| {
            let (ts, sequence) = (it.ts.and_then(|it| it.0), it.sequence.map(|it| it.0));
            inbox.quote(symbol, ts, sequence, it.bids.best, it.asks.best)
        })?,
        (None, Some("trades" | "trades-all"), Some(symbol), Some(data)) => {
            each(data, |it| print(symbol, &it, inbox))?;
        }
        (None, Some(other), _, Some(_)) => inbox.ignore(other),
        (Some("unsubscribe"), ..) => inbox.notice(Notice::Unsubscribed),
        (Some("subscribe"), Some(name), Some(symbol), _) => {
            inbox.notice(Notice::Accepted(match name {
                "bbo-tbt" => Subject::Topic(Channel::Quotes, symbol.to_owned()),
                "trades" => Subject::Topic(Channel::Trades, symbol.to_owned()),
                _ => Subject::Unnamed,
            }));
        }
        (Some("error"), ..) => {
            let subject = frame.id.map_or(Subject::Unnamed, |Id(id)| Subject::request(&id));
            let (code, said) = (frame.code.unwrap_or_default().0, frame.msg.unwrap_or_default().0);
            inbox.notice(Notice::Refused { subject, reason: format!("{code}: {said}") });
        }
        (Some("notice"), ..) => {
            inbox.notice(Notice::Closing(frame.msg.unwrap_or_default().0.into_owned()));
        }
        (Some(other @ ("channel-conn-count" | "channel-conn-count-error")), ..) => {
            inbox.ignore(other);
        }
        // The answer of the REST interface, which some captures mix in.
        (None, None, _, Some(_)) if frame.code.is_some() => inbox.ignore("an answer to a request"),
        _ => inbox.notice(Notice::Unknown),
    }
    Ok(())
}

fn print(symbol: &str, it: &Print<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let side = side(Some(&it.side));
    let (ts, id) = (it.ts.and_then(|it| it.0), TradeId::parse(&it.trade_id.0));
    inbox.trade(symbol, ts, level(it.px, it.sz), side, id)
}
