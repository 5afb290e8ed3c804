//! When what the writers' queues have dropped is declared lost.

use std::time::{Duration, Instant};

use crate::{
    feed::drops::{Dropped, Drops},
    ledger::Ledger,
    market::{Channel, Gap, GapReason, Nanos, Venue},
};

/// A queue that has dropped nothing for this long keeps up again.
const OVER_AFTER: Duration = Duration::from_secs(3);
/// What lasts longer is declared in parts, so that the ledger is never far behind.
const CUT_AFTER: Duration = Duration::from_mins(1);

/// The times in which events are dropped, of each channel of each venue.
pub(super) struct DropEpisodes<'a> {
    drops: &'a Drops<'a>,
    ledger: &'a Ledger,
    /// By venue, then by channel.
    of: [[Episode; Channel::ALL.len()]; Venue::COUNT],
}

/// One of them.
#[derive(Clone, Copy)]
struct Episode {
    sum: Dropped,
    /// When it began, and when it was last seen to go on.
    time: Option<(Instant, Instant)>,
    /// The last time that was declared.
    before: Nanos,
}

impl<'a> DropEpisodes<'a> {
    pub(super) fn new(drops: &'a Drops<'a>, ledger: &'a Ledger) -> Self {
        let none = Episode { sum: Dropped::NONE, time: None, before: Nanos(0) };
        Self { drops, ledger, of: [[none; Channel::ALL.len()]; Venue::COUNT] }
    }

    /// Declares what is over, or lasts for long.
    pub(super) fn look(&mut self, now: Instant) {
        self.each(|episode, dropped| episode.look(dropped, now));
    }

    /// Declares the rest.
    pub(super) fn finish(&mut self) {
        self.each(|episode, dropped| {
            episode.sum += dropped;
            episode.end()
        });
    }

    fn each(&mut self, mut look: impl FnMut(&mut Episode, Dropped) -> Option<Dropped>) {
        for (index, channels) in self.of.iter_mut().enumerate() {
            let venue = Venue::at(index);
            for (channel, episode) in Channel::ALL.into_iter().zip(channels) {
                if let Some(it) = look(episode, self.drops.take(venue, channel)) {
                    self.ledger.declare(gap(venue, channel, it));
                }
            }
        }
    }
}

fn gap(venue: Venue, channel: Channel, it: Dropped) -> Gap {
    Gap {
        from: it.first,
        to: it.last,
        venue,
        instrument: None,
        channel: Some(channel),
        reason: GapReason::QueueDrop,
        dropped: Some(it.count),
        conn: None,
    }
}

impl Episode {
    /// Takes in what was dropped since the last look; returns what is to be declared.
    fn look(&mut self, dropped: Dropped, now: Instant) -> Option<Dropped> {
        self.sum += dropped;
        if 0 < dropped.count {
            self.time = Some((self.time.map_or(now, |(began, _)| began), now));
        }
        let (began, seen) = self.time?;
        let due = OVER_AFTER <= now - seen || CUT_AFTER <= now - began;
        if due { self.end() } else { None }
    }

    fn end(&mut self) -> Option<Dropped> {
        let Self { sum, before, .. } = *self;
        if sum.count == 0 {
            return None;
        }
        // Events whose times were in the part before are as old as those at most.
        let (first, last) =
            if sum.first <= sum.last { (sum.first, sum.last) } else { (before, before) };
        *self = Episode { sum: Dropped::NONE, time: None, before: last };
        Some(Dropped { count: sum.count, first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(count: u64, first: i64, last: i64) -> Dropped {
        Dropped { count, first: Nanos(first), last: Nanos(last) }
    }

    /// What is declared of looks a second apart, and when.
    fn declared(looks: &[Dropped]) -> Vec<(u64, Dropped)> {
        let mut episode = Episode { sum: Dropped::NONE, time: None, before: Nanos(0) };
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let looks = (0..).zip(looks);
        looks.filter_map(|(n, &it)| Some((n, episode.look(it, at(n))?))).collect()
    }

    #[test]
    fn what_is_dropped_within_seconds_is_one_episode() {
        let none = Dropped::NONE;
        let looks = [none, dropped(2, 5, 9), none, none, dropped(3, 7, 20), none, none, none, none];
        assert_eq!(declared(&looks), [(7, dropped(5, 5, 20))]);
    }

    #[test]
    fn a_long_episode_is_declared_by_the_minute() {
        let looks: Vec<_> = (0..150).map(|it| dropped(10, it, it)).collect();
        assert_eq!(
            declared(&looks),
            [(60, dropped(610, 0, 60)), (121, dropped(610, 61, 121))],
            "the rest is still going on"
        );
    }

    #[test]
    fn an_event_whose_time_was_in_the_part_before_is_as_old() {
        let mut episode = Episode { sum: dropped(1, 3, 4), time: None, before: Nanos(0) };
        assert_eq!(episode.end(), Some(dropped(1, 3, 4)));
        episode.sum += Dropped { count: 1, ..Dropped::NONE };
        assert_eq!(episode.end(), Some(dropped(1, 4, 4)));
        assert_eq!(episode.end(), None);
    }
}
