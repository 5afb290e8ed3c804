//! What a venue's thread is told while it runs.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{config::VenuePlan, feed::discovery::Filter, stop::Stop};

/// How soon it is noticed that there is another order.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which instruments are wanted, and how often lists are read.
#[derive(Debug)]
pub(super) struct Orders {
    version: AtomicU64,
    current: Mutex<Order>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) version: u64,
    pub(super) filter: Filter,
    rediscover: Duration,
}

impl Orders {
    pub(super) fn new(venue: &VenuePlan) -> Self {
        let (filter, rediscover) = (venue.filter.clone(), venue.rediscover);
        let order = Order { version: 0, filter, rediscover };
        Self { version: AtomicU64::new(0), current: Mutex::new(order) }
    }

    /// Gives another order, unless it says the same.
    pub(super) fn give(&self, filter: &Filter, rediscover: Duration) {
        let mut current = self.current.lock();
        current.rediscover = rediscover;
        if current.filter != *filter {
            current.filter = filter.clone();
            current.version += 1;
        }
        self.version.store(current.version, Ordering::Release);
    }

    pub(super) fn current(&self) -> Order {
        self.current.lock().clone()
    }

    /// Waits until lists are to be read again: `false` when the program stops first.
    pub(super) fn wait(&self, known: u64, stop: &Stop) -> bool {
        let since = Instant::now();
        while !stop.requested() {
            let due = self.current.lock().rediscover;
            let left = due.saturating_sub(since.elapsed());
            if left == Duration::ZERO || self.version.load(Ordering::Acquire) != known {
                return true;
            }
            if stop.wait(left.min(LOOK_EVERY)) {
                break;
            }
        }
        false
    }
}
