//! The configuration as it is written. Every default of the program is here.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Unexpected, Visitor},
};

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    pub(super) log: Log,
    pub(super) storage: Storage,
    pub(super) queues: Queues,
    pub(super) live: Live,
    pub(super) capture: Capture,
    pub(super) spreads: Spreads,
    pub(super) defaults: Defaults,
    #[serde(deserialize_with = "exchanges")]
    pub(super) exchange: Vec<Exchange>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into() }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Storage {
    pub(super) dir: PathBuf,
    pub(super) journal_flush: Period,
    pub(super) rotate: Period,
    pub(super) rotate_size: Size,
    pub(super) compression: String,
    pub(super) threads: Count,
    pub(super) keep_days: Option<Count>,
    pub(super) shard: String,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            dir: "data".into(),
            journal_flush: Period(Duration::from_secs(1)),
            rotate: Period(Duration::from_mins(15)),
            rotate_size: Size(256 << 20),
            compression: "zstd(1)".into(),
            threads: Count(1),
            keep_days: None,
            shard: "1/1".into(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Queues {
    pub(super) capacity: Count,
}

impl Default for Queues {
    fn default() -> Self {
        Self { capacity: Count(100_000) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Live {
    pub(super) enabled: bool,
    pub(super) listen: String,
    pub(super) client_queue: Count,
    pub(super) max_clients: Count,
    pub(super) ping_interval: Period,
    pub(super) max_subscriptions: Count,
    pub(super) max_requests: Count,
    pub(super) max_request_size: Size,
    pub(super) token: Option<String>,
    pub(super) insecure: bool,
    pub(super) origins: Vec<String>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: "127.0.0.1:8080".into(),
            client_queue: Count(4096),
            max_clients: Count(1000),
            ping_interval: Period(Duration::from_secs(15)),
            max_subscriptions: Count(1000),
            max_requests: Count(100),
            max_request_size: Size(64 << 10),
            token: None,
            insecure: false,
            origins: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Capture {
    pub(super) dir: Option<PathBuf>,
    pub(super) rotate: Period,
    pub(super) rotate_size: Size,
    pub(super) max_size: Size,
    pub(super) queue_size: Size,
    pub(super) level: Count,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            dir: None,
            rotate: Period(Duration::from_mins(15)),
            rotate_size: Size(256 << 20),
            max_size: Size(10 << 30),
            queue_size: Size(64 << 20),
            level: Count(1),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Spreads {
    pub(super) enabled: bool,
    pub(super) max_quote_age: Period,
    pub(super) min_net_bps: Amount,
    pub(super) hysteresis_bps: Amount,
    pub(super) identity_guard: Amount,
    pub(super) identity_after: Period,
    pub(super) same_asset: Vec<String>,
    pub(super) window: Period,
    pub(super) sample_every: Period,
    pub(super) reorder: Period,
}

impl Default for Spreads {
    fn default() -> Self {
        Self {
            enabled: true,
            max_quote_age: Period(Duration::from_secs(2)),
            min_net_bps: Amount(0.0),
            hysteresis_bps: Amount(0.0),
            identity_guard: Amount(0.2),
            identity_after: Period(Duration::from_mins(1)),
            same_asset: Vec::new(),
            window: Period(Duration::from_mins(15)),
            sample_every: Period(Duration::from_secs(5)),
            reorder: Period(Duration::from_millis(20)),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Defaults {
    pub(super) quote_assets: Vec<String>,
    pub(super) min_quote_volume: Amount,
    pub(super) max_quote_volume: Amount,
    pub(super) heartbeat_timeout: Period,
    pub(super) stale_after: Period,
    pub(super) rediscover: Period,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            quote_assets: vec!["USDT".into(), "USDC".into()],
            min_quote_volume: Amount(1_500_000.0),
            max_quote_volume: Amount(1_000_000_000_000.0),
            heartbeat_timeout: Period(Duration::from_secs(30)),
            stale_after: Period(Duration::from_mins(2)),
            rediscover: Period(Duration::from_hours(1)),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    pub(super) name: String,
    #[serde(default = "spot")]
    pub(super) market: String,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    pub(super) symbols: Option<Vec<String>>,
    #[serde(default = "max_symbols")]
    pub(super) max_symbols: Count,
    #[serde(default = "yes")]
    pub(super) quotes: bool,
    #[serde(default = "yes")]
    pub(super) trades: bool,
    #[serde(default)]
    pub(super) threads: Count,
    #[serde(default = "taker_fee_bps")]
    pub(super) taker_fee_bps: Amount,
    pub(super) ws_url: Option<String>,
    pub(super) rest_url: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) lifetime: Option<Period>,
    pub(super) quote_assets: Option<Vec<String>>,
    pub(super) min_quote_volume: Option<Amount>,
    pub(super) max_quote_volume: Option<Amount>,
    pub(super) heartbeat_timeout: Option<Period>,
    pub(super) stale_after: Option<Period>,
    pub(super) rediscover: Option<Period>,
}

/// One `[exchange]` is what people write who have one exchange.
fn exchanges<'de, D: Deserializer<'de>>(de: D) -> Result<Vec<Exchange>, D::Error> {
    struct V;
    impl<'de> Visitor<'de> for V {
        type Value = Vec<Exchange>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, each part of it headed [[exchange]], with two brackets")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(it) = seq.next_element()? {
                all.push(it);
            }
            Ok(all)
        }
    }
    de.deserialize_seq(V)
}

fn spot() -> String {
    "spot".into()
}

fn yes() -> bool {
    true
}

fn max_symbols() -> Count {
    Count(1000)
}

fn taker_fee_bps() -> Amount {
    Amount(10.0)
}

/// A whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, 0 or more")
            }
            fn visit_i64<E: Error>(self, n: i64) -> Result<Count, E> {
                let wrong = |_| E::invalid_value(Unexpected::Signed(n), &self);
                usize::try_from(n).map(Count).map_err(wrong)
            }
        }
        de.deserialize_i64(V)
    }
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Amount(pub(super) f64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: Error>(self, x: f64) -> Result<Amount, E> {
                Ok(Amount(x))
            }
            #[expect(clippy::cast_precision_loss, reason = "as exact as an f64 can hold it")]
            fn visit_i64<E: Error>(self, n: i64) -> Result<Amount, E> {
                Ok(Amount(n as f64))
            }
        }
        de.deserialize_any(V)
    }
}

/// A duration, written for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Period(pub(super) Duration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Period;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a duration such as "15s", "2m" or "1h""#)
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<Period, E> {
                let wrong = |_| E::invalid_value(Unexpected::Str(s), &self);
                humantime::parse_duration(s).map(Period).map_err(wrong)
            }
        }
        de.deserialize_str(V)
    }
}

/// A number of bytes, written for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a size such as "256MiB""#)
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<Size, E> {
                let wrong = |_| E::invalid_value(Unexpected::Str(s), &self);
                s.parse().map(|it: bytesize::ByteSize| Size(it.as_u64())).map_err(wrong)
            }
        }
        de.deserialize_str(V)
    }
}
