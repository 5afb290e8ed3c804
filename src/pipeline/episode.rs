//! What is said of a queue that drops.

/// A time in which a queue drops: one line when it begins and one when it is over, however many
/// events are lost.
#[derive(Debug, Default)]
pub(super) struct Episode {
    before: u64,
    seen: u64,
}

impl Episode {
    /// Takes in how many events have been dropped so far.
    pub(super) fn look(&mut self, dropped: u64) -> Option<String> {
        let (dropping, was_dropping) = (self.seen < dropped, self.before < self.seen);
        self.seen = dropped;
        match (was_dropping, dropping) {
            (false, true) => Some("full, dropping the oldest events".to_owned()),
            (true, false) => {
                let lost = dropped - self.before;
                self.before = dropped;
                Some(format!("keeps up again, {lost} events were dropped"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_of_drops_is_two_lines() {
        let mut episode = Episode::default();
        let lines: Vec<_> =
            [0, 5, 9, 9, 9, 12, 12].into_iter().filter_map(|it| episode.look(it)).collect();
        assert_eq!(
            lines,
            [
                "full, dropping the oldest events",
                "keeps up again, 9 events were dropped",
                "full, dropping the oldest events",
                "keeps up again, 3 events were dropped",
            ]
        );
    }
}
