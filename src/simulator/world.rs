//! What all threads share.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use native_tls::TlsAcceptor;
use parking_lot::{Mutex, RwLock};

use super::{
    Options, Sent,
    board::Board,
    dialect::{Dialect, Rules},
    frame::Load,
    listing::{self, Row},
    pace::{Pace, Times},
    prices::{Prices, mix},
    schedule::Schedule,
    stream::{Beat, Stream, Teller},
    tokens::Tokens,
};
use crate::market::{Channel, Exchange, Market, Venue};

/// A tick of zero would be one without an end.
const TICK_MIN: Duration = Duration::from_millis(1);

/// The simulation.
pub(super) struct World {
    pub(super) prices: Prices,
    pub(super) schedule: RwLock<Schedule>,
    pub(super) limits: bool,
    pub(super) keepalive: Option<Duration>,
    /// See [`Options::tick`] and [`Options::frames_per_write`].
    pub(super) tick: Duration,
    pub(super) frames_per_write: usize,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) venues: Vec<Served>,
    clients: AtomicU64,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("venues", &self.venues).finish_non_exhaustive()
    }
}

impl World {
    pub(super) fn new(options: &Options, acceptor: Option<TlsAcceptor>) -> Self {
        let mut venues = options.venues.clone();
        venues.sort_unstable();
        venues.dedup();
        let schedule = Schedule::new(sane(options.rate), options.start);
        let first = schedule.start();
        let part = 1.0 / f64::from(u32::try_from(venues.len()).unwrap_or(u32::MAX).max(1));
        let served = |&venue| Served::new(venue, options, first, part);
        Self {
            prices: Prices { seed: options.seed },
            schedule: RwLock::new(schedule),
            limits: options.limits,
            keepalive: options.keepalive,
            tick: options.tick.max(TICK_MIN),
            frames_per_write: options.frames_per_write.map_or(usize::MAX, NonZeroUsize::get),
            acceptor,
            venues: venues.iter().map(served).collect(),
            clients: AtomicU64::new(0),
        }
    }

    pub(super) fn rate(&self) -> f64 {
        self.schedule.read().rate()
    }

    pub(super) fn set_rate(&self, rate: f64) {
        let mut schedule = self.schedule.write();
        // Who reads the clock before this lock and the rate after it has a time of before.
        schedule.set(sane(rate), Instant::now());
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
    pub(super) rules: Rules,
    prices: Prices,
    pub(super) rows: Vec<Row>,
    /// Quotes and trades of each row.
    streams: Vec<[Arc<Stream>; 2]>,
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
    /// Its events are numbered from `first` on; `part` of all messages are its own.
    fn new(venue: Venue, options: &Options, first: u64, part: f64) -> Self {
        let dialect = Dialect::of(venue.exchange);
        let rows = listing::rows(venue, dialect, options.symbols, options.seed);
        let slot = slot(venue);
        let trades = options.trade_share.clamp(0.0, 1.0);
        let streams = |row: &Row| {
            [(Channel::Quotes, 1.0 - trades), (Channel::Trades, trades)].map(|(channel, share)| {
                let index = (row.index as u64) << 16 | slot << 8 | channel as u64;
                let key = mix(mix(options.seed) ^ index);
                Arc::new(Stream::new(Beat::new(key, first, part * share * row.weight)))
            })
        };
        Self {
            venue,
            slot,
            dialect,
            rules: (dialect.rules)(venue.market),
            prices: Prices { seed: options.seed },
            index: rows.iter().map(|it| (it.native.clone(), it.index)).collect(),
            streams: rows.iter().map(streams).collect(),
            rows,
            faults: Board::default(),
            counters: Counters::default(),
            tokens: Tokens::default(),
            connects: Mutex::default(),
        }
    }

    /// What the instrument at `row` has on a channel.
    pub(super) fn stream(&self, row: usize, channel: Channel) -> &Arc<Stream> {
        &self.streams[row][channel as usize]
    }

    /// Who knows the events of a stream, by its beat.
    pub(super) fn teller<'a>(
        &'a self,
        schedule: &'a Schedule,
        row: &'a Row,
        beat: Beat,
    ) -> Teller<'a> {
        let Served { prices, rules, slot, .. } = self;
        Teller { prices: *prices, schedule, rules, slot: *slot, row, beat }
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

/// Tells venues apart, whichever there are.
fn slot(venue: Venue) -> u64 {
    let all = Exchange::ALL.into_iter().flat_map(|it| Market::ALL.map(|market| (it, market)));
    let before = all.take_while(|it| *it != (venue.exchange, venue.market)).count();
    before as u64 + 1
}

fn sane(rate: f64) -> f64 {
    if rate.is_finite() { rate.max(0.0) } else { 0.0 }
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
    distinct_quotes: AtomicU64,
    distinct_trades: AtomicU64,
    skipped: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
}

/// What a connection has come to since it has counted last, whether that is written or not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Quotes and trades that nobody had been told of.
    pub(super) distinct: [u64; 2],
    /// Events that it was not told of.
    pub(super) skipped: u64,
}

impl Counters {
    pub(super) fn tally(&self, tally: Tally) {
        let [quotes, trades] = tally.distinct;
        for (counter, n) in [
            (&self.distinct_quotes, quotes),
            (&self.distinct_trades, trades),
            (&self.skipped, tally.skipped),
        ] {
            if 0 < n {
                counter.fetch_add(n, Ordering::Relaxed);
            }
        }
    }

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
            distinct_quotes: get(&self.distinct_quotes),
            distinct_trades: get(&self.distinct_trades),
            skipped: get(&self.skipped),
            connections: get(&self.connections),
        }
    }
}
