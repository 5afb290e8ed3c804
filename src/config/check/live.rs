//! `[live]`.

use std::{net::SocketAddr, ops::RangeInclusive};

use super::{CAPACITY_MAX, Check, SYMBOLS_MAX};
use crate::{
    config::written,
    live::{self, Origin, Token},
};

/// Two threads each: more than this are a slip of the pen.
const CLIENTS_MAX: usize = 100_000;
/// More in a second than this are no limit.
const REQUESTS_MAX: usize = 1_000_000;

impl Check {
    pub(super) fn live(&mut self, it: &written::Live) -> Option<live::Settings> {
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
}
