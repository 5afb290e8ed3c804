//! What differs between exchanges: facts as data, and how they read and write.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{
    binance, bingx, bitget, bybit,
    frame::{Load, Wire},
    gateio,
    http::{Request, Response},
    kucoin,
    listing::{Kind, Row, Trap},
    mexc, okx,
    pace::Pace,
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
    /// Whether there are pairs in USDC on the same list.
    pub(super) usdc: fn(Market) -> bool,
    /// Base units (quote units when inverse) in a contract on something of this price; `None` where
    /// sizes are in base units.
    pub(super) contract: fn(Market, Kind, price: f64) -> Option<f64>,
    /// Paths that are asked with POST.
    pub(super) posts: &'static [&'static str],
    /// Answers a REST request.
    pub(super) rest: fn(&World, &Served, &Request) -> Response,
    /// Begins a WebSocket connection to a path of the venue, or says why not.
    pub(super) open: fn(&Served, &Request, client: u64) -> Opened,
    /// The body of an answer that is nothing but this HTTP status.
    pub(super) refusal: fn(u16) -> String,
}

impl Dialect {
    pub(super) fn of(exchange: Exchange) -> &'static Dialect {
        match exchange {
            Exchange::Binance => &binance::DIALECT,
            Exchange::Bybit => &bybit::DIALECT,
            Exchange::Okx => &okx::DIALECT,
            Exchange::Bitget => &bitget::DIALECT,
            Exchange::Gateio => &gateio::DIALECT,
            Exchange::Kucoin => &kucoin::DIALECT,
            Exchange::Mexc => &mexc::DIALECT,
            Exchange::Bingx => &bingx::DIALECT,
        }
    }
}

/// A connection's session, or why there is none.
pub(super) type Opened = Result<Box<dyn Session>, Response>;

/// What a venue demands of its clients and does unasked.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
pub(super) struct Rules {
    /// A ping frame is sent this often.
    pub(super) ping_every: Option<Duration>,
    /// It must be answered within this.
    pub(super) pong_within: Duration,
    /// A connection without a proof of life is cut after this.
    pub(super) idle_max: Option<Duration>,
    pub(super) proof: Proof,
    /// A connection without a subscription is cut after this.
    pub(super) unsubscribed_max: Option<Duration>,
    /// Frames a client may send.
    pub(super) frames: Option<Pace>,
    /// Connections a client may open ...
    pub(super) connects: Pace,
    /// ... and have.
    pub(super) sockets_max: usize,
    /// The status of an upgrade beyond that.
    pub(super) connects_status: u16,
    /// How long after the upgrade the venue begins to speak; what it is told before is lost.
    pub(super) begins_after: Duration,
    /// How answers travel, and how data does.
    pub(super) replies: Wire,
    pub(super) data: Wire,
    /// Whether the book is sent on subscribe.
    pub(super) snapshot: bool,
    /// Whether the acknowledgement may come after the first data.
    pub(super) late_acks: bool,
    /// An unchanged book is sent again after this.
    pub(super) repeat_after: Option<Duration>,
    /// Whether a book that has not changed is sent as if it had, now and then.
    pub(super) echo: Echo,
    /// Whether only one side of the book moves at a time, of every second instrument.
    pub(super) one_sided: bool,
    /// Trades in one frame, at most.
    pub(super) prints_max: usize,
    /// Trades before the subscription that are told on subscribe, at most.
    pub(super) history: usize,
    /// Whether frames repeat trades of the frame before now and then.
    pub(super) reprints: bool,
    /// How a connection is cut, and how when it has sent too many frames.
    pub(super) cut: Farewell,
    pub(super) excess: Farewell,
}

impl Rules {
    /// Those of a venue that demands nothing and sends text.
    pub(super) const NONE: Rules = Rules {
        ping_every: None,
        pong_within: Duration::MAX,
        idle_max: None,
        proof: Proof::PingsOrData,
        unsubscribed_max: None,
        frames: None,
        connects: (usize::MAX, Duration::ZERO),
        sockets_max: usize::MAX,
        connects_status: 429,
        begins_after: Duration::ZERO,
        replies: Wire::Text,
        data: Wire::Text,
        snapshot: false,
        late_acks: false,
        repeat_after: None,
        echo: Echo::Never,
        one_sided: false,
        prints_max: 1,
        history: 0,
        reprints: false,
        cut: None,
        excess: None,
    };
}

/// Code and reason of the close frame a connection ends with; `None` when it ends without one.
pub(super) type Farewell = Option<(u16, &'static str)>;

/// What shows a venue that a connection is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The client's own pings.
    Pings,
    /// Its pings, and data sent to it.
    PingsOrData,
    /// Any frame either way. One of the client's makes up for a missing subscription as well.
    Anything,
}

/// Books that are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    Never,
    /// With the same id and time.
    Same,
    /// As the next state.
    Renumbered,
}

/// One connection, as its exchange sees it.
pub(super) trait Session: Send {
    /// Says hello, or subscribes to what the URL asked for.
    fn start(&mut self, _desk: &mut Desk<'_>) {}
    /// Answers a text frame.
    fn text(&mut self, text: &str, desk: &mut Desk<'_>);
    /// Appends the payload of a frame with the state of a book.
    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load;
    /// Appends the payload of a frame with trades, oldest first in `prints`.
    fn trades(&self, it: &Update<'_>, prints: &[Print], rng: &mut Rng, out: &mut Vec<u8>) -> Load;
    /// Appends the payload of a frame with trades from before the subscription.
    fn history(&self, _it: &Update<'_>, _prints: &[Print], _out: &mut Vec<u8>) {}
    /// A ping in the venue's own words, where it sends more than ping frames.
    fn ping(&mut self, _now: u64) -> Option<String> {
        None
    }
    /// What is said before a connection is cut.
    fn last_words(&self) -> Option<String> {
        None
    }
    /// The announcement that this connection should be replaced by another.
    fn notice(&self, _now: u64) -> Option<String> {
        None
    }
}

/// What a data frame is about.
pub(super) struct Update<'a> {
    pub(super) row: &'a Row,
    pub(super) topic: &'a Topic,
    /// Milliseconds since the epoch.
    pub(super) now: u64,
    /// The state the client knows; `None` when all has to be told.
    pub(super) last: Option<&'a Book>,
}

/// Where a session acts on a request.
pub(super) struct Desk<'a> {
    pub(super) served: &'a Served,
    pub(super) topics: &'a mut Topics,
    pub(super) replies: &'a mut Vec<String>,
    /// Whether the venue's limits are enforced.
    pub(super) limits: bool,
    pub(super) now: Instant,
    /// Set for a ping of the client's.
    pub(super) pinged: &'a mut bool,
    /// Set for an answer to a ping of the venue's own words.
    pub(super) ponged: &'a mut bool,
    /// Set to end the connection.
    pub(super) close: &'a mut Option<Farewell>,
}

impl Desk<'_> {
    pub(super) fn reply(&mut self, text: impl Into<String>) {
        self.replies.push(text.into());
    }
}
