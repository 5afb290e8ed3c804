//! `[storage]`.

use std::time::Duration;

use super::Check;
use crate::{config::written, feed::shard::Shard, store};

/// More writer threads than this are a slip of the pen.
const WRITERS_MAX: usize = 64;
/// Who can bear to lose more than this wants no journal.
const JOURNAL_FLUSH_MAX: Duration = Duration::from_mins(1);
/// A hundred years, which is to say for ever.
const KEEP_DAYS_MAX: usize = 36_525;

impl Check {
    pub(super) fn storage(&mut self, it: &written::Storage) -> Option<store::Settings> {
        /// A smaller file is closed before its first row group is full.
        const ROTATE_SIZE_MIN: u64 = 1 << 20;
        if it.dir.as_os_str().is_empty() {
            self.problem("storage.dir", "must name a folder");
        }
        self.not_zero("storage.journal_flush", it.journal_flush);
        self.not_zero("storage.rotate", it.rotate);
        if it.rotate_size.0 < ROTATE_SIZE_MIN {
            self.problem("storage.rotate_size", r#"must be "1MiB" or more"#);
        }
        self.within("storage.threads", it.threads, WRITERS_MAX);
        if JOURNAL_FLUSH_MAX < it.journal_flush.0 {
            let max = humantime::format_duration(JOURNAL_FLUSH_MAX);
            self.problem("storage.journal_flush", format_args!("must not be longer than {max}"));
        }
        if let Some(days) = it.keep_days {
            self.within("storage.keep_days", days, KEEP_DAYS_MAX);
        }
        match it.compression.parse() {
            Ok(compression) => Some(store::Settings {
                dir: it.dir.clone(),
                journal_flush: it.journal_flush.0,
                rotate: it.rotate.0,
                rotate_size: it.rotate_size.0,
                compression,
                keep_days: it.keep_days.and_then(|it| u32::try_from(it.0).ok()),
            }),
            Err(err) => {
                self.problem("storage.compression", err);
                None
            }
        }
    }

    pub(super) fn shard(&mut self, written: &str) -> Shard {
        written.parse().unwrap_or_else(|err| {
            self.problem("storage.shard", err);
            Shard::WHOLE
        })
    }
}
