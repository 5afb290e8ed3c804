//! Every metric of the program, typed, with its unit and its help.
//!
//! Labels are exchange, market, channel, queue and reason, never a symbol. The hot path counts in
//! plain integers and adds them here once a batch; look a handle up once and keep it.

pub mod health;
mod histogram;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use self::health::VenueHealth;
pub use self::histogram::{Histogram, Tally};
use crate::market::{Channel, GapReason, Nanos, Venue};

/// What a metric is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VenueLabels {
    exchange: &'static str,
    market: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabels {
    exchange: &'static str,
    market: &'static str,
    channel: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    exchange: &'static str,
    market: &'static str,
    reason: ReconnectReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GapLabels {
    exchange: &'static str,
    market: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    exchange: &'static str,
    market: &'static str,
    state: SubscriptionState,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    queue: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    channel: &'static str,
}

/// Names the values of a label, so that an alert can list them all.
macro_rules! label_values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The value of the label.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                self.name().encode(encoder)
            }
        }
    };
}

label_values! {
    /// Why a connection had to be replaced.
    ReconnectReason {
        /// It could not be made: name, TCP, TLS or WebSocket handshake.
        Connect = "connect",
        /// The exchange closed it, cleanly or not.
        Closed = "closed",
        /// No proof of life within the heartbeat timeout.
        Silent = "silent",
        /// Pings are answered, but no data comes.
        Mute = "mute",
        /// It broke while reading or writing.
        Io = "io",
        /// The exchange sent what is no WebSocket frame, or one beyond our limits.
        Protocol = "protocol",
        /// The exchange announced that it would close it.
        Notice = "notice",
        /// It came near the longest that the exchange lets one last.
        Lifetime = "lifetime",
        /// Our own code panicked on it.
        Panic = "panic",
    }
}

label_values! {
    /// How far a subscription has come.
    SubscriptionState {
        /// Asked for, not yet answered.
        Requested = "requested",
        /// Accepted, no data yet.
        Acknowledged = "acknowledged",
        /// Data comes.
        Delivering = "delivering",
        /// No data for a while, as has happened before.
        Quiet = "quiet",
        /// No data for far longer than ever before.
        Stale = "stale",
        /// The exchange refused it.
        Refused = "refused",
    }
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    messages: Family<VenueLabels, Counter>,
    bytes: Family<VenueLabels, Counter>,
    events: Family<ChannelLabels, Counter>,
    repeated: Family<VenueLabels, Counter>,
    decode_errors: Family<VenueLabels, Counter>,
    unknown_frames: Family<VenueLabels, Counter>,
    reconnects: Family<ReasonLabels, Counter>,
    connections: Family<VenueLabels, Gauge>,
    subscriptions: Family<StateLabels, Gauge>,
    queue_dropped: Family<QueueLabels, Counter>,
    queue_depth: Family<QueueLabels, Gauge>,
    queue_age: Family<QueueLabels, Gauge<f64, std::sync::atomic::AtomicU64>>,
    rows_written: Family<FileLabels, Counter>,
    rows_lost: Family<FileLabels, Counter>,
    files_written: Family<FileLabels, Counter>,
    write_errors: Counter,
    journal: JournalMetrics,
    gaps: GapMetrics,
    exchange_lag: Family<VenueLabels, Histogram>,
    last_message_age: Family<VenueLabels, Gauge<f64, std::sync::atomic::AtomicU64>>,
    health: Mutex<HashMap<Venue, Arc<VenueHealth>>>,
    queues: Mutex<BTreeSet<String>>,
    /// Instruments in the registry.
    pub instruments: Gauge,
    /// What serves clients.
    pub live: LiveMetrics,
    /// What the process uses of the system.
    pub process: ProcessMetrics,
    /// What keeps raw frames.
    pub capture: CaptureMetrics,
    spreads: SpreadMetrics,
}

/// The metrics of what serves clients.
#[derive(Clone, Debug, Default)]
pub struct LiveMetrics {
    /// WebSocket clients.
    pub clients: Gauge,
    /// Messages sent to clients.
    pub sent: Counter,
    /// Messages dropped because a client's queue was full.
    pub dropped: Counter,
    /// Messages turned into JSON.
    pub serialised: Counter,
    /// HTTP requests, those for a WebSocket too.
    pub requests: Counter,
    /// Clients closed because they did not answer pings or did not read.
    pub dead: Counter,
    /// From the exchange's socket to the client's.
    pub latency: Histogram,
}

/// What the process uses of the system.
#[derive(Clone, Debug, Default)]
pub struct ProcessMetrics {
    /// Bytes of memory in use.
    pub resident: Gauge,
    /// Threads.
    pub threads: Gauge,
    /// Open file descriptors.
    pub descriptors: Gauge,
}

/// The metrics of one venue's connections.
#[derive(Clone, Debug)]
pub struct VenueMetrics {
    venue: Venue,
    reconnects: Family<ReasonLabels, Counter>,
    subscriptions: Family<StateLabels, Gauge>,
    /// WebSocket messages received.
    pub messages: Counter,
    /// Bytes received, as they came from the socket.
    pub bytes: Counter,
    /// Quotes decoded.
    pub quotes: Counter,
    /// Trades decoded.
    pub trades: Counter,
    /// Events that came again and were dropped.
    pub repeated: Counter,
    /// Frames that could not be decoded.
    pub decode_errors: Counter,
    /// Frames of a kind, or for a symbol, that we do not know.
    pub unknown_frames: Counter,
    /// Connections that are up.
    pub connections: Gauge,
    /// Time of receipt minus the exchange's own time, where it gives one.
    pub lag: Histogram,
    /// Seconds since market data was received last, when somebody last looked.
    pub last_message_age: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// How it is doing.
    pub health: Arc<VenueHealth>,
}

/// The metrics of one queue.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    /// Events dropped because the queue was full.
    pub dropped: Counter,
    /// Events queued when the consumer last looked.
    pub depth: Gauge,
    /// Age in seconds of the oldest event when the consumer last looked.
    pub age: Gauge<f64, std::sync::atomic::AtomicU64>,
}

/// The metrics of spreads between exchanges.
#[derive(Clone, Debug, Default)]
pub struct SpreadMetrics {
    /// Quotes compared.
    pub updates: Counter,
    /// Quotes that came after a younger one had been compared.
    pub late: Counter,
    /// Episodes begun.
    pub episodes: Counter,
    /// Episodes that are open.
    pub open: Gauge,
    /// Pairs of exchanges that seem to trade two assets under one symbol.
    pub quarantined: Gauge,
}

/// The metrics of the files of one table.
#[derive(Clone, Debug)]
pub struct FileMetrics {
    /// Rows in files that are whole and in place. Those in journals are not counted.
    pub rows: Counter,
    /// Rows that could not be written.
    pub lost: Counter,
    /// Files that are whole and in place.
    pub files: Counter,
    /// Failures to write, sync or rename.
    pub errors: Counter,
}

/// The metrics of captures.
#[derive(Clone, Debug, Default)]
pub struct CaptureMetrics {
    /// Frames written.
    pub frames: Counter,
    /// Bytes written.
    pub bytes: Counter,
    /// Frames given up because the disk refused them.
    pub lost: Counter,
    /// Files removed because all had become too large.
    pub removed: Counter,
}

/// The metrics of the journals.
#[derive(Clone, Debug, Default)]
pub struct JournalMetrics {
    /// Seconds it took to sync one.
    pub flush: Histogram,
    /// Bytes in all of them.
    pub bytes: Gauge,
}

/// The rows of the loss ledger.
#[derive(Clone, Debug, Default)]
pub struct GapMetrics(Family<GapLabels, Counter>);

impl GapMetrics {
    /// How many there are of `venue` for `reason`.
    #[must_use]
    pub fn of(&self, venue: Venue, reason: GapReason) -> Counter {
        let (exchange, market) = (venue.exchange.name(), venue.market.name());
        self.0.get_or_create_owned(&GapLabels { exchange, market, reason: reason.name() })
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut it = Self {
            registry: Registry::with_prefix("spread_aggregator"),
            messages: Family::default(),
            bytes: Family::default(),
            events: Family::default(),
            repeated: Family::default(),
            decode_errors: Family::default(),
            unknown_frames: Family::default(),
            reconnects: Family::default(),
            connections: Family::default(),
            subscriptions: Family::default(),
            queue_dropped: Family::default(),
            queue_depth: Family::default(),
            queue_age: Family::default(),
            rows_written: Family::default(),
            rows_lost: Family::default(),
            files_written: Family::default(),
            write_errors: Counter::default(),
            journal: JournalMetrics::default(),
            gaps: GapMetrics::default(),
            exchange_lag: Family::default(),
            last_message_age: Family::default(),
            health: Mutex::default(),
            queues: Mutex::default(),
            instruments: Gauge::default(),
            live: LiveMetrics::default(),
            process: ProcessMetrics::default(),
            capture: CaptureMetrics::default(),
            spreads: SpreadMetrics::default(),
        };
        it.register();
        it
    }

    /// Counters are named without `_total`: the text format appends it.
    fn register(&mut self) {
        let to = &mut self.registry;
        to.register("messages_received", "WebSocket messages received", self.messages.clone());
        to.register("bytes_received", "Bytes received from sockets", self.bytes.clone());
        to.register("events", "Quotes and trades decoded", self.events.clone());
        let help = "Events that came again and were dropped";
        to.register("repeated_events", help, self.repeated.clone());
        to.register("decode_errors", "Frames not decoded", self.decode_errors.clone());
        let help = "Frames of a kind, or for a symbol, that is not known";
        to.register("unknown_frames", help, self.unknown_frames.clone());
        to.register("reconnects", "Connections replaced, by reason", self.reconnects.clone());
        to.register("connections_up", "Connections that are up", self.connections.clone());
        to.register("subscriptions", "Subscriptions by state", self.subscriptions.clone());
        let help = "Events dropped because a queue was full";
        to.register("queue_dropped", help, self.queue_dropped.clone());
        to.register("queue_depth", "Events queued", self.queue_depth.clone());
        let help = "Seconds since the oldest queued event was received";
        to.register("queue_age_seconds", help, self.queue_age.clone());
        to.register("rows_written", "Rows in finished files", self.rows_written.clone());
        to.register("rows_lost", "Rows that could not be written", self.rows_lost.clone());
        to.register("files_written", "Finished files", self.files_written.clone());
        let help = "Failures to write, sync or rename a file";
        to.register("write_errors", help, self.write_errors.clone());
        let help = "Seconds it took to make what a journal has got survive a loss of power";
        to.register("journal_flush_seconds", help, self.journal.flush.clone());
        let help = "Bytes in journals, of rows that are in no finished file yet";
        to.register("journal_bytes", help, self.journal.bytes.clone());
        let help = "Losses declared in the ledger, by reason";
        to.register("gaps", help, self.gaps.0.clone());
        to.register("instruments", "Instruments in the registry", self.instruments.clone());
        let help = "Time of receipt minus the exchange's own time";
        to.register("exchange_lag_seconds", help, self.exchange_lag.clone());
        let help = "Seconds since market data was received last";
        to.register("last_message_age_seconds", help, self.last_message_age.clone());
        self.register_spreads();
        self.register_live();
        self.register_capture();
        self.register_process();
    }

    fn register_spreads(&mut self) {
        let (to, it) = (&mut self.registry, &self.spreads);
        to.register("spread_updates", "Quotes compared between exchanges", it.updates.clone());
        let help = "Quotes that came after a younger one had been compared";
        to.register("spread_late", help, it.late.clone());
        to.register("episodes", "Episodes of a cross that pays begun", it.episodes.clone());
        to.register("episodes_open", "Episodes that are open", it.open.clone());
        let help = "Pairs of exchanges that seem to trade two assets under one symbol";
        to.register("quarantined_pairs", help, it.quarantined.clone());
    }

    fn register_live(&mut self) {
        let (to, it) = (&mut self.registry, &self.live);
        to.register("live_clients", "WebSocket clients", it.clients.clone());
        to.register("live_sent", "Messages sent to clients", it.sent.clone());
        let help = "Messages dropped because a client's queue was full";
        to.register("live_dropped", help, it.dropped.clone());
        to.register("live_serialised", "Messages turned into JSON", it.serialised.clone());
        to.register("live_requests", "HTTP requests", it.requests.clone());
        let help = "Clients closed because they did not answer pings or did not read";
        to.register("live_dead", help, it.dead.clone());
        let help = "From the exchange's socket to the client's";
        to.register("live_latency_seconds", help, it.latency.clone());
    }

    fn register_capture(&mut self) {
        let (to, it) = (&mut self.registry, &self.capture);
        to.register("capture_frames", "Raw frames written to captures", it.frames.clone());
        to.register("capture_bytes", "Bytes written to captures", it.bytes.clone());
        let help = "Raw frames that could not be written to captures";
        to.register("capture_lost", help, it.lost.clone());
        let help = "Captures removed for [capture] max_size";
        to.register("capture_removed", help, it.removed.clone());
    }

    fn register_process(&mut self) {
        let (to, it) = (&mut self.registry, &self.process);
        to.register("resident_memory_bytes", "Memory in use", it.resident.clone());
        to.register("threads", "Threads", it.threads.clone());
        to.register("open_descriptors", "Open file descriptors", it.descriptors.clone());
        let build = Family::<Vec<(&str, &str)>, Gauge>::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
        to.register("build_info", "The program's version, as a label", build);
    }

    /// The handles of one venue. Look them up once a connection, not once a message.
    #[must_use]
    pub fn venue(&self, venue: Venue) -> VenueMetrics {
        let (exchange, market) = (venue.exchange.name(), venue.market.name());
        let labels = VenueLabels { exchange, market };
        let events = |channel: Channel| {
            let labels = ChannelLabels { exchange, market, channel: channel.name() };
            self.events.get_or_create_owned(&labels)
        };
        // There from the start, so that the first loss is an increase.
        for reason in GapReason::ALL {
            drop(self.gaps.of(venue, reason));
        }
        VenueMetrics {
            venue,
            reconnects: self.reconnects.clone(),
            subscriptions: self.subscriptions.clone(),
            messages: self.messages.get_or_create_owned(&labels),
            bytes: self.bytes.get_or_create_owned(&labels),
            quotes: events(Channel::Quotes),
            trades: events(Channel::Trades),
            repeated: self.repeated.get_or_create_owned(&labels),
            decode_errors: self.decode_errors.get_or_create_owned(&labels),
            unknown_frames: self.unknown_frames.get_or_create_owned(&labels),
            connections: self.connections.get_or_create_owned(&labels),
            lag: self.exchange_lag.get_or_create_owned(&labels),
            last_message_age: self.last_message_age.get_or_create_owned(&labels),
            health: Arc::clone(self.health.lock().entry(venue).or_default()),
        }
    }

    /// All queues that somebody has asked for, by name.
    #[must_use]
    pub fn queues(&self) -> Vec<(String, QueueMetrics)> {
        let names = self.queues.lock().clone();
        names.into_iter().map(|it| (it.clone(), self.queue(&it))).collect()
    }

    /// The handles of one queue.
    #[must_use]
    pub fn queue(&self, name: &str) -> QueueMetrics {
        self.queues.lock().insert(name.to_owned());
        let labels = QueueLabels { queue: name.to_owned() };
        QueueMetrics {
            dropped: self.queue_dropped.get_or_create_owned(&labels),
            depth: self.queue_depth.get_or_create_owned(&labels),
            age: self.queue_age.get_or_create_owned(&labels),
        }
    }

    /// The counters of the loss ledger.
    #[must_use]
    pub fn gaps(&self) -> GapMetrics {
        self.gaps.clone()
    }

    /// The handles of spreads between exchanges.
    #[must_use]
    pub fn spreads(&self) -> &SpreadMetrics {
        &self.spreads
    }

    /// The handles of the files of one channel.
    #[must_use]
    pub fn files(&self, channel: Channel) -> FileMetrics {
        self.table(channel.name())
    }

    /// The handles of the files of one table: `quotes`, `trades`, `spreads` or `gaps`.
    #[must_use]
    pub fn table(&self, name: &'static str) -> FileMetrics {
        let labels = FileLabels { channel: name };
        FileMetrics {
            rows: self.rows_written.get_or_create_owned(&labels),
            lost: self.rows_lost.get_or_create_owned(&labels),
            files: self.files_written.get_or_create_owned(&labels),
            errors: self.write_errors.clone(),
        }
    }

    /// The handles of the journals.
    #[must_use]
    pub fn journal(&self) -> JournalMetrics {
        self.journal.clone()
    }

    /// All of them in the Prometheus text format, version 0.0.4.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        text::encode_registry(&mut page, &self.registry)
            .expect("writing to a String does not fail");
        without_families(&page)
    }
}

/// Gives a page of the other text format, which types a counter by the name of its family, the
/// names of samples.
fn without_families(page: &str) -> String {
    let mut plain = String::with_capacity(page.len() + 1024);
    let mut help = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|it| it.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                plain.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            plain.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else {
            plain += line;
            plain.push('\n');
        }
    }
    plain
}

impl QueueMetrics {
    /// Takes down what a consumer finds: how many events, and when the oldest was received.
    pub fn look(&self, depth: usize, oldest: Option<Nanos>, now: Nanos) {
        self.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        #[expect(clippy::cast_precision_loss, reason = "an age of centuries may be inexact")]
        let age = oldest.map_or(0.0, |it| now.0.saturating_sub(it.0).max(0) as f64 / 1e9);
        self.age.set(age);
    }
}

impl VenueMetrics {
    /// Counts one connection that had to be replaced.
    pub fn reconnected(&self, reason: ReconnectReason) {
        self.reconnects.get_or_create(&self.reason(reason)).inc();
    }

    /// How many connections have been replaced for `reason`.
    #[must_use]
    pub fn reconnects(&self, reason: ReconnectReason) -> u64 {
        self.reconnects.get(&self.reason(reason)).map_or(0, |it| it.get())
    }

    /// How many subscriptions are in `state`.
    #[must_use]
    pub fn subscriptions(&self, state: SubscriptionState) -> Gauge {
        let (exchange, market) = (self.venue.exchange.name(), self.venue.market.name());
        self.subscriptions.get_or_create_owned(&StateLabels { exchange, market, state })
    }

    fn reason(&self, reason: ReconnectReason) -> ReasonLabels {
        let (exchange, market) = (self.venue.exchange.name(), self.venue.market.name());
        ReasonLabels { exchange, market, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Exchange, Market};

    #[test]
    fn the_page_has_what_was_counted() {
        let metrics = Metrics::new();
        let venue = metrics.venue(Venue::new(Exchange::Okx, Market::Perp));
        venue.messages.inc_by(3);
        venue.reconnected(ReconnectReason::Mute);
        venue.subscriptions(SubscriptionState::Delivering).set(7);
        metrics.queue("writer-0").dropped.inc_by(5);
        let okx = Venue::new(Exchange::Okx, Market::Perp);
        metrics.gaps().of(okx, GapReason::Disconnect).inc_by(2);
        metrics.files(Channel::Trades).rows.inc_by(9);
        let page = metrics.page();
        for line in [
            "spread_aggregator_messages_received_total{exchange=\"okx\",market=\"perp\"} 3",
            "spread_aggregator_reconnects_total{exchange=\"okx\",market=\"perp\",reason=\"mute\"} 1",
            "spread_aggregator_subscriptions{exchange=\"okx\",market=\"perp\",state=\"delivering\"} 7",
            "spread_aggregator_gaps_total{exchange=\"okx\",market=\"perp\",reason=\"disconnect\"} 2",
            "spread_aggregator_gaps_total{exchange=\"okx\",market=\"perp\",reason=\"crash\"} 0",
            "spread_aggregator_queue_dropped_total{queue=\"writer-0\"} 5",
            "spread_aggregator_rows_written_total{channel=\"trades\"} 9",
            "# TYPE spread_aggregator_rows_written_total counter",
            "# HELP spread_aggregator_rows_written_total Rows in finished files.",
            "# TYPE spread_aggregator_connections_up gauge",
            "# TYPE spread_aggregator_exchange_lag_seconds histogram",
            concat!("spread_aggregator_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        assert!(!page.contains("# EOF"), "that is OpenMetrics");
        assert_eq!(venue.reconnects(ReconnectReason::Mute), 1);
        assert_eq!(venue.reconnects(ReconnectReason::Io), 0);
    }
}
