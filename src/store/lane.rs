//! The journals of one table, or of one exchange's part of it: when they are opened and completed,
//! and what becomes of rows that the disk refuses.

use std::{collections::VecDeque, time::Duration};

use arrow::array::RecordBatch;

use super::{
    Settings, Totals,
    backoff::Backoff,
    dataset::Dataset,
    error::{Cause, StoreError},
    losses::Losses,
    nanos,
    partition::Partition,
    segment::Journal,
    table::Table,
};
use crate::{
    market::{Exchange, Gap, Nanos},
    metrics::{FileMetrics, Metrics},
};

/// How long after midnight the journals of the past day stay open, for events that were under way.
const DAY_GRACE: Duration = Duration::from_secs(10);

/// The most journals open in a lane: today's, and yesterday's or tomorrow's. A clock that jumps
/// from day to day must not use up the file descriptors.
const OPEN_MAX: usize = 2;

/// The most journals that wait for the sealer, open ones among them. A lane that would need more
/// keeps the one it has; each takes two file descriptors, of which a process has 1,024.
const WAITING_MAX: usize = 256;

/// Batches that a writer keeps while the disk refuses them: 16 take up to 16 MB.
const HELD_MAX: usize = 16;

/// How often the disk is tried before rows are given up because the program ends.
pub(super) const TRIES_AT_THE_END: u32 = 3;

/// How often in a row a journal may fail before another is tried: it may be this one only.
const FAILURES_MAX: u32 = 3;

/// Where and how journals are made, and what is held back, for all lanes of a writer.
pub(super) struct Target<'a> {
    dataset: &'a Dataset,
    index: String,
    rotate: i64,
    rotate_size: u64,
    created: u64,
    /// Batches held by all lanes.
    held: usize,
    scratch: Vec<u8>,
    declare: Box<dyn Fn(Gap) + Send + 'a>,
    pub(super) totals: Totals,
}

/// Rows of one day that are not in a journal yet.
struct Held {
    day: i32,
    batch: RecordBatch,
    times: (Nanos, Nanos),
}

/// The journals of one table, or of one exchange's part of it.
pub(super) struct Lane {
    table: Table,
    exchange: Option<Exchange>,
    metrics: FileMetrics,
    /// One a day, in the order they were opened: two around midnight.
    open: Vec<Journal>,
    held: VecDeque<Held>,
    /// When the last row that was written was received.
    last: Option<Nanos>,
    trouble: Option<Trouble>,
}

/// An episode of failures: from the first one to the next batch that is written.
#[derive(Default)]
struct Trouble {
    backoff: Backoff,
    errors: u64,
    losses: Losses,
}

impl<'a> Target<'a> {
    /// `index` tells those of one run apart. Rows that are given up go to `declare`.
    pub(super) fn new(dataset: &'a Dataset, index: String, settings: &Settings) -> Self {
        Self {
            dataset,
            index,
            rotate: nanos(settings.rotate),
            rotate_size: settings.rotate_size,
            created: 0,
            held: 0,
            scratch: Vec::new(),
            declare: Box::new(|_| ()),
            totals: Totals::default(),
        }
    }

    pub(super) fn declare_to(&mut self, declare: impl Fn(Gap) + Send + 'a) {
        self.declare = Box::new(declare);
    }

    fn create(&mut self, partition: Partition, now: Nanos) -> Result<Journal, StoreError> {
        self.created += 1;
        let name = partition.file(self.dataset.run_id(), &self.index, self.created);
        if !self.has_room() {
            let path = self.dataset.journal_file(&name);
            let waiting = Cause::Waiting(self.dataset.waiting());
            return Err(StoreError::during("create", &path)(waiting));
        }
        Journal::create(self.dataset, name, partition, now)
    }

    fn has_room(&self) -> bool {
        self.dataset.waiting() < WAITING_MAX
    }

    fn is_due(&self, journal: &mut Journal, now: Nanos) -> bool {
        // A clock that was set back would keep the journal open for as long again.
        journal.opened = journal.opened.min(now);
        let age = now.0 - journal.opened.0;
        let grace = nanos(DAY_GRACE);
        // The second condition gives stragglers of a day long over one file, not one a tick.
        let day = journal.segment.partition.day;
        let day_is_over = day < Nanos(now.0 - grace).day() && grace < age;
        let is_large = self.rotate_size <= journal.segment.size();
        let is_spoiled = journal.segment.is_spoiled();
        is_spoiled || (day_is_over || self.rotate <= age || is_large) && self.has_room()
    }
}

impl Lane {
    pub(super) fn new(table: Table, exchange: Option<Exchange>, metrics: &Metrics) -> Self {
        let metrics = metrics.table(table.name());
        let (open, held) = (Vec::new(), VecDeque::new());
        Self { table, exchange, metrics, open, held, last: None, trouble: None }
    }

    /// Whether the disk refuses at present, so that rows had better wait where they are.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// Writes `batch`, whose rows are all of `day`, and whose first and last [`Table::time`] are
    /// `times`. If the disk refuses, it is held back; if too much is, the oldest is given up.
    pub(super) fn write(
        &mut self,
        day: i32,
        batch: RecordBatch,
        times: (Nanos, Nanos),
        now: Nanos,
        target: &mut Target<'_>,
    ) {
        self.held.push_back(Held { day, batch, times });
        target.held += 1;
        self.retry(now, target);
        while HELD_MAX < target.held && !self.held.is_empty() {
            // Messages of the oldest may have been made, on which later ones are built.
            let oldest = 1.min(self.held.len() - 1);
            let given_up = self.held.remove(oldest);
            self.give_up(given_up, target);
        }
    }

    /// Writes what is held back, if it is time to try.
    pub(super) fn retry(&mut self, now: Nanos, target: &mut Target<'_>) {
        if !self.trouble.as_ref().is_some_and(|it| it.backoff.is_waiting(now)) {
            self.write_held(now, target);
        }
    }

    /// Completes the journals that are old or large enough, and those of a day that is over.
    pub(super) fn rotate(&mut self, now: Nanos, target: &mut Target<'_>) {
        self.open.retain_mut(|it| !target.is_due(it, now));
    }

    /// Whether [`rotate`](Self::rotate) would complete a journal.
    pub(super) fn is_due(&mut self, now: Nanos, target: &Target<'_>) -> bool {
        self.open.iter_mut().any(|it| target.is_due(it, now))
    }

    /// Writes what is held back, for the last time, and completes all journals.
    pub(super) fn finish(&mut self, now: Nanos, target: &mut Target<'_>) {
        for _ in 0..TRIES_AT_THE_END {
            self.write_held(now, target);
        }
        while let Some(held) = self.held.pop_front() {
            self.give_up(Some(held), target);
        }
        self.end_trouble(false, target);
        self.open.clear();
    }

    fn write_held(&mut self, now: Nanos, target: &mut Target<'_>) {
        while let Some(held) = self.held.pop_front() {
            let put = self.put(&held, now, target);
            if let Err(error) = put {
                self.held.push_front(held);
                return self.fail(&error, now);
            }
            target.held -= 1;
            if self.table.channel().is_some() {
                self.metrics.delay.observe(now.0.saturating_sub(held.times.0.0));
            }
            self.end_trouble(true, target);
            self.last = self.last.max(Some(held.times.1));
        }
    }

    fn put(&mut self, held: &Held, now: Nanos, target: &mut Target<'_>) -> Result<(), StoreError> {
        let at = self.journal(held.day, now, target)?;
        let journal = &mut self.open[at];
        let written = journal.append(&held.batch, target.dataset, &mut target.scratch);
        if written.is_err() && 0 < journal.rows() && FAILURES_MAX <= journal.failures {
            self.open.remove(at);
        }
        written
    }

    /// Where in `open` the journal of `day` is.
    fn journal(
        &mut self,
        day: i32,
        now: Nanos,
        target: &mut Target<'_>,
    ) -> Result<usize, StoreError> {
        self.open.retain(|it| !it.segment.is_spoiled());
        if let Some(at) = self.open.iter().position(|it| it.segment.partition.day == day) {
            return Ok(at);
        }
        let partition = Partition { table: self.table, exchange: self.exchange, day };
        let journal = target.create(partition, now)?;
        if self.open.len() == OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push(journal);
        Ok(self.open.len() - 1)
    }

    fn fail(&mut self, error: &StoreError, now: Nanos) {
        self.metrics.errors.inc();
        if self.trouble.is_none() {
            // One line an episode: the rest is in the metrics.
            log::error!("{error}; it is tried again, and rows are lost if it takes long");
        }
        let trouble = self.trouble.get_or_insert_default();
        trouble.errors += 1;
        trouble.backoff.failed(now);
    }

    fn give_up(&mut self, held: Option<Held>, target: &mut Target<'_>) {
        let Some(Held { batch, times, .. }) = held else { return };
        let rows = batch.num_rows() as u64;
        target.held -= 1;
        target.totals.rows_lost += rows;
        self.metrics.lost.inc_by(rows);
        let from = self.last.unwrap_or(times.0);
        self.trouble.get_or_insert_default().losses.add(&batch, from, times.1);
    }

    /// The disk takes rows again, or the program ends.
    fn end_trouble(&mut self, is_over: bool, target: &mut Target<'_>) {
        let Some(Trouble { errors, losses, .. }) = self.trouble.take() else { return };
        let (name, rows) = (self.name(), losses.rows());
        if is_over {
            log::info!("{name} can be written again, after {errors} errors; {rows} rows lost");
        } else {
            log::error!("{name}: {rows} rows lost at the end, after {errors} errors");
        }
        if let (Some(channel), Some(exchange)) = (self.table.channel(), self.exchange) {
            losses.gaps(channel, exchange).for_each(|it| (target.declare)(it));
        }
    }

    /// `quotes of okx`, `gaps`
    fn name(&self) -> String {
        let exchange = self.exchange.map(|it| format!(" of {it}")).unwrap_or_default();
        format!("{}{exchange}", self.table)
    }
}
