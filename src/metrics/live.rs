//! What is counted of those who are served.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use super::Histogram;

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

impl LiveMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        let it = self;
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
}
