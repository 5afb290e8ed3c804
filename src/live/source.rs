//! Queues that are filled only while somebody wants what is in them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::clock::now;
use crate::{
    channel::{Received, fair::Receiver},
    market::Nanos,
    metrics::QueueMetrics,
};

/// The most that is taken out at a time.
pub(super) const DRAIN_MAX: usize = 4_096;

/// A queue that is filled while it is open.
#[derive(Debug)]
pub struct Source<T> {
    queue: Receiver<T>,
    open: Arc<AtomicBool>,
    metrics: QueueMetrics,
    /// How many were dropped when somebody last looked.
    dropped: u64,
}

impl<T> Source<T> {
    /// A source that is closed, and what opens it for those who fill the queue.
    #[must_use]
    pub fn new(queue: Receiver<T>, metrics: QueueMetrics) -> (Self, Arc<AtomicBool>) {
        let open = Arc::new(AtomicBool::new(false));
        (Self { queue, open: Arc::clone(&open), metrics, dropped: 0 }, open)
    }

    /// Opens or closes it. What was left in it is of before.
    pub(super) fn set_open(&mut self, open: bool) {
        if open && !self.open.load(Ordering::Relaxed) {
            let mut stale = Vec::new();
            while self.queue.drain(&mut stale, DRAIN_MAX) == Received::Items {
                stale.clear();
            }
            self.dropped = self.metrics.dropped.get();
        }
        self.open.store(open, Ordering::Relaxed);
    }

    /// Moves what is ready into `batch`; returns how many were dropped since the last time.
    pub(super) fn take(&mut self, batch: &mut Vec<T>, ts_recv: impl Fn(&T) -> Nanos) -> u64 {
        if !self.open.load(Ordering::Relaxed) {
            return 0;
        }
        let _ = self.queue.drain(batch, DRAIN_MAX);
        self.metrics.look(batch.len() + self.queue.len(), batch.iter().map(ts_recv).min(), now());
        let dropped = self.metrics.dropped.get();
        dropped - std::mem::replace(&mut self.dropped, dropped)
    }
}
