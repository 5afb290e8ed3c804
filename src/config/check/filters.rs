//! `[defaults]` and `[[exchange]]`: which instruments are wanted.

use std::collections::HashSet;

use super::Check;
use crate::{
    config::written::{self, Amount},
    feed::{discovery::Filter, shard::Shard},
};

impl Check {
    pub(super) fn defaults(&mut self, it: &written::Defaults) {
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

    pub(super) fn filter(
        &mut self,
        at: &str,
        it: &written::Exchange,
        defaults: &written::Defaults,
    ) -> Filter {
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
}
