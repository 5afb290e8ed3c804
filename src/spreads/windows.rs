//! What prices were, at equal steps over the last quarter of an hour.
//!
//! A step is a column with one cell for each instrument, written at one moment, so that any two
//! instruments can be compared afterwards and no pair has a window of its own: 16 venues of 1000
//! symbols are 112,000 ordered pairs, but 16,000 cells of 6 bytes a step, 17 MB for 180 steps.

use std::{collections::VecDeque, time::Duration};

use super::{
    group::{Group, Leg},
    rules::whole_micros,
};

/// All instruments, at each step.
#[derive(Debug)]
pub(super) struct Windows {
    /// The oldest first.
    columns: VecDeque<Column>,
    length: i64,
    every: i64,
    steps: usize,
}

#[derive(Debug, Default)]
struct Column {
    /// In microseconds.
    at: i64,
    cells: Vec<Cell>,
}

/// The mid price of one instrument and the spread of its book, as close as 0.001 basis points: an
/// `f32` and 16 bits instead of two `f64`.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Three parts of 16 bits have no padding.
    mid: [u16; 2],
    /// In steps of 0.01 basis points.
    spread: u16,
}

/// One instrument at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Past {
    pub(super) at: i64,
    pub(super) mid: f64,
    pub(super) spread_bps: f64,
}

/// 1 / 0.01 basis points.
const STEPS_PER_BPS: f64 = 100.0;

impl Cell {
    const NONE: Cell = Cell { mid: [0; 2], spread: 0 };

    fn of(leg: &Leg) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "24 bits are 0.0006 basis points")]
        let bits = (leg.mid as f32).to_bits();
        let spread = (leg.ask - leg.bid) / leg.mid * 10_000.0 * STEPS_PER_BPS;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let spread = spread.round() as u16;
        #[expect(clippy::cast_possible_truncation, reason = "one half at a time")]
        let mid = [(bits >> 16) as u16, bits as u16];
        Self { mid, spread }
    }

    fn get(self, at: i64) -> Option<Past> {
        let [high, low] = self.mid;
        let mid = f64::from(f32::from_bits(u32::from(high) << 16 | u32::from(low)));
        let spread_bps = f64::from(self.spread) / STEPS_PER_BPS;
        (0.0 < mid).then_some(Past { at, mid, spread_bps })
    }
}

impl Past {
    pub(super) fn bid(&self) -> f64 {
        self.mid * (1.0 - self.spread_bps / 20_000.0)
    }

    pub(super) fn ask(&self) -> f64 {
        self.mid * (1.0 + self.spread_bps / 20_000.0)
    }
}

impl Windows {
    pub(super) fn new(length: Duration, every: Duration) -> Self {
        let (length, every) = (whole_micros(length), whole_micros(every).max(1));
        let steps = usize::try_from(length / every).unwrap_or(usize::MAX).max(1);
        Self { columns: VecDeque::new(), length, every, steps }
    }

    /// Adds a column of what is fresh, if it is time for one, in place of what is too old.
    pub(super) fn tick(&mut self, groups: &[Group], instruments: usize, now: i64, oldest: i64) {
        let step = |at: i64| at.div_euclid(self.every);
        if self.columns.back().is_some_and(|it| step(now) <= step(it.at)) {
            return;
        }
        let mut column = Column::default();
        while self.columns.len() == self.steps
            || self.columns.front().is_some_and(|it| it.at < now - self.length)
        {
            column = self.columns.pop_front().expect("at least one");
        }
        column.at = now;
        column.cells.clear();
        column.cells.reserve_exact(instruments);
        column.cells.resize(instruments, Cell::NONE);
        for group in groups {
            for (leg, slot) in group.legs.iter().zip(&group.slots) {
                if oldest <= leg.at && leg.has_bid() && leg.has_ask() {
                    column.cells[slot.column] = Cell::of(leg);
                }
            }
        }
        self.columns.push_back(column);
    }

    pub(super) fn clear(&mut self) {
        self.columns.clear();
    }

    /// What is known of the instrument of `column`, the oldest first.
    pub(super) fn of(&self, column: usize) -> impl Iterator<Item = Past> + '_ {
        self.pairs([column; 2]).map(|[it, _]| it)
    }

    /// The steps at which both instruments are known.
    pub(super) fn pairs(&self, [a, b]: [usize; 2]) -> impl Iterator<Item = [Past; 2]> + '_ {
        self.columns.iter().filter_map(move |it| {
            let past = |column: usize| it.cells.get(column)?.get(it.at);
            Some([past(a)?, past(b)?])
        })
    }
}
