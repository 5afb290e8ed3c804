//! The bounded queue for single items.
//!
//! Invariants, each checked by `tests`:
//! - at most `capacity` items are queued;
//! - every item sent is received, evicted or handed back: exactly one of the three;
//! - what is received from one producer is in the order it was sent;
//! - the consumer learns when the last producer has gone, and producers when the consumer has.

use std::time::Duration;

use super::{
    Received,
    sync::{self, Arc, AtomicBool, Mutex, Ordering, RecvTimeoutError, TryRecvError, TrySendError},
};

/// Creates a queue of at most `capacity` items.
///
/// # Panics
/// When `capacity` is zero: such a queue would drop everything.
#[must_use]
pub fn newest<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(0 < capacity, "a queue of nothing would drop everything");
    let (tx, rx) = sync::bounded(capacity);
    let back = Arc::new(Back { evict: Mutex::new(rx.clone()), closed: AtomicBool::new(false) });
    (Sender { tx, back: Arc::clone(&back) }, Receiver { rx, back })
}

/// The producing half. Clone it to share it.
pub struct Sender<T> {
    tx: sync::Sender<T>,
    back: Arc<Back<T>>,
}

/// The consuming half.
pub struct Receiver<T> {
    rx: sync::Receiver<T>,
    back: Arc<Back<T>>,
}

/// The producers' way to the old end of the queue.
struct Back<T> {
    /// Locked, so that two producers who find the queue full do not evict two items for one place.
    evict: Mutex<sync::Receiver<T>>,
    /// `evict` keeps the channel connected after the consumer has gone; this says that it has.
    closed: AtomicBool,
}

/// What became of a sent item.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a drop that nobody counts is data lost in silence"]
pub enum Sent<T> {
    /// There was room.
    Queued,
    /// There was none: this many of the oldest were taken out. One, but for races with other
    /// producers.
    Evicted(usize),
    /// The consumer is gone; the item is handed back.
    Closed(T),
}

impl<T> Sender<T> {
    /// Puts `item` in, at the oldest items' expense if need be; those are appended to `evicted`.
    pub fn send(&self, item: T, evicted: &mut Vec<T>) -> Sent<T> {
        if self.back.closed.load(Ordering::Acquire) {
            return Sent::Closed(item);
        }
        match self.tx.try_send(item) {
            Ok(()) => Sent::Queued,
            Err(TrySendError::Full(item)) => self.send_evicting(item, evicted),
            Err(TrySendError::Disconnected(_)) => unreachable!("`back` holds a receiver"),
        }
    }

    fn send_evicting(&self, mut item: T, evicted: &mut Vec<T>) -> Sent<T> {
        let oldest = self.back.evict.lock();
        let before = evicted.len();
        loop {
            // The consumer may have made room while we waited for the lock: try before evicting.
            match self.tx.try_send(item) {
                Ok(()) if evicted.len() == before => return Sent::Queued,
                Ok(()) => return Sent::Evicted(evicted.len() - before),
                Err(TrySendError::Full(back)) => item = back,
                Err(TrySendError::Disconnected(_)) => unreachable!("`back` holds a receiver"),
            }
            evicted.extend(oldest.try_recv());
        }
    }

    /// Takes out the oldest item, for a producer that knows that there is too much in the queue.
    #[must_use = "a drop that nobody counts is data lost in silence"]
    pub fn evict(&self) -> Option<T> {
        self.back.evict.lock().try_recv().ok()
    }

    /// How many items are queued at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tx.len()
    }

    /// Whether nothing is queued at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tx.is_empty()
    }
}

impl<T> Receiver<T> {
    /// Moves what is ready into `batch`, `at_most` that many, without waiting.
    pub fn drain(&self, batch: &mut Vec<T>, at_most: usize) -> Received {
        let before = batch.len();
        for _ in 0..at_most {
            match self.rx.try_recv() {
                Ok(item) => batch.push(item),
                Err(TryRecvError::Disconnected) if batch.len() == before => {
                    return Received::Closed;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if batch.len() == before { Received::Nothing } else { Received::Items }
    }

    /// Waits up to `patience` for one item, then moves what is ready into `batch`, `at_most` that
    /// many.
    ///
    /// A consumer that waits here is woken by the next item, which costs the producer a system
    /// call: one that can bear milliseconds of delay does better to [`drain`](Self::drain) now and
    /// then.
    pub fn recv_all(&self, batch: &mut Vec<T>, at_most: usize, patience: Duration) -> Received {
        match self.rx.recv_timeout(patience) {
            Ok(first) => batch.push(first),
            Err(RecvTimeoutError::Timeout) => return Received::Nothing,
            Err(RecvTimeoutError::Disconnected) => return Received::Closed,
        }
        let _ = self.drain(batch, at_most.saturating_sub(1));
        Received::Items
    }

    /// How many items are queued at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rx.len()
    }

    /// Whether nothing is queued at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rx.is_empty()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { tx: self.tx.clone(), back: Arc::clone(&self.back) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.back.closed.store(true, Ordering::Release);
    }
}

impl<T> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
