//! Records to journals: the loss ledger and the spreads.

use super::{
    Settings, Totals,
    dataset::Dataset,
    lane::{Lane, Target},
    records,
    table::Table,
};
use crate::{
    market::{Episode, Gap, Nanos, Record},
    metrics::Metrics,
    registry::Registry,
};

/// Records that wait while the disk refuses. When there are as many, no more are asked for.
const PENDING_MAX: usize = 1_024;

/// Writes records to the journals of a [`Dataset`]: gaps to [`Table::Gaps`], episodes to
/// [`Table::Spreads`], each under the UTC day of its end.
///
/// It keeps the same promises as [`Writer`](super::Writer).
pub struct RecordWriter<'a> {
    registry: &'a Registry,
    gaps: (Vec<Gap>, Lane),
    spreads: (Vec<Episode>, Lane),
    target: Target<'a>,
}

impl<'a> RecordWriter<'a> {
    /// A writer without journals.
    #[must_use]
    pub fn new(
        dataset: &'a Dataset,
        settings: &Settings,
        registry: &'a Registry,
        metrics: &Metrics,
    ) -> Self {
        Self {
            registry,
            gaps: (Vec::new(), Lane::new(Table::Gaps, None, metrics)),
            spreads: (Vec::new(), Lane::new(Table::Spreads, None, metrics)),
            target: Target::new(dataset, "0".to_owned(), settings),
        }
    }

    /// How many more records it has room for.
    #[must_use]
    pub fn room(&self) -> usize {
        PENDING_MAX.saturating_sub(self.gaps.0.len() + self.spreads.0.len())
    }

    /// Takes all `records`.
    pub fn append(&mut self, records: &mut Vec<Record>) {
        for record in records.drain(..) {
            match record {
                Record::Gap(it) => self.gaps.0.push(it),
                Record::Episode(it) => self.spreads.0.push(it),
            }
        }
    }

    /// Writes what has been taken, and completes the journals that are old or large enough, and
    /// those of a day that is over.
    ///
    /// # Panics
    /// When an instrument is not in the registry.
    pub fn tick(&mut self, now: Nanos) {
        for lane in [&mut self.gaps.1, &mut self.spreads.1] {
            lane.retry(now, &mut self.target);
        }
        self.write(now, false);
        for lane in [&mut self.gaps.1, &mut self.spreads.1] {
            lane.rotate(now, &mut self.target);
        }
    }

    /// Writes what has been taken and completes all journals.
    ///
    /// # Panics
    /// As [`tick`](Self::tick).
    #[must_use = "it says what was lost"]
    pub fn finish(mut self, now: Nanos) -> Totals {
        self.write(now, true);
        for lane in [&mut self.gaps.1, &mut self.spreads.1] {
            lane.finish(now, &mut self.target);
        }
        self.target.totals
    }

    /// While the disk refuses, records wait here and not in batches, unless it `is_urgent`.
    fn write(&mut self, now: Nanos, is_urgent: bool) {
        let Self { registry, gaps: (gaps, gaps_lane), spreads: (episodes, lane), target } = self;
        if is_urgent || !gaps_lane.is_in_trouble() {
            gaps.sort_by_key(|it| it.to.day());
            for (day, gaps) in days(gaps, |it: &Gap| it.to) {
                let batch = records::gaps(gaps, registry);
                gaps_lane.write(day, batch, times(gaps, |it| it.to), now, target);
            }
            gaps.clear();
        }
        if is_urgent || !lane.is_in_trouble() {
            episodes.sort_by_key(|it| it.close.day());
            for (day, episodes) in days(episodes, |it: &Episode| it.close) {
                let batch = records::episodes(episodes, registry);
                lane.write(day, batch, times(episodes, |it| it.close), now, target);
            }
            episodes.clear();
        }
    }
}

/// Stretches of records that are of one UTC day.
fn days<T>(records: &[T], time: fn(&T) -> Nanos) -> impl Iterator<Item = (i32, &[T])> {
    let parts = records.chunk_by(move |a, b| time(a).day() == time(b).day());
    parts.map(move |it| (time(&it[0]).day(), it))
}

/// The first and the last time among `records`, of which there is at least one.
fn times<T>(records: &[T], time: fn(&T) -> Nanos) -> (Nanos, Nanos) {
    let first = time(&records[0]);
    records.iter().map(time).fold((first, first), |(min, max), it| (min.min(it), max.max(it)))
}
