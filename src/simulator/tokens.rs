//! Tokens that admit one connection each.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How long a token is good for.
const VALID: Duration = Duration::from_hours(24);
/// Tokens that wait to be used; more push out the oldest.
const WAITING_MAX: usize = 10_000;

/// The tokens of a venue.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    waiting: Mutex<VecDeque<(String, Instant)>>,
}

impl Tokens {
    /// A new one, with all the characters that a URL must not lose.
    pub(super) fn issue(&self) -> String {
        let token = format!("4fQm-{:032x}_{:016x}==.Zx==", fastrand::u128(..), fastrand::u64(..));
        let mut waiting = self.waiting.lock();
        waiting.truncate(WAITING_MAX - 1);
        waiting.push_front((token.clone(), Instant::now()));
        token
    }

    /// Takes one back; says whether it was good.
    pub(super) fn redeem(&self, token: &str) -> bool {
        let mut waiting = self.waiting.lock();
        let at = waiting.iter().position(|it| it.0 == token);
        at.and_then(|at| waiting.remove(at)).is_some_and(|it| it.1.elapsed() < VALID)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_once() {
        let tokens = Tokens::default();
        let [one, other] = [tokens.issue(), tokens.issue()];
        assert_ne!(one, other);
        assert!(tokens.redeem(&one) && !tokens.redeem(&one));
        assert!(!Tokens::default().redeem(&other) && !tokens.redeem(""));
        for _ in 0..WAITING_MAX {
            tokens.issue();
        }
        assert!(!tokens.redeem(&other), "it has been pushed out");
    }
}
