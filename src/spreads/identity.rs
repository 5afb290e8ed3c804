//! Two assets under one ticker: pairs whose prices are too far apart to be of one thing.

use super::{Counts, group::Group, rules::Rules};

/// A pair of slots that makes no spreads for the time being.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect {
    /// The lower slot first.
    pub(super) pair: [usize; 2],
    /// When their prices were first found apart, in microseconds.
    pub(super) since: i64,
    /// Whether they have been for so long that they are taken for two assets.
    pub(super) quarantined: bool,
    /// Since when a quarantined pair agrees again.
    agrees_since: Option<i64>,
    /// The higher of the two mid prices as a multiple of the lower one, when last judged.
    pub(super) ratio: f64,
}

impl Group {
    /// Whether the pair has to be held back, as of now. Both legs are fresh, and they are apart or
    /// have been.
    pub(super) fn judge(
        &mut self,
        [a, b]: [usize; 2],
        apart: bool,
        now: i64,
        rules: &Rules,
        counts: &mut Counts,
    ) -> bool {
        let pair = [a.min(b), a.max(b)];
        let (mid_a, mid_b) = (self.legs[a].mid, self.legs[b].mid);
        // A book without prices is no evidence.
        if mid_a.is_nan() || mid_b.is_nan() {
            return true;
        }
        let ratio = mid_a.max(mid_b) / mid_a.min(mid_b);
        let Some(at) = self.suspects.iter().position(|it| it.pair == pair) else {
            let (quarantined, agrees_since) = (false, None);
            self.suspects.push(Suspect { pair, since: now, quarantined, agrees_since, ratio });
            self.hold(pair, true);
            return true;
        };
        let it = &mut self.suspects[at];
        it.ratio = ratio;
        let over = if it.quarantined {
            it.agrees_since = rules.agree(mid_a, mid_b).then(|| it.agrees_since.unwrap_or(now));
            it.agrees_since.is_some_and(|since| rules.identity_after <= now - since)
        } else {
            if apart && rules.identity_after <= now - it.since {
                it.quarantined = true;
                counts.quarantined += 1;
            }
            !apart
        };
        if over {
            self.acquit(pair, counts);
        }
        !over
    }

    /// Ends the suspicion of a pair, if there is one.
    pub(super) fn acquit(&mut self, [a, b]: [usize; 2], counts: &mut Counts) {
        let pair = [a.min(b), a.max(b)];
        if let Some(at) = self.suspects.iter().position(|it| it.pair == pair) {
            counts.quarantined -= u64::from(self.suspects.swap_remove(at).quarantined);
            self.hold(pair, false);
        }
    }

    fn hold(&mut self, [a, b]: [usize; 2], held: bool) {
        for (one, other) in [(a, b), (b, a)] {
            if held {
                self.legs[one].held |= 1 << other;
            } else {
                self.legs[one].held &= !(1 << other);
            }
        }
    }
}
