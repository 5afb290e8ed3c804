//! Where decoded events go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::drops::Drops;
use crate::{
    channel::fair::{self, Gone},
    market::{Channel, Event, Venue},
    metrics::QueueMetrics,
};

/// The queues of all consumers. Dropping the last clone ends them.
#[derive(Clone, Debug)]
pub struct Sinks<'a> {
    writers: Vec<Lane>,
    taps: Vec<Tap>,
    drops: &'a Drops<'a>,
}

/// One queue, in which each venue is a flow, and what is counted of it.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The queue.
    pub queue: fair::Sender<Event>,
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

/// Memory that sending lends, over and over.
#[derive(Debug, Default)]
pub struct Scratch {
    chosen: Vec<Event>,
    evicted: Vec<Event>,
}

impl Scratch {
    /// How many events there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.chosen.capacity() + self.evicted.capacity()
    }
}

impl<'a> Sinks<'a> {
    /// One lane for each writer thread, of which there is at least one, and any number of taps.
    /// What the writers' queues lose is added to `drops`.
    #[must_use]
    pub fn new(writers: Vec<Lane>, taps: Vec<Tap>, drops: &'a Drops<'a>) -> Self {
        assert!(!writers.is_empty(), "without a writer nothing is kept");
        Self { writers, taps, drops }
    }

    /// Sends `events` of `venue` on, and counts what has to make room for them.
    ///
    /// All events of an instrument go to the same writer, so that its rows stay in order.
    pub fn send(&self, venue: Venue, events: &mut Vec<Event>, scratch: &mut Scratch) {
        if events.is_empty() {
            return;
        }
        let Scratch { chosen, evicted } = scratch;
        for tap in &self.taps {
            if tap.open.load(Ordering::Relaxed) {
                let wanted = |it: &&Event| tap.channels.contains(&it.channel());
                chosen.extend(events.iter().filter(wanted).cloned());
                tap.lane.send(venue, chosen, evicted, |_| ());
            }
        }
        let lost = |it: &Event| self.drops.add(it);
        if let [writer] = &*self.writers {
            return writer.send(venue, events, evicted, lost);
        }
        for (n, writer) in self.writers.iter().enumerate() {
            let is_its = |it: &mut Event| it.instrument().0 as usize % self.writers.len() == n;
            chosen.extend(events.extract_if(.., is_its));
            writer.send(venue, chosen, evicted, lost);
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
    fn send(
        &self,
        venue: Venue,
        events: &mut Vec<Event>,
        evicted: &mut Vec<Event>,
        lost: impl Fn(&Event),
    ) {
        match self.queue.send(venue.index(), events, evicted) {
            Ok(0) => return,
            Ok(_) => {}
            // Its consumer has failed and the program is about to stop.
            Err(Gone) => evicted.append(events),
        }
        self.metrics.dropped.inc_by(evicted.len() as u64);
        evicted.drain(..).for_each(|it| lost(&it));
    }
}
