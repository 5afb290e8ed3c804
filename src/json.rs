//! Events as the JSON objects that the command line prints and the live WebSocket sends.
//!
//! Times are integer nanoseconds since the Unix epoch, UTC. A price is the shortest decimal that
//! reads back to the same number; sizes are in base units; an empty side of a book is null.

use serde::{Serialize, Serializer};

use crate::{
    exchange::{Notice, Subject},
    market::{Best, Cross, Event, Instrument, Nanos, Quote, Trade, TradeId, Venue},
};

/// One object.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the contract lists the keys")]
pub enum Object<'a> {
    Quote {
        #[serde(flatten)]
        of: Of<'a>,
        #[serde(flatten)]
        quoted: Quoted,
    },
    Trade {
        #[serde(flatten)]
        of: Of<'a>,
        #[serde(flatten)]
        traded: Traded<'a>,
    },
    Spread {
        symbol: &'a str,
        market: &'static str,
        buy_exchange: &'static str,
        sell_exchange: &'static str,
        gross_bps: f64,
        net_bps: f64,
        ask_price: f64,
        bid_price: f64,
        size: f64,
        leg_age_us: i64,
        ts_recv: i64,
    },
    Best {
        symbol: &'a str,
        market: &'static str,
        buy_exchange: &'static str,
        sell_exchange: &'static str,
        gross_bps: f64,
        net_bps: f64,
        ask_price: f64,
        bid_price: f64,
        size: f64,
        buy_age_us: i64,
        sell_age_us: i64,
        expires_us: i64,
        episodes: u32,
        ts_recv: i64,
    },
    Control {
        exchange: &'static str,
        market: &'static str,
        kind: &'static str,
        detail: String,
    },
    Error {
        exchange: &'static str,
        market: &'static str,
        detail: String,
        frame: &'a str,
    },
}

/// The instrument an event is of: what is the same in all its messages.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the contract lists the keys")]
pub struct Of<'a> {
    pub exchange: &'static str,
    pub market: &'static str,
    pub symbol: &'a str,
    pub symbol_native: &'a str,
}

/// What a quote says.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the contract lists the keys")]
pub struct Quoted {
    pub ts_event: Option<i64>,
    pub ts_recv: i64,
    pub bid_price: Option<f64>,
    pub bid_size: Option<f64>,
    pub ask_price: Option<f64>,
    pub ask_size: Option<f64>,
    pub sequence: Option<i64>,
}

/// What a trade says.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the contract lists the keys")]
pub struct Traded<'a> {
    pub ts_event: Option<i64>,
    pub ts_recv: i64,
    pub price: f64,
    pub size: f64,
    pub side: &'static str,
    pub trade_id: Option<Id<'a>>,
}

/// A trade's id, as text.
#[derive(Debug)]
pub struct Id<'a>(&'a TradeId);

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

impl<'a> Of<'a> {
    /// What all messages of `instrument` say.
    #[must_use]
    pub fn new(instrument: &'a Instrument) -> Self {
        Self {
            exchange: instrument.venue.exchange.name(),
            market: instrument.venue.market.name(),
            symbol: &instrument.symbol,
            symbol_native: &instrument.symbol_native,
        }
    }
}

impl From<&Quote> for Quoted {
    fn from(it: &Quote) -> Self {
        Self {
            ts_event: it.ts_event.map(|Nanos(ts)| ts),
            ts_recv: it.ts_recv.0,
            bid_price: it.bid.map(|it| it.price),
            bid_size: it.bid.map(|it| it.size),
            ask_price: it.ask.map(|it| it.price),
            ask_size: it.ask.map(|it| it.size),
            sequence: it.sequence,
        }
    }
}

impl<'a> From<&'a Trade> for Traded<'a> {
    fn from(it: &'a Trade) -> Self {
        Self {
            ts_event: it.ts_event.map(|Nanos(ts)| ts),
            ts_recv: it.ts_recv.0,
            price: it.price,
            size: it.size,
            side: it.side.name(),
            trade_id: it.id.is_some().then_some(Id(&it.id)),
        }
    }
}

impl<'a> Object<'a> {
    /// A quote or a trade of `instrument`.
    #[must_use]
    pub fn event(event: &'a Event, instrument: &'a Instrument) -> Self {
        let of = Of::new(instrument);
        match event {
            Event::Quote(it) => Object::Quote { of, quoted: it.into() },
            Event::Trade(it) => Object::Trade { of, traded: it.into() },
        }
    }

    /// A cross from `buy` to `sell`, which have one symbol and market.
    #[must_use]
    pub fn cross(cross: &Cross, buy: &'a Instrument, sell: &Instrument) -> Self {
        Object::Spread {
            symbol: &buy.symbol,
            market: buy.venue.market.name(),
            buy_exchange: buy.venue.exchange.name(),
            sell_exchange: sell.venue.exchange.name(),
            gross_bps: cross.gross_bps,
            net_bps: cross.net_bps,
            ask_price: cross.ask.price,
            bid_price: cross.bid.price,
            size: cross.size(),
            leg_age_us: cross.leg_age / 1_000,
            ts_recv: cross.ts_recv.0,
        }
    }

    /// The best cross of a symbol, from `buy` to `sell`.
    #[must_use]
    pub fn best(best: &Best, buy: &'a Instrument, sell: &Instrument) -> Self {
        let Best { cross, leg_ages: [bought, sold], .. } = best;
        Object::Best {
            symbol: &buy.symbol,
            market: buy.venue.market.name(),
            buy_exchange: buy.venue.exchange.name(),
            sell_exchange: sell.venue.exchange.name(),
            gross_bps: cross.gross_bps,
            net_bps: cross.net_bps,
            ask_price: cross.ask.price,
            bid_price: cross.bid.price,
            size: cross.size(),
            buy_age_us: bought / 1_000,
            sell_age_us: sold / 1_000,
            expires_us: best.expires / 1_000,
            episodes: best.episodes,
            ts_recv: cross.ts_recv.0,
        }
    }

    /// A frame that is not market data.
    #[must_use]
    pub fn control(venue: Venue, notice: &Notice) -> Self {
        let subject = |it: &Subject| match it {
            Subject::Request(id) => format!("request {id}"),
            Subject::Topic(channel, symbol) => format!("{channel} of {symbol}"),
            Subject::Unnamed => String::new(),
        };
        let (kind, detail) = match notice {
            Notice::Accepted(it) => ("ack", subject(it)),
            Notice::Unsubscribed => ("ack", "unsubscribed".to_owned()),
            Notice::Refused { subject: Subject::Unnamed, reason } => ("error", reason.clone()),
            Notice::Refused { subject: of, reason } => {
                ("error", format!("{}: {reason}", subject(of)))
            }
            Notice::Welcome => ("notice", "welcome".to_owned()),
            Notice::Ping(reply) => ("ping", format!("to be answered with {reply}")),
            Notice::Pong => ("pong", String::new()),
            Notice::Closing(why) => ("notice", why.clone()),
            Notice::Ignored(what) => ("ignored", what.clone()),
            Notice::Unlisted(symbol) => ("ignored", format!("symbol {symbol} is not listed")),
            Notice::Unknown => ("ignored", "a frame of an unknown kind".to_owned()),
        };
        let (exchange, market) = (venue.exchange.name(), venue.market.name());
        Object::Control { exchange, market, kind, detail }
    }

    /// A frame that could not be read.
    #[must_use]
    pub fn error(venue: Venue, detail: String, frame: &'a str) -> Self {
        /// What the contract promises of the frame.
        const FRAME_CHARS: usize = 200;
        let end = frame.char_indices().nth(FRAME_CHARS).map_or(frame.len(), |(at, _)| at);
        let (exchange, market) = (venue.exchange.name(), venue.market.name());
        Object::Error { exchange, market, detail, frame: &frame[..end] }
    }
}
