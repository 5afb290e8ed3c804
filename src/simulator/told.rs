//! What has been told of a stream, so that an event counts once however many connections carry it,
//! in whatever order they come to it.

use std::ops::Range;

use parking_lot::Mutex;

/// Holes that are remembered, at most: a venue conflates without end what a client cannot take.
const HOLES_MAX: usize = 64;

/// Numbers that everybody has left out although later ones have been told.
#[derive(Debug, Default)]
pub(super) struct Holes(Mutex<Vec<Range<u64>>>);

/// What had been told before something was.
#[derive(Debug)]
pub(super) struct Before {
    next: u64,
    holes: Vec<Range<u64>>,
}

impl Holes {
    /// Takes it that `range` is told, when the last number told was the one before `next`.
    pub(super) fn tell(&self, next: u64, range: Range<u64>) -> Before {
        if next == range.start {
            return Before { next, holes: Vec::new() };
        }
        let mut holes = self.0.lock();
        let before = Before { next, holes: holes.clone() };
        if next < range.start {
            push(&mut holes, next..range.start);
        } else {
            let rest = |it: &Range<u64>| {
                [it.start..it.end.min(range.start), it.start.max(range.end)..it.end]
            };
            *holes = holes.iter().flat_map(rest).filter(|it| !it.is_empty()).collect();
        }
        before
    }

    /// What had been told when the last number told was the one before `next`.
    pub(super) fn before(&self, next: u64) -> Before {
        Before { next, holes: self.0.lock().clone() }
    }

    /// Takes it that `range` was not told after all.
    pub(super) fn miss(&self, range: Range<u64>) {
        push(&mut self.0.lock(), range);
    }
}

fn push(holes: &mut Vec<Range<u64>>, hole: Range<u64>) {
    if holes.len() == HOLES_MAX {
        holes.remove(0);
    }
    holes.push(hole);
}

impl Before {
    /// Whether a number had been told.
    pub(super) fn has(&self, number: u64) -> bool {
        number < self.next && !self.holes.iter().any(|it| it.contains(&number))
    }

    /// How many of `range` had not been told.
    pub(super) fn lacks(&self, range: Range<u64>) -> u64 {
        range.map(|it| u64::from(!self.has(it))).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_number_is_new_once_whoever_tells_it() {
        let holes = Holes::default();
        let (mut next, mut told) = (0, HashSet::new());
        for range in [100..110, 110..120, 130..140, 105..135, 0..5, 90..104, 100..141, 150..151] {
            let before = holes.tell(next, range.clone());
            next = next.max(range.end);
            for number in range {
                assert_eq!(before.has(number), !told.insert(number), "{number}");
            }
        }
        holes.miss(150..151);
        assert!(!holes.tell(next, 149..151).has(150));
        assert!(holes.tell(next, 149..151).has(150));
    }

    #[test]
    fn no_more_is_remembered_than_is_bounded() {
        let holes = Holes::default();
        (0..1_000).for_each(|n| drop(holes.tell(2 * n, 2 * n + 1..2 * n + 2)));
        assert_eq!(holes.0.lock().len(), HOLES_MAX);
    }
}
