//! What a venue lists, read over its HTTP interface.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::Duration,
};

use ureq::{
    Agent,
    http::header::RETRY_AFTER,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
};

use super::Backoff;
use crate::{
    exchange::{DecodeError, Listing, Protocol, Volume},
    market::{Instrument, Venue},
    stop::Stop,
};

const CONNECT_MAX: Duration = Duration::from_secs(3);
const ANSWER_MAX: Duration = Duration::from_secs(10);
const BODY_MAX: Duration = Duration::from_mins(1);
/// The largest list there is, Binance's with all filters, is about 20 MiB.
const BODY_BYTES_MAX: u64 = 128 << 20;
/// A list in more pages than this is one that never ends.
const PAGES_MAX: usize = 100;
/// A venue that says it does not serve us is asked again this late.
const REFUSED_WAIT: Duration = Duration::from_mins(10);

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
}

/// What a venue lists, as far as it is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The instruments, busiest first where volumes were read.
    pub instruments: Vec<Instrument>,
    /// Symbols that were asked for by name and are not listed.
    pub missing: Vec<String>,
    /// How many instruments are open for trading there.
    pub listed: usize,
}

/// Why a list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// No answer.
    #[error("failed to get {url}: {cause}")]
    Http {
        /// What was asked for.
        url: String,
        /// What went wrong.
        cause: Box<ureq::Error>,
    },
    /// An answer that is no list.
    #[error("{url} answered HTTP {status}: {body}")]
    Status {
        /// What was asked for.
        url: String,
        /// 403 and 451: it does not serve us; 418 and 429: we ask too often.
        status: u16,
        /// How long it wants us to wait.
        retry_after: Option<Duration>,
        /// The beginning of what it said.
        body: String,
    },
    /// A list that cannot be read.
    #[error("failed to read the answer of {url}: {cause}")]
    Decode {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        cause: DecodeError,
    },
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
            DiscoveryError::Status { status: 403 | 451, .. } => REFUSED_WAIT,
            DiscoveryError::Status { retry_after: Some(wait), .. } => (*wait).min(REFUSED_WAIT),
            _ => Duration::ZERO,
        }
    }
}

/// A root certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}: no certificate in PEM form")]
pub struct CertificateError(String);

/// An HTTP client. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
}

impl Client {
    /// A client that trusts what the system trusts, and `root` (PEM, read from `path`).
    ///
    /// # Errors
    /// When `root` holds no certificate.
    pub fn new(root: Option<(&Path, &[u8])>) -> Result<Self, CertificateError> {
        let roots = match root {
            None => RootCerts::PlatformVerifier,
            Some((path, pem)) => {
                let ours = certificates(pem);
                if ours.is_empty() {
                    return Err(CertificateError(path.display().to_string()));
                }
                let system = openssl_probe::probe().cert_file.and_then(|it| std::fs::read(it).ok());
                let system = system.as_deref().map(certificates).unwrap_or_default();
                RootCerts::from(ours.into_iter().chain(system))
            }
        };
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
        // No deadline over the whole call: it would make the client resolve names on a thread
        // that nobody joins.
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_recv_response(Some(ANSWER_MAX))
            .timeout_recv_body(Some(BODY_MAX))
            .http_status_as_error(false)
            .user_agent(concat!("spread-aggregator/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: Agent::new_with_config(config) })
    }

    /// Ends all calls, those under way too, with an error.
    pub fn shutdown(&self) {
        self.agent.clone().shutdown();
    }

    fn get(&self, url: &str) -> Result<String, DiscoveryError> {
        /// Of an error page, for the log.
        const SHOWN: usize = 200;
        let failed = |cause| DiscoveryError::Http { url: url.to_owned(), cause: Box::new(cause) };
        let mut answer = self.agent.get(url).call().map_err(failed)?;
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|it| it.to_str().ok()?.parse().ok());
        let body = answer.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
        if !status.is_success() {
            return Err(DiscoveryError::Status {
                url: url.to_owned(),
                status: status.as_u16(),
                retry_after: retry_after.map(Duration::from_secs),
                body: body.unwrap_or_default().chars().take(SHOWN).collect(),
            });
        }
        body.map_err(failed)
    }
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let certificate = |it| match it {
        Ok(PemItem::Certificate(it)) => Some(it),
        _ => None,
    };
    parse_pem(pem).filter_map(certificate).collect()
}

/// Reads a venue's lists, again and again until it works; `None` when the program stops first.
///
/// A list that cannot be read is not an empty one: nothing is ever concluded from a failure.
pub fn discover_until_stopped(
    client: &Client,
    protocol: &Protocol,
    base: &str,
    filter: &Filter,
    stop: &Stop,
) -> Option<Found> {
    let mut backoff = Backoff::default();
    while !stop.requested() {
        match discover(client, protocol, base, filter) {
            Ok(found) => return Some(found),
            Err(_) if stop.requested() => return None,
            Err(err) => {
                let wait = backoff.after_failure().max(err.at_least());
                let seconds = wait.as_secs_f64();
                log::warn!("{}: {err}; trying again in {seconds:.1} s", protocol.venue);
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
        (protocol.rest.read_volumes)(&client.get(&url)?, &mut volumes)
            .map_err(|cause| DiscoveryError::Decode { url, cause })?;
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
        let next = (protocol.rest.read_instruments)(&client.get(&url)?, &mut listings)
            .map_err(|cause| DiscoveryError::Decode { url: url.clone(), cause })?;
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
    let listed = listings.len();
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
    let instruments: Vec<_> = chosen.into_iter().map(|(_, it)| it).collect();
    let there: HashSet<_> = instruments.iter().map(|it| it.symbol.as_str()).collect();
    let missing = filter.symbols.iter().filter(|it| !there.contains(it.as_str()));
    Found { missing: missing.cloned().collect(), listed, instruments }
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
    fn an_impossible_listing_is_left_out() {
        let venue = Venue::new(Exchange::Okx, Market::Perp);
        let sizes = [0.0, -1.0, f64::NAN, f64::INFINITY];
        let bad = sizes.map(|contract_size| Listing { contract_size, ..listing("A", "USDT") });
        let listings = bad.into_iter().chain([listing("", "USDT"), listing("B", "USDT")]).collect();
        let all = Filter { min_quote_volume: 0.0, ..filter() };
        let found = select(venue, listings, Vec::new(), &all);
        assert_eq!(found.instruments.len(), 1);
        assert_eq!(found.listed, 1);
    }
}
