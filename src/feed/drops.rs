//! What had to make room in the writers' queues.
//!
//! Feeds evict one another's events, so what is lost is added up where all of them reach it: by venue
//! and channel, in atomics. The pipeline takes the sums out about once a second and declares them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::{
    market::{Channel, Event, Nanos, Venue},
    registry::Registry,
};

/// Events that were lost between a feed and the writers.
#[derive(Debug)]
pub struct Drops<'a> {
    registry: &'a Registry,
    /// By venue, then by channel.
    cells: [[Cell; Channel::ALL.len()]; Venue::COUNT],
}

/// On a cache line of its own: other venues are dropped by other cores.
#[derive(Debug)]
#[repr(align(64))]
struct Cell {
    count: AtomicU64,
    first: AtomicI64,
    last: AtomicI64,
}

/// How many events of one channel of a venue were dropped, and when the first and the last of them
/// were received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Dropped {
    pub count: u64,
    pub first: Nanos,
    pub last: Nanos,
}

impl<'a> Drops<'a> {
    /// Nothing yet, of the instruments of `registry`.
    #[must_use]
    pub fn new(registry: &'a Registry) -> Self {
        let cells = [const { [const { Cell::EMPTY }; Channel::ALL.len()] }; Venue::COUNT];
        Self { registry, cells }
    }

    /// Adds an event that is lost.
    ///
    /// # Panics
    /// When its instrument is not in the registry.
    pub fn add(&self, event: &Event) {
        let venue = self.registry.venue(event.instrument()).expect(
            "an event's instrument was registered before its connection subscribed",
        );
        let ts_recv = event.ts_recv().0;
        let cell = &self.cells[venue.index()][event.channel() as usize];
        if ts_recv < cell.first.load(Ordering::Relaxed) {
            cell.first.fetch_min(ts_recv, Ordering::Relaxed);
        }
        if cell.last.load(Ordering::Relaxed) < ts_recv {
            cell.last.fetch_max(ts_recv, Ordering::Relaxed);
        }
        // Last, so that who sees the count sees the times.
        cell.count.fetch_add(1, Ordering::Release);
    }

    /// Takes out what there is of one channel of a venue.
    ///
    /// The count is exact over any number of calls. An event that is being added meanwhile may have
    /// its time in one answer and be counted in the next; the times of that one are `None` if
    /// it has no others.
    #[must_use]
    pub fn take(&self, venue: Venue, channel: Channel) -> Option<(u64, Option<[Nanos; 2]>)> {
        let cell = &self.cells[venue.index()][channel as usize];
        let count = cell.count.swap(0, Ordering::Acquire);
        if count == 0 {
            return None;
        }
        let first = cell.first.swap(i64::MAX, Ordering::Relaxed);
        let last = cell.last.swap(i64::MIN, Ordering::Relaxed);
        Some((count, (first <= last).then_some([Nanos(first), Nanos(last)])))
    }
}

impl Cell {
    const EMPTY: Cell = Cell {
        count: AtomicU64::new(0),
        first: AtomicI64::new(i64::MAX),
        last: AtomicI64::new(i64::MIN),
    };
}
