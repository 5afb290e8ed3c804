//! What all threads share.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    Options, Sent,
    dialect::Dialect,
    fault::Board,
    frame::Load,
    listing::{self, Row},
    pace::{Pace, Times},
    prices::Prices,
    tokens::Tokens,
    topics::Demand,
};
use crate::market::Venue;

/// The simulation.
#[derive(Debug)]
pub(super) struct World {
    pub(super) prices: Prices,
    pub(super) trade_share: f64,
    pub(super) limits: bool,
    pub(super) keepalive: Option<Duration>,
    pub(super) venues: Vec<Served>,
    rate: AtomicU64,
    clients: AtomicU64,
}

impl World {
    pub(super) fn new(options: &Options) -> Self {
        let mut venues = options.venues.clone();
        venues.sort_unstable();
        venues.dedup();
        let served = |(slot, &venue)| Served::new(slot, venue, options);
        let world = Self {
            prices: Prices { seed: options.seed },
            trade_share: options.trade_share.clamp(0.0, 1.0),
            limits: options.limits,
            keepalive: options.keepalive,
            venues: (1..).zip(&venues).map(served).collect(),
            rate: AtomicU64::new(0),
            clients: AtomicU64::new(0),
        };
        world.set_rate(options.rate);
        world
    }

    pub(super) fn set_rate(&self, rate: f64) {
        let rate = if rate.is_finite() { rate.max(0.0) } else { 0.0 };
        self.rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    /// Messages a second of one venue.
    pub(super) fn venue_rate(&self) -> f64 {
        let venues = u32::try_from(self.venues.len()).unwrap_or(u32::MAX).max(1);
        f64::from_bits(self.rate.load(Ordering::Relaxed)) / f64::from(venues)
    }

    pub(super) fn find(&self, venue: Venue) -> Option<&Served> {
        self.venues.iter().find(|it| it.venue == venue)
    }

    /// The venues that one or all plans are about.
    pub(super) fn at(&self, venue: Option<Venue>) -> impl Iterator<Item = &Served> {
        self.venues.iter().filter(move |it| venue.is_none_or(|venue| it.venue == venue))
    }

    pub(super) fn next_client(&self) -> u64 {
        self.clients.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// One venue.
pub(super) struct Served {
    pub(super) venue: Venue,
    /// Tells the venue's own price deviations from those of others.
    pub(super) slot: u64,
    pub(super) dialect: &'static Dialect,
    pub(super) rows: Vec<Row>,
    pub(super) demand: Demand,
    pub(super) faults: Board,
    pub(super) counters: Counters,
    index: HashMap<String, usize>,
    /// Those of venues that admit with tokens.
    pub(super) tokens: Tokens,
    connects: Mutex<Times>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("venue", &self.venue).finish_non_exhaustive()
    }
}

impl Served {
    fn new(slot: u64, venue: Venue, options: &Options) -> Self {
        let dialect = Dialect::of(venue.exchange);
        let rows = listing::rows(venue, dialect, options.symbols, options.seed);
        Self {
            venue,
            slot,
            dialect,
            index: rows.iter().map(|it| (it.native.clone(), it.index)).collect(),
            rows,
            demand: Demand::default(),
            faults: Board::default(),
            counters: Counters::default(),
            tokens: Tokens::default(),
            connects: Mutex::default(),
        }
    }

    /// The instrument of this native name.
    pub(super) fn row(&self, native: &str) -> Option<&Row> {
        self.index.get(native).map(|&it| &self.rows[it])
    }

    /// The rows a list shows.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|it| it.listed())
    }

    /// Whether a fault keeps it from being subscribed to.
    pub(super) fn refuses(&self, row: &Row) -> bool {
        self.faults.refuses_symbol([&row.native, &row.symbol])
    }

    /// Whether a fault keeps its data back.
    pub(super) fn mutes(&self, row: &Row) -> bool {
        self.faults.mutes_symbol([&row.native, &row.symbol])
    }

    /// Counts a connection against the venue's limits; says whether it is within them.
    pub(super) fn admits(&self, pace: Pace, sockets_max: usize) -> bool {
        self.counters.read().open < sockets_max as u64
            && self.connects.lock().admit(pace, Instant::now())
    }
}

/// The counters of a venue.
#[derive(Debug, Default)]
pub(super) struct Counters {
    frames: AtomicU64,
    quotes: AtomicU64,
    repeats: AtomicU64,
    trades: AtomicU64,
    repeated_trades: AtomicU64,
    withheld: AtomicU64,
    lost_trades: AtomicU64,
    garbage: AtomicU64,
    bytes: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
}

impl Counters {
    pub(super) fn add(&self, load: &Load) {
        for (counter, n) in [
            (&self.frames, load.frames),
            (&self.quotes, load.quotes),
            (&self.repeats, load.repeats),
            (&self.trades, load.trades),
            (&self.repeated_trades, load.repeated_trades),
            (&self.withheld, load.withheld),
            (&self.lost_trades, load.lost_trades),
            (&self.garbage, load.garbage),
            (&self.bytes, load.bytes),
        ] {
            if 0 < n {
                counter.fetch_add(n, Ordering::Relaxed);
            }
        }
    }

    /// Counts a connection for as long as the guard lives.
    pub(super) fn opened(&self) -> impl Drop + '_ {
        struct Open<'a>(&'a Counters);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                self.0.open.fetch_sub(1, Ordering::Release);
            }
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    pub(super) fn read(&self) -> Sent {
        let get = |it: &AtomicU64| it.load(Ordering::Acquire);
        Sent {
            open: get(&self.open),
            frames: get(&self.frames),
            quotes: get(&self.quotes),
            repeats: get(&self.repeats),
            trades: get(&self.trades),
            repeated_trades: get(&self.repeated_trades),
            withheld: get(&self.withheld),
            lost_trades: get(&self.lost_trades),
            garbage: get(&self.garbage),
            bytes: get(&self.bytes),
            connections: get(&self.connections),
        }
    }
}
