//! One connection's life: connect, subscribe, read, and start over.
//!
//! A connection owns its socket, its symbol table and its keepalive; a reconnect is a new
//! everything, so nothing can pile up over a thousand of them.

mod backoff;
pub mod discovery;
pub mod http;
pub mod plan;
mod recent;
pub mod roster;
pub mod session;
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

use native_tls::TlsConnector;
use parking_lot::Mutex;
use tungstenite::{Message, error::ProtocolError};

pub use self::{backoff::Backoff, socket::now, target::Target};
use self::{
    http::{Client, HttpError},
    recent::Recent,
    roster::Known,
    session::{Outgoing, Patience, Session, Verdict},
    sinks::Sinks,
    socket::{ConnectError, Socket},
};
use crate::{
    exchange::Protocol,
    market::{Channel, ConnId, Event},
    metrics::{ReconnectReason, SubscriptionState, VenueMetrics},
    stop::Stop,
};

/// How often counters are handed over and the session looks at the clock under load.
const TICK: Duration = Duration::from_millis(50);
/// How often the states of all subscriptions are counted.
const COUNT_STATES_EVERY: Duration = Duration::from_secs(1);
/// A venue that says it does not serve us is asked again this late.
const REFUSED_WAIT: Duration = Duration::from_mins(10);

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
    /// The instruments; they may change while the connection is up.
    pub assignment: Arc<Assignment>,
    /// When a silence is a fault.
    pub patience: Patience,
}

/// What a connection is to carry, told to it from outside.
#[derive(Debug)]
pub struct Assignment {
    version: AtomicU64,
    instruments: Mutex<Vec<Known>>,
}

impl Assignment {
    /// A first assignment.
    #[must_use]
    pub fn new(instruments: Vec<Known>) -> Self {
        Self { version: AtomicU64::new(0), instruments: Mutex::new(instruments) }
    }

    /// Another one; the connection will notice within its next tick.
    pub fn set(&self, instruments: Vec<Known>) {
        let mut current = self.instruments.lock();
        *current = instruments;
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The assignment and its version.
    fn get(&self) -> (u64, Vec<Known>) {
        let current = self.instruments.lock();
        (self.version.load(Ordering::Acquire), current.clone())
    }
}

/// What the connections of one venue share.
#[derive(Debug)]
pub struct Shared<'a> {
    /// When to end.
    pub stop: &'a Stop,
    /// Where events go.
    pub sinks: Sinks,
    /// The venue's counters.
    pub metrics: VenueMetrics,
    /// Verifies the exchange.
    pub tls: TlsConnector,
    /// Asks where to connect, for venues that hand out their addresses.
    pub http: Client,
    /// Paces connects to the venue.
    pub gate: Gate,
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

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Disconnect {
    #[error(transparent)]
    Address(#[from] HttpError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("closed by the exchange: {0}")]
    Closed(String),
    #[error(transparent)]
    Verdict(#[from] Verdict),
    #[error("{0}")]
    Socket(#[from] tungstenite::Error),
    #[error("stopped")]
    Stopped,
}

impl Disconnect {
    fn reason(&self) -> ReconnectReason {
        use tungstenite::Error;
        match self {
            Disconnect::Address(_) | Disconnect::Connect(_) => ReconnectReason::Connect,
            Disconnect::Verdict(Verdict::Silent(_) | Verdict::Unwelcome) => ReconnectReason::Silent,
            Disconnect::Verdict(Verdict::Mute(_)) => ReconnectReason::Mute,
            Disconnect::Verdict(Verdict::Closing(_)) => ReconnectReason::Notice,
            Disconnect::Closed(_)
            | Disconnect::Stopped
            | Disconnect::Socket(
                Error::ConnectionClosed
                | Error::AlreadyClosed
                | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
            ) => ReconnectReason::Closed,
            Disconnect::Socket(Error::Io(_)) => ReconnectReason::Io,
            Disconnect::Verdict(Verdict::Nonsense(_)) | Disconnect::Socket(_) => {
                ReconnectReason::Protocol
            }
        }
    }

    /// The least time to wait before trying again, whatever the backoff says.
    fn at_least(&self) -> Duration {
        match self {
            Disconnect::Address(err) => err.at_least(),
            Disconnect::Connect(ConnectError::Http { status: 403 | 451, .. }) => REFUSED_WAIT,
            Disconnect::Connect(ConnectError::Http { retry_after: Some(wait), .. }) => {
                (*wait).min(REFUSED_WAIT)
            }
            _ => Duration::ZERO,
        }
    }
}

/// Keeps `feed` connected until the program stops.
pub fn run(feed: &Feed, shared: &Shared<'_>) {
    let mut backoff = Backoff::default();
    let mut recent = Recent::default();
    while shared.gate.pass(shared.stop) {
        let (ended, had_data) = live(feed, shared, &mut recent);
        if matches!(ended, Disconnect::Stopped | Disconnect::Connect(ConnectError::Stopped)) {
            return;
        }
        shared.metrics.reconnected(ended.reason());
        if had_data {
            backoff.reset();
        }
        let wait = backoff.after_failure().max(ended.at_least());
        log::warn!("{}: {ended}; trying again in {:.1} s", feed.name, wait.as_secs_f64());
        if shared.stop.wait(wait) {
            return;
        }
    }
}

/// One connection, from connect to its end; says whether good data came over it.
fn live(feed: &Feed, shared: &Shared<'_>, recent: &mut Recent) -> (Disconnect, bool) {
    let conn = ConnId(shared.conn_ids.fetch_add(1, Ordering::Relaxed));
    let socket = match connect(feed, shared, conn) {
        Ok(socket) => socket,
        Err(err) => return (err, false),
    };
    let (version, instruments) = feed.assignment.get();
    log::debug!("{}: connected as {}, {} instruments", feed.name, conn.0, instruments.len());
    let session = Session::new(
        feed.protocol,
        feed.patience,
        conn,
        &instruments,
        &feed.channels,
        Instant::now(),
    );
    let mut connection = Connection {
        feed,
        shared,
        recent,
        socket,
        session,
        version,
        tally: Tally::default(),
        states: [0; SubscriptionState::ALL.len()],
        next_states_at: Instant::now(),
        scratch: Vec::new(),
    };
    shared.metrics.connections.inc();
    let Err(ended) = connection.pump();
    (ended, connection.session.has_data())
}

fn connect(feed: &Feed, shared: &Shared<'_>, conn: ConnId) -> Result<Socket, Disconnect> {
    let url = match feed.target.url(&shared.http, conn.0) {
        Ok(url) => url,
        // The client gives up its calls when the program stops.
        Err(_) if shared.stop.requested() => return Err(Disconnect::Stopped),
        Err(err) => return Err(err.into()),
    };
    let headers = feed.protocol.quirks.headers;
    Ok(socket::connect(&url, headers, &shared.tls, shared.stop)?)
}

struct Connection<'a> {
    feed: &'a Feed,
    shared: &'a Shared<'a>,
    recent: &'a mut Recent,
    socket: Socket,
    session: Session,
    /// Of the assignment that the session has.
    version: u64,
    tally: Tally,
    /// What this connection has added to the gauges of subscriptions.
    states: [i64; SubscriptionState::ALL.len()],
    next_states_at: Instant,
    scratch: Vec<Event>,
}

/// What has been counted and not been handed over yet.
#[derive(Default)]
struct Tally {
    messages: u64,
    bytes: u64,
    quotes: u64,
    trades: u64,
    repeated: u64,
    decode_errors: u64,
    unknown_frames: u64,
}

impl Connection<'_> {
    fn pump(&mut self) -> Result<std::convert::Infallible, Disconnect> {
        let mut ticked = Instant::now();
        let mut read_at = self.socket.bytes();
        self.tick(ticked)?;
        loop {
            let message = self.socket.read()?;
            // One message of many in a read: the clock has nothing new to say.
            let same_read = message.is_some() && self.socket.bytes() == read_at;
            read_at = self.socket.bytes();
            let now = if same_read { ticked } else { Instant::now() };
            let quiet = message.is_none();
            if let Some(message) = message {
                self.on_message(&message, now)?;
            }
            if quiet || TICK < now - ticked {
                ticked = now;
                self.tick(now)?;
            }
        }
    }

    fn on_message(&mut self, message: &Message, now: Instant) -> Result<(), Disconnect> {
        self.tally.messages += 1;
        let ts_recv = self.socket.ts_recv();
        match message {
            Message::Text(text) => self.session.on_text(text, ts_recv, now),
            Message::Binary(frame) => self.session.on_binary(frame, ts_recv, now),
            Message::Ping(_) | Message::Pong(_) => self.session.on_alive(now),
            Message::Close(frame) => {
                let said = frame.as_ref().map(|it| format!("{} {}", it.code, it.reason));
                return Err(Disconnect::Closed(said.unwrap_or_default()));
            }
            Message::Frame(_) => {}
        }
        let events = self.session.events();
        if self.feed.protocol.quirks.repeats_trades {
            self.tally.repeated += self.recent.drop_repeated(events);
        }
        for event in &*events {
            match event {
                Event::Quote(_) => self.tally.quotes += 1,
                Event::Trade(_) => self.tally.trades += 1,
            }
        }
        self.shared.sinks.send(events, &mut self.scratch);
        self.send()
    }

    fn send(&mut self) -> Result<(), Disconnect> {
        while let Some(out) = self.session.outgoing() {
            self.socket.send(match out {
                Outgoing::Text(text) => Message::text(text),
                Outgoing::Ping => Message::Ping(tungstenite::Bytes::new()),
            })?;
        }
        Ok(())
    }

    fn tick(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.count();
        if self.next_states_at <= now {
            self.next_states_at = now + COUNT_STATES_EVERY;
            self.report_states(self.session.states(socket::now()));
        }
        if self.shared.stop.requested() {
            self.socket.close();
            return Err(Disconnect::Stopped);
        }
        if self.feed.assignment.version.load(Ordering::Acquire) != self.version {
            let (version, instruments) = self.feed.assignment.get();
            self.version = version;
            self.session.assign(&instruments, &self.feed.channels);
        }
        self.session.tick(now, socket::now())?;
        self.send()?;
        for it in self.session.reports() {
            log::warn!("{}: {} {}", self.feed.name, it.topic, it.what);
        }
        let idle = self.session.idle(now);
        self.socket.set_patience(idle).map_err(tungstenite::Error::Io)?;
        Ok(())
    }

    fn count(&mut self) {
        let (to, it) = (&self.shared.metrics, &mut self.tally);
        to.messages.inc_by(it.messages);
        to.quotes.inc_by(it.quotes);
        to.trades.inc_by(it.trades);
        to.repeated_trades.inc_by(it.repeated);
        to.bytes.inc_by(self.socket.bytes() - it.bytes);
        to.decode_errors.inc_by(self.session.decode_errors - it.decode_errors);
        to.unknown_frames.inc_by(self.session.unknown_frames - it.unknown_frames);
        *it = Tally {
            bytes: self.socket.bytes(),
            decode_errors: self.session.decode_errors,
            unknown_frames: self.session.unknown_frames,
            ..Tally::default()
        };
    }

    fn report_states(&mut self, states: [i64; SubscriptionState::ALL.len()]) {
        for (&state, (now, before)) in
            SubscriptionState::ALL.iter().zip(states.iter().zip(&mut self.states))
        {
            if now != before {
                self.shared.metrics.subscriptions(state).inc_by(now - *before);
                *before = *now;
            }
        }
    }
}

impl Drop for Connection<'_> {
    /// Whatever ends a connection, a panic too, it takes back all that it has added to.
    fn drop(&mut self) {
        self.count();
        self.report_states([0; SubscriptionState::ALL.len()]);
        self.shared.metrics.connections.dec();
    }
}
