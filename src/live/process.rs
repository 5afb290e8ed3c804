//! What this process uses of the system, as Linux says it.

use std::{fs, path::Path};

use crate::metrics::ProcessMetrics;

/// What is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Memory, in bytes.
    pub resident: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

/// What is in use at present; `None` where the system does not say.
#[must_use]
pub fn usage() -> Option<Usage> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|it| it.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Usage {
        resident: field("VmRSS:")? * 1024,
        threads: field("Threads:")?,
        // The one that lists them is among them.
        descriptors: (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
    })
}

/// Takes down what is in use, and what is left on the disk of `dir`.
pub(super) fn sample(metrics: &ProcessMetrics, dir: &Path) {
    let number = |it| i64::try_from(it).unwrap_or(i64::MAX);
    if let Some(usage) = usage() {
        metrics.resident.set(number(usage.resident));
        metrics.threads.set(number(usage.threads));
        metrics.descriptors.set(number(usage.descriptors));
    }
    if let Some(disk) = disk(dir) {
        metrics.disk_free.set(number(disk.free));
        metrics.disk_size.set(number(disk.size));
    }
}

/// A disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    /// What can still be written.
    pub(super) free: u64,
    /// What it holds.
    pub(super) size: u64,
}

/// The disk that `dir` is on; `None` where the system does not say.
pub(super) fn disk(dir: &Path) -> Option<Disk> {
    let it = rustix::fs::statvfs(dir).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(it.f_frsize);
    Some(Disk { free: bytes(it.f_bavail), size: bytes(it.f_blocks) })
}
