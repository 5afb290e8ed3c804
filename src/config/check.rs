//! From what is written to a plan: every value is checked, all problems are reported at once.

use std::{
    collections::HashSet,
    fmt::Display,
    fs,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use tungstenite::http::Uri;

use super::{
    Plan, Problems, Root, VenuePlan,
    written::{self, Amount, Count, Period},
};
use crate::{
    capture,
    exchange::{self, Protocol},
    feed::{discovery::Filter, session::Patience, shard::Shard},
    live::{self, Origin, Token},
    market::{Channel, Exchange, Market, UnknownName, Venue},
    spreads, store,
};

/// More writer threads than this are a slip of the pen.
const WRITERS_MAX: usize = 64;
/// More connections to one venue than this are a slip of the pen.
const THREADS_MAX: usize = 1000;
/// Who can bear to lose more than this wants no journal.
const JOURNAL_FLUSH_MAX: Duration = Duration::from_mins(1);
/// A hundred years, which is to say for ever.
const KEEP_DAYS_MAX: usize = 36_525;
/// 8 GB of events.
const CAPACITY_MAX: usize = 100_000_000;
/// Two threads each: more than this are a slip of the pen.
const CLIENTS_MAX: usize = 100_000;
/// More in a second than this are no limit.
const REQUESTS_MAX: usize = 1_000_000;
/// As many as the registry holds.
const SYMBOLS_MAX: usize = crate::registry::INSTRUMENTS_MAX;
/// 6 KB an instrument.
const SAMPLES_MAX: u128 = 1000;
/// Quotes of this long wait in memory.
const REORDER_MAX: Duration = Duration::from_secs(10);

pub(super) fn plan(it: &written::Written, beside: &Path) -> Result<Plan, Problems> {
    let mut check = Check { problems: Vec::new() };
    let storage = check.storage(&it.storage);
    check.within("queues.capacity", it.queues.capacity, CAPACITY_MAX);
    let live = check.live(&it.live);
    let capture = check.capture(&it.capture);
    let spreads = check.spreads(&it.spreads, &it.exchange);
    check.defaults(&it.defaults);
    let shard = check.shard(&it.storage.shard);
    let venues = check.venues(it, shard, beside);
    match storage {
        Some(storage) if check.problems.is_empty() => Ok(Plan {
            storage,
            writers: it.storage.threads.0,
            shard,
            queue_capacity: it.queues.capacity.0,
            live,
            capture,
            spreads,
            venues,
        }),
        _ => Err(Problems(check.problems)),
    }
}

struct Check {
    problems: Vec<String>,
}

impl Check {
    fn problem(&mut self, key: &str, what: impl Display) {
        self.problems.push(format!("{key}: {what}"));
    }

    fn within(&mut self, key: &str, Count(value): Count, max: usize) {
        if !(1..=max).contains(&value) {
            self.problem(key, format_args!("must be from 1 to {max}, not {value}"));
        }
    }

    fn not_zero(&mut self, key: &str, Period(value): Period) {
        if value == Duration::ZERO {
            self.problem(key, "must be longer than 0s");
        }
    }

    fn finite(&mut self, key: &str, Amount(value): Amount) {
        if !value.is_finite() {
            self.problem(key, format_args!("must be a number, not {value}"));
        }
    }

    fn not_negative(&mut self, key: &str, Amount(value): Amount) {
        if !(value.is_finite() && 0.0 <= value) {
            self.problem(key, format_args!("must be 0 or more, not {value}"));
        }
    }

    fn storage(&mut self, it: &written::Storage) -> Option<store::Settings> {
        /// A smaller file is closed before its first row group is full.
        const ROTATE_SIZE_MIN: u64 = 1 << 20;
        if it.dir.as_os_str().is_empty() {
            self.problem("storage.dir", "must name a folder");
        }
        self.not_zero("storage.journal_flush", it.journal_flush);
        self.not_zero("storage.rotate", it.rotate);
        if it.rotate_size.0 < ROTATE_SIZE_MIN {
            self.problem("storage.rotate_size", r#"must be "1MiB" or more"#);
        }
        self.within("storage.threads", it.threads, WRITERS_MAX);
        if JOURNAL_FLUSH_MAX < it.journal_flush.0 {
            let max = humantime::format_duration(JOURNAL_FLUSH_MAX);
            self.problem("storage.journal_flush", format_args!("must not be longer than {max}"));
        }
        if let Some(days) = it.keep_days {
            self.within("storage.keep_days", days, KEEP_DAYS_MAX);
        }
        match it.compression.parse() {
            Ok(compression) => Some(store::Settings {
                dir: it.dir.clone(),
                journal_flush: it.journal_flush.0,
                rotate: it.rotate.0,
                rotate_size: it.rotate_size.0,
                compression,
                keep_days: it.keep_days.and_then(|it| u32::try_from(it.0).ok()),
            }),
            Err(err) => {
                self.problem("storage.compression", err);
                None
            }
        }
    }

    fn shard(&mut self, written: &str) -> Shard {
        written.parse().unwrap_or_else(|err| {
            self.problem("storage.shard", err);
            Shard::WHOLE
        })
    }

    fn live(&mut self, it: &written::Live) -> Option<live::Settings> {
        /// A request names symbols, a few bytes each.
        const REQUEST_SIZES: RangeInclusive<u64> = 1 << 10..=16 << 20;
        // Switched off, it may say what it likes.
        if !it.enabled {
            return None;
        }
        self.within("live.client_queue", it.client_queue, CAPACITY_MAX);
        self.within("live.max_clients", it.max_clients, CLIENTS_MAX);
        self.not_zero("live.ping_interval", it.ping_interval);
        self.within("live.max_subscriptions", it.max_subscriptions, SYMBOLS_MAX);
        self.within("live.max_requests", it.max_requests, REQUESTS_MAX);
        if !REQUEST_SIZES.contains(&it.max_request_size.0) {
            self.problem("live.max_request_size", r#"must be from "1KiB" to "16MiB""#);
        }
        let token = it.token.as_ref().and_then(|it| self.token(it));
        let origins = it.origins.iter().filter_map(|it| self.origin(it)).collect();
        let Ok(listen) = it.listen.parse::<SocketAddr>() else {
            let wrong = &it.listen;
            let what = format_args!("must be an address such as \"127.0.0.1:8080\", not {wrong:?}");
            self.problem("live.listen", what);
            return None;
        };
        if !listen.ip().is_loopback() && it.token.is_none() && !it.insecure {
            let what = format_args!(
                "{listen} can be reached from other machines: set token = \"...\", of your own \
                 making, which every client must then show, or insecure = true to let everybody in"
            );
            self.problem("live.listen", what);
        }
        Some(live::Settings {
            listen,
            client_queue: it.client_queue.0,
            max_clients: it.max_clients.0,
            ping_interval: it.ping_interval.0,
            max_subscriptions: it.max_subscriptions.0,
            max_requests: u32::try_from(it.max_requests.0).unwrap_or(u32::MAX),
            max_request_bytes: usize::try_from(it.max_request_size.0).unwrap_or(usize::MAX),
            token,
            origins,
        })
    }

    /// What is said of a token never quotes it.
    fn token(&mut self, token: &str) -> Option<Token> {
        let parsed = Token::new(token);
        if parsed.is_none() {
            let what = "must be visible ASCII characters, at least one, without spaces";
            self.problem("live.token", what);
        }
        parsed
    }

    fn origin(&mut self, origin: &str) -> Option<Origin> {
        let parsed = origin.parse().ok();
        if parsed.is_none() {
            let what = format_args!("must be like \"https://host:8443\", not {origin:?}");
            self.problem("live.origins", what);
        }
        parsed
    }

    fn capture(&mut self, it: &written::Capture) -> Option<capture::Settings> {
        /// A smaller file has hardly room for the lists that each begins with.
        const ROTATE_SIZE_MIN: u64 = 1 << 20;
        /// A quarter of a second of what a host can receive.
        const QUEUE_SIZES: RangeInclusive<u64> = 1 << 20..=16 << 30;
        const LEVELS: RangeInclusive<usize> = 1..=22;
        let dir = it.dir.clone()?;
        if dir.as_os_str().is_empty() {
            self.problem("capture.dir", "must name a folder; leave it out to keep no frames");
        }
        self.not_zero("capture.rotate", it.rotate);
        if it.rotate_size.0 < ROTATE_SIZE_MIN {
            self.problem("capture.rotate_size", r#"must be "1MiB" or more"#);
        }
        if it.max_size.0 < it.rotate_size.0.saturating_mul(2) {
            self.problem("capture.max_size", "must be at least twice rotate_size");
        }
        if !QUEUE_SIZES.contains(&it.queue_size.0) {
            self.problem("capture.queue_size", r#"must be from "1MiB" to "16GiB""#);
        }
        if !LEVELS.contains(&it.level.0) {
            let what = format_args!("must be a level of zstd, from 1 to 22, not {}", it.level.0);
            self.problem("capture.level", what);
        }
        Some(capture::Settings {
            dir,
            rotate: it.rotate.0,
            rotate_size: it.rotate_size.0,
            max_size: it.max_size.0,
            queue_size: it.queue_size.0,
            level: i32::try_from(it.level.0).unwrap_or(1),
        })
    }

    fn spreads(
        &mut self,
        it: &written::Spreads,
        exchanges: &[written::Exchange],
    ) -> Option<spreads::Settings> {
        self.not_zero("spreads.max_quote_age", it.max_quote_age);
        self.finite("spreads.min_net_bps", it.min_net_bps);
        self.not_negative("spreads.hysteresis_bps", it.hysteresis_bps);
        self.not_negative("spreads.identity_guard", it.identity_guard);
        if it.identity_guard.0 == 0.0 {
            self.problem("spreads.identity_guard", "must be above 0, such as 0.2 for 20 %");
        }
        self.not_zero("spreads.sample_every", it.sample_every);
        self.windows(it.window, it.sample_every);
        if REORDER_MAX < it.reorder.0 {
            let max = humantime::format_duration(REORDER_MAX);
            self.problem("spreads.reorder", format_args!("must be \"{max}\" or less"));
        }
        let mut same_asset = Vec::new();
        for it in &it.same_asset {
            match it.parse() {
                Ok(it) => same_asset.push(it),
                Err(err) => self.problem("spreads.same_asset", err),
            }
        }
        let venue = |it: &written::Exchange| {
            Some(Venue::new(it.name.parse().ok()?, it.market.parse().ok()?))
        };
        let fees = exchanges.iter().filter_map(|it| Some((venue(it)?, it.taker_fee_bps.0)));
        it.enabled.then(|| spreads::Settings {
            max_quote_age: it.max_quote_age.0,
            min_net_bps: it.min_net_bps.0,
            hysteresis_bps: it.hysteresis_bps.0,
            identity_guard: it.identity_guard.0,
            identity_after: it.identity_after.0,
            same_asset,
            taker_fee_bps: fees.collect(),
            window: it.window.0,
            sample_every: it.sample_every.0,
            reorder: it.reorder.0,
        })
    }

    fn windows(&mut self, Period(window): Period, Period(step): Period) {
        if window < step {
            self.problem("spreads.window", "must not be shorter than sample_every");
        }
        let steps = window.as_millis() / step.as_millis().max(1);
        if SAMPLES_MAX < steps {
            let what = format_args!(
                "must be {SAMPLES_MAX} times sample_every at most, for the memory, not {steps} times"
            );
            self.problem("spreads.window", what);
        }
    }

    fn defaults(&mut self, it: &written::Defaults) {
        self.volumes("defaults", it.min_quote_volume, it.max_quote_volume);
        self.quote_assets("defaults.quote_assets", &it.quote_assets);
        self.not_zero("defaults.heartbeat_timeout", it.heartbeat_timeout);
        self.not_zero("defaults.stale_after", it.stale_after);
        self.not_zero("defaults.rediscover", it.rediscover);
    }

    fn volumes(&mut self, of: &str, min: Amount, max: Amount) {
        self.not_negative(&format!("{of}.min_quote_volume"), min);
        self.not_negative(&format!("{of}.max_quote_volume"), max);
        if let (Amount(min), Amount(max)) = (min, max)
            && max < min
        {
            let what = format_args!("must not be above max_quote_volume: {min} is above {max}");
            self.problem(&format!("{of}.min_quote_volume"), what);
        }
    }

    fn quote_assets(&mut self, key: &str, assets: &[String]) {
        if assets.is_empty() {
            self.problem(key, r#"must name at least one asset, such as ["USDT"]"#);
        }
        for it in assets.iter().filter(|it| it.is_empty() || **it != it.to_ascii_uppercase()) {
            self.problem(key, format_args!("must be in upper case, such as \"USDT\", not {it:?}"));
        }
    }

    fn venues(&mut self, it: &written::Written, shard: Shard, beside: &Path) -> Vec<VenuePlan> {
        let mut seen = HashSet::new();
        let mut venues = Vec::new();
        for (n, exchange) in it.exchange.iter().enumerate() {
            let at = format!("exchange[{n}]");
            let Some(protocol) = self.protocol(&at, exchange) else { continue };
            if !seen.insert(protocol.venue) {
                let venue = protocol.venue;
                self.problem(&at, format_args!("{venue} is there twice; merge the two"));
            }
            let mut plan = self.venue(&at, protocol, exchange, &it.defaults, beside);
            plan.filter.shard = shard;
            if exchange.enabled {
                venues.push(plan);
            }
        }
        if !it.exchange.iter().any(|it| it.enabled) {
            self.problem("exchange", "there must be at least one [[exchange]] that is enabled");
        }
        venues
    }

    fn protocol(&mut self, at: &str, it: &written::Exchange) -> Option<&'static Protocol> {
        let mut known = |key: &str, err: UnknownName| self.problem(&format!("{at}.{key}"), err);
        let exchange: Result<Exchange, _> = it.name.parse();
        let market: Result<Market, _> = it.market.parse();
        match (exchange, market) {
            (Ok(exchange), Ok(market)) => exchange::find(Venue::new(exchange, market)),
            (exchange, market) => {
                exchange.map_err(|err| known("name", err)).ok();
                market.map_err(|err| known("market", err)).ok();
                None
            }
        }
    }

    fn venue(
        &mut self,
        at: &str,
        protocol: &'static Protocol,
        it: &written::Exchange,
        defaults: &written::Defaults,
        beside: &Path,
    ) -> VenuePlan {
        self.within(&format!("{at}.max_symbols"), it.max_symbols, SYMBOLS_MAX);
        if THREADS_MAX < it.threads.0 {
            let what = format_args!("must be from 0 to {THREADS_MAX}, not {}", it.threads.0);
            self.problem(&format!("{at}.threads"), what);
        }
        self.not_negative(&format!("{at}.taker_fee_bps"), it.taker_fee_bps);
        let heartbeat_timeout = it.heartbeat_timeout.unwrap_or(defaults.heartbeat_timeout);
        let stale_after = it.stale_after.unwrap_or(defaults.stale_after);
        let rediscover = it.rediscover.unwrap_or(defaults.rediscover);
        self.not_zero(&format!("{at}.heartbeat_timeout"), heartbeat_timeout);
        self.not_zero(&format!("{at}.stale_after"), stale_after);
        self.not_zero(&format!("{at}.rediscover"), rediscover);
        if let Some(lifetime) = it.lifetime {
            self.not_zero(&format!("{at}.lifetime"), lifetime);
        }
        let ws_url = it.ws_url.as_deref();
        let rest_url = it.rest_url.as_deref();
        self.url(&format!("{at}.ws_url"), ws_url, ["ws", "wss"]);
        self.url(&format!("{at}.rest_url"), rest_url, ["http", "https"]);
        VenuePlan {
            protocol,
            channels: self.channels(at, it),
            filter: self.filter(at, it, defaults),
            threads: it.threads.0,
            patience: Patience {
                heartbeat_timeout: heartbeat_timeout.0,
                stale_after: stale_after.0,
            },
            lifetime: it.lifetime.map(|it| it.0).or(protocol.limits.lifetime),
            rediscover: rediscover.0,
            ws_base: ws_url.map(str::to_owned),
            rest_base: rest_url.unwrap_or(protocol.rest.url).trim_end_matches('/').to_owned(),
            root: it.ca_file.as_ref().and_then(|it| self.root(at, beside.join(it))),
        }
    }

    fn channels(&mut self, at: &str, it: &written::Exchange) -> Vec<Channel> {
        let quotes = it.quotes.then_some(Channel::Quotes);
        let trades = it.trades.then_some(Channel::Trades);
        let channels: Vec<_> = quotes.into_iter().chain(trades).collect();
        if channels.is_empty() {
            self.problem(
                at,
                "quotes and trades are both false; use enabled = false to leave it out",
            );
        }
        channels
    }

    fn filter(&mut self, at: &str, it: &written::Exchange, defaults: &written::Defaults) -> Filter {
        let min_quote_volume = it.min_quote_volume.unwrap_or(defaults.min_quote_volume);
        let max_quote_volume = it.max_quote_volume.unwrap_or(defaults.max_quote_volume);
        if it.min_quote_volume.is_some() || it.max_quote_volume.is_some() {
            self.volumes(at, min_quote_volume, max_quote_volume);
        }
        if let Some(assets) = &it.quote_assets {
            self.quote_assets(&format!("{at}.quote_assets"), assets);
        }
        if let Some(symbols) = &it.symbols {
            self.symbols(&format!("{at}.symbols"), symbols);
            if it.max_symbols.0 < symbols.len() {
                let (max, named) = (it.max_symbols.0, symbols.len());
                let what = format_args!("must not be below the {named} symbols named, not {max}");
                self.problem(&format!("{at}.max_symbols"), what);
            }
        }
        Filter {
            symbols: it.symbols.clone().unwrap_or_default(),
            quote_assets: it.quote_assets.clone().unwrap_or(defaults.quote_assets.clone()),
            min_quote_volume: min_quote_volume.0,
            max_quote_volume: max_quote_volume.0,
            max_symbols: it.max_symbols.0,
            shard: Shard::WHOLE,
        }
    }

    fn symbols(&mut self, key: &str, symbols: &[String]) {
        if symbols.is_empty() {
            self.problem(key, "must name at least one symbol; leave it out to discover them");
        }
        let spelled = |it: &str| {
            let parts = it.rsplit_once('-');
            parts.is_some_and(|(base, quote)| !base.is_empty() && !quote.is_empty())
                && it == it.to_ascii_uppercase()
        };
        let mut seen = HashSet::new();
        for it in symbols {
            if !spelled(it) {
                self.problem(key, format_args!("must be like \"BTC-USDT\", not {it:?}"));
            } else if !seen.insert(it) {
                self.problem(key, format_args!("{it:?} is there twice"));
            }
        }
    }

    fn url(&mut self, key: &str, url: Option<&str>, schemes: [&str; 2]) {
        let Some(url) = url else { return };
        let fits = url.parse().is_ok_and(|it: Uri| {
            it.scheme_str().is_some_and(|it| schemes.contains(&it))
                && it.host().is_some_and(|it| !it.is_empty())
                && it.query().is_none()
        });
        if !fits {
            let [scheme, secure] = schemes;
            let what = format_args!(
                "must be like \"{scheme}://127.0.0.1:9001\" or {secure}://, not {url:?}"
            );
            self.problem(key, what);
        }
    }

    fn root(&mut self, at: &str, path: PathBuf) -> Option<Root> {
        let key = format!("{at}.ca_file");
        match fs::read(&path) {
            Ok(pem) if native_tls::Certificate::from_pem(&pem).is_ok() => {
                return Some(Root { path, pem });
            }
            Ok(_) => {
                let what = format_args!("{} holds no certificate in PEM form", path.display());
                self.problem(&key, what);
            }
            Err(err) => {
                self.problem(&key, format_args!("failed to read {}: {err}", path.display()));
            }
        }
        None
    }
}
