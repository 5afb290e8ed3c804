//! What is on its way to one client.
//!
//! All goes through one bounded queue, so that nothing follows the answer that says that it will
//! not. When the queue is full the oldest messages are dropped. Answers are not: they are few, since
//! requests are limited, and a client whose answers pile up unread is closed.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tungstenite::{Bytes, protocol::frame::coding::CloseCode};

use super::{frame, protocol::Answer};
use crate::{
    channel::{Receiver, Sender, newest},
    market::Nanos,
    stop::Stop,
};

/// Answers that a client has not been sent yet. Its requests are limited to fewer in a second.
const ANSWERS_MAX: usize = 1_000;

/// A place in a queue: one for each message that a client may lag behind by, so it is small.
#[derive(Clone, Debug)]
pub(super) struct Item(Option<Arc<Parcel>>);

/// A frame on its way to one client or many.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) frame: Bytes,
    pub(super) kind: Kind,
}

/// What a frame tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What was received then; `None` for what was known before.
    Message(Option<Nanos>),
    /// How a request was understood.
    Answer,
}

impl Item {
    /// What it carries; nothing when it is there to wake the client's thread.
    pub(super) fn parcel(&self) -> Option<&Parcel> {
        self.0.as_deref()
    }

    pub(super) fn new(frame: Bytes, kind: Kind) -> Self {
        Self(Some(Arc::new(Parcel { frame, kind })))
    }

    fn wake() -> Self {
        Self(None)
    }
}

const _: () = assert!(size_of::<Item>() == 8, "with 8 bytes of the queue: 64 KB a client");

/// Where what a client is to be sent is put.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    queue: Sender<Item>,
    pub(super) state: Arc<State>,
}

/// What the threads that deal with one client share.
#[derive(Debug)]
pub(super) struct State {
    /// Frames older than what is queued: answers that had to make room, and pongs.
    first: Mutex<VecDeque<Bytes>>,
    /// Messages dropped that the client has not been told of.
    dropped: AtomicU64,
    /// Events lost before anybody looked whose they were, that the client has not been told of.
    upstream: AtomicU64,
    farewell: OnceLock<Farewell>,
    opened: Instant,
    /// Milliseconds from `opened` to the latest pong.
    pong: AtomicU64,
    /// Requested when the client's reader has ended.
    pub(super) over: Stop,
}

/// Why a client is closed.
#[derive(Clone, Debug)]
pub(super) struct Farewell {
    pub(super) code: CloseCode,
    pub(super) reason: String,
}

/// An outbox, and where its messages come out.
pub(super) fn outbox(capacity: usize, now: Instant) -> (Outbox, Receiver<Item>) {
    let (queue, items) = newest(capacity);
    let state = Arc::new(State {
        first: Mutex::default(),
        dropped: AtomicU64::new(0),
        upstream: AtomicU64::new(0),
        farewell: OnceLock::new(),
        opened: now,
        pong: AtomicU64::new(0),
        over: Stop::default(),
    });
    (Outbox { queue, state }, items)
}

impl Outbox {
    /// Sends messages; returns how many had to be dropped. `scratch` is only lent.
    pub(super) fn send(&self, items: impl Iterator<Item = Item>, scratch: &mut Vec<Item>) -> u64 {
        for item in items {
            // A client that is gone misses nothing.
            let _ = self.queue.send(item, scratch);
        }
        let mut dropped = 0;
        for item in scratch.drain(..) {
            match item.parcel() {
                Some(Parcel { kind: Kind::Message(_), .. }) => dropped += 1,
                Some(Parcel { kind: Kind::Answer, frame }) => self.put_first(frame.clone()),
                None => {}
            }
        }
        self.state.dropped.fetch_add(dropped, Ordering::Relaxed);
        dropped
    }

    /// Sends an answer; returns how many messages had to be dropped.
    pub(super) fn answer(&self, answer: &Answer<'_>) -> u64 {
        let item = Item::new(frame::text(&answer.to_json()), Kind::Answer);
        self.send([item].into_iter(), &mut Vec::new())
    }

    /// Sends a frame as soon as can be.
    pub(super) fn hurry(&self, frame: Bytes) {
        self.put_first(frame);
        self.wake();
    }

    fn put_first(&self, frame: Bytes) {
        let mut first = self.state.first.lock();
        if first.len() == ANSWERS_MAX {
            drop(first);
            let why = format!("{ANSWERS_MAX} answers have not been read");
            return self.close(CloseCode::Policy, why);
        }
        first.push_back(frame);
    }

    /// Events of all clients were lost.
    pub(super) fn lost_upstream(&self, events: u64) {
        self.state.upstream.fetch_add(events, Ordering::Relaxed);
        self.wake();
    }

    /// Ends it: what is queued is not sent any more. The first reason counts.
    pub(super) fn close(&self, code: CloseCode, reason: impl Into<String>) {
        let _ = self.state.farewell.set(Farewell { code, reason: reason.into() });
        self.wake();
    }

    fn wake(&self) {
        // Whoever takes out what is in the queue looks for the rest afterwards.
        if self.queue.is_empty() {
            self.send([Item::wake()].into_iter(), &mut Vec::new());
        }
    }
}

impl State {
    /// What is to be sent before what is queued.
    pub(super) fn take_first(&self) -> VecDeque<Bytes> {
        std::mem::take(&mut self.first.lock())
    }

    /// What the client has to be told that it missed.
    pub(super) fn take_lag(&self) -> Option<Answer<'static>> {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let upstream = self.upstream.swap(0, Ordering::Relaxed);
        (dropped + upstream != 0).then_some(Answer::Lag { dropped, upstream })
    }

    pub(super) fn farewell(&self) -> Option<&Farewell> {
        self.farewell.get()
    }

    /// The client has shown that it lives.
    pub(super) fn pong(&self, now: Instant) {
        let since = now.saturating_duration_since(self.opened).as_millis();
        self.pong.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// For how long it has not.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        let pong = Duration::from_millis(self.pong.load(Ordering::Relaxed));
        now.saturating_duration_since(self.opened).saturating_sub(pong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Received;

    fn message(n: u8) -> Item {
        Item::new(Bytes::copy_from_slice(&[n]), Kind::Message(None))
    }

    /// The first byte of each item that is queued; `None` for one that only wakes.
    fn drained(items: &Receiver<Item>) -> Vec<Option<u8>> {
        let mut left = Vec::new();
        assert_eq!(items.drain(&mut left, usize::MAX), Received::Items);
        left.iter().map(|it| it.parcel().map(|it| it.frame[0])).collect()
    }

    #[test]
    fn messages_make_room_for_newer_ones_and_answers_do_not() {
        let (outbox, items) = outbox(2, Instant::now());
        outbox.answer(&Answer::Heartbeat { ts: 1 });
        assert!(outbox.state.take_first().is_empty(), "it waits for its turn");
        let dropped = outbox.send((0..5).map(message), &mut Vec::new());
        assert_eq!(dropped, 3, "the answer is not among them");
        assert_eq!(drained(&items), [Some(3), Some(4)]);
        assert_eq!(outbox.state.take_first().len(), 1);
        let lag = outbox.state.take_lag().expect("something").to_json();
        assert_eq!(lag, br#"{"type":"lag","dropped":3,"upstream":0}"#);
        assert!(outbox.state.take_lag().is_none(), "it is told once");
    }

    #[test]
    fn what_is_in_a_hurry_wakes_the_writer_and_takes_nobodys_place() {
        let (outbox, items) = outbox(2, Instant::now());
        outbox.hurry(frame::ping());
        assert_eq!(drained(&items), [None]);
        outbox.send((0..2).map(message), &mut Vec::new());
        outbox.hurry(frame::ping());
        assert_eq!(drained(&items), [Some(0), Some(1)]);
        assert_eq!(outbox.state.take_first().len(), 2);
    }

    #[test]
    fn answers_that_pile_up_end_it() {
        let (outbox, _items) = outbox(2, Instant::now());
        for _ in 0..ANSWERS_MAX + 2 {
            outbox.answer(&Answer::Heartbeat { ts: 1 });
        }
        assert!(outbox.state.farewell().is_none());
        outbox.answer(&Answer::Heartbeat { ts: 1 });
        assert_eq!(outbox.state.farewell().map(|it| it.code), Some(CloseCode::Policy));
        assert_eq!(outbox.state.take_first().len(), ANSWERS_MAX);
    }
}
