//! What is counted of queues.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Seconds, labels::QueueLabels};
use crate::market::Nanos;

/// The metrics of one queue.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    /// Events dropped because the queue was full.
    pub dropped: Counter,
    /// Events queued when the consumer last looked.
    pub depth: Gauge,
    /// Events that it holds at most.
    pub capacity: Gauge,
    /// Age in seconds of the oldest event when the consumer last looked.
    pub age: Seconds,
    /// How often the consumer has looked.
    looks: Arc<AtomicU64>,
}

impl QueueMetrics {
    /// Takes down how many events the queue holds at most.
    #[must_use]
    pub fn holding(self, capacity: usize) -> Self {
        self.capacity.set(i64::try_from(capacity).unwrap_or(i64::MAX));
        self
    }

    /// Takes down what a consumer finds: how many events, and when the oldest was received.
    pub fn look(&self, depth: usize, oldest: Option<Nanos>, now: Nanos) {
        self.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        #[expect(clippy::cast_precision_loss, reason = "an age of centuries may be inexact")]
        let age = oldest.map_or(0.0, |it| now.0.saturating_sub(it.0).max(0) as f64 / 1e9);
        self.age.set(age);
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the consumer has looked: it lives while this grows.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }
}

/// Those of all queues.
#[derive(Debug, Default)]
pub(super) struct QueueFamilies {
    dropped: Family<QueueLabels, Counter>,
    depth: Family<QueueLabels, Gauge>,
    capacity: Family<QueueLabels, Gauge>,
    age: Family<QueueLabels, Seconds>,
    /// How often each has been looked at, by name.
    looks: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl QueueFamilies {
    pub(super) fn register(&self, to: &mut Registry) {
        let help = "Events dropped because a queue was full";
        to.register("queue_dropped", help, self.dropped.clone());
        to.register("queue_depth", "Events queued", self.depth.clone());
        to.register("queue_capacity", "Events that a queue holds at most", self.capacity.clone());
        let help = "Seconds since the oldest queued event was received";
        to.register("queue_age_seconds", help, self.age.clone());
    }

    pub(super) fn all(&self) -> Vec<(String, QueueMetrics)> {
        let names: Vec<_> = self.looks.lock().keys().cloned().collect();
        names.into_iter().map(|it| (it.clone(), self.of(&it))).collect()
    }

    pub(super) fn of(&self, name: &str) -> QueueMetrics {
        let looks = Arc::clone(self.looks.lock().entry(name.to_owned()).or_default());
        let labels = QueueLabels { queue: name.to_owned() };
        QueueMetrics {
            dropped: self.dropped.get_or_create_owned(&labels),
            depth: self.depth.get_or_create_owned(&labels),
            capacity: self.capacity.get_or_create_owned(&labels),
            age: self.age.get_or_create_owned(&labels),
            looks,
        }
    }
}
