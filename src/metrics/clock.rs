//! How far our clock is ahead of an exchange's.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::metrics::family::Family;

use super::{Seconds, labels::VenueLabels};
use crate::market::Nanos;

/// Over so many minutes, the one under way among them, the smallest difference counts.
const MINUTES: i64 = 3;
const SLOTS: usize = 3;
const MINUTE: i64 = 60_000_000_000;

/// An estimate of how far our clock is ahead of a venue's.
///
/// Time of receipt minus the exchange's own time is that plus the time that a message was under way.
/// The second is small for the fastest of many messages, so the smallest difference of the last three
/// minutes is the estimate: too high by the fastest way there was. Negative, our clock is behind.
#[derive(Clone, Debug)]
pub struct ClockOffset {
    pub(super) gauges: Family<VenueLabels, Seconds>,
    pub(super) labels: VenueLabels,
    pub(super) lowest: Arc<Mutex<Lowest>>,
}

impl ClockOffset {
    /// Takes in the smallest difference of a batch, in nanoseconds, received until `now`.
    #[expect(clippy::cast_precision_loss, reason = "a difference of centuries may be inexact")]
    pub fn observe(&self, smallest: i64, now: Nanos) {
        let lowest = self.lowest.lock().observe(smallest, now);
        // Not before there is one: a venue that gives no times has no series.
        self.gauges.get_or_create(&self.labels).set(lowest as f64 / 1e9);
    }
}

/// The smallest of the last minutes.
#[derive(Debug)]
pub(super) struct Lowest {
    /// Since the epoch.
    minute: i64,
    /// By minute, modulo [`MINUTES`].
    of: [i64; SLOTS],
}

impl Default for Lowest {
    fn default() -> Self {
        Self { minute: 0, of: [i64::MAX; SLOTS] }
    }
}

impl Lowest {
    fn observe(&mut self, smallest: i64, now: Nanos) -> i64 {
        let minute = now.0.div_euclid(MINUTE);
        if self.minute != minute {
            // All of them, where the clock was set or nothing came for long.
            let from = if (1..MINUTES).contains(&(minute - self.minute)) {
                self.minute + 1
            } else {
                minute - MINUTES + 1
            };
            for it in from..=minute {
                self.of[slot(it)] = i64::MAX;
            }
            self.minute = minute;
        }
        let of = &mut self.of[slot(minute)];
        *of = smallest.min(*of);
        self.of.into_iter().min().unwrap_or(smallest)
    }
}

fn slot(minute: i64) -> usize {
    usize::try_from(minute.rem_euclid(MINUTES)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_message_of_the_last_minutes_counts() {
        let mut lowest = Lowest::default();
        let minute = |it: i64| Nanos(29_900_000 * MINUTE + it * MINUTE);
        for (at, difference, expected) in [
            (0, 70, 70),
            (0, 40, 40),
            (0, 90, 40),
            (1, 60, 40),
            (2, 80, 40),
            (3, 90, 60),
            (4, 95, 80),
            // Nothing came for an hour.
            (64, 500, 500),
            // The clock was set back.
            (2, -700, -700),
            (2, 30, -700),
            (5, 30, 30),
        ] {
            assert_eq!(lowest.observe(difference, minute(at)), expected, "minute {at}");
        }
    }
}
