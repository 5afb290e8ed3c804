//! What differs between exchanges: facts as data, and how they read and write.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{
    binance, bybit,
    frame::Load,
    http::{Request, Response},
    listing::{Kind, Row, Trap},
    okx,
    prices::{Book, Print},
    topics::{Topic, Topics},
    world::{Served, World},
};
use crate::market::{Exchange, Market};

/// An exchange.
pub(super) struct Dialect {
    pub(super) rules: fn(Market) -> Rules,
    /// Spells an instrument.
    pub(super) native: fn(Market, base: &str, quote: &str) -> String,
    /// The rows of its list that are not what they seem.
    pub(super) traps: fn(Market) -> Vec<Trap>,
    pub(super) price_places_max: u32,
    /// Whether cheap coins are quoted for 1,000 units.
    pub(super) thousands: fn(Market) -> bool,
    /// Base units (quote units when inverse) in a contract on something of this price; `None` where
    /// sizes are in base units.
    pub(super) contract: fn(Market, Kind, price: f64) -> Option<f64>,
    /// Answers a REST request.
    pub(super) rest: fn(&World, &Served, &Request) -> Response,
    /// Begins a WebSocket connection to a path of the venue, or says why not.
    pub(super) open: fn(&Served, &Request, client: u64) -> Opened,
    /// The body of an answer that is nothing but this HTTP status.
    pub(super) refusal: fn(u16) -> String,
}

impl Dialect {
    /// Panics for an exchange that is none of [`EXCHANGES`](super::EXCHANGES).
    pub(super) fn of(exchange: Exchange) -> &'static Dialect {
        match exchange {
            Exchange::Binance => &binance::DIALECT,
            Exchange::Bybit => &bybit::DIALECT,
            Exchange::Okx => &okx::DIALECT,
            _ => panic!("{exchange} cannot be simulated"),
        }
    }
}

/// A connection's session, or why there is none.
pub(super) type Opened = Result<Box<dyn Session>, Response>;

/// What a venue demands of its clients and does unasked.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// A ping frame is sent this often.
    pub(super) ping_every: Option<Duration>,
    /// It must be answered within this.
    pub(super) pong_within: Duration,
    /// A connection without data and without a ping of the client is cut after this.
    pub(super) idle_max: Option<Duration>,
    /// A connection without a subscription is cut after this.
    pub(super) unsubscribed_max: Option<Duration>,
    /// Frames a client may send within any second.
    pub(super) frames_a_second: Option<usize>,
    /// Connections a client may open within a time.
    pub(super) connects: (usize, Duration),
    /// The status of an upgrade beyond that.
    pub(super) connects_status: u16,
    /// Whether the book is sent on subscribe.
    pub(super) snapshot: bool,
    /// Whether the acknowledgement may come after the first data.
    pub(super) late_acks: bool,
    /// An unchanged book is sent again after this.
    pub(super) repeat_after: Option<Duration>,
    /// Trades in one frame, at most.
    pub(super) prints_max: usize,
    /// Close code and reason of a cut.
    pub(super) cut: (u16, &'static str),
}

/// One connection, as its exchange sees it.
pub(super) trait Session: Send {
    /// Subscribes to what the URL asked for.
    fn start(&mut self, _desk: &mut Desk<'_, '_>) {}
    /// Answers a text frame.
    fn text(&mut self, text: &str, desk: &mut Desk<'_, '_>);
    /// Appends the payload of a frame with the state of a book. A venue that tells only what has
    /// changed says in `book` what the client knows now.
    fn quote(&self, it: &Update<'_>, book: &mut Book, out: &mut Vec<u8>);
    /// Appends the payload of a frame with trades, and says how many count as such.
    fn trades(&self, it: &Update<'_>, prints: &[Print], rng: &mut Rng, out: &mut Vec<u8>) -> u64;
}

/// What a data frame is about.
pub(super) struct Update<'a> {
    pub(super) row: &'a Row,
    pub(super) topic: &'a Topic,
    /// Milliseconds since the epoch.
    pub(super) now: u64,
    /// The state the client knows, when only changes have to be told.
    pub(super) last: Option<&'a Book>,
}

/// Where a session acts on a request.
pub(super) struct Desk<'a, 'w> {
    pub(super) served: &'a Served,
    pub(super) topics: &'a mut Topics<'w>,
    pub(super) replies: &'a mut Vec<String>,
    /// Whether the venue's limits are enforced.
    pub(super) limits: bool,
    pub(super) now: Instant,
    /// Set for a ping of the client's.
    pub(super) pinged: &'a mut bool,
    /// Set to end the connection, with code and reason.
    pub(super) close: &'a mut Option<(u16, &'static str)>,
}

impl Desk<'_, '_> {
    pub(super) fn reply(&mut self, text: impl Into<String>) {
        self.replies.push(text.into());
    }
}

/// What a frame with a quote counts for.
pub(super) fn quote_load(repeats: bool) -> Load {
    Load { frames: 1, quotes: 1, repeats: repeats.into(), ..Load::default() }
}
