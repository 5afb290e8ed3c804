//! How often something may happen.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// At most so many times within any stretch of so long.
pub(super) type Pace = (usize, Duration);

/// The times something happened of late.
#[derive(Debug, Default)]
pub(super) struct Times(VecDeque<Instant>);

impl Times {
    /// Counts one more time, unless that is once too often; says which.
    pub(super) fn admit(&mut self, (most, within): Pace, now: Instant) -> bool {
        while self.0.front().is_some_and(|it| within <= now - *it) {
            self.0.pop_front();
        }
        let admitted = self.0.len() < most;
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }
}
