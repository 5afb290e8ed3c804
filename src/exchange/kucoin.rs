//! KuCoin classic: spot `level1` and `match`, futures `tickerV2` and `execution`.
//!
//! <https://www.kucoin.com/docs/websocket/spot-trading/public-channels/level1-bbo-market-data>
//! <https://www.kucoin.com/docs/websocket/futures-trading/public-channels/get-ticker-v2>

use super::prelude::*;

pub(super) const SPOT: Protocol = Protocol {
    venue: Venue::new(Exchange::Kucoin, Market::Spot),
    // Handed out with a token that is good for a day.
    endpoints: &[Endpoint {
        address: Address::Fetched { post: "/api/v1/bullet-public", read: read_address },
        channels: &Channel::ALL,
    }],
    request: |it| request(it, spot_channel),
    topic: |it| format!("{}:{}", spot_channel(it.channel), it.symbol),
    decode,
    rest: Rest {
        url: "https://api.kucoin.com",
        instruments: "/api/v2/symbols",
        read_instruments: read_symbols,
        volumes: "/api/v1/market/allTickers",
        read_volumes: read_tickers,
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
        read_instruments: read_contracts,
        volumes: CONTRACTS,
        read_volumes: read_turnovers,
    },
    ..SPOT
};

/// Lists contracts and their turnover; the tickers have none.
const CONTRACTS: &str = "/api/v1/contracts/active";
/// An address is about 300 characters, most of them token.
const ADDRESS_MAX: usize = 4096;

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
    #[serde(borrow)]
    trade_id: Option<Id<'a>>,
    #[serde(alias = "ts")]
    time: Option<Stamp>,
}

const LEVEL1: Template<6> = Template::new(
    r#"{"topic":"/spotMarket/level1:~","type":"message","subject":"level1","data":{"asks":["~","~"],"bids":["~","~"],"timestamp":~}}"#,
);
/// Of perpetuals; sizes are numbers of contracts.
const TICKER: Template<9> = Template::new(
    r#"{"topic":"/contractMarket/tickerV2:~","type":"message","subject":"tickerV2","sn":~,"data":{"symbol":"~","sequence":~,"bestBidSize":~,"bestBidPrice":"~","bestAskPrice":"~","bestAskSize":~,"ts":~}}"#,
);

fn hot(text: &str, inbox: &mut Inbox) -> Option<()> {
    if let Some([symbol, ask, asks, bid, bids, time]) = LEVEL1.values(text) {
        return template::quote(inbox, symbol, millis(time)?, None, [bid, bids, ask, asks]);
    }
    let [symbol, sn, _, sequence, bids, bid, ask, asks, ts] = TICKER.values(text)?;
    whole(sn)?;
    let bid = level(Num::parse(bid).ok()?, bare(bids)?);
    let ask = level(Num::parse(ask).ok()?, bare(asks)?);
    inbox.quote(symbol, stamp(ts)?, Some(whole(sequence)?), bid, ask).ok()
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
        ) => one_or_each(data, |it| print(symbol, &it, inbox))?,
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

fn print(symbol: &str, it: &Print<'_>, inbox: &mut Inbox) -> Result<(), DecodeError> {
    let side = side(it.side.as_ref());
    let id = it.trade_id.as_ref().map_or(TradeId::None, |Id(id)| TradeId::parse(id));
    inbox.trade(symbol, it.time.and_then(|it| it.0), level(it.price, it.size), side, id)
}

/// A failure, too, may be an answer of HTTP status 200.
fn data<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, DecodeError> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        code: Id<'a>,
        #[serde(borrow)]
        msg: Option<Text<'a>>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let reply: Reply<'_> = from_str(body)?;
    match reply.data {
        Some(data) if reply.code.0 == "200000" => read(data),
        _ => {
            let message = reply.msg.unwrap_or_default().0.into_owned();
            Err(DecodeError::Refused { code: reply.code.0.into_owned(), message })
        }
    }
}

fn read_address(body: &str, unique: u32) -> Result<String, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Bullet<'a> {
        #[serde(borrow)]
        token: Text<'a>,
        instance_servers: Vec<Server>,
    }
    #[derive(Deserialize)]
    struct Server {
        endpoint: String,
    }
    let Bullet { token, instance_servers } = data(body)?;
    let Some(Server { endpoint }) = instance_servers.first() else {
        return Err(DecodeError::Value("no server"));
    };
    // Base64, with what it needs in a query.
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~=+/%".contains(&it);
    if token.0.is_empty() || !token.0.bytes().all(plain) {
        return Err(DecodeError::Value("a token that is none"));
    }
    let address = format!("{endpoint}?token={}&connectId={unique}", token.0);
    if ADDRESS_MAX < address.len() {
        return Err(DecodeError::Value("an address without an end"));
    }
    Ok(address)
}

fn read_symbols(body: &str, to: &mut Vec<Listing>) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        base_currency: String,
        quote_currency: String,
        enable_trading: bool,
    }
    let rows: Vec<Row> = data(body)?;
    to.extend(rows.into_iter().filter(|it| it.enable_trading).map(|it| Listing {
        symbol_native: it.symbol,
        base: it.base_currency,
        quote: it.quote_currency,
        contract_size: 1.0,
    }));
    Ok(None)
}

fn read_contracts(body: &str, to: &mut Vec<Listing>) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        symbol: String,
        base_currency: String,
        quote_currency: String,
        #[serde(borrow, rename = "type")]
        kind: Option<Text<'a>>,
        #[serde(borrow)]
        status: Text<'a>,
        multiplier: Signed,
        #[serde(default)]
        is_inverse: bool,
    }
    let open = |it: &Row<'_>| {
        let perpetual = it.kind.as_ref().is_none_or(|it| it.0 == "FFWCSX");
        // The size of an inverse contract is in the quote asset.
        it.status.0 == "Open" && perpetual && !it.is_inverse
    };
    let rows: Vec<Row<'_>> = data(body)?;
    to.extend(rows.into_iter().filter(open).map(|it| Listing {
        symbol_native: it.symbol,
        base: if it.base_currency == "XBT" { "BTC".into() } else { it.base_currency },
        quote: it.quote_currency,
        contract_size: it.multiplier.0,
    }));
    Ok(None)
}

fn read_tickers(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Tickers {
        ticker: Vec<Row>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        vol_value: Option<Num>,
    }
    let Tickers { ticker } = data(body)?;
    to.extend(ticker.into_iter().map(|it| {
        let last_day = it.vol_value.unwrap_or_default().0;
        Volume { symbol_native: it.symbol, last_day }
    }));
    Ok(())
}

fn read_turnovers(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Row {
        symbol: String,
        #[serde(rename = "turnoverOf24h")]
        turnover: Option<Num>,
    }
    let rows: Vec<Row> = data(body)?;
    to.extend(rows.into_iter().map(|it| {
        let last_day = it.turnover.unwrap_or_default().0;
        Volume { symbol_native: it.symbol, last_day }
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(token: &str) -> Result<String, DecodeError> {
        let body = json!({ "code": "200000", "data": {
            "token": token,
            "instanceServers": [
                { "endpoint": "wss://somewhere.kucoin.com/", "protocol": "websocket" },
                { "endpoint": "wss://elsewhere.kucoin.com/" },
            ],
        } });
        read_address(&body.to_string(), 7)
    }

    #[test]
    fn an_address_is_that_of_the_first_server_with_the_token() {
        let url = "wss://somewhere.kucoin.com/?token=2neAiuYvAU_a==.b-c/d+e==&connectId=7";
        assert_eq!(address("2neAiuYvAU_a==.b-c/d+e==").unwrap(), url);
    }

    #[test]
    fn an_answer_without_an_address_is_refused() {
        for token in ["", "a b", "a&b=c", "a#b", "a\r\nHost: x", &"a".repeat(5000)] {
            assert!(address(token).is_err(), "{token}");
        }
        let none = r#"{"code":"200000","data":{"token":"x","instanceServers":[]}}"#;
        assert!(read_address(none, 7).unwrap_err().to_string().contains("no server"));
        let refused = r#"{"code":"429000","msg":"too many requests"}"#;
        assert!(read_address(refused, 7).unwrap_err().to_string().contains("429000"));
    }
}
