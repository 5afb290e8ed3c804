//! Simulated exchanges on one loopback port, speaking the real protocols.
//!
//! A client reaches a venue by replacing scheme, host and port of the exchange's URLs and putting
//! the venue's name before the path: `GET /binance-spot/api/v3/exchangeInfo`, WebSocket
//! `/okx-perp/ws/v5/public`. `GET /stats` tells what has been sent.
//!
//! In reading order: `fault` is what can go wrong, `listing` what is traded, `prices` what for,
//! `dialect` what differs between exchanges, the files named after exchanges are those differences,
//! `connection` is one client's life, `server` is how it gets there.
//!
//! It is written from the exchanges' documentation and shares nothing with the code that collects
//! from them, so that a misreading shows when the two meet.

mod binance;
mod bingx;
mod bitget;
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
mod server;
#[cfg(test)]
mod tests;
mod tokens;
mod topics;
mod world;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

pub use fault::{BadFault, Fault, FaultPlan};
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
    /// between the topics its clients are subscribed to. What a venue sends unasked, such as a
    /// snapshot on subscribe, comes on top.
    pub rate: f64,
    /// The part of the messages that are trades, of a venue both of whose channels are subscribed.
    pub trade_share: f64,
    /// Decides prices, names of generated instruments, and chance.
    pub seed: u64,
    /// Whether the venues' limits are enforced.
    pub limits: bool,
    /// Replaces the venues' keepalive periods: servers that ping do it this often, and clients are
    /// cut that have not ponged, pinged or subscribed for three times as long, whatever flows.
    pub keepalive: Option<Duration>,
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
            limits: true,
            keepalive: None,
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
    /// in them (Gate.io, MEXC), fills of liquidations (Binance and Gate.io futures).
    pub withheld: u64,
    /// Trades that a fault has left out; they are not among `trades`.
    pub lost_trades: u64,
    /// Broken frames sent by a fault; they are no data frames.
    pub garbage: u64,
    /// Bytes of data frames, their headers included.
    pub bytes: u64,
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
    /// The address cannot be listened on.
    pub fn bind(options: Options) -> io::Result<Simulator> {
        let listener = TcpListener::bind(options.listen)?;
        let (addr, world) = (listener.local_addr()?, World::new(&options));
        Ok(Simulator { listener, addr, world, plans: options.faults })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What stands for the base of a venue's REST URLs: `http://127.0.0.1:PORT/binance-spot`.
    #[must_use]
    pub fn rest_url(&self, venue: Venue) -> String {
        format!("http://{}/{venue}", self.addr)
    }

    /// What stands for the base of a venue's WebSocket URLs: `ws://127.0.0.1:PORT/binance-spot`.
    #[must_use]
    pub fn ws_url(&self, venue: Venue) -> String {
        format!("ws://{}/{venue}", self.addr)
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
