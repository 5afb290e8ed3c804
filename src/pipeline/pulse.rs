//! Whether those who take events out of queues still do.

use crate::metrics::QueueMetrics;

/// The consumers that a run cannot do without.
pub(super) struct Pulse {
    of: Vec<(QueueMetrics, u64)>,
}

impl Pulse {
    pub(super) fn new(queues: impl Iterator<Item = QueueMetrics>) -> Self {
        Self { of: queues.map(|it| (it, 0)).collect() }
    }

    /// Whether every one of them has looked into its queue since the last time that all had.
    pub(super) fn beats(&mut self) -> bool {
        let beats = self.of.iter().all(|(queue, before)| *before < queue.looks());
        if beats {
            for (queue, before) in &mut self.of {
                *before = queue.looks();
            }
        }
        beats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{market::Nanos, metrics::Metrics};

    #[test]
    fn one_consumer_that_is_stuck_is_enough() {
        let metrics = Metrics::new();
        let mut pulse = Pulse::new(["a", "b"].into_iter().map(|it| metrics.queue(it)));
        let look = |it: &str| metrics.queue(it).look(0, None, Nanos(0));
        look("a");
        assert!(!pulse.beats(), "b has not begun");
        look("b");
        assert!(pulse.beats());
        assert!(!pulse.beats(), "nobody has looked since");
        look("b");
        assert!(!pulse.beats(), "a is stuck");
        look("a");
        assert!(pulse.beats());
    }
}
