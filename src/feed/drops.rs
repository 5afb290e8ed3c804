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

/// Events of one channel of a venue that were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// How many, exactly.
    pub count: u64,
    /// When the first of them was received. It is after `last` if the times are not known: those of
    /// an event that was being added were in the answer before.
    pub first: Nanos,
    /// When the last of them was received.
    pub last: Nanos,
}

impl<'a> Drops<'a> {
    /// Nothing yet, of the instruments of `registry`.
    #[must_use]
    pub fn new(registry: &'a Registry) -> Self {
        let cells = [const { [const { Cell::new() }; Channel::ALL.len()] }; Venue::COUNT];
        Self { registry, cells }
    }

    /// Adds an event that is lost.
    ///
    /// # Panics
    /// When its instrument is not in the registry.
    pub fn add(&self, event: &Event) {
        let venue = self
            .registry
            .venue(event.instrument())
            .expect("an event's instrument was registered before its connection subscribed");
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

    /// Takes out what there is of one channel of a venue; the count is 0 for nothing.
    #[must_use]
    pub fn take(&self, venue: Venue, channel: Channel) -> Dropped {
        let cell = &self.cells[venue.index()][channel as usize];
        let count = cell.count.swap(0, Ordering::Acquire);
        if count == 0 {
            return Dropped::NONE;
        }
        let first = cell.first.swap(Dropped::NONE.first.0, Ordering::Relaxed);
        let last = cell.last.swap(Dropped::NONE.last.0, Ordering::Relaxed);
        Dropped { count, first: Nanos(first), last: Nanos(last) }
    }
}

impl Dropped {
    /// Nothing.
    pub const NONE: Dropped = Dropped { count: 0, first: Nanos(i64::MAX), last: Nanos(i64::MIN) };
}

impl std::ops::AddAssign for Dropped {
    fn add_assign(&mut self, more: Self) {
        self.count += more.count;
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
    }
}

impl Cell {
    const fn new() -> Self {
        Cell {
            count: AtomicU64::new(Dropped::NONE.count),
            first: AtomicI64::new(Dropped::NONE.first.0),
            last: AtomicI64::new(Dropped::NONE.last.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::market::{ConnId, Exchange, Instrument, InstrumentId, Market, Quote};

    fn registry() -> Registry {
        let registry = Registry::default();
        for index in 0..Venue::COUNT {
            let (symbol, symbol_native) = ("A-B".to_owned(), "AB".to_owned());
            let venue = Venue::at(index);
            let it = Instrument { venue, symbol, symbol_native, contract_size: 1.0 };
            registry.intern(it).expect("room");
        }
        registry
    }

    fn quote(instrument: usize, ts_recv: i64) -> Event {
        Event::Quote(Quote {
            instrument: InstrumentId(u32::try_from(instrument).expect("a few")),
            conn: ConnId(0),
            ts_event: None,
            ts_recv: Nanos(ts_recv),
            bid: None,
            ask: None,
            sequence: None,
        })
    }

    #[test]
    fn what_is_lost_is_added_up_by_venue_and_channel() {
        let registry = registry();
        let drops = Drops::new(&registry);
        let venue = Venue::new(Exchange::Okx, Market::Perp);
        for ts_recv in [5, 3, 9] {
            drops.add(&quote(venue.index(), ts_recv));
        }
        let sum = Dropped { count: 3, first: Nanos(3), last: Nanos(9) };
        assert_eq!(drops.take(venue, Channel::Trades), Dropped::NONE);
        assert_eq!(drops.take(venue, Channel::Quotes), sum);
        assert_eq!(drops.take(venue, Channel::Quotes), Dropped::NONE, "it is out");
    }

    #[test]
    fn what_many_threads_lose_is_counted_once_each() {
        const THREADS: usize = 8;
        const EACH: i64 = 20_000;
        let registry = registry();
        let drops = Drops::new(&registry);
        let venue = Venue::at(0);
        let mut sum = Dropped::NONE;
        thread::scope(|scope| {
            let add = || (1..=EACH).for_each(|it| drops.add(&quote(0, it)));
            let adding: Vec<_> = (0..THREADS).map(|_| scope.spawn(add)).collect();
            while !adding.iter().all(thread::ScopedJoinHandle::is_finished) {
                sum += drops.take(venue, Channel::Quotes);
            }
        });
        sum += drops.take(venue, Channel::Quotes);
        let all = THREADS as u64 * EACH.unsigned_abs();
        assert_eq!(sum, Dropped { count: all, first: Nanos(1), last: Nanos(EACH) });
    }
}
