//! What is counted of captures.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

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

impl CaptureMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        let it = self;
        to.register("capture_frames", "Raw frames written to captures", it.frames.clone());
        to.register("capture_bytes", "Bytes written to captures", it.bytes.clone());
        let help = "Raw frames that could not be written to captures";
        to.register("capture_lost", help, it.lost.clone());
        let help = "Captures removed for [capture] max_size";
        to.register("capture_removed", help, it.removed.clone());
    }
}
