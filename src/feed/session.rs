//! One connection as a state machine without I/O: frames and times in, requests and a verdict out.
//!
//! It is told the time and handed the frames, so each of its rules is tested in microseconds.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

pub use super::subscriptions::Report;
use super::{lapses::Lapses, roster::Known, subscriptions::Subscriptions};
use crate::{
    exchange::{DecodeError, Inbox, Notice, Protocol, Seen},
    market::{Channel, ConnId, Event, Gap, Nanos, Quote},
    metrics::SubscriptionState,
};

/// A peer that sends nothing but nonsense is replaced after this many frames of it in a row.
const NONSENSE_MAX: u32 = 100;
/// Proof of life is asked for this many times within the heartbeat timeout.
const PINGS_PER_TIMEOUT: u32 = 3;
/// A venue that greets its clients does it within this.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// Topics are looked over this often: there may be a thousand of them.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// A connection is mute when it is silent for this many times its longest pause so far: quiet
/// markets are no fault.
const PAUSES_TO_MUTE: u32 = 10;

/// When a silence is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    #[error("silent for {0:.1?}")]
    Silent(Duration),
    /// Alive, but without data.
    #[error("alive, but no data for {0:.1?}")]
    Mute(Duration),
    /// Connected, but not greeted by a venue that greets.
    #[error("not greeted within {GREETING_MAX:?}")]
    Unwelcome,
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

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    protocol: &'static Protocol,
    patience: Patience,
    inbox: Inbox,
    subscriptions: Subscriptions,
    lapses: Lapses,
    /// Until when the venue has to greet; nothing is sent before it has.
    greeting_due: Option<Instant>,
    out: VecDeque<Outgoing>,
    next_ping_at: Instant,
    next_sweep_at: Instant,
    last_frame: Instant,
    last_data: Instant,
    has_data: bool,
    longest_pause: Duration,
    nonsense: u32,
    /// What will end the connection at the next tick.
    verdict: Option<Verdict>,
    closing: Option<String>,
    /// Frames that could not be read.
    pub decode_errors: u64,
    /// Frames of a kind, or for a symbol, that we do not know.
    pub unknown_frames: u64,
}

impl Session {
    /// A session that will subscribe to `channels` of `instruments`.
    #[must_use]
    pub fn new(
        protocol: &'static Protocol,
        patience: Patience,
        conn: ConnId,
        instruments: &[Known],
        channels: &[Channel],
        now: Instant,
    ) -> Self {
        let mut inbox = Inbox::new(conn);
        for (id, instrument) in instruments {
            inbox.list(*id, instrument);
        }
        let symbols = instruments.iter().map(|(_, it)| it.symbol_native.as_str());
        Self {
            protocol,
            patience,
            inbox,
            lapses: Lapses::new(protocol.venue, conn),
            subscriptions: Subscriptions::new(protocol, symbols, channels, now),
            greeting_due: protocol.quirks.greeting.then(|| now + GREETING_MAX),
            out: VecDeque::new(),
            next_ping_at: now + ping_every(protocol, patience),
            next_sweep_at: now,
            last_frame: now,
            last_data: now,
            has_data: false,
            longest_pause: Duration::ZERO,
            nonsense: 0,
            verdict: None,
            closing: None,
            decode_errors: 0,
            unknown_frames: 0,
        }
    }

    /// Makes the session carry `instruments` and no others: those that are new are subscribed to,
    /// those that are not among them any more are not passed on.
    pub fn assign(&mut self, instruments: &[Known], channels: &[Channel]) {
        let mut dropped = self.inbox.places();
        for (id, instrument) in instruments {
            let known = self.inbox.place(&instrument.symbol_native);
            let place = self.inbox.list(*id, instrument);
            match known {
                Some(_) => drop(dropped.remove(&place)),
                None => self.subscriptions.add(place, &instrument.symbol_native, channels),
            }
        }
        for place in dropped {
            self.lapses.forget(self.inbox.instrument(place));
            self.inbox.unlist(place);
            self.subscriptions.remove(place);
        }
    }

    /// Judges silences from now on by `patience`, where it is another one.
    pub fn set_patience(&mut self, patience: Patience, now: Instant) {
        if self.patience != patience {
            self.patience = patience;
            // What was no fault by the old one is none by this one before a ping could be answered.
            self.last_frame = now;
            self.next_ping_at = self.next_ping_at.min(now + ping_every(self.protocol, patience));
        }
    }

    /// Takes in a text frame. Its events are in [`events`](Self::events) afterwards, also those
    /// that came before a part that could not be read.
    pub fn on_text(&mut self, text: &str, ts_recv: Nanos, now: Instant) {
        self.on_frame(ts_recv, now, |it, inbox| it.read(text, inbox));
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

    /// When the frame at hand was received.
    #[must_use]
    pub fn ts_recv(&self) -> Nanos {
        self.inbox.ts_recv
    }

    /// What is to be sent next.
    pub fn outgoing(&mut self) -> Option<Outgoing> {
        self.out.pop_front()
    }

    /// What the operator should hear of, since the last call.
    pub fn reports(&mut self) -> Vec<Report> {
        self.subscriptions.reports()
    }

    /// What is known to be missing, since the last time it was taken out.
    pub fn gaps(&mut self) -> &mut Vec<Gap> {
        self.lapses.over()
    }

    /// The connection has ended, at `at` if the program stops, else with its last frame: what was
    /// waited for goes into [`gaps`](Self::gaps).
    pub fn end(&mut self, at: Option<Nanos>) {
        self.lapses.end(at.unwrap_or(self.inbox.ts_recv));
    }

    /// What the exchange said when it announced that it will close the connection.
    #[must_use]
    pub fn closing(&self) -> Option<&str> {
        self.closing.as_deref()
    }

    /// The latest quote of each instrument that has had one.
    pub fn latest(&self) -> impl Iterator<Item = Quote> {
        self.inbox.latest()
    }

    /// Whether good data has come over this connection.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.has_data
    }

    /// How many topics are in each state, in the order of [`SubscriptionState::ALL`].
    #[must_use]
    pub fn states(&self, time: Nanos) -> [i64; SubscriptionState::ALL.len()] {
        self.subscriptions.states(|place, channel| {
            self.inbox.seen(place, channel).map(|it| activity(it, time, self.patience.stale_after))
        })
    }

    /// The topics that are in `state` at `time`, as the venue spells them: the first few.
    #[must_use]
    pub fn named(&self, state: SubscriptionState, time: Nanos) -> Vec<String> {
        self.subscriptions.named(state, |place, channel| {
            self.inbox.seen(place, channel).map(|it| activity(it, time, self.patience.stale_after))
        })
    }

    /// Lets time pass: puts due requests and pings into [`outgoing`](Self::outgoing). Some of them
    /// say what `time` it is.
    ///
    /// # Errors
    /// When the connection has to be replaced.
    pub fn tick(&mut self, now: Instant, time: Nanos) -> Result<(), Verdict> {
        if let Some(verdict) = self.verdict.take() {
            return Err(verdict);
        }
        self.check_life(now)?;
        if let Some(due) = self.greeting_due {
            return if now < due { Ok(()) } else { Err(Verdict::Unwelcome) };
        }
        if self.next_ping_at <= now {
            self.next_ping_at = now + ping_every(self.protocol, self.patience);
            self.out.push_back(match self.protocol.quirks.ping {
                Some(ping) => Outgoing::Text((ping.text)(time.seconds())),
                None => Outgoing::Ping,
            });
        }
        if self.next_sweep_at <= now {
            self.next_sweep_at = now + SWEEP_EVERY;
            self.lapses.tick(time);
            self.sweep(now, time);
        }
        self.out.extend(self.subscriptions.ask(now, time.seconds()).map(Outgoing::Text));
        Ok(())
    }

    fn sweep(&mut self, now: Instant, time: Nanos) {
        let (inbox, stale_after) = (&self.inbox, self.patience.stale_after);
        self.subscriptions.sweep(now, |place, channel| inbox.seen(place, channel).is_some());
        // While nothing comes at all, it is the connection that is mute.
        if now.saturating_duration_since(self.last_data) < stale_after {
            let resubscribed = self.subscriptions.resubscribe(now, |place, channel| {
                let seen = inbox.seen(place, channel);
                seen.map(|it| activity(it, time, stale_after)) == Some(SubscriptionState::Stale)
            });
            if let Some((place, channel)) = resubscribed
                && let Some(seen) = inbox.seen(place, channel)
            {
                self.lapses.resubscribed(inbox.instrument(place), channel, seen.last);
            }
        }
    }

    /// How long until there may be something to do, whatever the peer sends.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Duration {
        let request = self.subscriptions.next_request_at().unwrap_or(self.next_ping_at);
        let next = self.greeting_due.unwrap_or(request.min(self.next_ping_at));
        next.saturating_duration_since(now)
    }

    fn check_life(&mut self, now: Instant) -> Result<(), Verdict> {
        let silent = now.saturating_duration_since(self.last_frame);
        if self.patience.heartbeat_timeout < silent {
            return Err(Verdict::Silent(silent));
        }
        if !self.subscriptions.expect_data() {
            self.last_data = now;
        }
        let pause = now.saturating_duration_since(self.last_data);
        let mute = self.patience.stale_after.max(self.longest_pause * PAUSES_TO_MUTE);
        if mute < pause {
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
                let pause = now.saturating_duration_since(self.last_data);
                self.longest_pause = self.longest_pause.max(pause);
            }
            self.last_data = now;
            self.has_data = true;
            self.lapses.data(&self.inbox.events[before..]);
        }
        if !self.inbox.notices.is_empty() {
            let mut notices = std::mem::take(&mut self.inbox.notices);
            for it in notices.drain(..) {
                self.on_notice(it, now);
            }
            self.inbox.notices = notices;
        }
    }

    fn on_nonsense(&mut self, err: &DecodeError) {
        self.decode_errors += 1;
        self.nonsense += 1;
        self.lapses.unreadable(self.inbox.ts_recv);
        log::debug!("a frame could not be read: {err}");
        if self.nonsense == NONSENSE_MAX {
            self.verdict = Some(Verdict::Nonsense(err.to_string()));
        }
    }

    fn on_notice(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::Accepted(subject) => self.subscriptions.accepted(&subject),
            Notice::Refused { subject, reason } => {
                self.subscriptions.refused(&subject, &reason, now);
            }
            Notice::Welcome => self.greeting_due = None,
            Notice::Ping(reply) => self.out.push_back(Outgoing::Text(reply)),
            Notice::Closing(why) => self.closing = Some(why),
            Notice::Unlisted(_) | Notice::Unknown => self.unknown_frames += 1,
            Notice::Pong | Notice::Unsubscribed | Notice::Ignored(_) => {}
        }
    }
}

/// How a topic that has had data is doing: one whose silence is longer than `stale_after`, and than
/// anything that is usual for it, is stale.
fn activity(seen: Seen, time: Nanos, stale_after: Duration) -> SubscriptionState {
    let pause = Duration::from_nanos((time.0 - seen.last.0).max(0).unsigned_abs());
    let usual = Duration::from_nanos(seen.longest_pause.max(0).unsigned_abs());
    if pause <= stale_after {
        SubscriptionState::Delivering
    } else if pause <= usual * PAUSES_TO_MUTE {
        SubscriptionState::Quiet
    } else {
        SubscriptionState::Stale
    }
}

/// Keepalives come as often as the venue demands, and often enough to find a dead peer in time.
fn ping_every(protocol: &Protocol, patience: Patience) -> Duration {
    let probe = patience.heartbeat_timeout / PINGS_PER_TIMEOUT;
    protocol.quirks.ping.map_or(probe, |it| probe.min(it.every))
}
