//! Who starts, who stops whom, and in which order.
//!
//! Sinks start first, then the venues, which read their lists and start their connections. Stopping
//! runs the other way: connections end, and with them the only senders; so the queues end, and the
//! writers drain them and close their files. All threads are named, scoped and joined.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicU32},
    thread::{self, Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use native_tls::TlsConnector;
use parking_lot::Mutex;

use crate::{
    channel::{Receiver, newest},
    config::{Plan, VenuePlan},
    feed::{
        self, Backoff, Feed, Gate, Shared, Target,
        discovery::discover_until_stopped,
        http::{CertificateError, Client},
        plan::{Share, connections, plan as plan_connections},
        sinks::{Lane, Sinks},
    },
    market::{Event, Instrument, InstrumentId, Venue},
    metrics::{Metrics, QueueMetrics, ReconnectReason, VenueMetrics},
    registry::Registry,
    stop::Stop,
    store::{self, Dataset, StoreError, Writer},
};

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
    let counters: Vec<_> = lanes.iter().map(|it| it.metrics.clone()).collect();

    let (venues, written) = thread::scope(|scope| {
        let mut writers = Vec::new();
        for (n, events) in queues.into_iter().enumerate() {
            let writer = Writer::new(&dataset, n, &plan.storage, &whole.registry, metrics);
            let (whole, write, queue) = (&whole, &write, &counters[n]);
            let body = move || write(&events, writer, queue);
            writers.extend(whole.spawn(scope, format!("writer-{n}"), body));
        }
        let sinks = Sinks::new(lanes);
        let mut venues = Vec::new();
        for (venue, clients) in plan.venues.iter().zip(&clients) {
            let (whole, sinks) = (&whole, sinks.clone());
            let body = move || whole.collect(scope, venue, clients, sinks);
            venues.extend(whole.spawn(scope, format!("venue-{}", venue.protocol.venue), body));
        }
        // From here on the connections own the only senders.
        drop(sinks);
        whole.watch(&counters);
        for it in &clients {
            it.http.shutdown();
        }
        let venues: Vec<_> = venues.into_iter().filter_map(joined).collect();
        let written = writers.into_iter().filter_map(joined).sum();
        (venues, written)
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

/// What talks to one venue.
struct Clients {
    http: Client,
    tls: TlsConnector,
}

impl Clients {
    fn new(venue: &VenuePlan) -> Result<Self, PipelineError> {
        let mut tls = TlsConnector::builder();
        if let Some(root) = &venue.root {
            tls.add_root_certificate(native_tls::Certificate::from_pem(&root.pem)?);
        }
        let root = venue.root.as_ref().map(|it| (it.path.as_path(), it.pem.as_slice()));
        Ok(Self { http: Client::new(&venue.protocol.quirks, root)?, tls: tls.build()? })
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

    /// One venue: reads its lists, then starts its connections and waits for their end.
    fn collect<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        venue: &'s VenuePlan,
        clients: &'s Clients,
        sinks: Sinks,
    ) -> Connected {
        let protocol = venue.protocol;
        let mut connected = Connected { venue: protocol.venue, instruments: 0, connections: 0 };
        let metrics = self.metrics.venue(protocol.venue);
        let name = format!("venue-{}", protocol.venue);
        let found = surviving_panics(&name, self.stop, &metrics, || {
            let (base, filter) = (&venue.rest_base, &venue.filter);
            discover_until_stopped(&clients.http, protocol, base, filter, self.stop)
        });
        let Some(found) = found.flatten() else { return connected };
        if !found.missing.is_empty() {
            let missing = found.missing.join(", ");
            log::warn!("{}: not listed, and so not collected: {missing}", protocol.venue);
        }
        let instruments = self.intern(found.instruments);
        let shares = plan_connections(protocol, &venue.channels, instruments.len(), venue.threads);
        connected.instruments = instruments.len();
        connected.connections = connections(&shares);
        log::info!(
            "{}: {} of {} listed instruments on {} connections",
            protocol.venue,
            connected.instruments,
            found.listed,
            connected.connections
        );
        let shared = Arc::new(Shared {
            stop: self.stop,
            sinks,
            metrics,
            tls: clients.tls.clone(),
            http: clients.http.clone(),
            gate: Gate::new(protocol.limits.connect_every),
            conn_ids: &self.conn_ids,
        });
        let feeds = feeds(venue, &shares, &instruments);
        let threads: Vec<_> = feeds
            .into_iter()
            .filter_map(|feed| {
                let (name, shared) = (feed.name.clone(), Arc::clone(&shared));
                self.spawn(scope, name, move || {
                    let run = || feed::run(&feed, &shared);
                    surviving_panics(&feed.name, shared.stop, &shared.metrics, run)
                })
            })
            .collect();
        drop(shared);
        for thread in threads {
            joined(thread);
        }
        connected
    }

    fn intern(&self, instruments: Vec<Instrument>) -> Vec<(InstrumentId, Arc<Instrument>)> {
        let mut interned = Vec::with_capacity(instruments.len());
        for instrument in instruments {
            match self.registry.intern(instrument) {
                Ok(id) => interned.extend(self.registry.get(id).map(|it| (id, it))),
                Err(err) => {
                    log::error!("{err}: the rest is not collected");
                    break;
                }
            }
        }
        interned
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

/// A time in which a queue drops: one line when it begins and one when it is over, however many
/// events are lost.
#[derive(Debug, Default)]
struct Episode {
    before: u64,
    seen: u64,
}

impl Episode {
    fn look(&mut self, dropped: u64) -> Option<String> {
        let (dropping, was_dropping) = (self.seen < dropped, self.before < self.seen);
        self.seen = dropped;
        match (was_dropping, dropping) {
            (false, true) => Some("full, dropping the oldest events".to_owned()),
            (true, false) => {
                let lost = dropped - self.before;
                self.before = dropped;
                Some(format!("keeps up again, {lost} events were dropped"))
            }
            _ => None,
        }
    }
}

/// Runs `body` again after each panic, ever later; `None` when the program stops first.
fn surviving_panics<T>(
    name: &str,
    stop: &Stop,
    metrics: &VenueMetrics,
    body: impl Fn() -> T,
) -> Option<T> {
    let mut backoff = Backoff::default();
    while !stop.requested() {
        match catch_unwind(AssertUnwindSafe(&body)) {
            Ok(done) => return Some(done),
            Err(panic) => {
                metrics.reconnected(ReconnectReason::Panic);
                let (said, wait) = (message(&*panic), backoff.after_failure());
                let seconds = wait.as_secs_f64();
                log::error!("{name} panicked: {said}; starting it again in {seconds:.1} s");
                let _ = stop.wait(wait);
            }
        }
    }
    None
}

fn feeds(
    venue: &VenuePlan,
    shares: &[Share],
    instruments: &[(InstrumentId, Arc<Instrument>)],
) -> Vec<Feed> {
    let all = shares.iter().flat_map(|share| share.connections.iter().map(move |it| (share, it)));
    all.enumerate()
        .map(|(n, (share, places))| Feed {
            name: format!("feed-{}-{n}", venue.protocol.venue),
            protocol: venue.protocol,
            target: Target::new(share.address, &venue.rest_base, venue.ws_base.as_deref()),
            channels: share.channels.clone(),
            instruments: places.iter().map(|&it| instruments[it].clone()).collect(),
            patience: venue.patience,
        })
        .collect()
}

fn joined<T>(thread: ScopedJoinHandle<'_, Option<T>>) -> Option<T> {
    thread.join().expect("its body is guarded against panics")
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_of_drops_is_two_lines() {
        let mut episode = Episode::default();
        let lines: Vec<_> =
            [0, 5, 9, 9, 9, 12, 12].into_iter().filter_map(|it| episode.look(it)).collect();
        assert_eq!(
            lines,
            [
                "full, dropping the oldest events",
                "keeps up again, 9 events were dropped",
                "full, dropping the oldest events",
                "keeps up again, 3 events were dropped",
            ]
        );
    }
}
