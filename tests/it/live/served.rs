//! A live side of its own, told what a test wants to tell.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use spread_aggregator::{
    channel::fair,
    config,
    live::{self, Door, Facts, Settings, Source},
    market::{Cross, Event, Exchange, Market, Venue},
    metrics::Metrics,
    registry::Registry,
    spreads::{Out, Spreads},
    stop::Stop,
};

use super::super::support::{
    events::registry,
    world::{RequestOnDrop, eventually},
};

/// Events on their way to the hub: more than a test sends before it looks.
const CAPACITY: usize = 1_000_000;

/// What a test sees of it.
pub(super) struct Served<'a> {
    pub(super) addr: SocketAddr,
    pub(super) metrics: &'a Metrics,
    pub(super) registry: &'a Registry,
    pub(super) spreads: &'a Mutex<Spreads>,
    pub(super) stop: &'a Stop,
    events: fair::Sender<Event>,
    events_open: Arc<AtomicBool>,
    crosses: fair::Sender<Cross>,
    crosses_open: Arc<AtomicBool>,
}

/// Settings that do not come into a test's way.
pub(super) fn settings() -> Settings {
    Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        client_queue: 4096,
        max_clients: 1000,
        ping_interval: Duration::from_mins(1),
        max_subscriptions: 1000,
        max_requests: 1000,
        max_request_bytes: 64 << 10,
        token: None,
        origins: Vec::new(),
    }
}

/// Serves the instruments of [`registry`] while `test` looks on, then stops.
pub(super) fn serve(settings: &Settings, test: impl FnOnce(&Served<'_>)) {
    let (metrics, registry, stop) = (Metrics::new(), registry(), Stop::default());
    let plan = config::parse("[[exchange]]\nname = \"okx\"", Path::new("test.toml")).unwrap();
    let engine = Mutex::new(Spreads::new(&plan.spreads.unwrap()));
    let (events, to_tell) = fair::queue(1, CAPACITY);
    let (events_source, events_open) = Source::new(to_tell, metrics.queue("live"));
    let (crosses, to_tell) = fair::queue(1, CAPACITY);
    let (crosses_source, crosses_open) = Source::new(to_tell, metrics.queue("live-spreads"));
    let door = Door::open(settings.listen).unwrap();
    let addr = addr(&door.url());
    let facts = Facts {
        metrics: &metrics,
        registry: &registry,
        spreads: Some(&engine),
        venues: vec![Venue::new(Exchange::Binance, Market::Spot)],
        storage: Path::new("/"),
        stop: &stop,
    };
    let (server, hub) = live::open(door, settings, facts, events_source, crosses_source);
    thread::scope(|scope| {
        let _stopping = RequestOnDrop(&stop);
        scope.spawn(move || server.run());
        scope.spawn(move || hub.run());
        test(&Served {
            addr,
            metrics: &metrics,
            registry: &registry,
            spreads: &engine,
            stop: &stop,
            events,
            events_open,
            crosses,
            crosses_open,
        });
    });
}

/// The address in `http://127.0.0.1:8080/`.
pub(super) fn addr(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

impl Served<'_> {
    /// Tells an event, as the feeds do: only while somebody listens.
    pub(super) fn tell(&self, event: Event) {
        if self.is_listening() {
            let _ = self.events.send(0, &mut vec![event], &mut Vec::new());
        }
    }

    pub(super) fn tell_cross(&self, cross: Cross) {
        if self.crosses_open.load(Ordering::Relaxed) {
            let _ = self.crosses.send(0, &mut vec![cross], &mut Vec::new());
        }
    }

    pub(super) fn is_listening(&self) -> bool {
        self.events_open.load(Ordering::Relaxed)
    }

    pub(super) fn is_listening_to_spreads(&self) -> bool {
        self.crosses_open.load(Ordering::Relaxed)
    }

    /// Waits until that many clients are connected.
    pub(super) fn until_clients(&self, n: i64) {
        eventually(&format!("{n} clients"), || self.metrics.live.clients.get() == n);
    }

    /// Lets the engine of spreads know of a quote.
    pub(super) fn compare(&self, event: &Event) {
        let Event::Quote(quote) = event else { panic!("no quote: {event:?}") };
        let mut engine = self.spreads.lock();
        let mut out = Out::default();
        if !engine.knows(quote.instrument) {
            let instrument = self.registry.get(quote.instrument).unwrap();
            engine.list(quote.instrument, &instrument, &mut out);
        }
        engine.on_quote(quote, &mut out);
    }
}
