//! Who starts, who stops whom, and in which order.
//!
//! Sinks start first, then the venues, which read their lists and start their connections. Stopping
//! runs the other way: connections end, and with them the only senders; so the queues end, and the
//! writers drain them. The ledger ends when all who have a record to write have, and then the sealer
//! closes all files. All threads are named, scoped and joined.

mod episode;
mod venue;

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::AtomicU32,
    thread::{self, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use self::{
    episode::Episode,
    venue::{Clients, Collector},
};
use crate::{
    channel::{Receiver, Sender, Sent, newest},
    config::Plan,
    feed::{
        self,
        http::CertificateError,
        sinks::{Lane, Sinks},
    },
    market::{Event, Record, Venue},
    metrics::{Metrics, QueueMetrics},
    registry::Registry,
    stop::Stop,
    store::{self, Dataset, RecordWriter, Sealer, StoreError, Writer},
};

/// Records that wait to be written, of 200 bytes at most each: far more than an hour makes.
const RECORDS_MAX: usize = 10_000;

/// How long after a failure to recover what a crash has left it is tried again.
const RECOVER_EVERY: Duration = Duration::from_mins(1);

/// How often the state of the whole is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the pipeline could not run, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The dataset cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// TLS cannot be set up.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] native_tls::Error),
    /// A root certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The system has no more threads.
    #[error("failed to start thread {name}: {cause}")]
    Thread {
        /// Its name.
        name: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A thread that cannot be replaced panicked.
    #[error("thread {name} panicked: {message}")]
    Panicked {
        /// Its name.
        name: String,
        /// What it said.
        message: String,
    },
}

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
    run_with(plan, metrics, stop, |events, writer, queue| {
        store::run(events, writer, queue, feed::now)
    })
}

/// [`run`] with another body for the writer threads, for tests of what happens when one fails.
///
/// # Errors
/// As for [`run`].
pub fn run_with(
    plan: &Plan,
    metrics: &Metrics,
    stop: &Stop,
    write: impl Fn(&Receiver<Event>, Writer<'_>, &QueueMetrics) -> store::Totals + Sync,
) -> Result<Summary, PipelineError> {
    let started = Instant::now();
    let dataset = Dataset::open(&plan.storage.dir)?;
    if let Err(error) = dataset.collects_from(plan.venues.iter().map(|it| it.protocol.venue)) {
        // A disk that is full now need not be so later.
        log::warn!("{error}");
    }
    let clients = plan.venues.iter().map(Clients::new).collect::<Result<Vec<_>, _>>()?;
    let registry = Registry::default();
    let conn_ids = AtomicU32::new(0);
    let failure = Failure { first: Mutex::default(), stop };
    let whole = Whole { metrics, stop, registry, conn_ids, failure };
    let (lanes, queues): (Vec<_>, Vec<_>) = (0..plan.writers)
        .map(|n| {
            let (queue, events) = newest(plan.queue_capacity);
            (Lane { queue, metrics: metrics.queue(&format!("writer-{n}")) }, events)
        })
        .unzip();
    let all_written = Stop::default();
    let counters: Vec<_> = lanes.iter().map(|it| it.metrics.clone()).collect();

    let (venues, written) = thread::scope(|scope| {
        // Whoever has records to write is handed a clone.
        let (records, to_record) = newest::<Record>(RECORDS_MAX);
        let all_written = &all_written;
        let sealer = Sealer::new(&dataset, &plan.storage, metrics);
        let body = move || store::run_sealer(sealer, all_written, feed::now);
        let sealer = whole.spawn(scope, "sealer".to_owned(), body);
        let body = || recover(&dataset, &plan.storage, metrics, stop);
        let recovery = whole.spawn(scope, "recovery".to_owned(), body);
        let writer = RecordWriter::new(&dataset, &plan.storage, &whole.registry, metrics);
        let queue = metrics.queue("ledger");
        let body = move || store::run_records(&to_record, writer, &queue, feed::now);
        let ledger = whole.spawn(scope, "ledger".to_owned(), body);
        let mut writers = Vec::new();
        for (n, events) in queues.into_iter().enumerate() {
            let (records, queue) = (records.clone(), metrics.queue("ledger"));
            let writer = Writer::new(&dataset, n, &plan.storage, &whole.registry, metrics)
                .declaring(move |gap| declare(Record::Gap(gap), &records, &queue));
            let (whole, write, queue) = (&whole, &write, &counters[n]);
            let body = move || write(&events, writer, queue);
            writers.extend(whole.spawn(scope, format!("writer-{n}"), body));
        }
        let sinks = Sinks::new(lanes, Vec::new());
        let mut venues = Vec::new();
        for (venue, clients) in plan.venues.iter().zip(&clients) {
            let (whole, sinks) = (&whole, sinks.clone());
            let body = move || Collector::new(whole, venue, clients, sinks).run(scope);
            venues.extend(whole.spawn(scope, format!("venue-{}", venue.protocol.venue), body));
        }
        // From here on the connections own the only senders.
        drop((sinks, records));
        whole.watch(&counters);
        for it in &clients {
            it.http.shutdown();
        }
        let venues: Vec<_> = venues.into_iter().filter_map(joined).collect();
        // In this order: writers declare what they lose, and all leave journals to the sealer.
        let writers: Vec<_> = writers.into_iter().filter_map(joined).collect();
        let ledger = ledger.and_then(joined);
        recovery.and_then(joined);
        all_written.request();
        let sealer = sealer.and_then(joined);
        (venues, writers.into_iter().chain(ledger).chain(sealer).sum())
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

/// Recovers what runs that have died left, until that has been done.
fn recover(dataset: &Dataset, settings: &store::Settings, metrics: &Metrics, stop: &Stop) {
    let now = feed::now();
    while 0 < dataset.recover(settings, metrics, now, stop).failed {
        if stop.wait(RECOVER_EVERY) {
            break;
        }
    }
}

/// Sends a record to the ledger, and counts what has to make room for it.
fn declare(record: Record, records: &Sender<Record>, queue: &QueueMetrics) {
    match records.send(record, &mut Vec::new()) {
        Sent::Queued => {}
        Sent::Evicted(n) => {
            queue.dropped.inc_by(n as u64);
        }
        // The ledger has failed and the program is about to stop.
        Sent::Closed(_) => {
            queue.dropped.inc();
        }
    }
}

/// The first failure that ends the run.
struct Failure<'a> {
    first: Mutex<Option<PipelineError>>,
    stop: &'a Stop,
}

impl Failure<'_> {
    fn report(&self, err: PipelineError) {
        log::error!("{err}; stopping");
        self.first.lock().get_or_insert(err);
        self.stop.request();
    }
}

/// What all threads of a run share.
struct Whole<'a> {
    metrics: &'a Metrics,
    stop: &'a Stop,
    registry: Registry,
    conn_ids: AtomicU32,
    failure: Failure<'a>,
}

impl Whole<'_> {
    /// Starts a thread whose panic stops the run in order.
    fn spawn<'s, T: Send + 's>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        name: String,
        body: impl FnOnce() -> T + Send + 's,
    ) -> Option<ScopedJoinHandle<'s, Option<T>>> {
        let thread = name.clone();
        let guarded = move || match catch_unwind(AssertUnwindSafe(body)) {
            Ok(done) => Some(done),
            Err(panic) => {
                let message = message(&*panic);
                self.failure.report(PipelineError::Panicked { name: thread, message });
                None
            }
        };
        match thread::Builder::new().name(name.clone()).spawn_scoped(scope, guarded) {
            Ok(handle) => Some(handle),
            Err(cause) => {
                self.failure.report(PipelineError::Thread { name, cause });
                None
            }
        }
    }

    /// Looks at the state of the whole until it is to stop.
    fn watch(&self, queues: &[QueueMetrics]) {
        let mut episodes: Vec<_> = queues.iter().map(|_| Episode::default()).collect();
        while !self.stop.wait(LOOK_EVERY) {
            self.look(queues, &mut episodes);
        }
        self.look(queues, &mut episodes);
    }

    fn look(&self, queues: &[QueueMetrics], episodes: &mut [Episode]) {
        let known = self.registry.len();
        self.metrics.instruments.set(i64::try_from(known).unwrap_or(i64::MAX));
        for (n, (queue, episode)) in queues.iter().zip(episodes).enumerate() {
            if let Some(line) = episode.look(queue.dropped.get()) {
                log::warn!("queue writer-{n}: {line}");
            }
        }
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, Option<T>>) -> Option<T> {
    thread.join().expect("its body is guarded against panics")
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
