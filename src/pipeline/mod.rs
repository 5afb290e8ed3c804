//! Who starts, who stops whom, and in which order.
//!
//! Sinks start first, then the venues, which read their lists and start their connections. Stopping
//! runs the other way: connections end, and with them the only senders; so the queues end, and the
//! writers drain them. The ledger ends when all who have a record to write have, and then the sealer
//! closes all files. All threads are named, scoped and joined.

mod drops;
mod episode;
mod error;
mod live;
mod notify;
mod orders;
mod priority;
mod pulse;
mod reload;
mod replay;
mod spreads;
mod venue;
mod watch;
mod whole;

use std::{
    sync::atomic::AtomicU32,
    thread::{self, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use self::{
    drops::DropEpisodes,
    orders::Orders,
    priority::Priority,
    reload::Applied,
    venue::{Clients, Collector},
    watch::watch,
    whole::{Failure, Whole, joined},
};
pub use self::{
    error::PipelineError,
    reload::Reload,
    replay::{Pace, Replayed, replay},
};
use crate::{
    capture::{self, Recorder},
    channel::{Received, fair, newest},
    config::Plan,
    feed::{
        self,
        drops::Drops,
        sinks::{Lane, Sinks},
    },
    ledger::Ledger,
    live::{Door, LiveError},
    market::{Event, Nanos, Record, Venue},
    metrics::{Metrics, QueueMetrics},
    registry::Registry,
    stop::Stop,
    store::{self, Dataset, RecordWriter, Sealer, Writer},
};

/// Records that wait to be written, of 200 bytes at most each: far more than an hour makes.
const RECORDS_MAX: usize = 10_000;

/// How long after a failure to recover what a crash has left it is tried again.
const RECOVER_EVERY: Duration = Duration::from_mins(1);

/// How long the last rows of the loss ledger wait for room.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// What a run has done.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How long it took.
    pub elapsed: Duration,
    /// What was connected to, by venue.
    pub venues: Vec<Connected>,
    /// Events that were dropped because a queue was full.
    pub dropped: u64,
    /// What was written.
    pub written: store::Totals,
}

/// What was connected to at one venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The venue.
    pub venue: Venue,
    /// How many of its instruments.
    pub instruments: usize,
    /// Over how many connections.
    pub connections: usize,
}

/// Collects until `stop` is requested, then drains and closes everything.
///
/// # Errors
/// When it cannot start, or a part that cannot be replaced fails; all others have been stopped in
/// order by then.
pub fn run(plan: &Plan, metrics: &Metrics, stop: &Stop) -> Result<Summary, PipelineError> {
    run_at(door(plan)?, plan, metrics, stop, &Reload::default())
}

/// Where the plan wants clients to come; `None` when it wants none.
///
/// # Errors
/// When the port cannot be had.
pub fn door(plan: &Plan) -> Result<Option<Door>, LiveError> {
    plan.live.as_ref().map(|it| Door::open(it.listen)).transpose()
}

/// [`run`] with a door that is open already, and with `reload`, where another configuration may be left.
///
/// # Errors
/// As for [`run`].
pub fn run_at(
    door: Option<Door>,
    plan: &Plan,
    metrics: &Metrics,
    stop: &Stop,
    reload: &Reload,
) -> Result<Summary, PipelineError> {
    let write =
        |events: &_, writer: Writer<'_>, queue: &_| store::run(events, writer, queue, feed::now);
    run_all(door, plan, (metrics, stop, reload), &Source::Venues, write)
}

/// [`run`] with another body for the writer threads, for tests of what happens when one fails.
///
/// # Errors
/// As for [`run`].
pub fn run_with(
    plan: &Plan,
    metrics: &Metrics,
    stop: &Stop,
    write: impl Fn(&fair::Receiver<Event>, Writer<'_>, &QueueMetrics) -> store::Totals + Sync,
) -> Result<Summary, PipelineError> {
    run_all(door(plan)?, plan, (metrics, stop, &Reload::default()), &Source::Venues, write)
}

/// Where frames come from.
enum Source<'a> {
    /// From exchanges.
    Venues,
    /// From files.
    Capture(replay::Player<'a>),
}

fn run_all(
    door: Option<Door>,
    plan: &Plan,
    (metrics, stop, reload): (&Metrics, &Stop, &Reload),
    source: &Source<'_>,
    write: impl Fn(&fair::Receiver<Event>, Writer<'_>, &QueueMetrics) -> store::Totals + Sync,
) -> Result<Summary, PipelineError> {
    let started = Instant::now();
    let dataset = Dataset::open(&plan.storage.dir)?;
    if let Err(error) = dataset.collects_from(plan.venues.iter().map(|it| it.protocol.venue)) {
        // A disk that is full now need not be so later.
        log::warn!("{error}");
    }
    let clients = plan.venues.iter().map(Clients::new).collect::<Result<Vec<_>, _>>()?;
    let new = |it| Recorder::new(it, &metrics.capture, feed::now());
    let capture = plan.capture.as_ref().map(new).transpose()?;
    let registry = Registry::default();
    let conn_ids = AtomicU32::new(0);
    let failure = Failure { first: Mutex::default(), stop };
    let whole = Whole { metrics, stop, since: feed::now(), registry, conn_ids, failure };
    metrics.process.start_time.set(seconds(whole.since));
    let drops = Drops::new(&whole.registry);
    let (lanes, queues) = lanes(plan, metrics);
    let all_written = Stop::default();
    let counters: Vec<_> = lanes.iter().map(|it| it.metrics.clone()).collect();
    let engine = spreads::engine(plan);
    let orders: Vec<_> = plan.venues.iter().map(Orders::new).collect();

    let (venues, written) = thread::scope(|scope| {
        // Whoever has records to write is handed a clone.
        let (records, to_record) = newest::<Record>(RECORDS_MAX);
        let all_written = &all_written;
        let sealer = Sealer::new(&dataset, &plan.storage, metrics);
        let body = move || store::run_sealer(sealer, all_written, feed::now);
        let sealer = whole.spawn(scope, "sealer".to_owned(), Priority::Sealer.of(body));
        let body = || recover(&dataset, &plan.storage, metrics, stop);
        let recovery = whole.spawn(scope, "recovery".to_owned(), body);
        let writer = RecordWriter::new(&dataset, &plan.storage, &whole.registry, metrics);
        let queue = metrics.queue("ledger").holding(RECORDS_MAX);
        let body = move || store::run_records(&to_record, writer, &queue, feed::now);
        let recorder = whole.spawn(scope, "ledger".to_owned(), body);
        let ledger = Ledger::new(records.clone(), metrics);
        let mut writers = Vec::new();
        for (n, events) in queues.iter().enumerate() {
            let ledger = ledger.clone();
            let writer = Writer::new(&dataset, n, &plan.storage, &whole.registry, metrics)
                .declaring(move |gap| ledger.declare(gap));
            let (whole, write, queue) = (&whole, &write, &counters[n]);
            let body = Priority::Consumer.of(move || write(events, writer, queue));
            writers.extend(whole.spawn(scope, format!("writer-{n}"), body));
        }
        let (mut taps, crosses) = live::start(scope, &whole, plan, door, engine.as_ref());
        let compare = |it| {
            let ends = (records.clone(), crosses);
            spreads::start(scope, &whole, plan, it, ends, matches!(source, Source::Capture(_)))
        };
        taps.extend(engine.as_ref().map(compare));
        let sinks = Sinks::new(lanes, taps, &drops);
        let (inlet, capture) = record(scope, &whole, plan, capture);
        let player = match source {
            Source::Venues => None,
            Source::Capture(player) => {
                let (whole, sinks, ledger) = (&whole, sinks.clone(), ledger.clone());
                let body = move || player.play(whole, sinks, ledger);
                whole.spawn(scope, "replay".to_owned(), body)
            }
        };
        let mut venues = Vec::new();
        for ((venue, clients), orders) in plan.venues.iter().zip(&clients).zip(&orders) {
            let (whole, sinks, ledger) = (&whole, sinks.clone(), ledger.clone());
            let shared = (sinks, inlet.clone());
            let collector = Collector::new(whole, venue, clients, orders, shared, ledger);
            let body = move || collector.run(scope);
            venues.extend(whole.spawn(scope, format!("venue-{}", venue.protocol.venue), body));
        }
        // From here on the connections own the only senders.
        drop((sinks, records, inlet));
        let mut episodes = DropEpisodes::new(&drops, &ledger);
        let applied =
            Applied { plan: plan.clone(), orders: &orders, engine: engine.as_ref(), from: reload };
        watch(&whole, applied, &mut episodes, &ledger);
        for it in &clients {
            it.http.shutdown();
        }
        let venues: Vec<_> = venues.into_iter().filter_map(joined).collect();
        player.and_then(joined);
        capture.and_then(joined);
        // In this order: writers declare what they lose, and all leave journals to the sealer.
        let writers: Vec<_> = writers.into_iter().filter_map(joined).collect();
        for (events, counter) in queues.iter().zip(&counters) {
            give_up(events, counter, &drops);
        }
        episodes.finish();
        flush(ledger);
        let recorded = recorder.and_then(joined);
        recovery.and_then(joined);
        all_written.request();
        let sealed = sealer.and_then(joined);
        (venues, writers.into_iter().chain(recorded).chain(sealed).sum())
    });

    match whole.failure.first.into_inner() {
        Some(err) => Err(err),
        None => Ok(Summary {
            elapsed: started.elapsed(),
            venues,
            dropped: counters.iter().map(|it| it.dropped.get()).sum(),
            written,
        }),
    }
}

/// A queue for each writer.
fn lanes(plan: &Plan, metrics: &Metrics) -> (Vec<Lane>, Vec<fair::Receiver<Event>>) {
    let lane = |n| {
        let (queue, events) = fair::queue(Venue::COUNT, plan.queue_capacity);
        let metrics = metrics.queue(&format!("writer-{n}")).holding(plan.queue_capacity);
        (Lane { queue, metrics }, events)
    };
    (0..plan.writers).map(lane).unzip()
}

/// Starts what keeps raw frames, if they are to be kept; it ends after the last clone of the inlet.
fn record<'s>(
    scope: &'s Scope<'s, '_>,
    whole: &'s Whole<'s>,
    plan: &Plan,
    recorder: Option<Recorder>,
) -> (Option<capture::Inlet>, Option<ScopedJoinHandle<'s, Option<()>>>) {
    let Some((recorder, settings)) = recorder.zip(plan.capture.as_ref()) else {
        return (None, None);
    };
    let (inlet, outlet) = capture::inlet(settings, &whole.metrics.queue("capture"));
    let body = move || capture::run(&outlet, recorder, feed::now);
    (Some(inlet), whole.spawn(scope, "capture".to_owned(), body))
}

/// Recovers what runs that have died left, until that has been done.
fn recover(dataset: &Dataset, settings: &store::Settings, metrics: &Metrics, stop: &Stop) {
    let now = feed::now();
    loop {
        let done = dataset.recover(settings, metrics, now, stop);
        // They are in the ledger already.
        for gap in &done.crashes {
            metrics.gaps().of(gap.venue, gap.reason).inc();
        }
        if done.failed == 0 || stop.wait(RECOVER_EVERY) {
            break;
        }
    }
}

/// Counts what a writer that has failed has left in its queue. The senders are gone.
fn give_up(events: &fair::Receiver<Event>, counter: &QueueMetrics, drops: &Drops<'_>) {
    const BATCH: usize = 8_192;
    let mut left = Vec::new();
    while events.drain(&mut left, BATCH) == Received::Items {
        counter.dropped.inc_by(left.len() as u64);
        left.drain(..).for_each(|it| drops.add(&it));
    }
}

/// Ends the ledger, as soon as all that has been declared is on its way to the disk.
#[expect(clippy::needless_pass_by_value, reason = "it is the last that can declare anything")]
fn flush(ledger: Ledger) {
    let until = Instant::now() + FLUSH_MAX;
    while !ledger.retry() && Instant::now() < until {
        thread::park_timeout(Duration::from_millis(1));
    }
}

#[expect(clippy::cast_precision_loss, reason = "to the microsecond is enough")]
fn seconds(time: Nanos) -> f64 {
    time.0 as f64 / 1e9
}
