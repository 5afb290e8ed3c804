//! What is counted of spreads between exchanges.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

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

impl SpreadMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        let it = self;
        to.register("spread_updates", "Quotes compared between exchanges", it.updates.clone());
        let help = "Quotes that came after a younger one had been compared";
        to.register("spread_late", help, it.late.clone());
        to.register("episodes", "Episodes of a cross that pays begun", it.episodes.clone());
        to.register("episodes_open", "Episodes that are open", it.open.clone());
        let help = "Pairs of exchanges that seem to trade two assets under one symbol";
        to.register("quarantined_pairs", help, it.quarantined.clone());
    }
}
