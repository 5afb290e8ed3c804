//! What differs between two plans, by the keys of the file.

use std::fmt::Debug;

use log::LevelFilter;

use super::{Plan, VenuePlan};
use crate::{
    capture,
    feed::{discovery::Filter, session},
    live, spreads, store,
};

/// A value that is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key, such as `storage.rotate` or `exchange[okx-spot].max_symbols`.
    pub key: String,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
    /// Whether a pipeline that runs can follow; otherwise it takes a restart.
    pub applies: bool,
}

/// All that differs. A key is the file's, with its section; those of `[defaults]` are named where
/// they matter, at the exchanges.
#[must_use]
pub fn changes(old: &Plan, new: &Plan) -> Vec<Change> {
    let mut found = Found(Vec::new());
    // Without `..`, so that what is added to a plan is added here.
    let Plan { log_level, storage, writers, shard, queue_capacity, live, capture, spreads, venues } =
        old;
    let spelled = |it: LevelFilter| it.as_str().to_lowercase();
    found.compare("log.level", &spelled(*log_level), &spelled(new.log_level), true);
    found.storage(storage, &new.storage);
    found.refused("storage.threads", writers, &new.writers);
    found.refused("storage.shard", shard, &new.shard);
    found.refused("queues.capacity", queue_capacity, &new.queue_capacity);
    match (live, &new.live) {
        (Some(old), Some(new)) => found.live(old, new),
        (old, new) => found.refused("live.enabled", &old.is_some(), &new.is_some()),
    }
    match (capture, &new.capture) {
        (Some(old), Some(new)) => found.capture(old, new),
        (old, new) => {
            let dir = |it: &Option<capture::Settings>| it.as_ref().map(|it| it.dir.clone());
            found.refused("capture.dir", &dir(old), &dir(new));
        }
    }
    match (spreads, &new.spreads) {
        (Some(old), Some(new)) => found.spreads(old, new),
        (old, new) => found.refused("spreads.enabled", &old.is_some(), &new.is_some()),
    }
    found.venues(venues, &new.venues);
    found.0
}

struct Found(Vec<Change>);

impl Found {
    fn refused<T: Debug + ?Sized>(&mut self, key: &str, from: &T, to: &T) {
        self.compare(key, &format!("{from:?}"), &format!("{to:?}"), false);
    }

    fn applied<T: Debug + ?Sized>(&mut self, key: &str, from: &T, to: &T) {
        self.compare(key, &format!("{from:?}"), &format!("{to:?}"), true);
    }

    fn compare(&mut self, key: &str, from: &str, to: &str, applies: bool) {
        if from != to {
            let (key, from, to) = (key.to_owned(), from.to_owned(), to.to_owned());
            self.0.push(Change { key, from, to, applies });
        }
    }

    fn storage(&mut self, old: &store::Settings, new: &store::Settings) {
        let store::Settings { dir, journal_flush, rotate, rotate_size, compression, keep_days } =
            old;
        self.refused("storage.dir", dir, &new.dir);
        self.refused("storage.journal_flush", journal_flush, &new.journal_flush);
        self.refused("storage.rotate", rotate, &new.rotate);
        self.refused("storage.rotate_size", rotate_size, &new.rotate_size);
        self.refused("storage.compression", compression, &new.compression);
        self.refused("storage.keep_days", keep_days, &new.keep_days);
    }

    fn capture(&mut self, old: &capture::Settings, new: &capture::Settings) {
        let capture::Settings { dir, rotate, rotate_size, max_size, queue_size, level } = old;
        self.refused("capture.dir", dir, &new.dir);
        self.refused("capture.rotate", rotate, &new.rotate);
        self.refused("capture.rotate_size", rotate_size, &new.rotate_size);
        self.refused("capture.max_size", max_size, &new.max_size);
        self.refused("capture.queue_size", queue_size, &new.queue_size);
        self.refused("capture.level", level, &new.level);
    }

    fn live(&mut self, old: &live::Settings, new: &live::Settings) {
        let live::Settings {
            listen,
            client_queue,
            max_clients,
            ping_interval,
            max_subscriptions,
            max_requests,
            max_request_bytes,
            token,
            origins,
        } = old;
        self.refused("live.listen", listen, &new.listen);
        self.refused("live.client_queue", client_queue, &new.client_queue);
        self.refused("live.max_clients", max_clients, &new.max_clients);
        self.refused("live.ping_interval", ping_interval, &new.ping_interval);
        self.refused("live.max_subscriptions", max_subscriptions, &new.max_subscriptions);
        self.refused("live.max_requests", max_requests, &new.max_requests);
        self.refused("live.max_request_size", max_request_bytes, &new.max_request_bytes);
        self.refused("live.origins", origins, &new.origins);
        // Neither is shown.
        if *token != new.token {
            self.compare("live.token", "one", "another", false);
        }
    }

    fn spreads(&mut self, old: &spreads::Settings, new: &spreads::Settings) {
        let spreads::Settings {
            max_quote_age,
            min_net_bps,
            hysteresis_bps,
            identity_guard,
            identity_after,
            same_asset,
            taker_fee_bps,
            window,
            sample_every,
            reorder,
        } = old;
        self.applied("spreads.max_quote_age", max_quote_age, &new.max_quote_age);
        self.applied("spreads.min_net_bps", min_net_bps, &new.min_net_bps);
        self.applied("spreads.hysteresis_bps", hysteresis_bps, &new.hysteresis_bps);
        self.applied("spreads.identity_guard", identity_guard, &new.identity_guard);
        self.applied("spreads.identity_after", identity_after, &new.identity_after);
        self.refused("spreads.same_asset", same_asset, &new.same_asset);
        self.refused("spreads.window", window, &new.window);
        self.refused("spreads.sample_every", sample_every, &new.sample_every);
        self.refused("spreads.reorder", reorder, &new.reorder);
        for (venue, fee) in taker_fee_bps {
            if let Some((_, new)) = new.taker_fee_bps.iter().find(|it| it.0 == *venue) {
                self.refused(&format!("exchange[{venue}].taker_fee_bps"), fee, new);
            }
        }
    }

    fn venues(&mut self, old: &[VenuePlan], new: &[VenuePlan]) {
        let find = |among: &[VenuePlan], it: &VenuePlan| {
            among.iter().position(|other| other.protocol.venue == it.protocol.venue)
        };
        for it in old {
            match find(new, it) {
                Some(at) => self.venue(it, &new[at]),
                None => self.enabled(it, true),
            }
        }
        for it in new.iter().filter(|it| find(old, it).is_none()) {
            self.enabled(it, false);
        }
    }

    fn enabled(&mut self, it: &VenuePlan, was: bool) {
        self.refused(&format!("exchange[{}].enabled", it.protocol.venue), &was, &!was);
    }

    fn venue(&mut self, old: &VenuePlan, new: &VenuePlan) {
        let VenuePlan {
            protocol,
            channels,
            filter,
            threads,
            patience,
            lifetime,
            rediscover,
            ws_base,
            rest_base,
            root,
        } = old;
        let key = |name: &str| format!("exchange[{}].{name}", protocol.venue);
        self.filter(&key, filter, &new.filter);
        self.applied(&key("rediscover"), rediscover, &new.rediscover);
        self.refused(&key("quotes, trades"), channels, &new.channels);
        self.refused(&key("threads"), threads, &new.threads);
        let session::Patience { heartbeat_timeout, stale_after } = patience;
        let new_patience = &new.patience;
        self.applied(&key("heartbeat_timeout"), heartbeat_timeout, &new_patience.heartbeat_timeout);
        self.applied(&key("stale_after"), stale_after, &new_patience.stale_after);
        self.refused(&key("lifetime"), lifetime, &new.lifetime);
        self.refused(&key("ws_url"), ws_base, &new.ws_base);
        self.refused(&key("rest_url"), rest_base, &new.rest_base);
        let (path, pem) = (root.as_ref().map(|it| &it.path), root.as_ref().map(|it| &it.pem));
        self.refused(&key("ca_file"), &path, &new.root.as_ref().map(|it| &it.path));
        if path == new.root.as_ref().map(|it| &it.path)
            && pem != new.root.as_ref().map(|it| &it.pem)
        {
            self.compare(&key("ca_file"), "one", "another", false);
        }
    }

    fn filter(&mut self, key: &impl Fn(&str) -> String, old: &Filter, new: &Filter) {
        // The shard is that of the storage.
        let Filter {
            symbols,
            quote_assets,
            min_quote_volume,
            max_quote_volume,
            max_symbols,
            shard: _,
        } = old;
        self.applied(&key("symbols"), symbols, &new.symbols);
        self.applied(&key("quote_assets"), quote_assets, &new.quote_assets);
        self.applied(&key("min_quote_volume"), min_quote_volume, &new.min_quote_volume);
        self.applied(&key("max_quote_volume"), max_quote_volume, &new.max_quote_volume);
        self.applied(&key("max_symbols"), max_symbols, &new.max_symbols);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    /// The keys that differ, and whether each applies.
    fn keys(from: &str, to: &str) -> Vec<(String, bool)> {
        let plan = |it: &str| {
            let text = format!("{it}\n[[exchange]]\nname = \"bybit\"");
            parse(&text, Path::new("test.toml")).expect("valid")
        };
        changes(&plan(from), &plan(to)).into_iter().map(|it| (it.key, it.applies)).collect()
    }

    #[test]
    fn what_differs_is_named_by_its_key() {
        for (from, to, expected) in [
            ("", "", &[][..]),
            ("[log]\nlevel = \"warn\"", "", &[("log.level", true)]),
            ("[storage]\nrotate = \"1m\"", "", &[("storage.rotate", false)]),
            ("[spreads]\nmin_net_bps = 3", "", &[("spreads.min_net_bps", true)]),
            ("[spreads]\nenabled = false", "", &[("spreads.enabled", false)]),
            ("[live]\ntoken = \"a\"", "[live]\ntoken = \"b\"", &[("live.token", false)]),
            (
                "[defaults]\nmin_quote_volume = 5\nstale_after = \"9s\"",
                "",
                &[
                    ("exchange[bybit-spot].min_quote_volume", true),
                    ("exchange[bybit-spot].stale_after", true),
                ],
            ),
            (
                "[[exchange]]\nname = \"okx\"\nmarket = \"perp\"\nsymbols = [\"A-B\"]",
                "",
                &[("exchange[okx-perp].enabled", false)],
            ),
            (
                "",
                "[[exchange]]\nname = \"okx\"\nmarket = \"perp\"",
                &[("exchange[okx-perp].enabled", false)],
            ),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(it, at)| ((*it).to_owned(), *at)).collect();
            assert_eq!(keys(from, to), expected, "{from:?} to {to:?}");
        }
    }
}
