//! What differs between venues, and nothing else.
//!
//! An exchange is one file of facts, as constants, and of pure functions that read its frames; and
//! one, `rest`, of those that read its lists. It opens no socket, reads no clock, holds no state and
//! starts no thread; `feed` does all of that once, for every venue. Nothing outside this folder
//! mentions an exchange by name.

mod binance;
mod bingx;
mod bitget;
mod bybit;
mod gateio;
mod inbox;
mod kucoin;
mod mexc;
mod okx;
pub mod wire;

use std::time::Duration;

pub use self::inbox::{Inbox, Notice, Seen, Subject, Update};
use crate::market::{Channel, Venue};

/// Every venue there is code for.
pub const ALL: &[&Protocol] = &[
    &binance::SPOT,
    &binance::PERP,
    &bybit::SPOT,
    &bybit::PERP,
    &okx::SPOT,
    &okx::PERP,
    &bitget::SPOT,
    &bitget::PERP,
    &gateio::SPOT,
    &gateio::PERP,
    &kucoin::SPOT,
    &kucoin::PERP,
    &mexc::SPOT,
    &mexc::PERP,
    &bingx::SPOT,
    &bingx::PERP,
];

/// The protocol of a venue, if there is code for it.
#[must_use]
pub fn find(venue: Venue) -> Option<&'static Protocol> {
    ALL.iter().copied().find(|it| it.venue == venue)
}

/// Everything the rest of the program needs to know about one venue.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Names the venue everywhere outside this module.
    pub venue: Venue,
    /// Where to connect, and what each address carries. Together they carry every channel.
    pub endpoints: &'static [Endpoint],
    /// The frame that makes a request; the venue's answer names its id, if anything.
    pub request: fn(&Request<'_>) -> String,
    /// How the venue spells one topic; refusals quote it.
    pub topic: fn(&Topic<'_>) -> String,
    /// Reads any text frame into events, acknowledgements and notices; [`Protocol::read`] is faster.
    pub decode: fn(frame: &str, inbox: &mut Inbox) -> Result<(), DecodeError>,
    /// The lists of instruments and of their volumes.
    pub rest: Rest,
    /// What the venue allows.
    pub limits: Limits,
    /// Departures from the common case.
    pub quirks: Quirks,
}

impl Protocol {
    /// Reads one text frame, the fast way if there is one for it.
    ///
    /// # Errors
    /// When it is not what the venue's documentation says.
    pub fn read(&self, frame: &str, inbox: &mut Inbox) -> Result<(), DecodeError> {
        match (self.quirks.hot)(frame, inbox) {
            Some(()) => Ok(()),
            None => (self.decode)(frame, inbox),
        }
    }
}

/// One WebSocket endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Where it is.
    pub address: Address,
    /// What can be subscribed to there.
    pub channels: &'static [Channel],
}

/// Where to connect.
#[derive(Clone, Copy, Debug)]
pub enum Address {
    /// Always to this URL.
    Fixed(&'static str),
    /// To a URL that the venue's HTTP interface hands out, asked for anew before every connect.
    Fetched {
        /// Path and query to post an empty body to.
        post: &'static str,
        /// Reads the answer into a URL, in which `unique` tells our connections apart.
        read: fn(body: &str, unique: u32) -> Result<String, DecodeError>,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Subscribe,
    Unsubscribe,
}

impl Op {
    /// The venue's word for it.
    const fn or<T: Copy>(self, subscribe: T, unsubscribe: T) -> T {
        match self {
            Op::Subscribe => subscribe,
            Op::Unsubscribe => unsubscribe,
        }
    }
}

/// A request to subscribe, or to end that.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Counts from 1 on each connection.
    pub id: u64,
    /// What of the two it is.
    pub op: Op,
    /// When it is made, in Unix seconds.
    pub time: i64,
    /// What it is for: at least one, and no more than [`Limits`] allows.
    pub topics: &'a [Topic<'a>],
}

/// What one subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// What of it.
    pub channel: Channel,
    /// Which instrument, as the venue spells it.
    pub symbol: &'a str,
}

/// The HTTP interface of a venue: what can be traded, and how much of it is.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// Scheme and host.
    pub url: &'static str,
    /// Path and query of the first page of the instrument list.
    pub instruments: &'static str,
    /// Appends those instruments of one page that are open for trading; returns the path and query
    /// of the next page.
    pub read_instruments: fn(body: &str, &mut Vec<Listing>) -> Result<Option<String>, DecodeError>,
    /// Path and query of the 24 h statistics of all instruments.
    pub volumes: &'static str,
    /// Appends the volume of every instrument listed.
    pub read_volumes: fn(body: &str, &mut Vec<Volume>) -> Result<(), DecodeError>,
}

/// An instrument as a venue lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The venue's spelling.
    pub symbol_native: String,
    /// The asset that is priced.
    pub base: String,
    /// The asset that the price is in.
    pub quote: String,
    /// Units of the base asset in one unit of size on the wire.
    pub contract_size: f64,
}

/// How much of an instrument was traded.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// The venue's spelling.
    pub symbol_native: String,
    /// Of the last 24 h, in the quote asset.
    pub last_day: f64,
}

/// What a venue allows one client. Numbers keep a margin to the documented ones.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Topics on one connection.
    pub topics_per_connection: usize,
    /// Topics in one request.
    pub topics_per_request: usize,
    /// Whether one request has to be for quotes or for trades alone.
    pub one_channel_per_request: bool,
    /// Time between two requests on one connection.
    pub request_every: Duration,
    /// Time between two connects to the venue.
    pub connect_every: Duration,
    /// How long a connection may last, where the venue ends it by itself.
    pub lifetime: Option<Duration>,
}

/// Departures from the common case: text frames, a server that waits for the first request and
/// answers WebSocket pings, and an HTTP interface that wants to know nothing about its caller.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Quirks {
    /// What the client must send at least this often, for venues that want more than WebSocket
    /// pings.
    pub ping: Option<Ping>,
    /// Reads the frames that come all the time by a [`Scan`](wire::Scan); `None` leaves the frame to
    /// [`Protocol::decode`], which reads the same in it.
    pub hot: fn(frame: &str, inbox: &mut Inbox) -> Option<()>,
    /// Whether trades come more than once, on subscribe or later.
    pub repeats_trades: bool,
    /// Whether the ids of an instrument's trades are numbers without gaps, also where some trades
    /// are not passed on: a number left out is a trade that was missed.
    pub consecutive_trade_ids: bool,
    /// Whether nothing may be sent before the venue's [`Notice::Welcome`].
    pub greeting: bool,
    /// Reads one binary frame.
    pub decode_binary: fn(frame: &[u8], inbox: &mut Inbox) -> Result<(), DecodeError>,
    /// Headers of every HTTP request, those that open a WebSocket included; names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether requests to the HTTP interface carry `timestamp`, in Unix milliseconds.
    pub timestamp: bool,
}

/// A keepalive in the venue's own words.
#[derive(Clone, Copy, Debug)]
pub struct Ping {
    /// At least this often, whatever else is sent.
    pub every: Duration,
    /// The text frame, at a time in Unix seconds.
    pub text: fn(time: i64) -> String,
}

impl Quirks {
    /// A venue without quirks.
    pub const NONE: Quirks = Quirks {
        ping: None,
        hot: |_, _| None,
        repeats_trades: false,
        consecutive_trade_ids: false,
        greeting: false,
        decode_binary: |_, _| Err(DecodeError::Value("a binary frame")),
        headers: &[],
        timestamp: false,
    };
}

/// A frame or a list that is not what the venue's documentation says.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not the JSON that was expected.
    #[error("unexpected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is not the binary that was expected.
    #[error("unexpected bytes: {0}")]
    Binary(String),
    /// It has a value that cannot be.
    #[error("unexpected value: {0}")]
    Value(&'static str),
    /// The venue answered a request for a list with an error of its own.
    #[error("the exchange answered {code}: {message}")]
    Refused {
        /// The venue's code.
        code: String,
        /// The venue's words.
        message: String,
    },
}

/// What the exchanges' files use, so that each starts with its own first interesting line.
mod prelude {
    pub(super) use std::time::Duration;

    pub(super) use serde::Deserialize;
    pub(super) use serde_json::{from_str, json, value::RawValue};

    pub(super) use super::{
        Address, DecodeError, Endpoint, Inbox, Limits, Listing, Notice, Ping, Protocol, Quirks,
        Request, Rest, Subject, Topic, Update, Volume,
        wire::{
            Best, Envelope, Flag, Id, Int, Ladder, Millis, Num, Scan, Seconds, Signed, Stamp, Text,
            each, level, one_or_each, read, side,
        },
    };
    pub(super) use crate::market::{Channel, Exchange, Market, Side, TradeId, Venue};
}
