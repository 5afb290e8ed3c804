//! What clients and the server say to each other over the WebSocket: requests read from a text and
//! nothing else, answers as JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::market::{Channel, Exchange, Market, Venue};

/// The number of this protocol: it is raised when clients have to change.
pub const SCHEMA: u32 = 1;

/// The longest that messages can be held together for.
const INTERVAL_MAX_MS: u64 = 60_000;
/// The longest symbol; real ones are below 30 bytes.
const SYMBOL_BYTES_MAX: usize = 64;

/// What clients subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "a name is all there is to say")]
pub enum Topic {
    Quotes,
    Trades,
    Spreads,
    Screener,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 4] = [Topic::Quotes, Topic::Trades, Topic::Spreads, Topic::Screener];
}

impl From<Channel> for Topic {
    fn from(it: Channel) -> Self {
        match it {
            Channel::Quotes => Topic::Quotes,
            Channel::Trades => Topic::Trades,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "a name is all there is to say")]
pub enum Op {
    Subscribe,
    Unsubscribe,
}

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub op: Op,
    /// With which messages.
    pub topic: Topic,
    /// Of which symbols, each once; `None` for all of them.
    pub symbols: Option<Vec<String>>,
    /// Of which venues.
    pub venues: Venues,
    /// For how long messages of one instrument are held together, of which the latest is sent, in
    /// milliseconds; 0 to send all.
    pub interval_ms: u32,
}

/// A set of venues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Venues(u32);

const _: () = assert!(Exchange::ALL.len() * Market::ALL.len() <= 32, "each has its bit");

impl Venues {
    /// All there are.
    pub const ALL: Venues = Venues(u32::MAX >> (32 - Exchange::ALL.len() * Market::ALL.len()));
    /// None.
    pub const NONE: Venues = Venues(0);

    /// One.
    #[must_use]
    pub const fn one(venue: Venue) -> Self {
        Self(1 << (venue.exchange as usize * Market::ALL.len() + venue.market as usize))
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        !self.and(other).is_empty()
    }
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    op: Op,
    channel: Topic,
    #[serde(borrow)]
    symbols: Option<Vec<Cow<'a, str>>>,
    exchanges: Option<Vec<Cow<'a, str>>>,
    market: Option<Cow<'a, str>>,
    interval_ms: Option<u64>,
}

/// Reads a request.
///
/// # Errors
/// When it is none; the message says what would be right.
pub fn parse(text: &str) -> Result<Request, String> {
    let written: Written<'_> = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|it| it.to_string())
    } else {
        Err("no JSON object".to_owned())
    }
    .map_err(|it| format!("{it}; a request is like {EXAMPLE}"))?;
    let interval = written.interval_ms.unwrap_or(0);
    let interval_ms = u32::try_from(interval).ok().filter(|_| interval <= INTERVAL_MAX_MS);
    Ok(Request {
        op: written.op,
        topic: written.channel,
        symbols: named("symbols", "BTC-USDT", written.symbols)?
            .map(|it| it.into_iter().map(symbol).collect::<Result<_, _>>())
            .transpose()?,
        venues: venues(written.exchanges, written.market.as_deref())?,
        interval_ms: interval_ms.ok_or_else(|| {
            format!("interval_ms: must be from 0 to {INTERVAL_MAX_MS}, not {interval}")
        })?,
    })
}

const EXAMPLE: &str = r#"{"op":"subscribe","channel":"quotes","symbols":["BTC-USDT"]}"#;

/// A list of names without those that come again; `None` when it is left out or says all.
fn named<'a>(
    key: &str,
    example: &str,
    names: Option<Vec<Cow<'a, str>>>,
) -> Result<Option<Vec<Cow<'a, str>>>, String> {
    let Some(mut names) = names else { return Ok(None) };
    if names.is_empty() {
        return Err(format!(
            "{key}: must name at least one, such as [\"{example}\"], or be left out for all"
        ));
    }
    if names.iter().any(|it| it == "*") {
        return Ok(None);
    }
    names.sort_unstable();
    names.dedup();
    Ok(Some(names))
}

fn symbol(symbol: Cow<'_, str>) -> Result<String, String> {
    let spelled = symbol.rsplit_once('-').is_some_and(|(base, quote)| {
        !base.is_empty() && !quote.is_empty() && !symbol.chars().any(char::is_lowercase)
    });
    if spelled && symbol.len() <= SYMBOL_BYTES_MAX {
        return Ok(symbol.into_owned());
    }
    let shown: String = symbol.chars().take(SYMBOL_BYTES_MAX).collect();
    Err(format!("symbols: must be like \"BTC-USDT\", not {shown:?}"))
}

fn venues(exchanges: Option<Vec<Cow<'_, str>>>, market: Option<&str>) -> Result<Venues, String> {
    let exchanges = match named("exchanges", Exchange::ALL[0].name(), exchanges)? {
        None => Exchange::ALL.to_vec(),
        Some(names) => {
            let parsed = names.iter().map(|it| it.parse());
            parsed.collect::<Result<_, _>>().map_err(|it| format!("exchanges: {it}"))?
        }
    };
    let markets = match market {
        None | Some("*") => Market::ALL.to_vec(),
        Some(name) => vec![name.parse().map_err(|it| format!("market: {it}"))?],
    };
    let venues = exchanges.iter().flat_map(|&exchange| {
        markets.iter().map(move |&market| Venues::one(Venue::new(exchange, market)))
    });
    Ok(venues.fold(Venues::NONE, Venues::or))
}

/// What the server says of itself and of what it was asked.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[expect(missing_docs, reason = "docs/live.md lists the keys")]
pub enum Answer<'a> {
    Hello { version: &'static str, schema: u32, ping_interval_ms: u128, max_subscriptions: usize },
    Subscribed(Understood<'a>),
    Unsubscribed(Understood<'a>),
    Lag { dropped: u64, upstream: u64 },
    Heartbeat { ts: i64 },
    Error { detail: &'a str },
}

/// How a request was understood.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "docs/live.md lists the keys")]
pub struct Understood<'a> {
    pub channel: Topic,
    pub symbols: Vec<&'a str>,
    pub exchanges: Vec<&'static str>,
    pub markets: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
    /// Symbols that nothing is known of at present.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<&'a str>,
}

impl<'a> Understood<'a> {
    /// What was understood of `request`; `unknown` are those of its symbols that are not known.
    #[must_use]
    pub fn new(request: &'a Request, unknown: Vec<&'a str>) -> Self {
        let has = |venue| request.venues.meets(Venues::one(venue));
        let mut exchanges: Vec<_> = Exchange::ALL
            .into_iter()
            .filter(|&it| Market::ALL.iter().any(|&market| has(Venue::new(it, market))))
            .map(Exchange::name)
            .collect();
        if exchanges.len() == Exchange::ALL.len() {
            exchanges = vec!["*"];
        }
        let markets = Market::ALL
            .into_iter()
            .filter(|&it| Exchange::ALL.iter().any(|&exchange| has(Venue::new(exchange, it))))
            .map(Market::name)
            .collect();
        let symbols = request.symbols.as_ref();
        Self {
            channel: request.topic,
            symbols: symbols.map_or(vec!["*"], |it| it.iter().map(String::as_str).collect()),
            exchanges,
            markets,
            interval_ms: (request.op == Op::Subscribe).then_some(request.interval_ms),
            unknown,
        }
    }
}

impl Answer<'_> {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain values")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OKX_SPOT: Venues = Venues::one(Venue::new(Exchange::ALL[2], Market::Spot));
    const OKX_PERP: Venues = Venues::one(Venue::new(Exchange::ALL[2], Market::Perp));

    #[test]
    fn what_is_left_out_is_all() {
        let all = Request {
            op: Op::Subscribe,
            topic: Topic::Quotes,
            symbols: None,
            venues: Venues::ALL,
            interval_ms: 0,
        };
        for text in [
            r#"{"op":"subscribe","channel":"quotes"}"#,
            r#" {"channel":"quotes","op":"subscribe","symbols":["*"],"exchanges":["*"]}"#,
            r#"{"op":"subscribe","channel":"quotes","symbols":["A-B","*"],"market":"*"}"#,
            r#"{"op":"subscribe","channel":"quotes","symbols":null,"interval_ms":0}"#,
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&all), "{text}");
        }
    }

    #[test]
    fn what_is_named_is_taken_once() {
        let text = r#"{"op":"unsubscribe","channel":"trades","symbols":["B-U","A-U","B-U"],
                       "exchanges":["okx","okx"],"interval_ms":100}"#;
        let request = parse(text).expect("valid");
        assert_eq!((request.op, request.topic), (Op::Unsubscribe, Topic::Trades));
        assert_eq!(request.symbols.as_deref(), Some(&["A-U".to_owned(), "B-U".to_owned()][..]));
        assert_eq!(request.venues, OKX_SPOT.or(OKX_PERP));
        assert_eq!(request.interval_ms, 100);
        let perp = r#"{"op":"subscribe","channel":"spreads","exchanges":["okx"],"market":"perp"}"#;
        assert_eq!(parse(perp).expect("valid").venues, OKX_PERP);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (text, mentions) in [
            ("", ["no JSON object", "\"op\":\"subscribe\""]),
            ("[\"subscribe\",\"quotes\"]", ["no JSON object", "\"op\""]),
            ("{", ["EOF", "\"op\""]),
            ("{}", ["missing field `op`", "\"op\""]),
            (r#"{"op":"fly","channel":"quotes"}"#, ["fly", "`subscribe`"]),
            (r#"{"op":"subscribe","channel":"quote"}"#, ["quote", "`quotes`"]),
            (r#"{"op":"subscribe","channel":"quotes","symbol":"A-B"}"#, ["`symbol`", "`symbols`"]),
            (r#"{"op":"subscribe","channel":"quotes","symbols":"A-B"}"#, ["string", "sequence"]),
            (r#"{"op":"subscribe","channel":"quotes","symbols":[]}"#, ["symbols", "left out"]),
            (
                r#"{"op":"subscribe","channel":"quotes","symbols":["btc-usdt"]}"#,
                ["btc-usdt", "BTC-USDT"],
            ),
            (
                r#"{"op":"subscribe","channel":"quotes","symbols":["BTCUSDT"]}"#,
                ["BTCUSDT", "BTC-USDT"],
            ),
            (r#"{"op":"subscribe","channel":"quotes","exchanges":["krakn"]}"#, ["krakn", "okx"]),
            (
                r#"{"op":"subscribe","channel":"quotes","market":"future"}"#,
                ["market", "spot, perp"],
            ),
            (r#"{"op":"subscribe","channel":"quotes","interval_ms":-1}"#, ["-1", "u64"]),
            (r#"{"op":"subscribe","channel":"quotes","interval_ms":60001}"#, ["60001", "60000"]),
        ] {
            let message = parse(text).expect_err(text);
            for mention in mentions {
                assert!(message.contains(mention), "{mention} is not in {message}, for {text}");
            }
        }
        let long = format!(
            r#"{{"op":"subscribe","channel":"quotes","symbols":["{}-A"]}}"#,
            "A".repeat(9_999)
        );
        assert!(parse(&long).expect_err("long").len() < 200);
    }

    #[test]
    fn answers_say_how_a_request_was_understood() {
        let text =
            r#"{"op":"subscribe","channel":"quotes","symbols":["A-B","C-D"],"exchanges":["okx"]}"#;
        let request = parse(text).expect("valid");
        let answer = Answer::Subscribed(Understood::new(&request, vec!["C-D"]));
        assert_eq!(
            String::from_utf8(answer.to_json()).expect("UTF-8"),
            r#"{"type":"subscribed","channel":"quotes","symbols":["A-B","C-D"],"exchanges":["okx"],"markets":["spot","perp"],"interval_ms":0,"unknown":["C-D"]}"#
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_value_panics(symbol in "\\PC{0,80}", interval in any::<i64>(), exchange in ".{0,9}") {
            let text = serde_json::json!({
                "op": "subscribe", "channel": "quotes", "symbols": [symbol],
                "exchanges": [exchange], "interval_ms": interval,
            });
            let _ = parse(&text.to_string());
        }
    }
}
