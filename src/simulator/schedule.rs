//! When events happen.
//!
//! Time is counted in messages: how many all venues together have had since the start. An event of
//! an instrument happens at a certain count, whatever the rate; the rate says what time that is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::prices::whole;

/// Changes of the rate that are remembered. Events of before those have a time that is made up.
const CHANGES_MAX: usize = 256;

/// The rate, now and before.
#[derive(Debug)]
pub(super) struct Schedule {
    /// In milliseconds since the epoch.
    start: u64,
    /// A moment, and how many seconds it was after the start.
    known: (Instant, f64),
    /// In order; at least one.
    stretches: Vec<Stretch>,
}

/// Since when there has been one rate.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// In seconds since the start.
    from: f64,
    /// Messages by then.
    count: f64,
    /// Messages a second.
    rate: f64,
    /// The inverse, or 0.
    every: f64,
}

impl Schedule {
    /// A rate that holds from `start` on.
    pub(super) fn new(rate: f64, start: SystemTime) -> Self {
        let (now, today) = (Instant::now(), SystemTime::now());
        let since = match today.duration_since(start) {
            Ok(passed) => passed.as_secs_f64(),
            Err(ahead) => -ahead.duration().as_secs_f64(),
        };
        let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = Stretch::new(0.0, 0.0, rate);
        Self { start: millis(start), known: (now, since), stretches: vec![first] }
    }

    /// When it all began, in milliseconds since the epoch.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Messages a second.
    pub(super) fn rate(&self) -> f64 {
        self.latest().rate
    }

    /// Another rate from `now` on.
    pub(super) fn set(&mut self, rate: f64, now: Instant) {
        let stretch = Stretch::new(self.seconds(now), self.count(now), rate);
        if CHANGES_MAX == self.stretches.len() {
            self.stretches.remove(0);
        }
        self.stretches.push(stretch);
    }

    /// How many messages there have been by then.
    pub(super) fn count(&self, then: Instant) -> f64 {
        let seconds = self.seconds(then);
        let it = self.stretches.iter().rfind(|it| it.from <= seconds).unwrap_or(&self.stretches[0]);
        it.count + (seconds - it.from).max(0.0) * it.rate
    }

    /// When there were so many, in milliseconds since the epoch.
    pub(super) fn time(&self, count: f64) -> u64 {
        let after = self.stretches.partition_point(|it| it.count <= count);
        let it = &self.stretches[after.saturating_sub(1)];
        let seconds = it.from + (count - it.count) * it.every;
        let millis = whole(seconds.abs() * 1e3);
        if seconds < 0.0 { self.start.saturating_sub(millis) } else { self.start + millis }
    }

    fn latest(&self) -> &Stretch {
        self.stretches.last().expect("there is one at least")
    }

    fn seconds(&self, now: Instant) -> f64 {
        self.known.1 + now.saturating_duration_since(self.known.0).as_secs_f64()
    }
}

impl Stretch {
    fn new(from: f64, count: f64, rate: f64) -> Self {
        Self { from, count, rate, every: if 0.0 < rate { 1.0 / rate } else { 0.0 } }
    }
}

fn millis(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_are_each_others_inverse_over_every_change_of_the_rate() {
        let start = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let mut schedule = Schedule::new(100.0, start);
        // The clock reads 10 s after the start.
        let now = Instant::now();
        schedule.known = (now, 10.0);
        let at = |seconds| now + Duration::from_secs(seconds);
        let near = |count: f64, wanted: f64| assert!((count - wanted).abs() < 1e-6, "{count}");
        near(schedule.count(now), 1_000.0);
        schedule.set(0.0, at(1));
        near(schedule.count(at(5)), 1_100.0);
        schedule.set(1_000.0, at(10));
        near(schedule.count(at(11)), 2_100.0);
        for (count, seconds) in
            [(-100.0, -1), (0.0, 0), (1_000.0, 10), (1_100.5, 20), (2_100.0, 21)]
        {
            let wanted = 1_790_000_000_000_i64 + seconds * 1_000;
            assert_eq!(schedule.time(count).cast_signed(), wanted, "{count}");
        }
        for n in 0..2 * CHANGES_MAX as u64 {
            schedule.set(10.0, at(20 + n));
        }
        assert_eq!(schedule.stretches.len(), CHANGES_MAX);
        assert!(schedule.time(0.0) <= schedule.time(2_100.0));
    }
}
