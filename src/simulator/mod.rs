//! Simulated exchanges on one loopback port, speaking the real protocols.
//!
//! A client reaches a venue by replacing scheme, host and port of the exchange's URLs and putting
//! the venue's name before the path: `GET /binance-spot/api/v3/exchangeInfo`, WebSocket
//! `/okx-perp/ws/v5/public`. `GET /stats` tells what has been sent, `GET /rate` how many messages a
//! second there are, and `GET /rate?0` makes there be no more.
//!
//! In reading order: `fault` is what can go wrong, `board` what does at present, `listing` what is traded, `prices` what for,
//! `schedule` when something happens, `stream` what it is, `dialect` what differs between exchanges,
//! the files named after exchanges are those differences, `connection` is one client's life, `server`
//! is how it gets there.
//!
//! It is written from the exchanges' documentation and shares nothing with the code that collects
//! from them, so that a misreading shows when the two meet.

mod binance;
mod bingx;
mod bitget;
mod board;
mod bybit;
mod connection;
mod dialect;
mod digits;
mod fault;
mod frame;
mod garbage;
mod gateio;
mod gzip;
mod http;
mod keepalive;
mod kucoin;
mod listing;
mod mexc;
mod okx;
mod pace;
mod prices;
mod schedule;
mod server;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod tokens;
mod told;
mod topics;
mod world;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    time::{Duration, SystemTime},
};

pub use fault::{BadFault, Fault, FaultPlan};
pub use socket::Certificate;
use world::World;

use crate::{
    market::{Exchange, Market, Venue},
    stop::Stop,
};

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The venues that are served.
    pub venues: Vec<Venue>,
    /// Instruments listed per venue. From 20 on, some are not what they seem: halted, dated,
    /// inverse, of another quote asset, hardly traded.
    pub symbols: usize,
    /// Data messages a second over all venues, split evenly between these, and within a venue
    /// between its instruments, unevenly. They happen whether somebody is subscribed or not, and are
    /// sent to those that are. What a venue sends unasked, such as a snapshot on subscribe, comes on
    /// top.
    pub rate: f64,
    /// The part of the messages that are trades.
    pub trade_share: f64,
    /// Decides prices, names of generated instruments, and chance.
    pub seed: u64,
    /// When the first event of each instrument happens, and what events are numbered from. Two
    /// simulators of the same options send the same.
    pub start: SystemTime,
    /// Whether the venues' limits are enforced.
    pub limits: bool,
    /// Replaces the venues' keepalive periods: servers that ping do it this often, and clients are
    /// cut that have not ponged, pinged or subscribed for three times as long, whatever flows.
    pub keepalive: Option<Duration>,
    /// How often what has become due is written to a busy connection.
    pub tick: Duration,
    /// Frames that go out with one call of `write`, and with TLS in one record; `None` for as many
    /// as are due.
    pub frames_per_write: Option<NonZeroUsize>,
    /// Makes clients come with TLS.
    pub tls: Option<Certificate>,
    /// What goes wrong, and when.
    pub faults: Vec<FaultPlan>,
}

impl Default for Options {
    /// All there are on a free port, 1,000 messages a second.
    fn default() -> Self {
        let markets = |it| Market::ALL.map(|market| Venue::new(it, market));
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            venues: Exchange::ALL.into_iter().flat_map(markets).collect(),
            symbols: 50,
            rate: 1_000.0,
            trade_share: 0.1,
            seed: 0,
            start: SystemTime::now(),
            limits: true,
            keepalive: None,
            tick: Duration::from_millis(5),
            frames_per_write: None,
            tls: None,
            faults: vec![],
        }
    }
}

/// What a venue has written to its clients' sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sent {
    /// Data frames, whatever is in them.
    pub frames: u64,
    /// Frames with the state of a book.
    pub quotes: u64,
    /// Those of them that say again what the connection has been told already.
    pub repeats: u64,
    /// Trades; several may share a frame.
    pub trades: u64,
    /// Trades that a client has no use for, and which are not among `trades`: those that its
    /// connection has been told already (`BingX`), and those that were over before it subscribed
    /// (the history that Bitget sends first).
    pub repeated_trades: u64,
    /// What looks like a quote or a trade, is none of the market's, and is not among `quotes` and
    /// `trades`: first quotes that are minutes old (`BingX` swap), books and wrappers with nothing
    /// in them (Gate.io, MEXC), fills of liquidations (Binance futures).
    pub withheld: u64,
    /// Trades that a fault has left out; they are not among `trades`.
    pub lost_trades: u64,
    /// Broken frames sent by a fault; they are no data frames.
    pub garbage: u64,
    /// Bytes of data frames, their headers included.
    pub bytes: u64,
    /// States of books that some client has been sent, each once, however many have been sent it
    /// and however often.
    pub distinct_quotes: u64,
    /// The same of trades, those of histories included. A client that is never cut off and leaves
    /// out what it has been told already has as many.
    pub distinct_trades: u64,
    /// Events that a subscribed connection was not sent: a fault kept them back, the client did not
    /// take what was written, or there were more than can be made.
    pub skipped: u64,
    /// WebSocket connections there have been.
    pub connections: u64,
    /// Those there are.
    pub open: u64,
}

/// Simulated exchanges.
#[derive(Debug)]
pub struct Simulator {
    listener: TcpListener,
    addr: SocketAddr,
    world: World,
    plans: Vec<FaultPlan>,
}

impl Simulator {
    /// Takes the port. Clients may connect; they are answered by [`serve`](Self::serve).
    ///
    /// # Errors
    ///
    /// The address cannot be listened on, or the certificate not be used.
    pub fn bind(options: Options) -> io::Result<Simulator> {
        let acceptor = options.tls.as_ref().map(Certificate::acceptor).transpose()?;
        let listener = TcpListener::bind(options.listen)?;
        let (addr, world) = (listener.local_addr()?, World::new(&options, acceptor));
        Ok(Simulator { listener, addr, world, plans: options.faults })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What stands for the base of a venue's REST URLs: `http://127.0.0.1:PORT/binance-spot`, with
    /// TLS `https://localhost:PORT/binance-spot`, since certificates are for names.
    #[must_use]
    pub fn rest_url(&self, venue: Venue) -> String {
        self.url("http", venue)
    }

    /// What stands for the base of a venue's WebSocket URLs: `ws://127.0.0.1:PORT/binance-spot`, or
    /// `wss://localhost:PORT/binance-spot`.
    #[must_use]
    pub fn ws_url(&self, venue: Venue) -> String {
        self.url("ws", venue)
    }

    fn url(&self, scheme: &str, venue: Venue) -> String {
        if self.world.acceptor.is_some() {
            format!("{scheme}s://localhost:{}/{venue}", self.addr.port())
        } else {
            format!("{scheme}://{}/{venue}", self.addr)
        }
    }

    /// Answers clients until stop is requested and all its threads have ended, which takes less
    /// than 250 ms.
    pub fn serve(&self, stop: &Stop) {
        server::serve(&self.world, &self.listener, self.addr, &self.plans, stop);
    }

    /// What a venue has sent so far.
    #[must_use]
    pub fn sent(&self, venue: Venue) -> Sent {
        self.world.find(venue).map(|it| it.counters.read()).unwrap_or_default()
    }

    /// Makes something go wrong, on open and on new connections, until [`clear`](Self::clear).
    pub fn inject(&self, venue: Venue, fault: Fault) {
        if let Some(served) = self.world.find(venue) {
            served.faults.inject(fault);
        }
    }

    /// Ends all lasting faults of a venue.
    pub fn clear(&self, venue: Venue) {
        if let Some(served) = self.world.find(venue) {
            served.faults.clear();
        }
    }

    /// Changes [`Options::rate`].
    pub fn set_rate(&self, rate: f64) {
        self.world.set_rate(rate);
    }

    /// The native names of a venue's instruments, as listed.
    #[must_use]
    pub fn symbols(&self, venue: Venue) -> Vec<String> {
        let native = |it: &listing::Row| it.native.clone();
        self.world.find(venue).map(|it| it.listed().map(native).collect()).unwrap_or_default()
    }

    /// Takes an instrument, by its native name, off a venue's list, which ends its data; or puts
    /// it back. Says whether there is such an instrument.
    pub fn set_listed(&self, venue: Venue, native: &str, listed: bool) -> bool {
        let row = self.world.find(venue).and_then(|it| it.row(native));
        row.inspect(|it| it.set_listed(listed)).is_some()
    }
}
