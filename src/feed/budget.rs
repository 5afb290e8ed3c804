//! How often something may be said again and again.

use std::time::{Duration, Instant};

/// One more line may be written in each of these: 144 a day, however often a venue fails.
const EVERY: Duration = Duration::from_mins(10);

/// Lines that may be written.
#[derive(Debug)]
pub(super) struct Budget {
    most: u32,
    left: u32,
    since: Option<Instant>,
    kept_back: u64,
}

impl Budget {
    /// `most` at once.
    pub(super) fn new(most: u32) -> Self {
        Self { most, left: most, since: None, kept_back: 0 }
    }

    /// Asks for a line: what is to be added to it, or `None` when it may not be written.
    pub(super) fn ask(&mut self, now: Instant) -> Option<String> {
        let since = *self.since.get_or_insert(now);
        let periods = now.saturating_duration_since(since).as_secs() / EVERY.as_secs();
        if 0 < periods {
            let periods = u32::try_from(periods).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(periods).min(self.most);
            self.since = Some(now);
        }
        if self.left == 0 {
            self.kept_back += 1;
            return None;
        }
        self.left -= 1;
        Some(match std::mem::take(&mut self.kept_back) {
            0 => String::new(),
            n => format!(" ({n} such lines were kept back before)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_for_days_is_said_every_ten_minutes() {
        let start = Instant::now();
        let mut budget = Budget::new(3);
        let lines = |budget: &mut Budget, seconds: std::ops::Range<u64>| -> Vec<(u64, String)> {
            let at = |it| Some((it, budget.ask(start + Duration::from_secs(it))?));
            seconds.step_by(10).filter_map(at).collect()
        };
        let day = lines(&mut budget, 0..86_400);
        assert_eq!(day.len(), 3 + 143);
        assert_eq!(day[3], (600, " (57 such lines were kept back before)".to_owned()));
        // What has been quiet for long may be said at once.
        assert_eq!(lines(&mut budget, 100_000..100_100).len(), 3);
    }
}
