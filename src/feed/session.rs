//! One connection as a state machine without I/O: frames and times in, requests and a verdict out.
//!
//! It is told the time and handed the frames, so each of its rules is tested in microseconds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    exchange::{DecodeError, Inbox, Notice, Protocol, Subject, Topic},
    market::{Channel, ConnId, Event, Instrument, InstrumentId, Nanos},
    metrics::SubscriptionState,
};

/// An answer to a request that takes longer has been lost.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A topic that nobody answers for is asked for this often before it counts as refused.
const ATTEMPTS_MAX: u8 = 3;
/// A refused topic is asked for again after this: what is not listed today may be tomorrow.
const REFUSED_RETRY: Duration = Duration::from_mins(10);
/// A peer that sends nothing but nonsense is replaced after this many frames of it in a row.
const NONSENSE_MAX: u32 = 100;
/// Proof of life is asked for this many times within the heartbeat timeout.
const PINGS_PER_TIMEOUT: u32 = 3;
/// Topics are looked over this often: there may be a thousand of them.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// A connection is mute when it is silent for this many times its longest pause so far: quiet
/// markets are no fault.
const PAUSES_TO_MUTE: u32 = 10;

/// When a silence is a fault.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// No proof of life for this long, data or answered ping: the connection is dead.
    pub heartbeat_timeout: Duration,
    /// Proof of life but no data for this long: the connection is mute.
    pub stale_after: Duration,
}

/// Why a connection has to be replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Verdict {
    /// No proof of life.
    #[error("silent for {0:?}")]
    Silent(Duration),
    /// Alive, but without data.
    #[error("alive, but no data for {0:?}")]
    Mute(Duration),
    /// The exchange is about to close it.
    #[error("the exchange is closing it: {0}")]
    Closing(String),
    /// Nothing but frames that cannot be read.
    #[error("{NONSENSE_MAX} unreadable frames in a row, the last: {0}")]
    Nonsense(String),
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A text frame.
    Text(String),
    /// A WebSocket ping.
    Ping,
}

/// Something the operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused, as the venue spells it.
    pub topic: String,
    /// The venue's words.
    pub reason: String,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    protocol: &'static Protocol,
    patience: Patience,
    inbox: Inbox,
    topics: Vec<Subscription>,
    /// What is yet to be asked for, each entry in one request.
    to_ask: VecDeque<Vec<usize>>,
    /// What has been asked for and not been answered for, by request.
    asked: BTreeMap<u64, Request>,
    last_request: u64,
    next_request_at: Instant,
    next_ping_at: Instant,
    next_sweep_at: Instant,
    out: VecDeque<Outgoing>,
    refusals: Vec<Refusal>,
    last_frame: Instant,
    last_data: Instant,
    has_data: bool,
    longest_pause: Duration,
    nonsense: u32,
    /// Frames that could not be read.
    pub decode_errors: u64,
    /// Frames of a kind, or for a symbol, that we do not know.
    pub unknown_frames: u64,
    /// What will end the connection at the next tick.
    verdict: Option<Verdict>,
}

#[derive(Debug)]
struct Subscription {
    /// Place of the instrument in the inbox.
    place: usize,
    channel: Channel,
    symbol: String,
    state: State,
    attempts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Requested,
    Acknowledged,
    Refused { retry_at: Instant },
}

#[derive(Debug)]
struct Request {
    topics: Vec<usize>,
    sent: Instant,
}

impl Session {
    /// A session that will subscribe to `channels` of `instruments`.
    #[must_use]
    pub fn new(
        protocol: &'static Protocol,
        patience: Patience,
        conn: ConnId,
        instruments: &[(InstrumentId, Arc<Instrument>)],
        channels: &[Channel],
        now: Instant,
    ) -> Self {
        let mut inbox = Inbox::new(conn);
        let mut topics = Vec::with_capacity(instruments.len() * channels.len());
        for (id, instrument) in instruments {
            let place = inbox.list(*id, instrument);
            topics.extend(channels.iter().map(|&channel| Subscription {
                place,
                channel,
                symbol: instrument.symbol_native.clone(),
                state: State::Requested,
                attempts: 0,
            }));
        }
        let all: Vec<_> = (0..topics.len()).collect();
        let to_ask = all.chunks(protocol.limits.topics_per_request).map(<[_]>::to_vec).collect();
        let mut it = Self {
            protocol,
            patience,
            inbox,
            topics,
            to_ask,
            asked: BTreeMap::new(),
            last_request: 0,
            next_request_at: now,
            next_ping_at: now,
            next_sweep_at: now,
            out: VecDeque::new(),
            refusals: Vec::new(),
            last_frame: now,
            last_data: now,
            has_data: false,
            longest_pause: Duration::ZERO,
            nonsense: 0,
            decode_errors: 0,
            unknown_frames: 0,
            verdict: None,
        };
        it.next_ping_at = now + it.ping_every();
        it
    }

    /// Takes in a text frame. Its events are in [`events`](Self::events) afterwards, also those
    /// that came before a part that could not be read.
    pub fn on_text(&mut self, text: &str, ts_recv: Nanos, now: Instant) {
        self.on_frame(ts_recv, now, |it, inbox| (it.decode)(text, inbox));
    }

    /// Takes in a binary frame.
    pub fn on_binary(&mut self, frame: &[u8], ts_recv: Nanos, now: Instant) {
        self.on_frame(ts_recv, now, |it, inbox| (it.quirks.decode_binary)(frame, inbox));
    }

    /// Takes in a WebSocket ping or pong.
    pub fn on_alive(&mut self, now: Instant) {
        self.last_frame = now;
    }

    /// What has been decoded and not been taken yet.
    pub fn events(&mut self) -> &mut Vec<Event> {
        &mut self.inbox.events
    }

    /// What is to be sent next.
    pub fn outgoing(&mut self) -> Option<Outgoing> {
        self.out.pop_front()
    }

    /// What has been refused since the last call.
    pub fn refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals)
    }

    /// Whether good data has come over this connection.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.has_data
    }

    /// How many topics are in each state, in the order of [`SubscriptionState::ALL`].
    #[must_use]
    pub fn states(&self) -> [i64; SubscriptionState::ALL.len()] {
        let mut counts = [0; SubscriptionState::ALL.len()];
        for topic in &self.topics {
            counts[self.state(topic) as usize] += 1;
        }
        counts
    }

    fn state(&self, topic: &Subscription) -> SubscriptionState {
        match topic.state {
            _ if self.delivers(topic) => SubscriptionState::Delivering,
            State::Requested => SubscriptionState::Requested,
            State::Acknowledged => SubscriptionState::Acknowledged,
            State::Refused { .. } => SubscriptionState::Refused,
        }
    }

    fn delivers(&self, topic: &Subscription) -> bool {
        self.inbox.last(topic.place, topic.channel).is_some()
    }

    /// Lets time pass: puts due requests and pings into [`outgoing`](Self::outgoing).
    ///
    /// # Errors
    /// When the connection has to be replaced.
    pub fn tick(&mut self, now: Instant) -> Result<(), Verdict> {
        if let Some(verdict) = self.verdict.take() {
            return Err(verdict);
        }
        self.check_life(now)?;
        if self.next_ping_at <= now {
            self.next_ping_at = now + self.ping_every();
            self.out.push_back(match self.protocol.quirks.ping {
                Some(ping) => Outgoing::Text(ping.text.to_owned()),
                None => Outgoing::Ping,
            });
        }
        if self.next_sweep_at <= now {
            self.next_sweep_at = now + SWEEP_EVERY;
            self.give_up_waiting(now);
            self.retry_refused(now);
        }
        self.ask(now);
        Ok(())
    }

    /// How long until there may be something to do, whatever the peer sends.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Duration {
        let request = (!self.to_ask.is_empty()).then_some(self.next_request_at);
        let next = request.unwrap_or(self.next_ping_at).min(self.next_ping_at);
        next.saturating_duration_since(now)
    }

    fn ping_every(&self) -> Duration {
        let probe = self.patience.heartbeat_timeout / PINGS_PER_TIMEOUT;
        self.protocol.quirks.ping.map_or(probe, |it| probe.min(it.every))
    }

    fn check_life(&self, now: Instant) -> Result<(), Verdict> {
        let silent = now.saturating_duration_since(self.last_frame);
        if self.patience.heartbeat_timeout < silent {
            return Err(Verdict::Silent(silent));
        }
        let pause = now.saturating_duration_since(self.last_data);
        let mute = self.patience.stale_after.max(self.longest_pause * PAUSES_TO_MUTE);
        let expects_data = self.topics.iter().any(|it| !matches!(it.state, State::Refused { .. }));
        if mute < pause && expects_data {
            return Err(Verdict::Mute(pause));
        }
        Ok(())
    }

    fn on_frame(
        &mut self,
        ts_recv: Nanos,
        now: Instant,
        decode: impl FnOnce(&Protocol, &mut Inbox) -> Result<(), DecodeError>,
    ) {
        self.last_frame = now;
        self.inbox.ts_recv = ts_recv;
        let before = self.inbox.events.len();
        match decode(self.protocol, &mut self.inbox) {
            Ok(()) => self.nonsense = 0,
            Err(err) => self.on_nonsense(&err),
        }
        if before < self.inbox.events.len() {
            if self.has_data {
                self.longest_pause = self.longest_pause.max(now - self.last_data);
            }
            self.last_data = now;
            self.has_data = true;
        }
        if !self.inbox.notices.is_empty() {
            let mut notices = std::mem::take(&mut self.inbox.notices);
            notices.drain(..).for_each(|it| self.on_notice(it, now));
            self.inbox.notices = notices;
        }
    }

    fn on_nonsense(&mut self, err: &DecodeError) {
        self.decode_errors += 1;
        self.nonsense += 1;
        log::debug!("a frame could not be read: {err}");
        if self.nonsense == NONSENSE_MAX {
            self.verdict = Some(Verdict::Nonsense(err.to_string()));
        }
    }

    fn on_notice(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::Accepted(subject) => self.accepted(&subject),
            Notice::Refused { subject, reason } => self.refused(&subject, &reason, now),
            Notice::Ping(reply) => self.out.push_back(Outgoing::Text(reply)),
            Notice::Closing(why) => self.verdict = Some(Verdict::Closing(why)),
            Notice::Unlisted(_) | Notice::Unknown => self.unknown_frames += 1,
            Notice::Pong | Notice::Ignored(_) => {}
        }
    }

    fn accepted(&mut self, subject: &Subject) {
        for topic in self.resolve(subject) {
            self.topics[topic].state = State::Acknowledged;
        }
    }

    /// The topics that an answer is about; they are not waited for any more.
    fn resolve(&mut self, subject: &Subject) -> Vec<usize> {
        match subject {
            Subject::Topic(channel, symbol) => {
                let named = |it: &Subscription| it.channel == *channel && it.symbol == *symbol;
                let topic =
                    self.inbox.place(symbol).and_then(|_| self.topics.iter().position(named));
                for request in self.asked.values_mut() {
                    request.topics.retain(|it| Some(*it) != topic);
                }
                self.asked.retain(|_, it| !it.topics.is_empty());
                topic.into_iter().collect()
            }
            Subject::Request(id) => self.asked.remove(id).map_or_else(Vec::new, |it| it.topics),
            // A venue that does not say answers in the order it was asked.
            Subject::Unnamed => self.asked.pop_first().map_or_else(Vec::new, |(_, it)| it.topics),
        }
    }

    /// A refused request is taken apart until the topics that caused it stand alone, so that none
    /// takes the others along.
    fn refused(&mut self, subject: &Subject, reason: &str, now: Instant) {
        let topics = self.resolve(subject);
        if let [only] = topics[..] {
            return self.give_up(only, reason, now);
        }
        let (named, others): (Vec<_>, Vec<_>) =
            topics.iter().partition(|&&it| self.is_named_in(it, reason));
        if named.is_empty() || others.is_empty() {
            let (first, second) = topics.split_at(topics.len() / 2);
            let halves = [first.to_vec(), second.to_vec()];
            self.to_ask.extend(halves.into_iter().filter(|it| !it.is_empty()));
        } else {
            self.to_ask.push_back(others);
            self.to_ask.extend(named.into_iter().map(|it| vec![it]));
        }
    }

    /// Whether a refusal quotes the topic. Venues quote it whole.
    fn is_named_in(&self, topic: usize, reason: &str) -> bool {
        let name = (self.protocol.topic)(&self.topics[topic].as_topic());
        let boundary = |it: Option<char>| it.is_none_or(|it| !it.is_alphanumeric() && it != '-');
        reason.match_indices(&name).any(|(at, _)| {
            boundary(reason[..at].chars().next_back())
                && boundary(reason[at + name.len()..].chars().next())
        })
    }

    fn give_up(&mut self, topic: usize, reason: &str, now: Instant) {
        let it = &mut self.topics[topic];
        it.state = State::Refused { retry_at: now + REFUSED_RETRY };
        let topic = (self.protocol.topic)(&it.as_topic());
        self.refusals.push(Refusal { topic, reason: reason.to_owned() });
    }

    /// What has not been answered for is asked for again.
    fn give_up_waiting(&mut self, now: Instant) {
        let late = |it: &Request| ANSWER_MAX < now.saturating_duration_since(it.sent);
        while let Some(first) = self.asked.first_entry().filter(|it| late(it.get())) {
            let Request { topics, .. } = first.remove();
            let (delivering, silent): (Vec<_>, Vec<_>) =
                topics.into_iter().partition(|&it| self.delivers(&self.topics[it]));
            for topic in delivering {
                self.topics[topic].state = State::Acknowledged;
            }
            let (again, lost): (Vec<_>, Vec<_>) =
                silent.into_iter().partition(|&it| self.topics[it].attempts < ATTEMPTS_MAX);
            if !again.is_empty() {
                self.to_ask.push_back(again);
            }
            for topic in lost {
                self.give_up(topic, "no answer", now);
            }
        }
    }

    fn retry_refused(&mut self, now: Instant) {
        for (n, it) in self.topics.iter_mut().enumerate() {
            if matches!(it.state, State::Refused { retry_at } if retry_at <= now) {
                it.state = State::Requested;
                it.attempts = 0;
                self.to_ask.push_back(vec![n]);
            }
        }
    }

    fn ask(&mut self, now: Instant) {
        if now < self.next_request_at {
            return;
        }
        let Some(topics) = self.to_ask.pop_front() else { return };
        self.last_request += 1;
        for &topic in &topics {
            self.topics[topic].attempts += 1;
        }
        let named: Vec<_> = topics.iter().map(|&it| self.topics[it].as_topic()).collect();
        let text = (self.protocol.subscribe)(self.last_request, &named);
        self.out.push_back(Outgoing::Text(text));
        self.asked.insert(self.last_request, Request { topics, sent: now });
        self.next_request_at = now + self.protocol.limits.request_every;
    }
}

impl Subscription {
    fn as_topic(&self) -> Topic<'_> {
        Topic { channel: self.channel, symbol: &self.symbol }
    }
}
