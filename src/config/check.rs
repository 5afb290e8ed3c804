//! From what is written to a plan: every value is checked, all problems are reported at once.

mod capture;
mod filters;
mod live;
mod spreads;
mod storage;
mod venues;

use std::{fmt::Display, path::Path, time::Duration};

use log::LevelFilter;

use super::{
    Plan, Problems,
    written::{self, Amount, Count, Period},
};

/// 8 GB of events.
const CAPACITY_MAX: usize = 100_000_000;
/// As many as the registry holds.
const SYMBOLS_MAX: usize = crate::registry::INSTRUMENTS_MAX;

pub(super) fn plan(it: &written::Written, beside: &Path) -> Result<Plan, Problems> {
    let mut check = Check { problems: Vec::new() };
    let log_level = check.log_level(&it.log.level);
    let storage = check.storage(&it.storage);
    check.within("queues.capacity", it.queues.capacity, CAPACITY_MAX);
    let live = check.live(&it.live);
    let capture = check.capture(&it.capture);
    let spreads = check.spreads(&it.spreads, &it.exchange);
    check.defaults(&it.defaults);
    let shard = check.shard(&it.storage.shard);
    let venues = check.venues(it, shard, beside);
    match storage {
        Some(storage) if check.problems.is_empty() => Ok(Plan {
            log_level,
            storage,
            writers: it.storage.threads.0,
            shard,
            queue_capacity: it.queues.capacity.0,
            live,
            capture,
            spreads,
            venues,
        }),
        _ => Err(Problems(check.problems)),
    }
}

struct Check {
    problems: Vec<String>,
}

impl Check {
    fn problem(&mut self, key: &str, what: impl Display) {
        self.problems.push(format!("{key}: {what}"));
    }

    fn within(&mut self, key: &str, Count(value): Count, max: usize) {
        if !(1..=max).contains(&value) {
            self.problem(key, format_args!("must be from 1 to {max}, not {value}"));
        }
    }

    fn not_zero(&mut self, key: &str, Period(value): Period) {
        if value == Duration::ZERO {
            self.problem(key, "must be longer than 0s");
        }
    }

    fn finite(&mut self, key: &str, Amount(value): Amount) {
        if !value.is_finite() {
            self.problem(key, format_args!("must be a number, not {value}"));
        }
    }

    fn not_negative(&mut self, key: &str, Amount(value): Amount) {
        if !(value.is_finite() && 0.0 <= value) {
            self.problem(key, format_args!("must be 0 or more, not {value}"));
        }
    }

    fn log_level(&mut self, written: &str) -> LevelFilter {
        // Parsing takes other cases, too, which would not be the spelling of the file.
        let named = |it: &LevelFilter| it.as_str().to_lowercase() == written;
        LevelFilter::iter().find(named).unwrap_or_else(|| {
            let names: Vec<_> = LevelFilter::iter().map(|it| it.as_str().to_lowercase()).collect();
            let what = format_args!("must be one of {}, not {written:?}", names.join(", "));
            self.problem("log.level", what);
            LevelFilter::Info
        })
    }
}
