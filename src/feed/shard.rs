//! Which instruments are this host's, when several hosts share the work.
//!
//! An instrument belongs to one of `of` shards by its market and its unified symbol, and by nothing
//! else: hosts need not know of each other, and all exchanges' quotes of a symbol are on one host, or
//! spreads between them would not be seen.

use std::{fmt, str::FromStr};

use crate::market::Instrument;

/// More hosts than this are a slip of the pen.
const SHARDS_MAX: u32 = 1_000;

/// One part of all instruments: the `index`-th, counted from 1, of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

/// A text that names no shard.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be like \"2/8\", for the second of eight hosts, the first number from 1 to the second, and \
     that to {SHARDS_MAX}; not {0:?}"
)]
pub struct InvalidShard(String);

impl Shard {
    /// All instruments.
    pub const WHOLE: Shard = Shard { index: 1, of: 1 };

    /// Whether `instrument` belongs to this one.
    #[must_use]
    pub fn takes(self, instrument: &Instrument) -> bool {
        let name = format!("{}/{}", instrument.venue.market, instrument.symbol);
        hash(name.as_bytes()) % self.of == self.index - 1
    }
}

/// FNV-1a in 64 bits, folded to 32. It is part of what a configuration means and never changes: else
/// hosts of two versions would collect an instrument twice, or not at all.
fn hash(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is folded in")]
    let folded = (hash ^ (hash >> 32)) as u32;
    folded
}

impl FromStr for Shard {
    type Err = InvalidShard;
    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        let invalid = || InvalidShard(text.to_owned());
        let (index, of) = text.split_once('/').ok_or_else(invalid)?;
        let number = |it: &str| {
            let plain = it.bytes().all(|it| it.is_ascii_digit());
            it.parse().ok().filter(|_| plain).ok_or_else(invalid)
        };
        let shard = Shard { index: number(index)?, of: number(of)? };
        let possible =
            (1..=SHARDS_MAX).contains(&shard.of) && (1..=shard.of).contains(&shard.index);
        if possible { Ok(shard) } else { Err(invalid()) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::{Exchange, Market, Venue};

    fn instrument(exchange: Exchange, market: Market, symbol: &str) -> Instrument {
        Instrument {
            venue: Venue::new(exchange, market),
            symbol: symbol.to_owned(),
            symbol_native: format!("{symbol}-native"),
            contract_size: 1.0,
        }
    }

    #[test]
    fn where_an_instrument_belongs_never_changes() {
        assert_eq!(hash(b""), 0x4fd0_bfc1);
        for (market, symbol, index) in [
            (Market::Spot, "BTC-USDT", 4),
            (Market::Perp, "BTC-USDT", 6),
            (Market::Spot, "ETH-USDT", 3),
            (Market::Spot, "币安人生-USDT", 5),
        ] {
            let shard = Shard { index, of: 8 };
            assert!(shard.takes(&instrument(Exchange::Okx, market, symbol)), "{symbol} {market}");
        }
    }

    proptest! {
        #[test]
        fn an_instrument_belongs_to_one_shard_and_to_the_same_one_at_every_exchange(
            of in 1..=40_u32,
            symbol in "[A-Z0-9]{1,8}-USD[TC]",
        ) {
            for market in Market::ALL {
                let takers = Exchange::ALL.map(|exchange| {
                    let instrument = instrument(exchange, market, &symbol);
                    let shards = (1..=of).map(|index| Shard { index, of });
                    shards.filter(|it| it.takes(&instrument)).collect::<Vec<_>>()
                });
                prop_assert_eq!(takers[0].len(), 1);
                prop_assert!(takers.iter().all(|it| *it == takers[0]));
            }
        }

        #[test]
        fn a_shard_reads_back(of in 1..=SHARDS_MAX, index in 1..=SHARDS_MAX) {
            let shard = Shard { index: index.min(of), of };
            prop_assert_eq!(shard.to_string().parse(), Ok(shard));
        }
    }

    #[test]
    fn shards_are_about_as_large_as_each_other() {
        for of in [2, 3, 8, 16] {
            for index in 1..=of {
                let names = (0..4_000).map(|n| format!("S{n:04}-USDT"));
                let instruments = names.map(|it| instrument(Exchange::Okx, Market::Spot, &it));
                let taken = instruments.filter(|it| Shard { index, of }.takes(it)).count();
                let even = 4_000 / of as usize;
                assert!((even * 8 / 10..even * 12 / 10).contains(&taken), "{index}/{of}: {taken}");
            }
        }
    }

    #[test]
    fn what_is_no_shard_is_refused_with_what_would_be() {
        for text in
            ["", "1", "0/8", "9/8", "2/0", "a/b", "1/b", "-1/8", "+1/8", " 1/8", "1/8/2", "1/1001"]
        {
            let error = text.parse::<Shard>().expect_err(text).to_string();
            assert!(error.contains(r#"must be like "2/8""#) && error.contains(text), "{error}");
        }
    }
}
