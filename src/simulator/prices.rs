//! Where prices come from: a wandering price for each asset, which all venues share, and a small
//! deviation of each venue from it.
//!
//! A price is a function of the seed and the time, so that threads need not agree on anything: a
//! sum of smooth noises, the slow ones with the large amplitudes, as in a random walk.

use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;

use super::listing::Row;

/// The best bid and ask, in units of the instrument's price and size places. Price 0 is an empty
/// side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Book {
    pub(super) bid: u64,
    pub(super) bid_size: u64,
    pub(super) ask: u64,
    pub(super) ask_size: u64,
    /// Increases with every state of an instrument's book.
    pub(super) update: u64,
    /// When it came to be, in milliseconds since the epoch.
    pub(super) time: u64,
}

impl Book {
    /// Whether it has the same levels.
    pub(super) fn says(&self, other: &Book) -> bool {
        Book { update: other.update, time: other.time, ..*self } == *other
    }
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) price: u64,
    pub(super) size: u64,
    /// Whether the taker bought.
    pub(super) buy: bool,
    /// The id of its last fill: the ids of an instrument's fills are consecutive.
    pub(super) id: u64,
    pub(super) fills: u64,
    /// Its own number when fills are merged; consecutive as well.
    pub(super) aggregate: u64,
    pub(super) update: u64,
    /// In milliseconds since the epoch.
    pub(super) time: u64,
}

impl Print {
    /// Nothing yet.
    pub(super) const NONE: Print =
        Print { price: 0, size: 0, buy: false, id: 0, fills: 0, aggregate: 0, update: 0, time: 0 };
}

/// Milliseconds since the epoch.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const MINUTE: u64 = 60_000;

/// Period in milliseconds and relative amplitude of what moves an asset everywhere.
const SHARED: [(u64, f64); 3] = [(60 * MINUTE, 0.03), (3 * MINUTE, 0.004), (11_000, 0.000_6)];
/// The same for what moves it at one venue, cubed: usually next to nothing, now and then enough
/// for a cross that pays two fees.
const OWN: (u64, f64) = (19_000, 0.002);

/// Prices stay for so long, in milliseconds.
const STEP: u64 = 100;
/// See [`size`].
const SIZES: u64 = 64;

/// The price of everything, everywhere, at any time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prices {
    pub(super) seed: u64,
}

impl Prices {
    /// What an instrument is worth, in its quote asset.
    pub(super) fn mid(self, slot: u64, row: &Row, now: u64) -> f64 {
        let key = self.seed ^ row.asset << 8;
        let shared: f64 =
            (1..).zip(SHARED).map(|(i, (period, amp))| amp * noise(key ^ i, now, period)).sum();
        let own = noise(key ^ 64 ^ slot, now, OWN.0);
        row.reference * (1.0 + shared + OWN.1 * own * own * own)
    }

    /// What it is worth at a time, given what it was worth when that was asked last: the price moves
    /// in steps of [`STEP`], so that many events are one calculation.
    pub(super) fn step(self, slot: u64, row: &Row, time: u64, mid: &mut Mid) -> f64 {
        let step = time / STEP;
        if mid.step != step {
            *mid = Mid { step, price: self.mid(slot, row, step * STEP) };
        }
        mid.price
    }
}

/// A price that has been calculated.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mid {
    step: u64,
    price: f64,
}

/// The best prices around what an instrument is worth, in units of its price places.
pub(super) fn sides(row: &Row, mid: f64, rng: &mut Rng) -> (u64, u64) {
    let mid = mid * row.price_scale;
    let half = mid * row.half_spread * (0.5 + rng.f64());
    let bid = whole(mid - half).max(1);
    (bid, whole(mid + half).max(bid + 1))
}

/// A positive size, mostly small. No two of [`SIZES`] that follow each other by their numbers are
/// the same, so that events without an id can be told apart.
pub(super) fn size(row: &Row, number: u64, rng: &mut Rng) -> u64 {
    let r = rng.f64();
    let size = whole((20.0 + 60_000.0 * r * r * r * r) * row.size_per_value);
    size / SIZES * SIZES + number % SIZES + 1
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "prices and sizes are positive and small; the cast saturates"
)]
pub(super) fn whole(x: f64) -> u64 {
    x as u64
}

/// A smooth curve through a random value within ±1 every `period` milliseconds.
fn noise(key: u64, now: u64, period: u64) -> f64 {
    let (i, rest) = (now / period, now % period);
    #[expect(clippy::cast_precision_loss, reason = "an hour of milliseconds fits")]
    let at = rest as f64 / period as f64;
    let (from, to) = (value(key, i), value(key, i + 1));
    from + (to - from) * at * at * (3.0 - 2.0 * at)
}

fn value(key: u64, i: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let unit = (mix(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i) >> 11) as f64;
    unit * f64::EPSILON - 1.0
}

/// Spreads the bits of a number over all of a number: the end of splitmix64.
pub(super) fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_bounded_and_not_flat() {
        let at = |now| noise(7, now, 1000);
        let all: Vec<_> = (0..100_000).map(at).collect();
        assert!(all.iter().all(|it| it.abs() <= 1.0));
        assert!(all.windows(2).all(|it| (it[1] - it[0]).abs() < 0.01));
        let (low, high) =
            all.iter().fold((1.0_f64, -1.0_f64), |(l, h), &it| (l.min(it), h.max(it)));
        assert!(low < -0.8 && 0.8 < high, "{low} {high}");
    }
}
