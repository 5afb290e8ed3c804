//! How long a disk that refuses is left alone.

use std::time::Duration;

use super::nanos;
use crate::market::Nanos;

/// The first wait: a full disk must not keep a writer busy.
const FIRST: Duration = Duration::from_secs(1);

/// The longest: so much later than the disk the program is back.
const LONGEST: Duration = Duration::from_secs(8);

/// Whether it is time to try again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    /// From and until when.
    wait: Option<(Nanos, Nanos)>,
}

impl Backoff {
    /// It could not be done `now`: each wait is twice the one before.
    pub(super) fn failed(&mut self, now: Nanos) {
        let before = self.wait.map_or(0, |(from, until)| until.0 - from.0);
        let wait = (2 * before).clamp(nanos(FIRST), nanos(LONGEST));
        self.wait = Some((now, Nanos(now.0 + wait)));
    }

    /// Whether it is too early. A clock that is set back ends the wait.
    pub(super) fn is_waiting(&self, now: Nanos) -> bool {
        self.wait.is_some_and(|(from, until)| (from..until).contains(&now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound_and_end_when_the_clock_is_set_back() {
        let mut backoff = Backoff::default();
        assert!(!backoff.is_waiting(Nanos(0)));
        let mut now = 0;
        for seconds in [1, 2, 4, 8, 8, 8] {
            backoff.failed(Nanos(now));
            let wait = seconds * 1_000_000_000;
            assert!(backoff.is_waiting(Nanos(now)) && backoff.is_waiting(Nanos(now + wait - 1)));
            assert!(!backoff.is_waiting(Nanos(now + wait)) && !backoff.is_waiting(Nanos(now - 1)));
            now += wait;
        }
    }
}
