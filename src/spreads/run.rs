//! The thread that feeds the engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    Counts, Out, Spreads,
    order::{Order, trim},
};
use crate::{
    channel::{
        Received, Sender, Sent,
        fair::{self, Gone},
    },
    market::{Cross, Event, Exchange, InstrumentId, Nanos, Quote, Record},
    metrics::{QueueMetrics, SpreadMetrics},
    registry::Registry,
};

/// The most events taken out of the queue at a time.
const DRAIN_MAX: usize = 8_192;

/// The most quotes taken in under one lock: a tenth of a millisecond, for which readers wait.
const LOCKED_MAX: usize = 1_024;

/// How long the queue is left alone once it was found empty.
const PAUSE: Duration = Duration::from_millis(5);

/// How often the engine is told the time, in nanoseconds.
const TICK: i64 = 100_000_000;

/// Episodes that are sent to the ledger at once when all end.
const RECORDS_MAX: usize = 1_000;

/// For how many milliseconds in all the ledger is waited for then: a stop is not to take long.
const FINISH_PATIENCE: u32 = 2_000;

/// A queue, and what is counted of it.
#[derive(Clone, Debug)]
pub struct Outlet<T> {
    /// The queue.
    pub queue: Sender<T>,
    /// Its counters.
    pub metrics: QueueMetrics,
}

/// Where every cross goes while somebody listens.
#[derive(Clone, Debug)]
pub struct Tap {
    /// Its queue, of one flow.
    pub queue: fair::Sender<Cross>,
    /// Its counters.
    pub metrics: QueueMetrics,
    /// Whether somebody listens: nothing is queued that nobody wants.
    pub open: Arc<AtomicBool>,
}

/// What the thread reads and writes.
#[derive(Debug)]
pub struct Ends<'a> {
    /// Quotes; all else is passed over.
    pub events: &'a fair::Receiver<Event>,
    /// The counters of that queue.
    pub queue: &'a QueueMetrics,
    /// Where instruments are looked up at first sight.
    pub registry: &'a Registry,
    /// Where episodes that are over go.
    pub records: &'a Outlet<Record>,
    /// Where crosses go.
    pub crosses: Option<&'a Tap>,
    /// What is counted of it all.
    pub metrics: &'a SpreadMetrics,
}

/// Makes spreads of all quotes until the queue's senders are gone, then ends all episodes.
///
/// `reorder` is for how long quotes wait for earlier ones of other connections; `clock` tells the
/// time, to which the events that have just come may have something to say. The lock is taken once
/// for a batch of quotes.
pub fn run(
    ends: &Ends<'_>,
    state: &Mutex<Spreads>,
    reorder: Duration,
    mut clock: impl FnMut(&[Event]) -> Nanos,
) {
    let reorder = i64::try_from(reorder.as_nanos()).unwrap_or(i64::MAX);
    let mut thread = Thread::new(ends, state);
    let mut batch = Vec::with_capacity(DRAIN_MAX);
    let mut ticked = clock(&[]);
    while ends.events.drain(&mut batch, DRAIN_MAX) != Received::Closed {
        let now = clock(&batch);
        let drained = batch.len();
        ends.queue.look(drained + ends.events.len(), batch.iter().map(Event::ts_recv).min(), now);
        thread.sort_in(&mut batch);
        let settled = Nanos(now.0.saturating_sub(reorder));
        thread.take_in(settled);
        state.lock().advance(settled);
        if TICK < (now.0 - ticked.0).abs() {
            thread.tick(settled);
            ticked = now;
        }
        if drained < DRAIN_MAX {
            thread::park_timeout(PAUSE);
        }
    }
    ends.queue.look(0, None, clock(&[]));
    thread.take_in(Nanos(i64::MAX));
    thread.finish();
}

struct Thread<'a> {
    ends: &'a Ends<'a>,
    state: &'a Mutex<Spreads>,
    /// By instrument; `None` for one not met yet.
    exchanges: Vec<Option<Exchange>>,
    order: Order,
    ready: Vec<Quote>,
    out: Out,
    published: Counts,
    records: Vec<Record>,
    evicted: Vec<Cross>,
}

impl<'a> Thread<'a> {
    fn new(ends: &'a Ends<'a>, state: &'a Mutex<Spreads>) -> Self {
        Self {
            ends,
            state,
            exchanges: Vec::new(),
            order: Order::default(),
            ready: Vec::new(),
            out: Out::default(),
            published: Counts::default(),
            records: Vec::new(),
            evicted: Vec::new(),
        }
    }

    fn sort_in(&mut self, batch: &mut Vec<Event>) {
        for event in batch.drain(..) {
            if let Event::Quote(quote) = event {
                let exchange = self.exchange(quote.instrument);
                self.order.push(quote, exchange);
            }
        }
    }

    fn exchange(&mut self, id: InstrumentId) -> Exchange {
        let at = id.0 as usize;
        if let Some(Some(exchange)) = self.exchanges.get(at) {
            return *exchange;
        }
        let instrument =
            self.ends.registry.get(id).expect("registered before its connection subscribed");
        self.state.lock().list(id, &instrument, &mut self.out);
        if self.exchanges.len() <= at {
            self.exchanges.resize(at + 1, None);
        }
        *self.exchanges[at].insert(instrument.venue.exchange)
    }

    fn take_in(&mut self, until: Nanos) {
        self.order.release(until, &mut self.ready);
        self.out.wanted = self.ends.crosses.is_some_and(|it| it.open.load(Ordering::Relaxed));
        let ready = std::mem::take(&mut self.ready);
        for quotes in ready.chunks(LOCKED_MAX) {
            let mut state = self.state.lock();
            state.on_quotes(quotes, &mut self.out);
            drop(state);
            self.send();
        }
        self.ready = ready;
        self.ready.clear();
        trim(&mut self.ready);
    }

    fn tick(&mut self, now: Nanos) {
        let mut state = self.state.lock();
        state.tick(now, &mut self.out);
        let (counts, open) = (state.counts(), state.open_count());
        drop(state);
        self.publish(counts, open);
        self.send();
    }

    fn finish(&mut self) {
        let mut state = self.state.lock();
        state.finish(&mut self.out);
        let (counts, open) = (state.counts(), state.open_count());
        drop(state);
        self.publish(counts, open);
        let mut patience = FINISH_PATIENCE;
        for (n, episode) in self.out.episodes.drain(..).enumerate() {
            // All that were open at once may be more than the ledger has room for.
            while n % RECORDS_MAX == 0 && !self.ends.records.queue.is_empty() && 0 < patience {
                thread::park_timeout(Duration::from_millis(1));
                patience -= 1;
            }
            self.ends.records.send(Record::Episode(episode), &mut self.records);
        }
    }

    fn send(&mut self) {
        for episode in self.out.episodes.drain(..) {
            self.ends.records.send(Record::Episode(episode), &mut self.records);
        }
        if let Some(tap) = self.ends.crosses {
            tap.send(&mut self.out.crosses, &mut self.evicted);
        }
    }

    fn publish(&mut self, counts: Counts, open: usize) {
        let (metrics, before) = (self.ends.metrics, self.published);
        metrics.updates.inc_by(counts.updates - before.updates);
        metrics.late.inc_by(counts.late - before.late);
        metrics.episodes.inc_by(counts.episodes - before.episodes);
        metrics.open.set(i64::try_from(open).unwrap_or(i64::MAX));
        metrics.quarantined.set(i64::try_from(counts.quarantined).unwrap_or(i64::MAX));
        self.published = counts;
    }
}

impl Tap {
    /// Sends `crosses`, and counts what has to make room for them. `scratch` is only lent.
    fn send(&self, crosses: &mut Vec<Cross>, scratch: &mut Vec<Cross>) {
        if crosses.is_empty() {
            return;
        }
        if self.queue.send(0, crosses, scratch) == Err(Gone) {
            // Its consumer has failed and the program is about to stop.
            scratch.append(crosses);
        }
        self.metrics.dropped.inc_by(scratch.len() as u64);
        scratch.clear();
    }
}

impl<T> Outlet<T> {
    /// Sends `item`, and counts what has to make room for it. `scratch` is only lent.
    fn send(&self, item: T, scratch: &mut Vec<T>) {
        match self.queue.send(item, scratch) {
            Sent::Queued => {}
            Sent::Evicted(n) => {
                self.metrics.dropped.inc_by(n as u64);
                scratch.clear();
            }
            // Its consumer has failed and the program is about to stop.
            Sent::Closed(_) => {
                self.metrics.dropped.inc();
            }
        }
    }
}
