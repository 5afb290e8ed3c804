//! One connection, from its handshake to its end.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tungstenite::Message;

use super::{
    Feed, Shared,
    disconnect::Disconnect,
    filter::Filter,
    handover::Past,
    losses::Losses,
    roster::Known,
    session::{Outgoing, Session},
    sinks::Scratch,
    socket::{self, Socket},
};
use crate::{
    capture::{Carries, Mark},
    market::{ConnId, Event, Nanos},
    metrics::{SubscriptionState, Tally as Times, health::Report},
};

/// How often counters are handed over and the session looks at the clock under load.
const TICK: Duration = Duration::from_millis(50);
/// How often the states of all subscriptions are counted.
const COUNT_STATES_EVERY: Duration = Duration::from_secs(1);

/// A connection that is up. All that it adds to the gauges it takes back when it is dropped.
pub(super) struct Connection<'a> {
    feed: &'a Feed,
    shared: &'a Shared<'a>,
    pub(super) conn: ConnId,
    socket: Socket,
    pub(super) session: Session,
    /// Of the assignment that the session has.
    version: u64,
    /// What the tape is to be told, at the start.
    carries: Vec<Known>,
    opened: Instant,
    lifetime: Option<Duration>,
    /// The longest that a step may wait for the peer.
    patience: Duration,
    ticked: Instant,
    tally: Tally,
    /// What this connection has added to the gauges of subscriptions.
    states: [i64; SubscriptionState::ALL.len()],
    next_states_at: Instant,
    /// What has been accounted for and not been sent on yet.
    batch: Vec<Event>,
    scratch: Scratch,
}

/// What has been counted and not been handed over yet.
#[derive(Default)]
pub(super) struct Tally {
    messages: u64,
    bytes: u64,
    pub(super) quotes: u64,
    pub(super) trades: u64,
    pub(super) repeated: u64,
    decode_errors: u64,
    unknown_frames: u64,
    /// How long events were under way.
    lag: Times,
    /// The shortest time that an event was under way, by both clocks.
    fastest: Option<i64>,
    /// When market data came last; 0 for never.
    heard: Nanos,
}

impl<'a> Connection<'a> {
    /// Connects; nothing has been subscribed to yet.
    pub(super) fn open(feed: &'a Feed, shared: &'a Shared<'a>) -> Result<Self, Disconnect> {
        let conn = ConnId(shared.conn_ids.fetch_add(1, Ordering::Relaxed));
        let socket = connect(feed, shared, conn)?;
        let (version, instruments, patience) = feed.assignment.get();
        log::debug!("{}: connected as {}, {} instruments", feed.name, conn.0, instruments.len());
        let now = Instant::now();
        let session =
            Session::new(feed.protocol, patience, conn, &instruments, &feed.channels, now);
        shared.metrics.connections.inc();
        Ok(Self {
            feed,
            shared,
            conn,
            socket,
            session,
            version,
            carries: instruments,
            opened: now,
            // Not all at once, or the venue would see them all come at once.
            lifetime: feed.lifetime.map(|it| it.mul_f64(1.0 - fastrand::f64() / 10.0)),
            patience: socket::PATIENCE,
            ticked: now,
            tally: Tally::default(),
            states: [0; SubscriptionState::ALL.len()],
            next_states_at: now,
            batch: Vec::new(),
            scratch: Scratch::default(),
        })
    }

    /// Reads what has come, or waits a little for something; then does what is due.
    ///
    /// # Errors
    /// When the connection has ended or has to.
    pub(super) fn step(&mut self, past: &mut Past<'_>) -> Result<(), Disconnect> {
        let read = self.read(past);
        self.pass_on();
        let read_at = read?;
        let now = read_at.unwrap_or_else(Instant::now);
        if read_at.is_none() || TICK < now - self.ticked {
            self.ticked = now;
            if past.filter.tick(now)
                && let Some(tape) = &mut past.tape
            {
                tape.mark(Mark::Calm, self.conn, socket::now());
            }
            self.tick(now, past)?;
        }
        Ok(())
    }

    /// Takes in all messages of what has come; returns when that was, if there were any.
    fn read(&mut self, past: &mut Past<'_>) -> Result<Option<Instant>, Disconnect> {
        let mut read_at = None;
        while let Some(message) = self.socket.read()? {
            let now = *read_at.get_or_insert_with(Instant::now);
            self.on_message(&message, now, past)?;
        }
        Ok(read_at)
    }

    /// Sends on what has been decoded: once for all messages of a read.
    fn pass_on(&mut self) {
        self.shared.sinks.send(self.feed.protocol.venue, &mut self.batch, &mut self.scratch);
    }

    /// Does what is due at the beginning: the first request goes out.
    pub(super) fn start(&mut self, past: &mut Past<'_>) -> Result<(), Disconnect> {
        past.losses.opened(&self.feed.assignment.instruments(), socket::now());
        let instruments = std::mem::take(&mut self.carries);
        self.take_down(instruments, past);
        self.tick(self.ticked, past)
    }

    /// Has the tape know what the frames to come are about.
    fn take_down(&self, instruments: Vec<Known>, past: &mut Past<'_>) {
        if let Some(tape) = &mut past.tape {
            let (conn, since, channels) = (self.conn, socket::now(), self.feed.channels.clone());
            tape.carry(Carries { conn, since, channels, instruments });
        }
    }

    /// Makes steps wait for no longer than `patience`.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Whether another connection has to take over.
    pub(super) fn is_due(&self) -> bool {
        let old = self.lifetime.is_some_and(|it| it < self.ticked - self.opened);
        old || self.session.closing().is_some()
    }

    /// Whether the venue has answered for all that it was asked, as far as that was counted last.
    pub(super) fn is_settled(&self) -> bool {
        0 < self.states.iter().sum::<i64>()
            && self.states[SubscriptionState::Requested as usize] == 0
    }

    /// Says goodbye.
    pub(super) fn close(mut self) {
        self.socket.close();
    }

    fn on_message(
        &mut self,
        message: &Message,
        now: Instant,
        past: &mut Past<'_>,
    ) -> Result<(), Disconnect> {
        self.tally.messages += 1;
        let ts_recv = self.socket.ts_recv();
        if let Some(tape) = &mut past.tape {
            match message {
                Message::Text(text) => tape.text(self.conn, ts_recv, text),
                Message::Binary(frame) => tape.binary(self.conn, ts_recv, frame),
                _ => {}
            }
        }
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
        let Self { session, conn, tally, batch, .. } = self;
        account(session, *conn, (&mut past.filter, past.losses), tally);
        batch.append(session.events());
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

    fn tick(&mut self, now: Instant, past: &mut Past<'_>) -> Result<(), Disconnect> {
        self.count();
        if let Some(tape) = &mut past.tape {
            tape.flush();
        }
        if self.next_states_at <= now {
            self.next_states_at = now + COUNT_STATES_EVERY;
            self.report(socket::now());
        }
        if self.shared.stop.requested() {
            self.socket.close();
            return Err(Disconnect::Stopped);
        }
        if self.feed.assignment.version.load(Ordering::Acquire) != self.version {
            let (version, instruments, patience) = self.feed.assignment.get();
            self.version = version;
            self.session.set_patience(patience, now);
            self.session.assign(&instruments, &self.feed.channels);
            past.losses.carry(&instruments, socket::now());
            self.take_down(instruments, past);
        }
        let time = socket::now();
        past.losses.tick(time);
        self.declare_gaps();
        self.session.tick(now, time)?;
        self.send()?;
        for it in self.session.reports() {
            if let Some(more) = past.topics.ask(now) {
                log::warn!("{}: {} {}{more}", self.feed.name, it.topic, it.what);
            }
        }
        let idle = self.session.idle(now).min(self.patience);
        self.socket.set_patience(idle).map_err(tungstenite::Error::Io)?;
        Ok(())
    }

    fn declare_gaps(&mut self) {
        for gap in self.session.gaps().drain(..) {
            self.shared.ledger.declare(gap);
        }
    }

    fn count(&mut self) {
        let (to, it) = (&self.shared.metrics, &mut self.tally);
        to.messages.inc_by(it.messages);
        to.quotes.inc_by(it.quotes);
        to.trades.inc_by(it.trades);
        to.repeated.inc_by(it.repeated);
        to.bytes.inc_by(self.socket.bytes() - it.bytes);
        to.decode_errors.inc_by(self.session.decode_errors - it.decode_errors);
        to.unknown_frames.inc_by(self.session.unknown_frames - it.unknown_frames);
        to.lag.add(&mut it.lag);
        to.health.heard(it.heard);
        if let Some(fastest) = it.fastest {
            to.clock.observe(fastest, it.heard);
        }
        *it = Tally {
            bytes: self.socket.bytes(),
            decode_errors: self.session.decode_errors,
            unknown_frames: self.session.unknown_frames,
            ..Tally::default()
        };
    }

    fn report(&mut self, time: Nanos) {
        let states = self.session.states(time);
        let named = |state: SubscriptionState| match states[state as usize] {
            0 => Vec::new(),
            _ => self.session.named(state, time),
        };
        let (refused, stale) = (named(SubscriptionState::Refused), named(SubscriptionState::Stale));
        let report = Report { time, states, refused, stale };
        self.shared.metrics.health.report(self.conn, report);
        self.report_states(states);
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
    /// Whatever ends a connection, a panic too, it takes back all that it has added to, and says what
    /// it has missed.
    fn drop(&mut self) {
        self.pass_on();
        self.session.end(self.shared.stop.requested().then(socket::now));
        self.declare_gaps();
        self.count();
        self.report_states([0; SubscriptionState::ALL.len()]);
        self.shared.metrics.health.ended(self.conn);
        self.shared.metrics.connections.dec();
    }
}

/// Accounts for what `session` has decoded, and takes out what has been passed on before.
pub(super) fn account(
    session: &mut Session,
    conn: ConnId,
    (filter, losses): (&mut Filter, &mut Losses),
    tally: &mut Tally,
) {
    let ts_recv = session.ts_recv();
    let events = session.events();
    if !events.is_empty() {
        losses.data(conn, ts_recv);
    }
    tally.repeated += filter.drop_repeated(events);
    for event in &*events {
        let ts_event = match event {
            Event::Quote(it) => {
                tally.quotes += 1;
                it.ts_event
            }
            Event::Trade(it) => {
                tally.trades += 1;
                losses.trade(it);
                it.ts_event
            }
        };
        if let Some(ts_event) = ts_event {
            let lag = ts_recv.0.saturating_sub(ts_event.0);
            tally.lag.observe(lag);
            tally.fastest = Some(tally.fastest.map_or(lag, |it| it.min(lag)));
        }
        tally.heard = ts_recv;
    }
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
