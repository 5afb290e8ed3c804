//! What a client has to know of each venue, from its page.

use serde_json::{Value, json};
use spread_aggregator::{
    market::{Exchange, Market, Venue},
    simulator::Simulator,
};

use super::get_json;

pub(super) const BINANCE_SPOT: Venue = Venue::new(Exchange::Binance, Market::Spot);
pub(super) const BINANCE_PERP: Venue = Venue::new(Exchange::Binance, Market::Perp);
pub(super) const BYBIT_SPOT: Venue = Venue::new(Exchange::Bybit, Market::Spot);
pub(super) const BYBIT_PERP: Venue = Venue::new(Exchange::Bybit, Market::Perp);
pub(super) const OKX_SPOT: Venue = Venue::new(Exchange::Okx, Market::Spot);
pub(super) const OKX_PERP: Venue = Venue::new(Exchange::Okx, Market::Perp);
pub(super) const BITGET_SPOT: Venue = Venue::new(Exchange::Bitget, Market::Spot);
pub(super) const BITGET_PERP: Venue = Venue::new(Exchange::Bitget, Market::Perp);
pub(super) const GATEIO_SPOT: Venue = Venue::new(Exchange::Gateio, Market::Spot);
pub(super) const GATEIO_PERP: Venue = Venue::new(Exchange::Gateio, Market::Perp);
pub(super) const KUCOIN_SPOT: Venue = Venue::new(Exchange::Kucoin, Market::Spot);
pub(super) const KUCOIN_PERP: Venue = Venue::new(Exchange::Kucoin, Market::Perp);
pub(super) const MEXC_SPOT: Venue = Venue::new(Exchange::Mexc, Market::Spot);
pub(super) const MEXC_PERP: Venue = Venue::new(Exchange::Mexc, Market::Perp);
pub(super) const BINGX_SPOT: Venue = Venue::new(Exchange::Bingx, Market::Spot);
pub(super) const BINGX_PERP: Venue = Venue::new(Exchange::Bingx, Market::Perp);

pub(super) const VENUES: [Venue; 16] = [
    BINANCE_SPOT,
    BINANCE_PERP,
    BYBIT_SPOT,
    BYBIT_PERP,
    OKX_SPOT,
    OKX_PERP,
    BITGET_SPOT,
    BITGET_PERP,
    GATEIO_SPOT,
    GATEIO_PERP,
    KUCOIN_SPOT,
    KUCOIN_PERP,
    MEXC_SPOT,
    MEXC_PERP,
    BINGX_SPOT,
    BINGX_PERP,
];

pub(super) fn path(venue: Venue) -> &'static str {
    match (venue.exchange, venue.market) {
        (Exchange::Binance, Market::Spot) => "/stream",
        (Exchange::Binance, Market::Perp) => "/public/stream",
        (Exchange::Bybit, Market::Spot) => "/v5/public/spot",
        (Exchange::Bybit, Market::Perp) => "/v5/public/linear",
        (Exchange::Okx, _) => "/ws/v5/public",
        (Exchange::Bitget, _) => "/v2/ws/public",
        (Exchange::Gateio, Market::Spot) => "/ws/v4/",
        (Exchange::Gateio, Market::Perp) => "/v4/ws/usdt",
        (Exchange::Kucoin, _) => "/",
        (Exchange::Mexc, Market::Spot) => "/ws",
        (Exchange::Mexc, Market::Perp) => "/edge",
        (Exchange::Bingx, Market::Spot) => "/market",
        (Exchange::Bingx, Market::Perp) => "/swap-market",
    }
}

/// The topics of an instrument that one connection of a venue carries, quotes first.
pub(super) fn topics(venue: Venue, native: &str) -> Vec<String> {
    let lower = native.to_lowercase();
    match (venue.exchange, venue.market) {
        (Exchange::Binance, _) => vec![format!("{lower}@bookTicker"), format!("{lower}@trade")],
        (Exchange::Bybit, _) => {
            vec![format!("orderbook.1.{native}"), format!("publicTrade.{native}")]
        }
        (Exchange::Okx, _) => vec![format!("bbo-tbt:{native}"), format!("trades:{native}")],
        (Exchange::Bitget, _) => vec![format!("books1:{native}"), format!("trade:{native}")],
        (Exchange::Gateio, _) => vec![format!("book_ticker:{native}"), format!("trades:{native}")],
        (Exchange::Kucoin, Market::Spot) => {
            vec![format!("/spotMarket/level1:{native}"), format!("/market/match:{native}")]
        }
        (Exchange::Kucoin, Market::Perp) => {
            let start = "/contractMarket";
            vec![format!("{start}/tickerV2:{native}"), format!("{start}/execution:{native}")]
        }
        (Exchange::Mexc, Market::Spot) => {
            let name = |it| format!("spot@public.aggre.{it}.v3.api.pb@100ms@{native}");
            vec![name("bookTicker"), name("deals")]
        }
        (Exchange::Mexc, Market::Perp) => {
            vec![format!("depth.full:{native}"), format!("deal:{native}")]
        }
        (Exchange::Bingx, _) => vec![format!("{native}@bookTicker"), format!("{native}@trade")],
    }
}

/// The requests that subscribe to `topics` or end that, and how many answers they get.
pub(super) fn requests(
    venue: Venue,
    verb: &str,
    topics: &[String],
    id: u64,
    now: u64,
) -> (Vec<Value>, usize) {
    let split = |it: &String| {
        let (stream, native) = it.split_once(':').unwrap();
        (stream.to_owned(), native.to_owned())
    };
    match (venue.exchange, venue.market) {
        (Exchange::Binance, _) => {
            (vec![json!({"method": verb.to_uppercase(), "params": topics, "id": id})], 1)
        }
        (Exchange::Bybit, _) => {
            (vec![json!({"req_id": id.to_string(), "op": verb, "args": topics})], 1)
        }
        (Exchange::Okx, _) => {
            let arg = |it: &String| json!({"channel": split(it).0, "instId": split(it).1});
            let args: Vec<_> = topics.iter().map(arg).collect();
            (vec![json!({"id": id.to_string(), "op": verb, "args": args})], topics.len())
        }
        (Exchange::Bitget, market) => {
            let product = if market == Market::Spot { "SPOT" } else { "USDT-FUTURES" };
            let arg = |it: &String| json!({"instType": product, "channel": split(it).0, "instId": split(it).1});
            let args: Vec<_> = topics.iter().map(arg).collect();
            (vec![json!({"op": verb, "args": args})], topics.len())
        }
        (Exchange::Gateio, market) => {
            let prefix = if market == Market::Spot { "spot" } else { "futures" };
            let all = by_stream(topics).into_iter().map(|(stream, names)| {
                json!({"time": now, "id": id, "channel": format!("{prefix}.{stream}"),
                    "event": verb, "payload": names})
            });
            let all: Vec<_> = all.collect();
            (all.clone(), all.len())
        }
        (Exchange::Kucoin, _) => {
            let all = by_stream(topics).into_iter().map(|(stream, names)| {
                json!({"id": id.to_string(), "type": verb,
                    "topic": format!("{stream}:{}", names.join(",")), "privateChannel": false,
                    "response": true})
            });
            let all: Vec<_> = all.collect();
            (all.clone(), all.len())
        }
        (Exchange::Mexc, Market::Spot) => {
            let method = if verb == "subscribe" { "SUBSCRIPTION" } else { "UNSUBSCRIPTION" };
            (vec![json!({"method": method, "params": topics, "id": id})], 1)
        }
        (Exchange::Mexc, Market::Perp) => {
            let method = if verb == "subscribe" { "sub" } else { "unsub" };
            let one = |it: &String| {
                let (stream, native) = split(it);
                json!({"method": format!("{method}.{stream}"),
                    "param": {"symbol": native, "limit": 5}})
            };
            (topics.iter().map(one).collect(), topics.len())
        }
        (Exchange::Bingx, _) => {
            let verb = if verb == "subscribe" { "sub" } else { "unsub" };
            let one = |it| json!({"id": id.to_string(), "reqType": verb, "dataType": it});
            (topics.iter().map(one).collect(), topics.len())
        }
    }
}

/// The symbols of each stream, for requests that are about one.
fn by_stream(topics: &[String]) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = vec![];
    for it in topics {
        let (stream, native) = it.split_once(':').unwrap();
        match all.iter_mut().find(|it| it.0 == stream) {
            Some((_, names)) => names.push(native.to_owned()),
            None => all.push((stream.to_owned(), vec![native.to_owned()])),
        }
    }
    all
}

/// What asks for an answer at once; `None` where the client is not to ping.
pub(super) fn ping(venue: Venue) -> Option<String> {
    Some(match (venue.exchange, venue.market) {
        (Exchange::Binance | Exchange::Bingx, _) => return None,
        (Exchange::Bybit, _) => json!({"req_id": "p", "op": "ping"}).to_string(),
        (Exchange::Okx | Exchange::Bitget, _) => "ping".to_owned(),
        (Exchange::Gateio, Market::Spot) => json!({"channel": "spot.ping"}).to_string(),
        (Exchange::Gateio, Market::Perp) => json!({"channel": "futures.ping"}).to_string(),
        (Exchange::Kucoin, _) => json!({"id": "p", "type": "ping"}).to_string(),
        (Exchange::Mexc, Market::Spot) => json!({"method": "PING"}).to_string(),
        (Exchange::Mexc, Market::Perp) => json!({"method": "ping"}).to_string(),
    })
}

pub(super) fn is_pong(it: &Value) -> bool {
    it == "pong"
        || it["ret_msg"] == "pong"
        || it["type"] == "pong"
        || it["msg"] == "PONG"
        || it["channel"].as_str().is_some_and(|it| it.ends_with("pong"))
}

pub(super) fn is_ack(venue: Venue, reply: &Value) -> bool {
    match venue.exchange {
        Exchange::Binance => reply.get("result").is_some_and(Value::is_null),
        Exchange::Bybit => reply["success"] == true,
        Exchange::Okx | Exchange::Bitget => reply["event"] == "subscribe",
        Exchange::Gateio => reply["error"].is_null() && reply["result"]["status"] == "success",
        Exchange::Kucoin => reply["type"] == "ack",
        Exchange::Mexc if venue.market == Market::Spot => {
            reply["msg"].as_str().is_some_and(|it| it.starts_with("spot@public"))
        }
        Exchange::Mexc => reply["data"] == "success",
        Exchange::Bingx => reply["code"] == 0,
    }
}

/// Whether it is an answer and no data.
pub(super) fn is_reply(venue: Venue, it: &Value) -> bool {
    let has = |key: &str| it.get(key).is_some();
    match venue.exchange {
        Exchange::Binance => has("result") || has("error"),
        Exchange::Bybit => has("op"),
        Exchange::Okx | Exchange::Bitget => has("event"),
        Exchange::Gateio => {
            let system = it["channel"].as_str().is_some_and(|it| it.ends_with(".system"));
            system || has("conn_id")
        }
        Exchange::Kucoin => it["type"].is_string() && it["type"] != "message",
        Exchange::Mexc if venue.market == Market::Spot => has("msg"),
        Exchange::Mexc => it["channel"].as_str().is_some_and(|it| it.starts_with("rs.")),
        Exchange::Bingx => has("id"),
    }
}

/// What a frame with data is about.
pub(super) fn subject(frame: &Value) -> String {
    let keys = ["topic", "stream", "arg", "dataType", "channel", "symbol", "1"];
    let top = keys.map(|it| frame[it].to_string());
    let result = &frame["result"];
    let row = if result.is_array() { &result[0] } else { result };
    let names = ["s", "currency_pair", "contract"].map(|it| row[it].to_string());
    [&top[..], &names].concat().join(" ")
}

pub(super) fn native(venue: Venue, base: &str) -> String {
    match (venue.exchange, venue.market) {
        (Exchange::Okx, Market::Perp) => format!("{base}-USDT-SWAP"),
        (Exchange::Okx | Exchange::Bingx, _) | (Exchange::Kucoin, Market::Spot) => {
            format!("{base}-USDT")
        }
        (Exchange::Gateio, _) | (Exchange::Mexc, Market::Perp) => format!("{base}_USDT"),
        (Exchange::Kucoin, Market::Perp) => {
            format!("{}USDTM", if base == "BTC" { "XBT" } else { base })
        }
        _ => format!("{base}USDT"),
    }
}

pub(super) fn lists(venue: Venue) -> [String; 2] {
    let [list, tickers] = match (venue.exchange, venue.market) {
        (Exchange::Binance | Exchange::Mexc, Market::Spot) => {
            ["api/v3/exchangeInfo", "api/v3/ticker/24hr"]
        }
        (Exchange::Binance, Market::Perp) => ["fapi/v1/exchangeInfo", "fapi/v1/ticker/24hr"],
        (Exchange::Bybit, Market::Spot) => {
            ["v5/market/instruments-info?category=spot", "v5/market/tickers?category=spot"]
        }
        (Exchange::Bybit, Market::Perp) => [
            "v5/market/instruments-info?category=linear&limit=1000",
            "v5/market/tickers?category=linear",
        ],
        (Exchange::Okx, Market::Spot) => {
            ["api/v5/public/instruments?instType=SPOT", "api/v5/market/tickers?instType=SPOT"]
        }
        (Exchange::Okx, Market::Perp) => {
            ["api/v5/public/instruments?instType=SWAP", "api/v5/market/tickers?instType=SWAP"]
        }
        (Exchange::Bitget, Market::Spot) => {
            ["api/v2/spot/public/symbols", "api/v2/spot/market/tickers"]
        }
        (Exchange::Bitget, Market::Perp) => [
            "api/v2/mix/market/contracts?productType=USDT-FUTURES",
            "api/v2/mix/market/tickers?productType=usdt-futures",
        ],
        (Exchange::Gateio, Market::Spot) => ["api/v4/spot/currency_pairs", "api/v4/spot/tickers"],
        (Exchange::Gateio, Market::Perp) => {
            ["api/v4/futures/usdt/contracts", "api/v4/futures/usdt/tickers"]
        }
        (Exchange::Kucoin, Market::Spot) => ["api/v2/symbols", "api/v1/market/allTickers"],
        (Exchange::Kucoin, Market::Perp) => ["api/v1/contracts/active", "api/v1/contracts/active"],
        (Exchange::Mexc, Market::Perp) => ["api/v1/contract/detail", "api/v1/contract/ticker"],
        (Exchange::Bingx, Market::Spot) => {
            ["openApi/spot/v1/common/symbols", "openApi/spot/v1/ticker/24hr?timestamp=1"]
        }
        (Exchange::Bingx, Market::Perp) => {
            ["openApi/swap/v2/quote/contracts", "openApi/swap/v2/quote/ticker"]
        }
    };
    [list, tickers].map(|it| format!("/{venue}/{it}"))
}

pub(super) fn rows(reply: &Value) -> Vec<Value> {
    let data = &reply["data"];
    let places = [
        &reply["symbols"],
        &reply["result"]["list"],
        &data["symbols"],
        &data["ticker"],
        data,
        reply,
    ];
    places.iter().find_map(|it| it.as_array()).unwrap().clone()
}

/// The native name in a row of a list.
pub(super) fn name(row: &Value) -> String {
    let keys = ["symbol", "instId", "id", "name", "currency_pair", "contract"];
    keys.iter().find_map(|it| row[*it].as_str()).unwrap().to_owned()
}

/// The volume of 24 hours in quote units in a row of the tickers.
pub(super) fn volume(row: &Value) -> Option<f64> {
    let keys = [
        "quoteVolume",
        "turnover24h",
        "volCcy24h",
        "usdtVolume",
        "quote_volume",
        "volume_24h_settle",
        "volValue",
        "turnoverOf24h",
        "amount24",
    ];
    let found = keys.iter().map(|it| &row[*it]).find(|it| !it.is_null())?;
    found.as_f64().or(found.as_str().and_then(|it| it.parse().ok()))
}

/// What can be subscribed to and delivers.
pub(super) fn tradable(simulator: &Simulator, venue: Venue) -> Vec<String> {
    let rows = rows(&get_json(simulator, &lists(venue)[0]));
    let open = |it: &&Value| match (venue.exchange, venue.market) {
        (Exchange::Binance, _) => it["status"] == "TRADING" && it["isSpotTradingAllowed"] != false,
        (Exchange::Bybit, _) => it["status"] == "Trading",
        (Exchange::Okx, _) => it["state"] == "live",
        (Exchange::Bitget, Market::Spot) => it["status"] == "online",
        (Exchange::Bitget, Market::Perp) => it["symbolStatus"] == "normal",
        (Exchange::Gateio, Market::Spot) => {
            it["trade_status"] == "tradable" && it["st_tag"] == false
        }
        (Exchange::Gateio, Market::Perp) => {
            it["status"] == "trading" && it["name"].as_str().is_some_and(str::is_ascii)
        }
        (Exchange::Kucoin, Market::Spot) => it["enableTrading"] == true,
        (Exchange::Kucoin, Market::Perp) => it["status"] == "Open",
        (Exchange::Mexc, Market::Spot) => it["status"] == "1" && it["isSpotTradingAllowed"] == true,
        (Exchange::Mexc, Market::Perp) => it["state"] == 0,
        (Exchange::Bingx, _) => it["status"] == 1,
    };
    rows.iter().filter(open).map(name).collect()
}
