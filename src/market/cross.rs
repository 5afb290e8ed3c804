//! Spreads between exchanges: buy at one's ask, sell at another's bid.
//!
//! One definition for what is shown live, stored and analysed:
//!
//! ```text
//! gross bps = (bid - ask) / ask x 10,000
//! net bps   = gross bps - taker fee of the buy side - taker fee of the sell side
//! ```

use super::{InstrumentId, Level, Nanos};

/// What buying at one exchange and selling at another earns at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cross {
    /// What is bought; its exchange's ask is paid.
    pub buy: InstrumentId,
    /// What is sold, of the same symbol and market; its exchange's bid is received.
    pub sell: InstrumentId,
    /// Best ask where it is bought.
    pub ask: Level,
    /// Best bid where it is sold.
    pub bid: Level,
    /// Before fees, in basis points of the ask; negative for a loss.
    pub gross_bps: f64,
    /// After both taker fees.
    pub net_bps: f64,
    /// Age of the older leg, in nanoseconds: since its bytes left our socket.
    pub leg_age: i64,
    /// When the younger leg was received.
    pub ts_recv: Nanos,
}

impl Cross {
    /// What can be bought and sold at these prices, in base units.
    #[must_use]
    pub fn size(&self) -> f64 {
        self.ask.size.min(self.bid.size)
    }
}

/// The cross of a symbol that earns most at present.
#[derive(Clone, Copy, Debug)]
pub struct Best {
    /// The number of the symbol and market.
    pub place: usize,
    /// The cross.
    pub cross: Cross,
    /// When the quote where it is bought and the one where it is sold were received.
    pub received: [Nanos; 2],
    /// Nanoseconds since then.
    pub leg_ages: [i64; 2],
    /// Nanoseconds after which it is none any more, unless a leg is quoted again.
    pub expires: i64,
    /// Episodes of all pairs of the symbol that began this day, UTC.
    pub episodes: u32,
}

/// A stretch of time in which a cross earned more than the configured minimum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// What is bought.
    pub buy: InstrumentId,
    /// What is sold.
    pub sell: InstrumentId,
    /// When the quote that opened it was received.
    pub open: Nanos,
    /// When it closed: the receipt of the quote that closed it, or the time at which a leg became
    /// too old.
    pub close: Nanos,
    /// The cross with the greatest net.
    pub peak: Cross,
    /// Age of the oldest leg that occurred, in nanoseconds.
    pub leg_age_max: i64,
    /// Quotes of either side while it was open, with the first.
    pub updates: u64,
}
