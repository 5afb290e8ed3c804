//! One connection's life: connect, subscribe, read, and start over.
//!
//! A connection owns its socket, its symbol table and its keepalive; a reconnect is a new
//! everything, so nothing can pile up over a thousand of them.

mod backoff;
mod budget;
mod connection;
mod disconnect;
pub mod discovery;
pub mod drops;
mod filter;
mod handover;
pub mod http;
mod lapses;
mod losses;
pub mod plan;
mod recent;
pub mod replay;
pub mod roster;
mod sequences;
pub mod session;
pub mod shard;
pub mod sinks;
mod socket;
mod subscriptions;
mod target;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub use self::{backoff::Backoff, losses::Losses, socket::now, target::Target};
use self::{
    budget::Budget,
    connection::Connection,
    disconnect::Disconnect,
    filter::Filter,
    handover::{Hold, Past},
    http::Client,
    roster::Known,
    session::Patience,
    sinks::Sinks,
};
use crate::{
    capture::{self, Tape},
    exchange::Protocol,
    ledger::Ledger,
    market::Channel,
    metrics::{VenueMetrics, health::Failure},
    stop::Stop,
};
use native_tls::TlsConnector;
use parking_lot::Mutex;

/// Lines at once about connections that end: enough to see how it began.
const ATTEMPT_LINES_MAX: u32 = 5;
/// Lines at once about topics that are refused or stale; the metrics count, and `/healthz` names, all.
const TOPIC_LINES_MAX: u32 = 20;

/// What one connection carries.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Its thread's name: `feed-okx-spot-3`.
    pub name: String,
    /// The venue's protocol.
    pub protocol: &'static Protocol,
    /// Where to connect.
    pub target: Target,
    /// What of the instruments is wanted.
    pub channels: Vec<Channel>,
    /// The instruments, and when a silence is a fault; both may change while the connection is up.
    pub assignment: Arc<Assignment>,
    /// How long a connection may be up before another takes over; `None` for as long as it lasts.
    pub lifetime: Option<Duration>,
}

/// What a connection is to carry, told to it from outside.
#[derive(Debug)]
pub struct Assignment {
    version: AtomicU64,
    current: Mutex<(Vec<Known>, Patience)>,
}

impl Assignment {
    /// A first assignment.
    #[must_use]
    pub fn new(instruments: Vec<Known>, patience: Patience) -> Self {
        Self { version: AtomicU64::new(0), current: Mutex::new((instruments, patience)) }
    }

    /// Other instruments; the connection will notice within its next tick.
    pub fn set(&self, instruments: Vec<Known>) {
        self.change(|it| it.0 = instruments);
    }

    /// Another patience, as soon.
    pub fn set_patience(&self, patience: Patience) {
        self.change(|it| it.1 = patience);
    }

    fn change(&self, change: impl FnOnce(&mut (Vec<Known>, Patience))) {
        let mut current = self.current.lock();
        change(&mut current);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// What is to be carried now.
    #[must_use]
    pub fn instruments(&self) -> Vec<Known> {
        self.current.lock().0.clone()
    }

    /// The assignment and its version.
    fn get(&self) -> (u64, Vec<Known>, Patience) {
        let current = self.current.lock();
        let (instruments, patience) = current.clone();
        (self.version.load(Ordering::Acquire), instruments, patience)
    }
}

/// What the connections of one venue share.
#[derive(Debug)]
pub struct Shared<'a> {
    /// When to end.
    pub stop: &'a Stop,
    /// Where events go.
    pub sinks: Sinks<'a>,
    /// Where losses are declared.
    pub ledger: Ledger,
    /// The venue's counters.
    pub metrics: VenueMetrics,
    /// Verifies the exchange.
    pub tls: TlsConnector,
    /// Asks where to connect, for venues that hand out their addresses.
    pub http: Client,
    /// Paces connects to the venue.
    pub gate: Gate,
    /// Takes down what is received; `None` when nobody wants it.
    pub capture: Option<capture::Inlet>,
    /// The next connection's number.
    pub conn_ids: &'a AtomicU32,
}

/// Lets connects to one venue through no faster than it allows.
#[derive(Debug)]
pub struct Gate {
    every: Duration,
    next: Mutex<Option<Instant>>,
}

impl Gate {
    /// A gate that opens once in `every`.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { every, next: Mutex::new(None) }
    }

    /// Waits for a turn; `false` when the program stops first.
    #[must_use]
    fn pass(&self, stop: &Stop) -> bool {
        let now = Instant::now();
        let turn = {
            let mut next = self.next.lock();
            let turn = next.unwrap_or(now).max(now);
            *next = Some(turn + self.every);
            turn
        };
        !stop.wait(turn.saturating_duration_since(now))
    }
}

/// Keeps `feed` connected until the program stops. `losses` is to be the same one when this is called
/// again after a panic.
pub fn run(feed: &Feed, shared: &Shared<'_>, losses: &mut Losses) {
    let mut backoff = Backoff::default();
    let filter = Filter::new(feed.protocol.quirks.repeats_trades);
    let tape = |it: &capture::Inlet| Tape::new(it.clone(), &feed.name, feed.protocol.venue, now());
    let tape = shared.capture.as_ref().map(tape);
    let mut past = Past { filter, losses, topics: Budget::new(TOPIC_LINES_MAX), tape };
    let mut attempts = Budget::new(ATTEMPT_LINES_MAX);
    while shared.gate.pass(shared.stop) {
        if let Some(tape) = &mut past.tape {
            tape.retain(None);
        }
        past.losses.connecting();
        let (ended, had_data) = live(feed, shared, &mut past);
        if ended.is_stop() {
            return;
        }
        past.losses.down();
        shared.metrics.reconnected(ended.reason());
        if had_data {
            backoff.reset();
        }
        let wait = backoff.after_failure().max(ended.at_least());
        let said = format!("{}: {ended}; trying again in {:.1} s", feed.name, wait.as_secs_f64());
        if let Some(more) = attempts.ask(Instant::now()) {
            log::warn!("{said}{more}");
        }
        shared.metrics.health.failed(Failure { time: now(), said });
        if shared.stop.wait(wait) {
            return;
        }
    }
}

/// From connect to an end that nobody took over from; says whether good data came.
fn live(feed: &Feed, shared: &Shared<'_>, past: &mut Past<'_>) -> (Disconnect, bool) {
    let mut current = match Connection::open(feed, shared) {
        Ok(connection) => connection,
        Err(err) => return (err, false),
    };
    let mut had_data = false;
    let mut hold = Hold::default();
    let mut ended = current.start(past);
    loop {
        had_data |= current.session.has_data();
        if let Err(ended) = ended {
            past.filter.ended(current.session.latest());
            return (ended, had_data);
        }
        ended = current.step(past);
        if ended.is_ok() && current.is_due() && hold.is_over() {
            (current, ended) = handover::replace(current, feed, shared, past, &mut hold);
        }
    }
}
