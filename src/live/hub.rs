//! From what is collected to the queues of those who want it.
//!
//! The hub waits for nobody: each client has a queue of its own. A message is made into JSON once,
//! and only if somebody wants it; while nobody wants anything, nothing comes here.

mod requests;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crossbeam_channel::RecvTimeoutError;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tungstenite::protocol::frame::coding::CloseCode;

use super::{
    encoder::Encoder,
    interest::{Interest, Wanting},
    outbox::Outbox,
    protocol::{Request, Topic},
    screener::Screener,
    source::{DRAIN_MAX, Source},
    subscriber::{News, Subscriber, Told},
    writer,
};
use crate::{
    market::{Cross, Event},
    metrics::{LiveMetrics, Tally},
    registry::Registry,
    spreads::Spreads,
    stop::Stop,
};

/// How often queues are looked into while somebody listens: what a message may be late by. A
/// wake-up for each would cost those who send it more than it costs to look.
const POLL: Duration = Duration::from_micros(500);
/// How often while much comes: each time, a thread is woken for each client that is told something.
const POLL_BUSY: Duration = Duration::from_millis(2);
/// How many messages at a time are much.
const BUSY_MIN: usize = 64;
/// Messages that the hub writes to a client itself, if it can without waiting. Where there are more, it has
/// enough to do, and to wake the client's thread for them costs little of each.
const FEW: usize = 64;
/// How often the hub looks up while nobody listens.
const IDLE: Duration = Duration::from_millis(100);
/// Requests that wait for the hub; who makes more waits itself.
pub(super) const COMMANDS_MAX: usize = 1_024;
/// For how long messages wait while requests are dealt with: many clients may come at once.
const COMMANDS_FOR: Duration = Duration::from_millis(1);
/// What clients' threads ask of the hub.
#[derive(Debug)]
pub(super) enum Command {
    Join(u32, Outbox),
    Request(u32, Request),
    Refuse(u32, String),
    Leave(u32),
}

/// What the hub reads.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    pub(super) commands: crossbeam_channel::Receiver<Command>,
    pub(super) events: Source<Event>,
    pub(super) crosses: Source<Cross>,
    pub(super) spreads: Option<&'a Mutex<Spreads>>,
    pub(super) registry: &'a Registry,
    pub(super) metrics: &'a LiveMetrics,
    pub(super) names_max: usize,
    pub(super) stop: &'a Stop,
}

/// The hub, before it has begun.
#[derive(Debug)]
pub struct Hub<'a> {
    pub(super) ends: Ends<'a>,
}

impl Hub<'_> {
    /// Serves clients until the program stops, then says goodbye to them.
    pub fn run(self) {
        Desk::new(self.ends).run();
    }
}

/// The hub at work, on one thread.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    ends: Ends<'a>,
    encoder: Encoder<'a>,
    /// By [`Topic`].
    interest: [Interest; Topic::ALL.len()],
    clients: HashMap<u32, Subscriber, RandomState>,
    /// Clients with something staged.
    touched: Vec<u32>,
    events: Vec<Event>,
    crosses: Vec<Cross>,
    wanting: Vec<Wanting>,
    screener: Screener,
    latency: Tally,
    bytes: Vec<u8>,
}

impl<'a> Desk<'a> {
    /// Nobody has asked for anything yet.
    pub(super) fn new(ends: Ends<'a>) -> Self {
        Self {
            encoder: Encoder::new(ends.registry, ends.metrics),
            ends,
            interest: Default::default(),
            clients: HashMap::default(),
            touched: Vec::new(),
            events: Vec::new(),
            crosses: Vec::new(),
            wanting: Vec::new(),
            screener: Screener::default(),
            latency: Tally::default(),
            bytes: Vec::new(),
        }
    }

    fn run(mut self) {
        let mut pause = POLL;
        while !self.ends.stop.requested() && self.take_commands(pause) {
            pause = self.turn(Instant::now());
        }
        self.ends.events.set_open(false);
        self.ends.crosses.set_open(false);
        for it in self.clients.values() {
            it.outbox.close(CloseCode::Away, "the collector stops");
        }
    }

    /// Tells clients what has come; says for how long what comes next may wait.
    pub(super) fn turn(&mut self, now: Instant) -> Duration {
        let pause = self.take_messages();
        self.screen(now);
        self.release(now);
        self.hand_over();
        pause
    }

    /// Whether nothing is left of any client.
    #[cfg(any(test, fuzzing))]
    pub(super) fn is_deserted(&self) -> bool {
        self.clients.is_empty() && !self.interest.iter().any(Interest::is_any)
    }

    /// Does what clients ask for, or waits for it no longer than messages may wait; `false` when nobody
    /// can ask any more.
    pub(super) fn take_commands(&mut self, pause: Duration) -> bool {
        let wait = if pause.is_zero() { pause } else { self.idle(pause, Instant::now()) };
        let command = match self.ends.commands.recv_timeout(wait) {
            Ok(command) => command,
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        self.encoder.catch_up();
        let start = Instant::now();
        let mut next = Some(command);
        while let Some(command) = next {
            let reply = self.obey(command);
            // Whoever is told that it has subscribed misses nothing from then on.
            self.listen();
            if let Some(reply) = reply {
                self.reply(&reply);
            }
            let has_time = start.elapsed() < COMMANDS_FOR;
            next = if has_time { self.ends.commands.try_recv().ok() } else { None };
        }
        true
    }

    /// For how long nothing has to be done but what is asked for.
    fn idle(&self, pause: Duration, now: Instant) -> Duration {
        if !self.interest.iter().any(Interest::is_any) {
            return IDLE;
        }
        let due = self.clients.values().filter_map(Subscriber::due).min();
        due.map_or(pause, |it| it.saturating_duration_since(now).min(pause))
    }

    /// Tells what has come; says for how long what comes next may wait.
    fn take_messages(&mut self) -> Duration {
        let mut events = std::mem::take(&mut self.events);
        let mut crosses = std::mem::take(&mut self.crosses);
        let lost = self.ends.events.take(&mut events, Event::ts_recv);
        let lost_crosses = self.ends.crosses.take(&mut crosses, |it| it.ts_recv);
        if !(events.is_empty() && crosses.is_empty()) {
            self.encoder.catch_up();
        }
        self.lament(&[Topic::Quotes, Topic::Trades], lost);
        self.lament(&[Topic::Spreads], lost_crosses);
        let pause = match events.len().max(crosses.len()) {
            DRAIN_MAX => Duration::ZERO,
            BUSY_MIN.. => POLL_BUSY,
            _ => POLL,
        };
        for event in events.drain(..) {
            let topic = Topic::from(event.channel());
            if self.interest[topic as usize].is_any() {
                self.tell(&Told::Event(event));
            }
        }
        for cross in crosses.drain(..) {
            self.tell(&Told::Cross(cross));
        }
        (self.events, self.crosses) = (events, crosses);
        pause
    }

    /// Tells which symbols have another best cross than when they were looked at last.
    fn screen(&mut self, now: Instant) {
        let Some(engine) = self.ends.spreads else { return };
        if !self.interest[Topic::Screener as usize].is_any() {
            return self.screener.forget();
        }
        if !self.screener.is_due(now) {
            return;
        }
        let best = engine.lock().best();
        self.encoder.catch_up();
        for it in best {
            if self.screener.is_new(&it) {
                self.tell(&Told::Best(it));
            }
        }
    }

    /// Tells those who want any of `topics` that messages were lost before it was seen whose.
    fn lament(&self, topics: &[Topic], lost: u64) {
        if 0 < lost {
            let is_concerned =
                |it: &u32| topics.iter().any(|&topic| self.interest[topic as usize].has(*it));
            for (_, it) in self.clients.iter().filter(|(id, _)| is_concerned(id)) {
                it.outbox.lost_upstream(lost);
            }
        }
    }

    fn tell(&mut self, told: &Told) {
        let Self { encoder, clients, touched, interest, wanting, .. } = self;
        let interest = &mut interest[told.topic() as usize];
        let wanting = if let Told::Event(event) = told {
            interest.of(event.instrument(), || encoder.of(event.instrument()))
        } else {
            let (symbols, venues) = encoder.about(told);
            interest.find(symbols, venues, wanting);
            wanting
        };
        let mut news = News::new(told);
        for (client, interval_ms) in wanting {
            let Some(subscriber) = clients.get_mut(client) else { continue };
            if 0 < *interval_ms {
                subscriber.hold(*interval_ms, news.kept());
                continue;
            }
            if subscriber.staged.is_empty() {
                touched.push(*client);
            }
            subscriber.staged.push(news.item(|it| encoder.frame(it)));
        }
    }

    /// Stages what was held together for its interval.
    fn release(&mut self, now: Instant) {
        let encoder = &self.encoder;
        for (&client, it) in &mut self.clients {
            let had = !it.staged.is_empty();
            it.release(now, |told| encoder.frame(told));
            if !had && !it.staged.is_empty() {
                self.touched.push(client);
            }
        }
    }

    /// Sends what is staged, all of one client's together, or puts it into the client's queue: its
    /// thread is woken once.
    fn hand_over(&mut self) {
        let metrics = self.ends.metrics;
        for client in self.touched.drain(..) {
            let Some(it) = self.clients.get_mut(&client) else { continue };
            if it.staged.len() <= FEW && it.outbox.send_now(&it.staged, &mut self.bytes) {
                writer::count(&mut it.staged, &mut self.latency, metrics);
            } else {
                metrics.dropped.inc_by(it.outbox.send(it.staged.drain(..)));
            }
        }
    }
}
