//! `[[exchange]]`: where a venue is, and what of it is wanted.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use tungstenite::http::Uri;

use super::{Check, SYMBOLS_MAX};
use crate::{
    config::{Root, VenuePlan, written},
    exchange::{self, Protocol},
    feed::{session::Patience, shard::Shard},
    market::{Channel, Exchange, Market, UnknownName, Venue},
};

/// More connections to one venue than this are a slip of the pen.
const THREADS_MAX: usize = 1000;

impl Check {
    pub(super) fn venues(
        &mut self,
        it: &written::Written,
        shard: Shard,
        beside: &Path,
    ) -> Vec<VenuePlan> {
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
