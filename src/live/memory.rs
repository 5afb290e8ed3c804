//! What has to be remembered to say how the program has been doing.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    market::{Channel, Venue},
    metrics::{Metrics, ReconnectReason},
};

/// How far back reconnects are counted, and how finely.
const MINUTE: Duration = Duration::from_mins(1);
const MINUTES: usize = 60;
/// A disk that has refused something refuses until nothing has been refused for this long: what
/// could not be written is tried again every second.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// Counters as they were.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) started: Instant,
    /// Reconnects of each venue so far, a minute apart, the oldest first; one hour of them.
    reconnects: VecDeque<(Instant, Vec<u64>)>,
    write_errors: u64,
    refused: Option<Instant>,
}

impl Memory {
    pub(super) fn new(now: Instant) -> Self {
        Self { started: now, reconnects: VecDeque::new(), write_errors: 0, refused: None }
    }

    /// Takes down how the counters are; to be called about once a second.
    pub(super) fn look(&mut self, metrics: &Metrics, venues: &[Venue], now: Instant) {
        // They are one for both channels.
        let errors = metrics.files(Channel::Quotes).errors.get();
        if self.write_errors < errors {
            (self.write_errors, self.refused) = (errors, Some(now));
        }
        if self.reconnects.back().is_none_or(|(at, _)| MINUTE <= now - *at) {
            let counts = venues.iter().map(|&it| reconnects(metrics, it)).collect();
            self.reconnects.push_back((now, counts));
            // The first of them is of an hour ago.
            if MINUTES + 1 < self.reconnects.len() {
                self.reconnects.pop_front();
            }
        }
    }

    /// Whether the disk refuses to be written to.
    pub(super) fn is_refused(&self, now: Instant) -> bool {
        self.refused.is_some_and(|it| now - it < REFUSED_FOR)
    }

    /// Reconnects of the `n`th venue within the last hour, of which there have been `so_far`.
    pub(super) fn recent_reconnects(&self, n: usize, so_far: u64) -> u64 {
        let before = self.reconnects.front().and_then(|(_, counts)| counts.get(n));
        so_far - before.copied().unwrap_or_default().min(so_far)
    }
}

/// Connections of a venue that had to be replaced, for whatever reason.
pub(super) fn reconnects(metrics: &Metrics, venue: Venue) -> u64 {
    let venue = metrics.venue(venue);
    ReconnectReason::ALL.iter().map(|&it| venue.reconnects(it)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Exchange, Market};

    #[test]
    fn reconnects_are_forgotten_after_an_hour() {
        let venue = Venue::new(Exchange::ALL[0], Market::Spot);
        let metrics = Metrics::new();
        let start = Instant::now();
        let mut memory = Memory::new(start);
        for minute in 0..180_u32 {
            if minute == 30 {
                metrics.venue(venue).reconnected(ReconnectReason::Io);
            }
            memory.look(&metrics, &[venue], start + minute * MINUTE);
            let expected = u64::from((30..90).contains(&minute));
            let so_far = reconnects(&metrics, venue);
            assert_eq!(memory.recent_reconnects(0, so_far), expected, "minute {minute}");
        }
        assert_eq!(memory.reconnects.len(), MINUTES + 1);
    }

    #[test]
    fn a_disk_refuses_until_it_has_not_for_a_while() {
        let metrics = Metrics::new();
        let start = Instant::now();
        let mut memory = Memory::new(start);
        memory.look(&metrics, &[], start);
        assert!(!memory.is_refused(start));
        metrics.files(Channel::Trades).errors.inc();
        memory.look(&metrics, &[], start);
        assert!(memory.is_refused(start));
        let later = start + REFUSED_FOR;
        memory.look(&metrics, &[], later);
        assert!(!memory.is_refused(later));
    }
}
