//! What the process uses of the system.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Seconds;

/// What the process uses of the system.
#[derive(Clone, Debug, Default)]
pub struct ProcessMetrics {
    /// When it started, in seconds since the Unix epoch.
    pub start_time: Seconds,
    /// Bytes of memory in use.
    pub resident: Gauge,
    /// Threads.
    pub threads: Gauge,
    /// Open file descriptors.
    pub descriptors: Gauge,
    /// Bytes that can still be written to the disk of the dataset.
    pub disk_free: Gauge,
    /// Bytes that the disk of the dataset holds.
    pub disk_size: Gauge,
}

impl ProcessMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        let help = "When the program started, in seconds since the Unix epoch";
        to.register("start_time_seconds", help, self.start_time.clone());
        to.register("resident_memory_bytes", "Memory in use", self.resident.clone());
        to.register("threads", "Threads", self.threads.clone());
        to.register("open_descriptors", "Open file descriptors", self.descriptors.clone());
        let help = "Bytes that can still be written to the disk of the dataset";
        to.register("disk_free_bytes", help, self.disk_free.clone());
        let help = "Bytes that the disk of the dataset holds";
        to.register("disk_size_bytes", help, self.disk_size.clone());
        let build = Family::<Vec<(&str, &str)>, Gauge>::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
        to.register("build_info", "The program's version, as a label", build);
    }
}
