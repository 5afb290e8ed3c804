//! What a venue lists, read over its HTTP interface.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    ATTEMPT_LINES_MAX, Backoff,
    budget::Budget,
    http::{Client, HttpError},
    shard::Shard,
    socket::now,
};
use crate::{
    exchange::{Listing, Protocol, Volume},
    market::{Instrument, Venue},
    metrics::health::Failure,
    stop::Stop,
};

/// A list in more pages than this is one that never ends.
const PAGES_MAX: usize = 100;

/// Which of a venue's instruments are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// These unified symbols and no others; when empty, the rules below choose.
    pub symbols: Vec<String>,
    /// Assets that prices may be in.
    pub quote_assets: Vec<String>,
    /// Least volume of the last 24 h in the quote asset, inclusive.
    pub min_quote_volume: f64,
    /// Greatest volume of the last 24 h in the quote asset, inclusive.
    pub max_quote_volume: f64,
    /// How many at most; those with the greatest volume.
    pub max_symbols: usize,
    /// Which of those are this host's.
    pub shard: Shard,
}

/// What a venue lists, as far as it is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The instruments, busiest first where volumes were read.
    pub instruments: Vec<Instrument>,
    /// Symbols that were asked for by name and are not listed.
    pub missing: Vec<String>,
    /// The native symbols of all that is open for trading there.
    pub listed: HashSet<String>,
}

/// Why a list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// A page of it cannot be had or read.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A list that never ends.
    #[error("{url}: a list of more than {PAGES_MAX} pages")]
    Endless {
        /// The first page.
        url: String,
    },
}

impl DiscoveryError {
    /// The least time to wait before trying again, whatever the backoff says.
    fn at_least(&self) -> Duration {
        match self {
            DiscoveryError::Http(err) => err.at_least(),
            DiscoveryError::Endless { .. } => Duration::ZERO,
        }
    }
}

/// Reads a venue's lists, again and again until it works; `None` when the program stops first.
/// `failed` is told of each time that it has not worked.
///
/// A list that cannot be read is not an empty one: nothing is ever concluded from a failure.
pub fn discover_until_stopped(
    client: &Client,
    protocol: &Protocol,
    base: &str,
    filter: &Filter,
    stop: &Stop,
    mut failed: impl FnMut(Failure),
) -> Option<Found> {
    let mut backoff = Backoff::default();
    let mut lines = Budget::new(ATTEMPT_LINES_MAX);
    while !stop.requested() {
        match discover(client, protocol, base, filter) {
            Ok(found) => return Some(found),
            Err(_) if stop.requested() => return None,
            Err(err) => {
                let wait = backoff.after_failure().max(err.at_least());
                let (venue, seconds) = (protocol.venue, wait.as_secs_f64());
                let said = format!("{venue}: {err}; trying again in {seconds:.1} s");
                if let Some(more) = lines.ask(Instant::now()) {
                    log::warn!("{said}{more}");
                }
                failed(Failure { time: now(), said });
                let _ = stop.wait(wait);
            }
        }
    }
    None
}

/// Reads a venue's lists once; `base` stands for its scheme and host.
///
/// # Errors
/// When a list cannot be had or read.
pub fn discover(
    client: &Client,
    protocol: &Protocol,
    base: &str,
    filter: &Filter,
) -> Result<Found, DiscoveryError> {
    let listings = read_listings(client, protocol, base)?;
    let volumes = if filter.symbols.is_empty() {
        let url = format!("{base}{}", protocol.rest.volumes);
        let mut volumes = Vec::new();
        client.get(&url, |body| (protocol.rest.read_volumes)(body, &mut volumes))?;
        volumes
    } else {
        Vec::new()
    };
    Ok(select(protocol.venue, listings, volumes, filter))
}

fn read_listings(
    client: &Client,
    protocol: &Protocol,
    base: &str,
) -> Result<Vec<Listing>, DiscoveryError> {
    let first = format!("{base}{}", protocol.rest.instruments);
    let mut listings = Vec::new();
    let mut url = first.clone();
    for _ in 0..PAGES_MAX {
        let next =
            client.get(&url, |body| (protocol.rest.read_instruments)(body, &mut listings))?;
        match next {
            None => return Ok(listings),
            Some(path) => url = format!("{base}{path}"),
        }
    }
    Err(DiscoveryError::Endless { url: first })
}

/// Applies the filter. A listing that no one could use, without an asset or with an impossible
/// contract, is left out.
fn select(venue: Venue, listings: Vec<Listing>, volumes: Vec<Volume>, filter: &Filter) -> Found {
    let volumes: HashMap<_, _> =
        volumes.into_iter().map(|it| (it.symbol_native, it.last_day)).collect();
    let usable = |it: &Listing| {
        let sized = it.contract_size.is_finite() && 0.0 < it.contract_size;
        sized && !it.base.is_empty() && !it.quote.is_empty() && !it.symbol_native.is_empty()
    };
    let listings: Vec<_> = listings.into_iter().filter(usable).collect();
    let listed = listings.iter().map(|it| it.symbol_native.clone()).collect();
    let mut chosen: Vec<(f64, Instrument)> = listings
        .into_iter()
        .map(|it| {
            // Only ASCII: some venues list names in scripts where upper case is another name.
            let symbol = format!("{}-{}", it.base, it.quote).to_ascii_uppercase();
            let volume = volumes.get(&it.symbol_native).copied().unwrap_or_default();
            let wanted = if filter.symbols.is_empty() {
                filter.quote_assets.contains(&it.quote.to_ascii_uppercase())
                    && (filter.min_quote_volume..=filter.max_quote_volume).contains(&volume)
            } else {
                filter.symbols.contains(&symbol)
            };
            let (symbol_native, contract_size) = (it.symbol_native, it.contract_size);
            (wanted, volume, Instrument { venue, symbol, symbol_native, contract_size })
        })
        .filter_map(|(wanted, volume, it)| wanted.then_some((volume, it)))
        .collect();
    chosen.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.symbol.cmp(&b.1.symbol)));
    chosen.truncate(filter.max_symbols);
    let mut instruments: Vec<_> = chosen.into_iter().map(|(_, it)| it).collect();
    let there: HashSet<_> = instruments.iter().map(|it| it.symbol.as_str()).collect();
    let missing = filter.symbols.iter().filter(|it| !there.contains(it.as_str()));
    let missing = missing.cloned().collect();
    // Last, so that hosts choose from the same ones.
    instruments.retain(|it| filter.shard.takes(it));
    Found { instruments, missing, listed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Exchange, Market};

    fn listing(base: &str, quote: &str) -> Listing {
        Listing {
            symbol_native: format!("{base}{quote}"),
            base: base.to_owned(),
            quote: quote.to_owned(),
            contract_size: 1.0,
        }
    }

    fn filter() -> Filter {
        Filter {
            symbols: Vec::new(),
            quote_assets: vec!["USDT".into()],
            min_quote_volume: 100.0,
            max_quote_volume: 1000.0,
            max_symbols: 10,
            shard: Shard::WHOLE,
        }
    }

    fn symbols(filter: &Filter, rows: &[(&str, &str, f64)]) -> (Vec<String>, Vec<String>) {
        let venue = Venue::new(Exchange::Bybit, Market::Spot);
        let volume = |&(base, quote, last_day): &(&str, &str, f64)| Volume {
            symbol_native: format!("{base}{quote}"),
            last_day,
        };
        let listings = rows.iter().map(|it| listing(it.0, it.1)).collect();
        let found = select(venue, listings, rows.iter().map(volume).collect(), filter);
        (found.instruments.into_iter().map(|it| it.symbol).collect(), found.missing)
    }

    #[test]
    fn volumes_at_the_bounds_are_in_and_the_busiest_come_first() {
        let rows = [
            ("A", "USDT", 100.0),
            ("B", "USDT", 99.9),
            ("C", "USDT", 1000.0),
            ("D", "USDT", 1000.1),
            ("E", "EUR", 500.0),
            ("f", "usdt", 500.0),
        ];
        let (chosen, missing) = symbols(&filter(), &rows);
        assert_eq!(chosen, ["C-USDT", "F-USDT", "A-USDT"]);
        assert!(missing.is_empty());
        let (chosen, _) = symbols(&Filter { max_symbols: 2, ..filter() }, &rows);
        assert_eq!(chosen, ["C-USDT", "F-USDT"]);
    }

    #[test]
    fn named_symbols_need_no_volume_and_those_not_listed_are_named() {
        let named = vec!["A-EUR".to_owned(), "NOPE-USDT".to_owned()];
        let filter = Filter { symbols: named, ..filter() };
        let (chosen, missing) = symbols(&filter, &[("A", "EUR", 0.0), ("B", "USDT", 500.0)]);
        assert_eq!(chosen, ["A-EUR"]);
        assert_eq!(missing, ["NOPE-USDT"]);
    }

    #[test]
    fn shards_choose_from_the_same_instruments_and_miss_none_of_them() {
        let names: Vec<_> = (0..50).map(|n| format!("C{n}")).collect();
        let rows: Vec<_> = names.iter().map(|it| (it.as_str(), "USDT", 500.0)).collect();
        let filter = Filter { max_symbols: 40, ..filter() };
        let (whole, _) = symbols(&filter, &rows);
        let shard = |n: u32| Filter { shard: format!("{n}/3").parse().unwrap(), ..filter.clone() };
        let mut union: Vec<_> = (1..=3).flat_map(|n| symbols(&shard(n), &rows).0).collect();
        union.sort_by_key(|it| whole.iter().position(|one| one == it));
        assert_eq!(union, whole);
        let named = Filter { symbols: vec!["C1-USDT".into(), "NOPE-USDT".into()], ..filter };
        for n in 1..=3 {
            let shard = Filter { shard: format!("{n}/3").parse().unwrap(), ..named.clone() };
            assert_eq!(symbols(&shard, &rows).1, ["NOPE-USDT"], "one of another host is there");
        }
    }

    #[test]
    fn an_impossible_listing_is_left_out() {
        let venue = Venue::new(Exchange::Okx, Market::Perp);
        let sizes = [0.0, -1.0, f64::NAN, f64::INFINITY];
        let bad = sizes.map(|contract_size| Listing { contract_size, ..listing("A", "USDT") });
        let listings = bad.into_iter().chain([listing("", "USDT"), listing("B", "USDT")]).collect();
        let all = Filter { min_quote_volume: 0.0, ..filter() };
        let found = select(venue, listings, Vec::new(), &all);
        assert_eq!(found.instruments.len(), 1);
        assert_eq!(found.listed.len(), 1);
    }
}
