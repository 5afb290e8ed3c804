//! What is done to journals behind the writers' backs: they are synced, and made into Parquet.
//!
//! The writers only ever append to a journal. So a disk that is slow to sync, or a file that takes
//! seconds to close, keeps no event waiting; and as one journal is read at a time, one row group is
//! in memory, however many files are open.

use std::{mem, sync::Arc, time::Duration};

use super::{
    Settings, Totals,
    backoff::Backoff,
    dataset::Dataset,
    disk::forget,
    error::StoreError,
    lane::TRIES_AT_THE_END,
    nanos,
    retention::Retention,
    sealing::{Recipe, Sealing, Stopped},
    segment::Segment,
    table::Table,
};
use crate::{
    market::Nanos,
    metrics::{FileMetrics, JournalMetrics, Metrics},
    stop::Stop,
};

/// How long journals are left alone once none had anything to do.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a stop may be kept waiting by journals that are far from done: where the processor is too
/// slow for what comes, they pile up.
const CLOSING_MAX: Duration = Duration::from_secs(3);

/// Rows of a journal that is near enough to its end to be given more time: two row groups.
const SOON_DONE: u64 = 262_144;

/// How much in all. Where others have the processor, many small journals take long as well, and a stop is
/// to take less than 5 s.
const CLOSED_MAX: Duration = Duration::from_secs(4);

/// Syncs the journals of a run, and makes them into Parquet files; removes days that are too old.
pub struct Sealer<'a> {
    tools: Tools<'a>,
    works: Vec<Work>,
    journal_flush: i64,
    synced: Nanos,
    retention: Retention,
}

/// What it takes to make a Parquet file, and what is counted.
struct Tools<'a> {
    dataset: &'a Dataset,
    recipe: Recipe,
    /// By table.
    files: [FileMetrics; Table::ALL.len()],
    journal: JournalMetrics,
    /// Failures of this episode.
    failures: u64,
    totals: Totals,
}

/// A journal, and how far it has come.
struct Work {
    segment: Arc<Segment>,
    sealing: Sealing,
    /// Bytes of the journal that survive a loss of power.
    synced: u64,
    /// Bytes of the journal that need not be in memory any more.
    forgotten: u64,
    /// From where on the journal cannot be read.
    flaw: Option<(u64, String)>,
    is_counted: bool,
    backoff: Backoff,
    is_done: bool,
}

impl<'a> Sealer<'a> {
    /// A sealer for the journals of the run that has `dataset` open.
    ///
    /// # Panics
    /// When zstd has no such level as `settings` say.
    #[must_use]
    pub fn new(dataset: &'a Dataset, settings: &Settings, metrics: &Metrics) -> Self {
        let tools = Tools {
            dataset,
            recipe: Recipe::new(dataset.run_id(), settings),
            files: Table::ALL.map(|it| metrics.table(it.name())),
            journal: metrics.journal(),
            failures: 0,
            totals: Totals::default(),
        };
        let journal_flush = nanos(settings.journal_flush);
        let retention = Retention::new(settings.keep_days);
        Self { tools, works: Vec::new(), journal_flush, synced: Nanos(0), retention }
    }

    /// Does a part of what there is to do: at most a row group of each journal. Says whether there
    /// was anything.
    pub fn work(&mut self, clock: &dyn Fn() -> Nanos) -> bool {
        let now = clock();
        self.retention.tick(self.tools.dataset, now);
        self.look();
        if self.journal_flush <= (now.0 - self.synced.0).abs() {
            self.synced = now;
            self.tools.dataset.lives(now);
            self.works.iter_mut().for_each(|it| it.sync(&mut self.tools, clock));
        }
        let mut is_busy = false;
        for work in self.works.iter_mut().filter(|it| !it.backoff.is_waiting(now)) {
            is_busy |= work.step(&mut self.tools, now);
        }
        self.count();
        is_busy
    }

    /// Makes files of all journals, whose writers have to be gone. Those of which none can be made, or
    /// not in time, stay for the next run.
    #[must_use = "it says what was written"]
    pub fn finish(mut self, clock: &dyn Fn() -> Nanos) -> Totals {
        self.look();
        self.works.sort_by_key(Work::waiting);
        let begun = clock();
        for _ in 0..TRIES_AT_THE_END {
            for work in &mut self.works {
                let has_time = |work: &Work| {
                    let most = if work.waiting() < SOON_DONE { CLOSED_MAX } else { CLOSING_MAX };
                    clock().0 - begun.0 < nanos(most)
                };
                while has_time(work) && work.step(&mut self.tools, clock()) {}
            }
            self.count();
        }
        for work in self.works {
            let Segment { path, partition, name, .. } = work.segment.as_ref();
            log::error!("{} stays, for the next run to deal with", path.display());
            let rows = work.segment.written().0;
            // Readers see it, though a loss of power may take it away again.
            let is_seen = self.tools.dataset.place(*partition, name).exists();
            match (work.is_counted, is_seen) {
                (true, _) => {}
                (false, true) => self.tools.count(partition.table, work.sealing.rows(), rows),
                (false, false) => self.tools.totals.rows_left += rows,
            }
            work.sealing.discard(self.tools.dataset);
        }
        self.tools.totals
    }

    fn look(&mut self) {
        let new = self.tools.dataset.announced().into_iter();
        self.works.extend(new.map(Work::new));
    }

    fn count(&mut self) {
        self.works.retain(|it| !it.is_done);
        self.tools.dataset.set_waiting(self.works.len());
        let bytes = self.works.iter().map(|it| it.segment.written().1).sum::<u64>();
        self.tools.journal.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

/// Seals journals until their writers have written all.
///
/// `clock` tells the time, in nanoseconds since the epoch.
pub fn run_sealer(mut sealer: Sealer<'_>, written: &Stop, clock: impl Fn() -> Nanos) -> Totals {
    let mut pause = Duration::ZERO;
    while !written.wait(pause) {
        pause = if sealer.work(&clock) { Duration::ZERO } else { PAUSE };
    }
    sealer.finish(&clock)
}

impl Work {
    fn new(segment: Arc<Segment>) -> Self {
        Self {
            sealing: Sealing::new(segment.partition, &segment.name),
            segment,
            synced: 0,
            forgotten: 0,
            flaw: None,
            is_counted: false,
            backoff: Backoff::default(),
            is_done: false,
        }
    }

    /// Rows that have not been read.
    fn waiting(&self) -> u64 {
        self.segment.written().0 - self.sealing.rows()
    }

    /// Makes what the journal has got survive a loss of power.
    fn sync(&mut self, tools: &mut Tools<'_>, clock: &dyn Fn() -> Nanos) {
        let (_, bytes) = self.segment.written();
        if bytes == self.synced || self.segment.is_spoiled() {
            return;
        }
        let (disk, before) = (tools.dataset.disk(), clock());
        // With the first rows, the journal's name has to last as well.
        let named = if self.synced == 0 { disk.sync_dir(&tools.dataset.journal()) } else { Ok(()) };
        match named.and_then(|()| disk.sync(&self.segment.file, &self.segment.path)) {
            Ok(()) => {
                self.synced = bytes;
                tools.journal.flush.observe(clock().0.saturating_sub(before.0));
                let done_with = self.forgotten..bytes.min(self.sealing.at());
                if !done_with.is_empty() {
                    self.forgotten = done_with.end;
                    forget(&self.segment.file, done_with);
                }
            }
            Err(error) => {
                // The system may have dropped what it could not write, and a second try would
                // succeed without it. What can be read goes into a file at once.
                self.segment.spoil();
                tools.fail(&error, &self.segment, "goes on in another journal");
            }
        }
    }

    /// Makes a row group, or the file whole. Says whether there is more to do.
    fn step(&mut self, tools: &mut Tools<'_>, now: Nanos) -> bool {
        let stopped = match self.advance(tools) {
            Ok(is_busy) => {
                self.backoff = Backoff::default();
                return is_busy && !self.is_done;
            }
            Err(stopped) => stopped,
        };
        let sealing = Sealing::new(self.segment.partition, &self.segment.name);
        match stopped {
            Stopped::Disk(error) => {
                tools.fail(&error, &self.segment, "is kept, and tried again");
                self.backoff.failed(now);
                if !self.sealing.is_finished() {
                    mem::replace(&mut self.sealing, sealing).discard(tools.dataset);
                }
                false
            }
            Stopped::Journal(flaw) => {
                self.segment.spoil();
                self.flaw = Some((self.sealing.at(), flaw.to_string()));
                mem::replace(&mut self.sealing, sealing).discard(tools.dataset);
                true
            }
        }
    }

    fn advance(&mut self, tools: &mut Tools<'_>) -> Result<bool, Stopped> {
        // In this order, so that nothing is added once it is complete.
        let is_complete = self.segment.is_complete();
        let (rows, bytes) = self.segment.written();
        let end = self.flaw.as_ref().map_or(bytes, |(at, _)| *at);
        self.segment.set_size(self.sealing.size(rows));
        if !is_complete
            && (rows - self.sealing.rows() < tools.recipe.group_rows as u64 || self.flaw.is_some())
        {
            return Ok(false);
        }
        let (dataset, recipe) = (tools.dataset, &tools.recipe);
        if self.sealing.group(&self.segment.file, end, dataset, recipe, |_| ())? || !is_complete {
            return Ok(true);
        }
        self.sealing.finish(dataset)?;
        self.settle(rows, tools)?;
        self.is_done = true;
        Ok(true)
    }

    /// The file is in its place: the journal has to go.
    fn settle(&mut self, rows: u64, tools: &mut Tools<'_>) -> Result<(), StoreError> {
        if !mem::replace(&mut self.is_counted, true) {
            tools.count(self.segment.partition.table, self.sealing.rows(), rows);
        }
        match &self.flaw {
            Some((_, what)) => tools.dataset.put_aside(&self.segment.name, what),
            None => tools.dataset.remove_journal(&self.segment.name),
        }
    }
}

impl Tools<'_> {
    fn count(&mut self, table: Table, rows: u64, of: u64) {
        let metrics = &self.files[table as usize];
        self.totals.rows_lost += of - rows;
        metrics.lost.inc_by(of - rows);
        if 0 < rows {
            metrics.rows.inc_by(rows);
            metrics.files.inc();
            self.totals.add(table, rows);
        }
        match mem::take(&mut self.failures) {
            0 => {}
            n => log::info!("files can be finished again, after {n} errors"),
        }
    }

    /// One line an episode: the rest is in the metrics.
    fn fail(&mut self, error: &StoreError, segment: &Segment, what: &str) {
        self.files[segment.partition.table as usize].errors.inc();
        if self.failures == 0 {
            log::error!("{error}; {} {what}", segment.path.display());
        }
        self.failures += 1;
    }
}
