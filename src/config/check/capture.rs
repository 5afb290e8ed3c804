//! `[capture]`.

use std::ops::RangeInclusive;

use super::Check;
use crate::{capture, config::written};

impl Check {
    pub(super) fn capture(&mut self, it: &written::Capture) -> Option<capture::Settings> {
        /// A smaller file has hardly room for the lists that each begins with.
        const ROTATE_SIZE_MIN: u64 = 1 << 20;
        /// A quarter of a second of what a host can receive.
        const QUEUE_SIZES: RangeInclusive<u64> = 1 << 20..=16 << 30;
        const LEVELS: RangeInclusive<usize> = 1..=22;
        let dir = it.dir.clone()?;
        if dir.as_os_str().is_empty() {
            self.problem("capture.dir", "must name a folder; leave it out to keep no frames");
        }
        self.not_zero("capture.rotate", it.rotate);
        if it.rotate_size.0 < ROTATE_SIZE_MIN {
            self.problem("capture.rotate_size", r#"must be "1MiB" or more"#);
        }
        if it.max_size.0 < it.rotate_size.0.saturating_mul(2) {
            self.problem("capture.max_size", "must be at least twice rotate_size");
        }
        if !QUEUE_SIZES.contains(&it.queue_size.0) {
            self.problem("capture.queue_size", r#"must be from "1MiB" to "16GiB""#);
        }
        if !LEVELS.contains(&it.level.0) {
            let what = format_args!("must be a level of zstd, from 1 to 22, not {}", it.level.0);
            self.problem("capture.level", what);
        }
        Some(capture::Settings {
            dir,
            rotate: it.rotate.0,
            rotate_size: it.rotate_size.0,
            max_size: it.max_size.0,
            queue_size: it.queue_size.0,
            level: i32::try_from(it.level.0).unwrap_or(1),
        })
    }
}
