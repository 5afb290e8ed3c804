//! What a venue's thread is told while it runs.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    config::VenuePlan,
    feed::{discovery::Filter, session::Patience},
    stop::Stop,
};

/// How soon it is noticed that there is another order.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which instruments are wanted, how often lists are read, and when a silence is a fault.
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
    pub(super) patience: Patience,
    rediscover: Duration,
}

impl Orders {
    pub(super) fn new(venue: &VenuePlan) -> Self {
        let VenuePlan { filter, patience, rediscover, .. } = venue;
        let (filter, patience, rediscover) = (filter.clone(), *patience, *rediscover);
        let order = Order { version: 0, filter, patience, rediscover };
        Self { version: AtomicU64::new(0), current: Mutex::new(order) }
    }

    /// Gives another order, unless it says the same.
    pub(super) fn give(&self, venue: &VenuePlan) {
        let mut current = self.current.lock();
        current.rediscover = venue.rediscover;
        if current.filter != venue.filter || current.patience != venue.patience {
            current.filter = venue.filter.clone();
            current.patience = venue.patience;
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
