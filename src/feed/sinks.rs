//! Where decoded events go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::drops::Drops;
use crate::{
    channel::{Sender, Sent},
    market::{Channel, Event},
    metrics::QueueMetrics,
};

/// The queues of all consumers. Dropping the last clone ends them.
#[derive(Clone, Debug)]
pub struct Sinks<'a> {
    writers: Vec<Lane>,
    taps: Vec<Tap>,
    drops: &'a Drops<'a>,
}

/// One queue and what is counted of it.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The queue.
    pub queue: Sender<Event>,
    /// Its counters.
    pub metrics: QueueMetrics,
}

/// A consumer beside the writers.
#[derive(Clone, Debug)]
pub struct Tap {
    /// Its queue.
    pub lane: Lane,
    /// All that it takes.
    pub channels: &'static [Channel],
    /// Whether it takes anything at present: nothing is queued that nobody wants.
    pub open: Arc<AtomicBool>,
}

impl<'a> Sinks<'a> {
    /// One lane for each writer thread, of which there is at least one, and any number of taps.
    /// What the writers' queues lose is added to `drops`.
    #[must_use]
    pub fn new(writers: Vec<Lane>, taps: Vec<Tap>, drops: &'a Drops<'a>) -> Self {
        assert!(!writers.is_empty(), "without a writer nothing is kept");
        Self { writers, taps, drops }
    }

    /// Sends `events` on, and counts what has to make room for them. `scratch` is only lent.
    ///
    /// All events of an instrument go to the same writer, so that its rows stay in order.
    pub fn send(&self, events: &mut Vec<Event>, scratch: &mut Vec<Event>) {
        for tap in &self.taps {
            if tap.open.load(Ordering::Relaxed) {
                let wanted = events.iter().filter(|it| tap.channels.contains(&it.channel()));
                wanted.for_each(|it| tap.lane.send(it.clone(), scratch, |_| ()));
            }
        }
        for event in events.drain(..) {
            let lane = &self.writers[event.instrument().0 as usize % self.writers.len()];
            lane.send(event, scratch, |lost| self.drops.add(lost));
        }
    }
}

impl Sinks<'_> {
    /// Whether a consumer has more than `events` of them before it.
    #[must_use]
    pub fn have_more_than(&self, events: usize) -> bool {
        let open = |it: &&Tap| it.open.load(Ordering::Relaxed);
        let taps = self.taps.iter().filter(open).map(|it| &it.lane);
        self.writers.iter().chain(taps).any(|it| events < it.queue.len())
    }
}

impl Lane {
    fn send(&self, event: Event, scratch: &mut Vec<Event>, lost: impl Fn(&Event)) {
        match self.queue.send(event, scratch) {
            Sent::Queued => return,
            Sent::Evicted(_) => {}
            // Its consumer has failed and the program is about to stop.
            Sent::Closed(event) => scratch.push(event),
        }
        self.metrics.dropped.inc_by(scratch.len() as u64);
        scratch.iter().for_each(lost);
        scratch.clear();
    }
}
