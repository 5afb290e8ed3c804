//! Where decoded events go.

use crate::{
    channel::{Sender, Sent},
    market::Event,
    metrics::QueueMetrics,
};

/// The queues of all consumers. Dropping the last clone ends them.
#[derive(Clone, Debug)]
pub struct Sinks {
    writers: Vec<Lane>,
}

/// One queue and what is counted of it.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The queue.
    pub queue: Sender<Event>,
    /// Its counters.
    pub metrics: QueueMetrics,
}

impl Sinks {
    /// One lane for each writer thread; there is at least one.
    #[must_use]
    pub fn new(writers: Vec<Lane>) -> Self {
        assert!(!writers.is_empty(), "without a writer nothing is kept");
        Self { writers }
    }

    /// Sends `events` on, and counts what has to make room for them. `scratch` is only lent.
    ///
    /// All events of an instrument go to the same writer, so that its rows stay in order.
    pub fn send(&self, events: &mut Vec<Event>, scratch: &mut Vec<Event>) {
        for event in events.drain(..) {
            let lane = &self.writers[event.instrument().0 as usize % self.writers.len()];
            match lane.queue.send(event, scratch) {
                Sent::Queued => {}
                Sent::Evicted(n) => {
                    lane.metrics.dropped.inc_by(n as u64);
                    scratch.clear();
                }
                // The writer has failed and the program is about to stop.
                Sent::Closed(_) => {
                    lane.metrics.dropped.inc();
                }
            }
        }
    }
}
