//! The vocabulary: what a quote and a trade are, and where they come from.
//!
//! Nothing here knows about sockets, threads, JSON or files.

mod cross;
mod gap;
mod trade_id;

use std::{fmt, str::FromStr};

pub use self::{
    cross::{Best, Cross, Episode},
    gap::{Gap, GapReason},
    trade_id::TradeId,
};

/// An exchange, named as it appears in the configuration, metrics and Parquet partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "a name is all there is to say")]
pub enum Exchange {
    Binance,
    Bybit,
    Okx,
    Bitget,
    Gateio,
    Kucoin,
    Mexc,
    Bingx,
}

impl Exchange {
    /// Every exchange there is code for.
    pub const ALL: [Exchange; 8] = [
        Exchange::Binance,
        Exchange::Bybit,
        Exchange::Okx,
        Exchange::Bitget,
        Exchange::Gateio,
        Exchange::Kucoin,
        Exchange::Mexc,
        Exchange::Bingx,
    ];

    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Exchange::Binance => "binance",
            Exchange::Bybit => "bybit",
            Exchange::Okx => "okx",
            Exchange::Bitget => "bitget",
            Exchange::Gateio => "gateio",
            Exchange::Kucoin => "kucoin",
            Exchange::Mexc => "mexc",
            Exchange::Bingx => "bingx",
        }
    }
}

/// What is traded: the asset itself, or a perpetual contract on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "a name is all there is to say")]
pub enum Market {
    Spot,
    Perp,
}

impl Market {
    /// Both markets.
    pub const ALL: [Market; 2] = [Market::Spot, Market::Perp];

    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Market::Spot => "spot",
            Market::Perp => "perp",
        }
    }
}

/// A name that is none of those there are.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {what} is called {name:?}; there are {known}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: String,
}

fn find<T: Copy>(
    what: &'static str,
    all: &[T],
    name: fn(T) -> &'static str,
    wanted: &str,
) -> Result<T, UnknownName> {
    all.iter().copied().find(|&it| name(it) == wanted).ok_or_else(|| UnknownName {
        what,
        name: wanted.to_owned(),
        known: all.iter().map(|&it| name(it)).collect::<Vec<_>>().join(", "),
    })
}

impl FromStr for Exchange {
    type Err = UnknownName;
    fn from_str(name: &str) -> Result<Self, UnknownName> {
        find("exchange", &Self::ALL, Self::name, name)
    }
}

impl FromStr for Market {
    type Err = UnknownName;
    fn from_str(name: &str) -> Result<Self, UnknownName> {
        find("market", &Self::ALL, Self::name, name)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One market of one exchange: the unit of configuration, discovery and connection planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Venue {
    pub exchange: Exchange,
    pub market: Market,
}

impl Venue {
    /// Pairs an exchange with one of its markets.
    #[must_use]
    pub const fn new(exchange: Exchange, market: Market) -> Self {
        Self { exchange, market }
    }

    /// How many there can be.
    pub const COUNT: usize = Exchange::ALL.len() * Market::ALL.len();

    /// Its place among all there can be.
    #[must_use]
    pub const fn index(self) -> usize {
        self.exchange as usize * Market::ALL.len() + self.market as usize
    }

    /// The venue of a place, which is below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn at(index: usize) -> Self {
        let (exchange, market) = (index / Market::ALL.len(), index % Market::ALL.len());
        Self::new(Exchange::ALL[exchange], Market::ALL[market])
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.exchange, self.market))
    }
}

/// What a stream of events is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Best bid and ask.
    Quotes,
    /// Trades as they happen.
    Trades,
}

impl Channel {
    /// Both channels.
    pub const ALL: [Channel; 2] = [Channel::Quotes, Channel::Trades];

    /// The lower-case name, which is also the name of the folder its files go to.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Quotes => "quotes",
            Channel::Trades => "trades",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Something that can be traded at a venue.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument {
    /// Where it trades.
    pub venue: Venue,
    /// `BASE-QUOTE` in upper case, spelled the same for every venue.
    pub symbol: String,
    /// The venue's own spelling.
    pub symbol_native: String,
    /// Units of the base asset in one unit of size on the wire: 1 unless the venue counts
    /// contracts. Finite and positive.
    pub contract_size: f64,
}

/// Names an [`Instrument`] of the registry for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstrumentId(pub u32);

/// Names one connection, from its handshake to its end: a reconnect gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u32);

/// Nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub i64);

/// The number of nanoseconds in a UTC day.
const DAY: i64 = 86_400 * 1_000_000_000;

impl Nanos {
    /// The UTC day this falls on, counted from the Unix epoch.
    #[must_use]
    pub fn day(self) -> i32 {
        i32::try_from(self.0.div_euclid(DAY)).expect("an i64 of nanoseconds spans 213,504 days")
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }
}

/// One side of the top of the book. Both numbers are finite and positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Price, in the quote asset.
    pub price: f64,
    /// Size, in the base asset.
    pub size: f64,
}

/// The best bid and ask of one instrument at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// What is quoted.
    pub instrument: InstrumentId,
    /// The connection it came over.
    pub conn: ConnId,
    /// When the exchange says it happened; `None` when it does not say.
    pub ts_event: Option<Nanos>,
    /// When its bytes left our socket.
    pub ts_recv: Nanos,
    /// Best bid; `None` for an empty side.
    pub bid: Option<Level>,
    /// Best ask; `None` for an empty side.
    pub ask: Option<Level>,
    /// The exchange's number of this state of the book; `None` when it gives none.
    pub sequence: Option<i64>,
}

/// Which side took liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a name is all there is to say")]
pub enum Side {
    Buy,
    Sell,
    Unknown,
}

impl Side {
    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
            Side::Unknown => "unknown",
        }
    }
}

/// One trade.
#[derive(Clone, Debug, PartialEq)]
pub struct Trade {
    /// What was traded.
    pub instrument: InstrumentId,
    /// The connection it came over.
    pub conn: ConnId,
    /// When the exchange says it happened; `None` when it does not say.
    pub ts_event: Option<Nanos>,
    /// When its bytes left our socket.
    pub ts_recv: Nanos,
    /// Price, in the quote asset; finite and positive.
    pub price: f64,
    /// Size, in the base asset; finite and positive.
    pub size: f64,
    /// The side of the taker.
    pub side: Side,
    /// The exchange's name for it; [`TradeId::None`] when it gives none.
    pub id: TradeId,
}

/// What consumers receive.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Event {
    Quote(Quote),
    Trade(Trade),
}

/// What is recorded beside events, now and then.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Record {
    Gap(Gap),
    Episode(Episode),
}

impl Event {
    /// What the event is about.
    #[must_use]
    pub fn instrument(&self) -> InstrumentId {
        match self {
            Event::Quote(it) => it.instrument,
            Event::Trade(it) => it.instrument,
        }
    }

    /// The channel it came over.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match self {
            Event::Quote(_) => Channel::Quotes,
            Event::Trade(_) => Channel::Trades,
        }
    }

    /// When its bytes left our socket.
    #[must_use]
    pub fn ts_recv(&self) -> Nanos {
        match self {
            Event::Quote(it) => it.ts_recv,
            Event::Trade(it) => it.ts_recv,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_utc_and_floors_before_the_epoch() {
        assert_eq!(Nanos(0).day(), 0);
        assert_eq!(Nanos(DAY - 1).day(), 0);
        assert_eq!(Nanos(DAY).day(), 1);
        assert_eq!(Nanos(-1).day(), -1);
    }

    #[test]
    fn a_venue_has_a_place_of_its_own() {
        for index in 0..Venue::COUNT {
            assert_eq!(Venue::at(index).index(), index);
        }
    }

    #[test]
    fn a_name_reads_back() {
        for exchange in Exchange::ALL {
            assert_eq!(exchange.name().parse(), Ok(exchange));
        }
        let unknown = "krakn".parse::<Exchange>().expect_err("no such exchange");
        assert!(unknown.to_string().contains("binance"), "{unknown}");
    }
}
