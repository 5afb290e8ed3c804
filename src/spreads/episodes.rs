//! Stretches of time in which a cross earns more than the minimum.

use super::{
    Counts, Out,
    group::{Begun, Earned, Group, nanos},
    rules::Rules,
};
use crate::market::Episode;

/// One that is not over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// Where it is bought and where it is sold.
    pub(super) pair: [usize; 2],
    /// Its `close` is that of its latest update.
    pub(super) episode: Episode,
}

impl Group {
    /// Opens, continues or closes the episode of `pair`, whose cross is worth `earned` now.
    pub(super) fn follow(
        &mut self,
        pair: [usize; 2],
        earned: Earned,
        now: i64,
        rules: &Rules,
        counts: &mut Counts,
        out: &mut Out,
    ) {
        let found = self.open.iter().position(|it| it.pair == pair);
        match found {
            Some(at) if rules.keeps(earned.net_bps) => self.keep(at, earned, now),
            Some(at) => self.close(at, now, out),
            None if rules.opens(earned.net_bps) => {
                counts.episodes += 1;
                self.begin(pair, earned, now);
            }
            None => {}
        }
    }

    fn begin(&mut self, pair: [usize; 2], earned: Earned, now: i64) {
        let Some(peak) = self.cross(pair, earned, now) else { return };
        let [buy, sell] = pair;
        self.begun = Begun { day: day(now), episodes: self.begun_on(now) + 1 };
        let episode = Episode {
            buy: peak.buy,
            sell: peak.sell,
            open: nanos(now),
            close: nanos(now),
            peak,
            leg_age_max: peak.leg_age,
            updates: 1,
        };
        self.open.push(Open { pair, episode });
        self.legs[buy].open |= 1 << sell;
        self.legs[sell].open |= 1 << buy;
    }

    /// How many began on the day of `now`.
    pub(super) fn begun_on(&self, now: i64) -> u32 {
        if self.begun.day == day(now) { self.begun.episodes } else { 0 }
    }

    fn keep(&mut self, at: usize, earned: Earned, now: i64) {
        let Some(cross) = self.cross(self.open[at].pair, earned, now) else { return };
        let episode = &mut self.open[at].episode;
        episode.close = nanos(now);
        episode.updates += 1;
        episode.leg_age_max = episode.leg_age_max.max(cross.leg_age);
        if episode.peak.net_bps < cross.net_bps {
            episode.peak = cross;
        }
    }

    fn close(&mut self, at: usize, now: i64, out: &mut Out) {
        let Open { pair: [buy, sell], mut episode } = self.open.swap_remove(at);
        episode.close = nanos(now);
        out.episodes.push(episode);
        let opposite = self.open.iter().any(|it| it.pair == [sell, buy]);
        if !opposite {
            self.legs[buy].open &= !(1 << sell);
            self.legs[sell].open &= !(1 << buy);
        }
    }

    /// Closes those of `pair`, in both directions.
    pub(super) fn close_both(&mut self, [a, b]: [usize; 2], now: i64, out: &mut Out) {
        for at in (0..self.open.len()).rev() {
            if self.open[at].pair == [a, b] || self.open[at].pair == [b, a] {
                self.close(at, now, out);
            }
        }
    }

    /// Closes those of which a leg was received before `oldest`, each at the time at which it
    /// became too old.
    pub(super) fn expire(&mut self, oldest: i64, rules: &Rules, out: &mut Out) {
        for at in (0..self.open.len()).rev() {
            let [buy, sell] = self.open[at].pair;
            let older = self.legs[buy].at.min(self.legs[sell].at);
            if older < oldest {
                self.close(at, older + rules.max_quote_age, out);
            }
        }
    }

    /// Closes all.
    pub(super) fn close_all(&mut self, now: i64, out: &mut Out) {
        for at in (0..self.open.len()).rev() {
            self.close(at, now, out);
        }
    }
}

/// Days since the epoch, UTC.
fn day(now: i64) -> i64 {
    const DAY: i64 = 86_400_000_000;
    now.div_euclid(DAY)
}
