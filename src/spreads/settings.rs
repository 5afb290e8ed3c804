//! What makes a spread, as configured.

use std::{str::FromStr, time::Duration};

use super::scale;
use crate::market::{Exchange, UnknownName, Venue};

/// What makes a spread, what of it is recorded, and what is remembered.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A quote received longer ago than this makes no spread.
    pub max_quote_age: Duration,
    /// An episode opens when a cross earns more than this, both taker fees paid, in basis points.
    pub min_net_bps: f64,
    /// An episode closes when its cross earns no more than [`min_net_bps`](Self::min_net_bps) less
    /// this; 0 or more.
    pub hysteresis_bps: f64,
    /// Two exchanges whose mid prices of one symbol differ by more than this part of the lower one
    /// are suspected to trade two assets of one name; positive.
    pub identity_guard: f64,
    /// A suspected pair is quarantined after this long, and one that is quarantined is let go when
    /// the prices have agreed for this long.
    pub identity_after: Duration,
    /// Pairs that are never suspected.
    pub same_asset: Vec<SameAsset>,
    /// What a taker pays at each venue, in basis points; nothing at one that is not listed.
    pub taker_fee_bps: Vec<(Venue, f64)>,
    /// How far back the windows reach.
    pub window: Duration,
    /// The time between two samples of a window; positive.
    pub sample_every: Duration,
    /// For how long quotes wait for earlier ones of other connections.
    pub reorder: Duration,
}

impl Settings {
    /// Takes over from `other` what may change while spreads are made.
    pub fn take_thresholds(&mut self, other: &Settings) {
        self.max_quote_age = other.max_quote_age;
        self.min_net_bps = other.min_net_bps;
        self.hysteresis_bps = other.hysteresis_bps;
        self.identity_guard = other.identity_guard;
        self.identity_after = other.identity_after;
    }
}

/// Exchanges that trade one asset under a symbol, however far apart their prices are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameAsset {
    /// `BASE-QUOTE`, of both markets.
    pub symbol: String,
    /// Which two exchanges; `None` for all of them.
    pub between: Option<[Exchange; 2]>,
}

impl SameAsset {
    /// Whether it speaks of `a` and `b` in the group of symbols that is called `group`.
    pub(super) fn covers(&self, group: &str, a: Exchange, b: Exchange) -> bool {
        let named = self.between.is_none_or(|it| it == [a, b] || it == [b, a]);
        named && scale::split(&self.symbol).0 == group
    }
}

/// A text that is no [`SameAsset`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSameAsset {
    /// It has another form.
    #[error("must be like \"ABC-USDT\" or \"ABC-USDT:okx:bybit\", not {0:?}")]
    Form(String),
    /// It names an exchange that there is none of.
    #[error(transparent)]
    Exchange(#[from] UnknownName),
}

impl FromStr for SameAsset {
    type Err = InvalidSameAsset;

    fn from_str(text: &str) -> Result<Self, InvalidSameAsset> {
        let parts: Vec<_> = text.split(':').collect();
        let (symbol, between) = match parts[..] {
            [symbol] => (symbol, None),
            [symbol, a, b] if a != b => (symbol, Some([a.parse()?, b.parse()?])),
            _ => return Err(InvalidSameAsset::Form(text.to_owned())),
        };
        let spelled = symbol.rsplit_once('-').is_some_and(|(base, quote)| {
            !base.is_empty() && !quote.is_empty() && symbol == symbol.to_ascii_uppercase()
        });
        if !spelled {
            return Err(InvalidSameAsset::Form(text.to_owned()));
        }
        Ok(Self { symbol: symbol.to_owned(), between })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_named_by_symbol_and_exchanges() {
        let all: SameAsset = "1000ABC-USDT".parse().expect("valid");
        assert!(all.covers("ABC-USDT", Exchange::Okx, Exchange::Bybit));
        let two: SameAsset = "ABC-USDT:okx:bybit".parse().expect("valid");
        assert!(two.covers("ABC-USDT", Exchange::Bybit, Exchange::Okx));
        assert!(!two.covers("ABC-USDT", Exchange::Bybit, Exchange::Mexc));
        assert!(!two.covers("ABC-USDC", Exchange::Bybit, Exchange::Okx));
        for wrong in ["", "ABC", "abc-USDT", "A-B:okx", "A-B:okx:okx", "A-B:okx:krakn", "A-B:"] {
            assert!(wrong.parse::<SameAsset>().is_err(), "{wrong}");
        }
    }
}
