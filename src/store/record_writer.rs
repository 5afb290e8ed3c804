//! Records to files: the loss ledger and the spreads.

use super::{
    Settings,
    dataset::Dataset,
    lane::{Lane, Target, Totals},
    records,
    table::Table,
};
use crate::{
    market::{Episode, Gap, Nanos, Record},
    metrics::Metrics,
    registry::Registry,
};

/// Writes records to the files of a [`Dataset`]: gaps to [`Table::Gaps`], episodes to
/// [`Table::Spreads`], each under the UTC day of its end.
///
/// It keeps the same promises as [`Writer`](super::Writer).
pub struct RecordWriter<'a> {
    registry: &'a Registry,
    gaps: Lane,
    spreads: Lane,
    target: Target<'a>,
}

impl<'a> RecordWriter<'a> {
    /// A writer without files.
    ///
    /// # Panics
    /// When zstd has no such level as `settings` say.
    #[must_use]
    pub fn new(
        dataset: &'a Dataset,
        settings: &Settings,
        registry: &'a Registry,
        metrics: &Metrics,
    ) -> Self {
        Self {
            registry,
            gaps: Lane::new(Table::Gaps, None, metrics),
            spreads: Lane::new(Table::Spreads, None, metrics),
            target: Target::new(dataset, "0".to_owned(), settings),
        }
    }

    /// Takes all `records`.
    ///
    /// # Panics
    /// When an instrument is not in the registry.
    pub fn append(&mut self, records: &mut Vec<Record>, now: Nanos) {
        let (mut gaps, mut episodes) = (Vec::new(), Vec::new());
        for record in records.drain(..) {
            match record {
                Record::Gap(it) => gaps.push(it),
                Record::Episode(it) => episodes.push(it),
            }
        }
        let (registry, target) = (self.registry, &mut self.target);
        for (day, gaps) in days(&gaps, |it: &Gap| it.to) {
            let batch = records::gaps(gaps, registry);
            self.gaps.write(day, &batch, times(gaps, |it| it.to), now, target);
        }
        for (day, episodes) in days(&episodes, |it: &Episode| it.close) {
            let batch = records::episodes(episodes, registry);
            self.spreads.write(day, &batch, times(episodes, |it| it.close), now, target);
        }
    }

    /// Closes the files that are old or large enough, and those of a day that is over.
    pub fn tick(&mut self, now: Nanos) {
        for lane in [&mut self.gaps, &mut self.spreads] {
            lane.close_due(now, &mut self.target);
        }
    }

    /// Closes all files.
    #[must_use = "it says what was lost"]
    pub fn finish(mut self, now: Nanos) -> Totals {
        for lane in [&mut self.gaps, &mut self.spreads] {
            lane.close_all(now, &mut self.target);
        }
        self.target.totals
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
