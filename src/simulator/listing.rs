//! What a venue lists: the usual coins, generated ones, and rows that are not what they seem.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    dialect::Dialect,
    prices::{mix, whole},
};
use crate::market::Venue;

/// What sets an instrument apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: a spot pair or a linear perpetual contract.
    Regular,
    /// Listed, not trading.
    Halted,
    /// Trading, but not in this market.
    Barred,
    /// Announced, not trading yet; some fields are empty.
    Pending,
    /// Trades before its asset exists.
    PreMarket,
    /// A contract that expires.
    Dated,
    /// Paid in its base asset; its size counts quote units.
    Inverse,
    /// A stock or a commodity.
    Stock,
}

impl Kind {
    /// Whether there is data of it.
    pub(super) fn moves(self) -> bool {
        !matches!(self, Kind::Halted | Kind::Barred | Kind::Pending)
    }
}

/// A row that is not what it seems, as an exchange's file states it.
pub(super) struct Trap {
    pub(super) native: &'static str,
    pub(super) base: &'static str,
    pub(super) quote: &'static str,
    pub(super) kind: Kind,
    pub(super) price: f64,
}

/// An instrument as a venue lists it.
#[derive(Debug)]
pub(super) struct Row {
    /// Its position in the list.
    pub(super) index: usize,
    pub(super) native: String,
    /// `BASE-QUOTE`.
    pub(super) symbol: String,
    pub(super) base: String,
    pub(super) quote: String,
    pub(super) kind: Kind,
    /// What moves its price, at all venues alike.
    pub(super) asset: u64,
    /// The price it wanders around.
    pub(super) reference: f64,
    pub(super) price_places: u32,
    pub(super) size_places: u32,
    pub(super) price_scale: f64,
    /// Smallest units of size for one unit of the quote asset.
    pub(super) size_per_value: f64,
    /// What one unit of size on the wire is worth, in the quote asset, at the reference price.
    pub(super) unit_value: f64,
    /// Base units (quote units when inverse) in one unit of size on the wire.
    pub(super) contract: f64,
    /// Traded in 24 hours, in the quote asset.
    pub(super) volume: f64,
    /// Relative to the price.
    pub(super) half_spread: f64,
    /// Hardly traded: a side of its book is empty now and then.
    pub(super) thin: bool,
    /// Its part of the venue's messages.
    pub(super) weight: f64,
    listed: AtomicBool,
}

impl Row {
    pub(super) fn listed(&self) -> bool {
        self.listed.load(Ordering::Relaxed)
    }

    pub(super) fn set_listed(&self, listed: bool) {
        self.listed.store(listed, Ordering::Relaxed);
    }

    /// Whether data of it is sent.
    pub(super) fn moves(&self) -> bool {
        self.kind.moves() && self.listed()
    }

    pub(super) fn tick(&self) -> String {
        step(self.price_places)
    }

    pub(super) fn lot(&self) -> String {
        step(self.size_places)
    }

    /// A price in the venue's places.
    pub(super) fn price(&self, price: f64) -> String {
        format!("{price:.*}", self.price_places as usize)
    }
}

fn step(places: u32) -> String {
    format!("{:.*}", places as usize, 10_f64.powi(-places.cast_signed()))
}

const COINS: [(&str, f64); 20] = [
    ("BTC", 91_234.5),
    ("ETH", 3_097.9),
    ("SOL", 152.3),
    ("XRP", 2.214),
    ("DOGE", 0.1621),
    ("PEPE", 0.000_005_12),
    ("BNB", 884.0),
    ("ADA", 0.4812),
    ("TRX", 0.2877),
    ("LINK", 14.12),
    ("AVAX", 15.23),
    ("LTC", 92.4),
    ("SUI", 1.731),
    ("DOT", 2.761),
    ("NEAR", 2.044),
    ("SHIB", 0.000_008_91),
    ("BTT", 0.000_000_46),
    ("币安人生", 0.1234),
    ("YFI", 4_521.0),
    ("ARB", 0.2311),
];

/// Fewer instruments than this are plain ones.
const SPECIALS_FROM: usize = 20;
/// Rows of a list that are not what they seem.
const TRAPS_MAX: usize = 6;
/// Coins with a second pair.
const USDC_PAIRS: usize = 3;
/// A price below this is quoted for 1,000 units where the venue does such things.
const THOUSANDS_BELOW: f64 = 0.000_1;

/// Decimal places of a size in base units, and in contracts.
const SIZE_PLACES_MAX: u32 = 8;
const CONTRACT_PLACES_MAX: u32 = 2;

/// The largest and the smallest volume in 24 hours, in the quote asset, of what is not thin.
const VOLUME: (f64, f64) = (2.0e9, 2.0e6);
const _: () = assert!(2 * TRAPS_MAX < SPECIALS_FROM - USDC_PAIRS, "each trap has a place");

/// One in so many instruments, the last ones, is hardly traded.
const THIN: usize = 10;
const THIN_VOLUME: f64 = 1.4e6;

/// The list of a venue: `count` rows.
pub(super) fn rows(venue: Venue, dialect: &Dialect, count: usize, seed: u64) -> Vec<Row> {
    let traps = if count < SPECIALS_FROM { vec![] } else { (dialect.traps)(venue.market) };
    let has_usdc = SPECIALS_FROM <= count && (dialect.usdc)(venue.market);
    let usdc = if has_usdc { USDC_PAIRS } else { 0 };
    let plain = count - usdc - traps.len().min(TRAPS_MAX);
    let maker = Maker { venue, dialect, seed, plain };
    let mut rows: Vec<_> = (0..plain).map(|coin| maker.pair(coin, "USDT", coin)).collect();
    for (i, trap) in traps.iter().take(TRAPS_MAX).enumerate() {
        rows.insert(2 * i + 3, maker.trap(trap));
    }
    rows.extend((0..usdc).map(|coin| maker.pair(coin, "USDC", 20 + coin)));
    for (index, row) in rows.iter_mut().enumerate() {
        row.index = index;
    }
    let moving = rows.iter().filter(|it| it.kind.moves()).count();
    for (rank, row) in rows.iter_mut().filter(|it| it.kind.moves()).enumerate() {
        row.weight = weight(rank, moving);
    }
    rows
}

/// The part of the instrument of this rank: half is the same for all, so that all are heard of, and
/// half falls off from those that trade most, like the product of two dice.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn weight(rank: usize, all: usize) -> f64 {
    let all = all as f64;
    let below = |x: f64| if 0.0 < x { x * (1.0 - x.ln()) } else { 0.0 };
    let rank = rank as f64;
    0.5 / all + 0.5 * (below((rank + 1.0) / all) - below(rank / all))
}

struct Maker<'a> {
    venue: Venue,
    dialect: &'a Dialect,
    seed: u64,
    plain: usize,
}

impl Maker<'_> {
    /// Pairs of small `rank` trade most.
    fn pair(&self, coin: usize, quote: &str, rank: usize) -> Row {
        let (mut base, mut price) = asset(self.seed, coin);
        if (self.dialect.thousands)(self.venue.market) && price < THOUSANDS_BELOW {
            (base, price) = (format!("1000{base}"), price * 1000.0);
        }
        let native = (self.dialect.native)(self.venue.market, &base, quote);
        let thin = self.plain - self.plain / THIN <= rank && SPECIALS_FROM <= self.plain;
        self.row(Row {
            volume: if thin { self.thin_volume(coin) } else { volume(rank) },
            thin,
            half_spread: half_spread(rank, thin),
            asset: coin as u64,
            ..blank(native, &base, quote, Kind::Regular, price)
        })
    }

    fn trap(&self, trap: &Trap) -> Row {
        let coin = COINS.iter().position(|it| it.0 == trap.base);
        self.row(Row {
            volume: volume(8),
            half_spread: half_spread(8, false),
            asset: coin.map_or_else(|| name_key(trap.base), |it| it as u64),
            ..blank(trap.native.to_owned(), trap.base, trap.quote, trap.kind, trap.price)
        })
    }

    fn thin_volume(&self, coin: usize) -> f64 {
        THIN_VOLUME / f64::from(1 + (mix(self.seed ^ coin as u64) % 1000) as u16)
    }

    /// Fills in what follows from the rest.
    fn row(&self, mut row: Row) -> Row {
        let price = row.reference;
        let contract = (self.dialect.contract)(self.venue.market, row.kind, price);
        row.contract = contract.unwrap_or(1.0);
        row.price_places = places(5 - magnitude(price), self.dialect.price_places_max);
        row.size_places = match (row.kind, contract) {
            (Kind::Inverse, _) => 0,
            (_, None) => places(1 + magnitude(price), SIZE_PLACES_MAX),
            (_, Some(it)) => places(1 + magnitude(price * it), CONTRACT_PLACES_MAX),
        };
        row.price_scale = 10_f64.powi(row.price_places.cast_signed());
        row.unit_value = row.contract * if row.kind == Kind::Inverse { 1.0 } else { price };
        row.size_per_value = 10_f64.powi(row.size_places.cast_signed()) / row.unit_value;
        row
    }
}

/// Tells assets apart that have no position among the coins.
fn name_key(name: &str) -> u64 {
    name.bytes().fold(1, |key, it| mix(key ^ u64::from(it))) >> 16
}

fn blank(native: String, base: &str, quote: &str, kind: Kind, price: f64) -> Row {
    Row {
        index: 0,
        native,
        symbol: format!("{base}-{quote}"),
        base: base.to_owned(),
        quote: quote.to_owned(),
        kind,
        asset: 0,
        reference: price,
        price_places: 0,
        size_places: 0,
        price_scale: 1.0,
        size_per_value: 1.0,
        unit_value: 1.0,
        contract: 1.0,
        volume: 0.0,
        half_spread: 0.0,
        thin: false,
        weight: 0.0,
        listed: AtomicBool::new(true),
    }
}

/// Name and price of a coin: the usual ones, then `S0020`, ...
fn asset(seed: u64, coin: usize) -> (String, f64) {
    if let Some((name, price)) = COINS.get(coin) {
        return ((*name).to_owned(), *price);
    }
    let random = mix(seed.wrapping_add(coin as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let exponent = f64::from((random % 8_000) as u16) / 1_000.0 - 5.0;
    (format!("S{coin:04}"), 10_f64.powf(exponent))
}

fn volume(rank: usize) -> f64 {
    let (most, least) = VOLUME;
    (most / f64::from(u16::try_from(rank).unwrap_or(u16::MAX) + 1).powf(0.95)).max(least)
}

fn half_spread(rank: usize, thin: bool) -> f64 {
    match rank {
        _ if thin => 0.002,
        ..10 => 0.000_01,
        10..50 => 0.000_05,
        _ => 0.000_2,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "within ±20")]
fn magnitude(x: f64) -> i32 {
    x.log10().floor() as i32
}

fn places(wanted: i32, at_most: u32) -> u32 {
    u32::try_from(wanted).unwrap_or(0).min(at_most)
}

/// Contracts of a round number of coins worth about 1,000 units of the quote asset.
pub(super) fn round_contract(price: f64) -> f64 {
    10_f64.powi(magnitude(1000.0 / price))
}

/// Contracts worth up to 10 units of the quote asset: of every second order of magnitude whole ones
/// are traded, of the others tenths.
pub(super) fn small_contract(price: f64) -> f64 {
    let magnitude = magnitude(price);
    10_f64.powi(-magnitude - i32::from(magnitude % 2 == 0))
}

/// Contracts worth less than one unit of the quote asset, of which whole ones are traded.
pub(super) fn tiny_contract(price: f64) -> f64 {
    10_f64.powi(-magnitude(price) - 1)
}

/// A contract size in the fewest digits.
pub(super) fn plain(x: f64) -> String {
    if 1.0 <= x { whole(x).to_string() } else { x.to_string() }
}
