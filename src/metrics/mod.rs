//! Every metric of the program, typed, with its unit and its help.
//!
//! Labels are exchange, market, channel, queue, reason and state, never a symbol. The hot path counts
//! in plain integers and adds them here once a batch; look a handle up once and keep it.

mod capture;
mod clock;
mod files;
mod gaps;
pub mod health;
mod histogram;
mod labels;
mod live;
mod page;
mod process;
mod queues;
mod spreads;
mod venues;

use std::sync::atomic::AtomicU64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

pub use self::{
    capture::CaptureMetrics,
    clock::ClockOffset,
    files::{FileMetrics, JournalMetrics},
    gaps::GapMetrics,
    histogram::{Histogram, Tally},
    labels::{ReconnectReason, SubscriptionState},
    live::LiveMetrics,
    process::ProcessMetrics,
    queues::QueueMetrics,
    spreads::SpreadMetrics,
    venues::VenueMetrics,
};
use self::{files::FileFamilies, queues::QueueFamilies, venues::VenueFamilies};
use crate::market::{Channel, GapReason, Venue};

/// A gauge of seconds.
pub type Seconds = Gauge<f64, AtomicU64>;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    venues: VenueFamilies,
    queues: QueueFamilies,
    files: FileFamilies,
    gaps: GapMetrics,
    spreads: SpreadMetrics,
    /// Instruments in the registry.
    pub instruments: Gauge,
    /// What serves clients.
    pub live: LiveMetrics,
    /// What the process uses of the system.
    pub process: ProcessMetrics,
    /// What keeps raw frames.
    pub capture: CaptureMetrics,
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
            venues: VenueFamilies::default(),
            queues: QueueFamilies::default(),
            files: FileFamilies::default(),
            gaps: GapMetrics::default(),
            spreads: SpreadMetrics::default(),
            instruments: Gauge::default(),
            live: LiveMetrics::default(),
            process: ProcessMetrics::default(),
            capture: CaptureMetrics::default(),
        };
        it.register();
        it
    }

    /// Counters are named without `_total`: the text format appends it.
    fn register(&mut self) {
        let to = &mut self.registry;
        self.venues.register(to);
        self.queues.register(to);
        self.files.register(to);
        self.gaps.register(to);
        to.register("instruments", "Instruments in the registry", self.instruments.clone());
        self.spreads.register(to);
        self.live.register(to);
        self.process.register(to);
        self.capture.register(to);
    }

    /// The handles of one venue. Look them up once a connection, not once a message.
    #[must_use]
    pub fn venue(&self, venue: Venue) -> VenueMetrics {
        // There from the start, so that the first loss is an increase.
        for reason in GapReason::ALL {
            drop(self.gaps.of(venue, reason));
        }
        self.venues.of(venue)
    }

    /// All queues that somebody has asked for, by name.
    #[must_use]
    pub fn queues(&self) -> Vec<(String, QueueMetrics)> {
        self.queues.all()
    }

    /// The handles of one queue.
    #[must_use]
    pub fn queue(&self, name: &str) -> QueueMetrics {
        self.queues.of(name)
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
        self.files.of(name)
    }

    /// The handles of the journals.
    #[must_use]
    pub fn journal(&self) -> JournalMetrics {
        self.files.journal.clone()
    }

    /// All of them in the Prometheus text format, version 0.0.4.
    #[must_use]
    pub fn page(&self) -> String {
        page::page(&self.registry)
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
