//! How much of something may be used in a second.

use std::time::Instant;

/// An allowance that fills up with time, to as much as is earned in so many seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    rate: f64,
    most: f64,
    left: f64,
    at: Instant,
}

/// For how many seconds it is saved up: what a client says at its beginning comes all at once.
const SAVED_SECONDS: f64 = 2.0;

impl Allowance {
    /// A full allowance of `rate` a second.
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        let most = rate * SAVED_SECONDS;
        Self { rate, most, left: most, at: now }
    }

    /// Uses up `n`; `false` when there was not that much left.
    pub(super) fn take(&mut self, n: f64, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.left = (self.left + earned).min(self.most) - n;
        self.at = now;
        0.0 <= self.left
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_used_up_and_fills_again() {
        let start = Instant::now();
        let mut it = Allowance::new(10.0, start);
        assert!((0..20).all(|_| it.take(1.0, start)));
        assert!(!it.take(1.0, start));
        let later = start + Duration::from_secs(1);
        assert!((0..9).all(|_| it.take(1.0, later)));
        assert!(!it.take(1.0, later));
        let much_later = later + Duration::from_hours(1);
        assert!(it.take(20.0, much_later));
        assert!(!it.take(0.1, much_later));
    }
}
