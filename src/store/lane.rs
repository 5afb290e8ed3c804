//! The files of one table, or of one exchange's part of it: when they are opened and closed, and
//! what is done about a disk that refuses.

use std::{iter::Sum, mem, time::Duration};

use arrow::array::RecordBatch;
use parquet::file::properties::WriterPropertiesPtr;

use super::{
    Settings,
    dataset::Dataset,
    error::StoreError,
    file::{OpenFile, Partition},
    properties::properties,
    table::Table,
};
use crate::{
    market::{Exchange, Nanos},
    metrics::{FileMetrics, Metrics},
};

/// How long after midnight the files of the past day stay open, for events that were under way.
const DAY_GRACE: Duration = Duration::from_secs(10);

/// The most files open in a lane: today's, and yesterday's or tomorrow's. A clock that jumps from
/// day to day must not use up the file descriptors.
const OPEN_MAX: usize = 2;

/// How long after a failure a file is not tried again: a full disk must not keep the writer busy.
const BACKOFF: Duration = Duration::from_secs(1);

/// What has been done with the rows that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Quotes in files that are whole and in place.
    pub rows_quotes: u64,
    /// Trades in files that are whole and in place.
    pub rows_trades: u64,
    /// Rows of spreads and of the loss ledger in files that are whole and in place.
    pub records: u64,
    /// Rows that could not be written.
    pub rows_lost: u64,
    /// Files that are whole and in place.
    pub files: u64,
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Totals::default(), |sum, it| Totals {
            rows_quotes: sum.rows_quotes + it.rows_quotes,
            rows_trades: sum.rows_trades + it.rows_trades,
            records: sum.records + it.records,
            rows_lost: sum.rows_lost + it.rows_lost,
            files: sum.files + it.files,
        })
    }
}

/// Where and how files are made.
pub(super) struct Target<'a> {
    dataset: &'a Dataset,
    index: String,
    properties: WriterPropertiesPtr,
    rotate: i64,
    rotate_size: u64,
    created: u64,
    pub(super) totals: Totals,
}

/// The files of one table, or of one exchange's part of it.
pub(super) struct Lane {
    table: Table,
    exchange: Option<Exchange>,
    metrics: FileMetrics,
    /// One a day, in the order they were opened: two around midnight.
    open: Vec<OpenFile>,
    trouble: Option<Trouble>,
}

/// An episode of failures: from the first one to the next file that comes out whole.
struct Trouble {
    retry_at: Nanos,
    errors: u64,
    rows_lost: u64,
}

impl<'a> Target<'a> {
    /// `index` tells those of one run apart.
    pub(super) fn new(dataset: &'a Dataset, index: String, settings: &Settings) -> Self {
        Self {
            dataset,
            index,
            properties: properties(dataset.run_id(), settings.compression),
            rotate: nanos(settings.rotate),
            rotate_size: settings.rotate_size,
            created: 0,
            totals: Totals::default(),
        }
    }

    fn create(&mut self, partition: Partition, now: Nanos) -> Result<OpenFile, StoreError> {
        self.created += 1;
        let name = format!("{}-{}-{}", partition.name(), self.index, self.created);
        let name = self.dataset.file_name(&name);
        OpenFile::create(self.dataset.dir(), name, partition, &self.properties, now)
    }

    fn is_due(&self, file: &mut OpenFile, now: Nanos) -> bool {
        // A clock that was set back would keep the file open for as long again.
        file.opened = file.opened.min(now);
        let age = now.0 - file.opened.0;
        let grace = nanos(DAY_GRACE);
        // The second condition gives stragglers of a day long over one file, not one a tick.
        let day_is_over = file.partition.day < Nanos(now.0 - grace).day() && grace < age;
        day_is_over || self.rotate <= age || self.rotate_size <= file.size()
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Lane {
    pub(super) fn new(table: Table, exchange: Option<Exchange>, metrics: &Metrics) -> Self {
        let metrics = metrics.table(table.name());
        Self { table, exchange, metrics, open: Vec::new(), trouble: None }
    }

    /// Opens the file of `day` if it is not open; says whether it is.
    pub(super) fn open(&mut self, day: i32, now: Nanos, target: &mut Target<'_>) -> bool {
        self.file(day, now, target).is_some()
    }

    /// Writes `batch`, whose rows are all of `day`, and whose first and last [`Table::time`] are
    /// `times`.
    pub(super) fn write(
        &mut self,
        day: i32,
        batch: &RecordBatch,
        times: (Nanos, Nanos),
        now: Nanos,
        target: &mut Target<'_>,
    ) {
        let Some(at) = self.file(day, now, target) else {
            return self.lose(batch.num_rows() as u64, target);
        };
        if let Err(error) = self.open[at].write(batch, times) {
            let file = self.open.remove(at);
            let rows = file.rows();
            file.discard();
            self.fail(&error, rows, now, target);
        }
    }

    /// Counts rows as lost.
    pub(super) fn lose(&mut self, rows: u64, target: &mut Target<'_>) {
        self.metrics.lost.inc_by(rows);
        target.totals.rows_lost += rows;
        if let Some(trouble) = &mut self.trouble {
            trouble.rows_lost += rows;
        }
    }

    /// Whether a file is old or large enough to be closed, or its day is over.
    pub(super) fn is_due(&mut self, now: Nanos, target: &Target<'_>) -> bool {
        self.open.iter_mut().any(|it| target.is_due(it, now))
    }

    /// Closes the files for which that is so.
    pub(super) fn close_due(&mut self, now: Nanos, target: &mut Target<'_>) {
        for mut file in mem::take(&mut self.open) {
            if target.is_due(&mut file, now) {
                self.close(file, now, target);
            } else {
                self.open.push(file);
            }
        }
    }

    /// Closes all files.
    pub(super) fn close_all(&mut self, now: Nanos, target: &mut Target<'_>) {
        for file in mem::take(&mut self.open) {
            self.close(file, now, target);
        }
    }

    /// Where in `open` the file of `day` is; `None` if there cannot be one at present.
    fn file(&mut self, day: i32, now: Nanos, target: &mut Target<'_>) -> Option<usize> {
        if let Some(at) = self.open.iter().position(|it| it.partition.day == day) {
            return Some(at);
        }
        if self.trouble.as_ref().is_some_and(|it| it.is_waiting(now)) {
            return None;
        }
        if self.open.len() == OPEN_MAX {
            let oldest = self.open.remove(0);
            self.close(oldest, now, target);
        }
        let partition = Partition { table: self.table, exchange: self.exchange, day };
        match target.create(partition, now) {
            Ok(file) => self.open.push(file),
            Err(error) => {
                self.fail(&error, 0, now, target);
                return None;
            }
        }
        Some(self.open.len() - 1)
    }

    fn close(&mut self, file: OpenFile, now: Nanos, target: &mut Target<'_>) {
        let rows = file.rows();
        match file.close() {
            Ok(()) => self.count(rows, target),
            Err(error) => self.fail(&error, rows, now, target),
        }
    }

    fn count(&mut self, rows: u64, target: &mut Target<'_>) {
        self.metrics.rows.inc_by(rows);
        self.metrics.files.inc();
        target.totals.files += 1;
        match self.table {
            Table::Quotes => target.totals.rows_quotes += rows,
            Table::Trades => target.totals.rows_trades += rows,
            Table::Spreads | Table::Gaps => target.totals.records += rows,
        }
        if let Some(Trouble { errors, rows_lost, .. }) = self.trouble.take() {
            log::info!(
                "{} can be written again, after {errors} errors and {rows_lost} rows lost",
                self.name()
            );
        }
    }

    fn fail(&mut self, error: &StoreError, rows: u64, now: Nanos, target: &mut Target<'_>) {
        self.metrics.errors.inc();
        let retry_at = Nanos(now.0 + nanos(BACKOFF));
        match &mut self.trouble {
            Some(trouble) => {
                trouble.retry_at = retry_at;
                trouble.errors += 1;
            }
            // One line an episode: the rest is in the metrics.
            none => {
                *none = Some(Trouble { retry_at, errors: 1, rows_lost: 0 });
                log::error!("{error}; rows are lost and counted until it can be done");
            }
        }
        self.lose(rows, target);
    }

    /// `quotes of okx`, `gaps`
    fn name(&self) -> String {
        let exchange = self.exchange.map(|it| format!(" of {it}")).unwrap_or_default();
        format!("{}{exchange}", self.table)
    }
}

impl Trouble {
    /// Also when the clock was set back: no wait is longer than [`BACKOFF`].
    fn is_waiting(&self, now: Nanos) -> bool {
        (self.retry_at.0 - nanos(BACKOFF)..self.retry_at.0).contains(&now.0)
    }
}
