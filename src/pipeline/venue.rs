//! One venue: its lists, and the connections that they make necessary.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{Scope, ScopedJoinHandle},
};

use native_tls::TlsConnector;

use super::{
    Connected, PipelineError,
    orders::{Order, Orders},
    whole::{Whole, joined, message},
};
use crate::{
    capture,
    config::VenuePlan,
    feed::{
        self, Assignment, Backoff, Feed, Gate, Losses, Shared, Target,
        discovery::{Found, discover_until_stopped},
        http::Client,
        roster::{Known, Roster},
        sinks::Sinks,
    },
    ledger::Ledger,
    market::{Gap, GapReason, Instrument, Nanos},
    metrics::{ReconnectReason, VenueMetrics, health::Wanted},
    stop::Stop,
};

/// What talks to one venue.
pub(super) struct Clients {
    pub(super) http: Client,
    tls: TlsConnector,
}

impl Clients {
    pub(super) fn new(venue: &VenuePlan) -> Result<Self, PipelineError> {
        let mut tls = TlsConnector::builder();
        if let Some(root) = &venue.root {
            tls.add_root_certificate(native_tls::Certificate::from_pem(&root.pem)?);
        }
        Ok(Self { http: venue.http()?, tls: tls.build()? })
    }
}

/// One venue, while it is collected from.
pub(super) struct Collector<'s> {
    whole: &'s Whole<'s>,
    venue: &'s VenuePlan,
    clients: &'s Clients,
    orders: &'s Orders,
    ledger: Ledger,
    shared: Arc<Shared<'s>>,
}

/// A connection's thread, and what it is told to carry.
struct Running<'s> {
    thread: Option<ScopedJoinHandle<'s, Option<()>>>,
    assignment: Arc<Assignment>,
}

impl<'s> Collector<'s> {
    pub(super) fn new(
        whole: &'s Whole<'s>,
        venue: &'s VenuePlan,
        clients: &'s Clients,
        orders: &'s Orders,
        (sinks, capture): (Sinks<'s>, Option<capture::Inlet>),
        ledger: Ledger,
    ) -> Self {
        let shared = Arc::new(Shared {
            stop: whole.stop,
            sinks,
            ledger: ledger.clone(),
            metrics: whole.metrics.venue(venue.protocol.venue),
            tls: clients.tls.clone(),
            http: clients.http.clone(),
            gate: Gate::new(venue.protocol.limits.connect_every),
            conn_ids: &whole.conn_ids,
            capture,
        });
        Self { whole, venue, clients, orders, ledger, shared }
    }

    /// Reads the lists, starts the connections, and keeps them up with the lists until the program
    /// stops and the last connection has ended.
    pub(super) fn run(self, scope: &'s Scope<'s, '_>) -> Connected {
        let venue = self.venue.protocol.venue;
        let mut late = false;
        let mut order = self.orders.current();
        let Some(found) = self.discover(&order, &mut late) else {
            self.declare_never_read();
            return Connected { venue, instruments: 0, connections: 0 };
        };
        let listed = found.listed.len();
        let protocol = self.venue.protocol;
        let instruments = self.intern(found.instruments);
        let (channels, threads) = (&self.venue.channels, self.venue.threads);
        let mut roster = Roster::new(protocol, channels, &instruments, threads);
        log::info!(
            "{venue}: {} of {listed} listed instruments on {} connections",
            instruments.len(),
            roster.slots().len()
        );
        let mut running = Vec::new();
        self.expect(&roster);
        self.start(scope, &roster, &mut running, (self.whole.since, late));
        let mut obeyed = order.version;
        while self.orders.wait(order.version, self.whole.stop) {
            order = self.orders.current();
            for it in &running {
                it.assignment.set_patience(order.patience);
            }
            let Some(found) = self.discover(&order, &mut late) else { break };
            let narrow = order.version != obeyed;
            if self.follow(found, &order, narrow, &mut roster, &running) {
                obeyed = order.version;
            }
            self.expect(&roster);
            self.start(scope, &roster, &mut running, (feed::now(), false));
        }
        let connected = Connected {
            venue,
            instruments: roster.symbols().len(),
            connections: roster.slots().len(),
        };
        // This thread's hold on the queues would keep the writers waiting.
        drop(self);
        for thread in running.into_iter().filter_map(|it| it.thread) {
            joined(thread);
        }
        connected
    }

    /// Nothing could be collected, since nobody knows what there is.
    fn declare_never_read(&self) {
        self.ledger.declare(Gap {
            from: self.whole.since,
            to: feed::now(),
            venue: self.venue.protocol.venue,
            instrument: None,
            channel: None,
            reason: GapReason::Disconnect,
            dropped: None,
            conn: None,
        });
    }

    /// Says how much there is to be collected, for those who look whether it is.
    fn expect(&self, roster: &Roster) {
        let (instruments, connections) = (roster.symbols().len(), roster.slots().len());
        self.shared.metrics.health.wants(Wanted { instruments, connections });
    }

    fn discover(&self, order: &Order, failed: &mut bool) -> Option<Found> {
        let VenuePlan { protocol, rest_base, .. } = self.venue;
        let filter = &order.filter;
        let name = format!("venue-{}", protocol.venue);
        let stop = self.whole.stop;
        let found = surviving_panics(&name, stop, &self.shared.metrics, || {
            let failed = |it| {
                *failed = true;
                self.shared.metrics.health.failed(it);
            };
            discover_until_stopped(&self.clients.http, protocol, rest_base, filter, stop, failed)
        })
        .flatten()?;
        if !found.missing.is_empty() {
            let missing = found.missing.join(", ");
            log::warn!("{}: not listed, and so not collected: {missing}", protocol.venue);
        }
        Some(found)
    }

    /// Brings the connections up to date with the lists: what is not listed any more goes, what is
    /// new and wanted comes. An instrument that is still listed stays, whatever its volume is now,
    /// unless `narrow`, after another order: then what that does not want goes as well. Says whether
    /// the lists could be believed.
    fn follow(
        &self,
        found: Found,
        order: &Order,
        narrow: bool,
        roster: &mut Roster,
        running: &[Running<'_>],
    ) -> bool {
        let VenuePlan { protocol, channels, .. } = self.venue;
        let venue = protocol.venue;
        let carried = roster.symbols();
        let gone: HashSet<_> = carried.iter().map(String::as_str).collect();
        let gone: HashSet<_> = gone.into_iter().filter(|it| !found.listed.contains(*it)).collect();
        // A list that lost half of what is traded is taken for a fault of the list.
        if carried.len() < 2 * gone.len() {
            let (missing, all) = (gone.len(), carried.len());
            log::warn!(
                "{venue}: {missing} of {all} instruments are missing from the new list: ignored"
            );
            return false;
        }
        let mut gone = gone;
        if narrow {
            let wanted: HashSet<_> =
                found.instruments.iter().map(|it| it.symbol_native.as_str()).collect();
            gone.extend(carried.iter().map(String::as_str).filter(|it| !wanted.contains(it)));
        }
        let room = order.filter.max_symbols.saturating_sub(carried.len() - gone.len());
        let is_new = |it: &Instrument| !carried.contains(&it.symbol_native);
        let new: Vec<_> = found.instruments.into_iter().filter(is_new).take(room).collect();
        if gone.is_empty() && new.is_empty() {
            return true;
        }
        let names = |it: Vec<&str>| if it.is_empty() { "none".to_owned() } else { it.join(", ") };
        log::info!(
            "{venue}: collected from now on: {}; no longer: {}",
            names(new.iter().map(|it| it.symbol_native.as_str()).collect()),
            names(gone.iter().copied().collect())
        );
        let mut changed = roster.remove(&gone);
        changed.extend(roster.add(protocol, channels, &self.intern(new)));
        for slot in changed.into_iter().filter(|&it| it < running.len()) {
            running[slot].assignment.set(roster.slots()[slot].instruments.clone());
        }
        true
    }

    /// Starts a thread for each connection that has none yet. Data is expected since `since`, and has
    /// been missing from then on if that is `late`.
    fn start(
        &self,
        scope: &'s Scope<'s, '_>,
        roster: &Roster,
        running: &mut Vec<Running<'s>>,
        (since, late): (Nanos, bool),
    ) {
        let patience = self.orders.current().patience;
        for (n, slot) in roster.slots().iter().enumerate().skip(running.len()) {
            let VenuePlan { protocol, rest_base, ws_base, lifetime, .. } = self.venue;
            let assignment = Arc::new(Assignment::new(slot.instruments.clone(), patience));
            let feed = Feed {
                name: format!("feed-{}-{n}", protocol.venue),
                protocol,
                target: Target::new(slot.address, rest_base, ws_base.as_deref()),
                channels: slot.channels.clone(),
                assignment: Arc::clone(&assignment),
                lifetime: *lifetime,
            };
            let shared = Arc::clone(&self.shared);
            let mut losses = Losses::new(protocol, self.ledger.clone(), since, late);
            let thread = self.whole.spawn(scope, feed.name.clone(), move || {
                let run = || feed::run(&feed, &shared, &mut losses);
                let ended = surviving_panics(&feed.name, shared.stop, &shared.metrics, run);
                if ended.is_none() {
                    losses.down();
                }
                losses.finish(&feed.assignment.instruments(), feed::now());
            });
            running.push(Running { thread, assignment });
        }
    }

    fn intern(&self, instruments: Vec<Instrument>) -> Vec<Known> {
        let registry = &self.whole.registry;
        let mut interned = Vec::with_capacity(instruments.len());
        for instrument in instruments {
            match registry.intern(instrument) {
                Ok(id) => interned.extend(registry.get(id).map(|it| (id, it))),
                Err(err) => {
                    log::error!("{err}: the rest is not collected");
                    break;
                }
            }
        }
        interned
    }
}

/// Runs `body`, and again after each panic, ever later; `None` when the program stops after one.
fn surviving_panics<T>(
    name: &str,
    stop: &Stop,
    metrics: &VenueMetrics,
    mut body: impl FnMut() -> T,
) -> Option<T> {
    let mut backoff = Backoff::default();
    loop {
        match catch_unwind(AssertUnwindSafe(&mut body)) {
            Ok(done) => return Some(done),
            Err(panic) => {
                metrics.reconnected(ReconnectReason::Panic);
                let (said, wait) = (message(&*panic), backoff.after_failure());
                let seconds = wait.as_secs_f64();
                log::error!("{name} panicked: {said}; starting it again in {seconds:.1} s");
                if stop.wait(wait) {
                    return None;
                }
            }
        }
    }
}
