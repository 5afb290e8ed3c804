//! The bounded queue for batches of many flows, none of which crowds out the others.
//!
//! All flows share the capacity. When it is used up, the oldest items of the longest flow make room:
//! one that sends more than the consumer takes loses its own items, and a flow that never has more than
//! its even share queued loses nothing, whatever the others do. The consumer takes from all flows alike.
//!
//! One lock guards it all, and is held for as long as it takes to copy a batch: two system-wide atomic
//! operations a batch instead of some for each item. Memory follows what is queued, so that what is sent
//! is still in the cache when it is taken.
//!
//! Invariants, each checked by `tests`:
//! - at most `capacity` items are queued;
//! - every item sent is received, evicted or left with its sender: exactly one of the three;
//! - what is received of one flow is in the order it was sent;
//! - items are evicted oldest first within a flow, and only of flows that have their share or more;
//! - the consumer learns when the last producer has gone, and producers when the consumer has.

use std::collections::VecDeque;

use super::{
    Received,
    sync::{Arc, Mutex},
};

/// Room for this many items stays with each flow.
const ROOM_KEPT: usize = 256;

/// Creates a queue of at most `capacity` items for `flows`, which are numbered from 0.
///
/// # Panics
/// When either is zero: such a queue would drop everything.
#[must_use]
pub fn queue<T>(flows: usize, capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(0 < capacity && 0 < flows, "a queue of nothing would drop everything");
    let flows = (0..flows).map(|_| Flow { items: VecDeque::new(), usual: 0 }).collect();
    let state = State { flows, capacity, queued: 0, first: 0, senders: 1, closed: false };
    let state = Arc::new(Mutex::new(state));
    (Sender { state: Arc::clone(&state) }, Receiver { state })
}

/// The producing half. Clone it to share it.
pub struct Sender<T> {
    state: Arc<Mutex<State<T>>>,
}

/// The consuming half.
pub struct Receiver<T> {
    state: Arc<Mutex<State<T>>>,
}

/// The consumer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

struct State<T> {
    flows: Vec<Flow<T>>,
    capacity: usize,
    /// In all flows together.
    queued: usize,
    /// The flow from which is taken first the next time.
    first: usize,
    senders: usize,
    closed: bool,
}

struct Flow<T> {
    items: VecDeque<T>,
    /// The most that was queued, of which old times are forgotten bit by bit.
    usual: usize,
}

impl<T> Sender<T> {
    /// Moves `items` into `flow`; how many had to make room for them is returned, and they are
    /// appended to `evicted`.
    ///
    /// # Errors
    /// When the consumer is gone: `items` stay where they are.
    ///
    /// # Panics
    /// When there is no such flow.
    pub fn send(
        &self,
        flow: usize,
        items: &mut Vec<T>,
        evicted: &mut Vec<T>,
    ) -> Result<usize, Gone> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Gone);
        }
        state.queued += items.len();
        state.flows[flow].items.extend(items.drain(..));
        Ok(state.make_room(evicted))
    }

    /// How many items are queued at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().queued
    }

    /// Whether nothing is queued at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Receiver<T> {
    /// Moves what is ready into `batch`, `at_most` that many, without waiting.
    pub fn drain(&self, batch: &mut Vec<T>, at_most: usize) -> Received {
        let mut state = self.state.lock();
        match (state.queued, state.senders) {
            (0, 0) => return Received::Closed,
            (0, _) => return Received::Nothing,
            _ => state.take(batch, at_most),
        }
        Received::Items
    }

    /// How many items are queued at this moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().queued
    }

    /// Whether nothing is queued at this moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> State<T> {
    fn make_room(&mut self, evicted: &mut Vec<T>) -> usize {
        let over = self.queued.saturating_sub(self.capacity);
        for _ in 0..over {
            let longest = self.flows.iter_mut().max_by_key(|it| it.items.len());
            evicted.extend(longest.and_then(|it| it.items.pop_front()));
        }
        self.queued -= over;
        over
    }

    fn take(&mut self, batch: &mut Vec<T>, at_most: usize) {
        let mut left = at_most.min(self.queued);
        self.queued -= left;
        let (later, sooner) = self.flows.split_at_mut(self.first);
        while 0 < left {
            let waiting = sooner.iter().chain(&*later).filter(|it| !it.items.is_empty()).count();
            let share = (left / waiting).max(1);
            for flow in sooner.iter_mut().chain(&mut *later) {
                let n = share.min(flow.items.len()).min(left);
                flow.usual = flow.usual.max(flow.items.len());
                batch.extend(flow.items.drain(..n));
                left -= n;
            }
        }
        self.first = (self.first + 1) % self.flows.len();
        self.flows.iter_mut().for_each(Flow::trim);
    }
}

impl<T> Flow<T> {
    /// Gives back, bit by bit, the room that a burst has taken.
    fn trim(&mut self) {
        self.usual -= self.usual.div_ceil(64).min(self.usual);
        let room = self.items.capacity();
        if ROOM_KEPT < room && self.usual.max(self.items.len()) < room / 4 {
            self.items.shrink_to(room / 2);
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.state.lock().senders += 1;
        Sender { state: Arc::clone(&self.state) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.state.lock().senders -= 1;
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.state.lock().closed = true;
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
