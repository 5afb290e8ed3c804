//! How long to wait before trying again.

use std::time::Duration;

/// The first wait is drawn from this.
const FIRST: Duration = Duration::from_secs(1);
/// No wait is longer than this.
const LONGEST: Duration = Duration::from_mins(1);

/// Exponential backoff with full jitter: after the n-th failure in a row, a wait drawn evenly from
/// zero to twice as long as the range before, so that a thousand clients that lost one exchange do
/// not come back in one instant.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub fn after_failure(&mut self) -> Duration {
        let range = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        range.mul_f64(fastrand::f64())
    }

    /// Forgets the failures. Only good data earns that: a peer that accepts and drops must not be
    /// met with a storm.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_a_reset_starts_over() {
        let mut backoff = Backoff::default();
        let mut longest = Duration::ZERO;
        for _ in 0..1000 {
            let wait = backoff.after_failure();
            assert!(wait <= LONGEST);
            longest = longest.max(wait);
        }
        assert!(LONGEST / 2 < longest, "a thousand waits all under {longest:?}");
        backoff.reset();
        assert!(backoff.after_failure() <= FIRST);
    }
}
