//! What a crash has left becomes files, and a row of the loss ledger.
//!
//! Each step can be taken again: a journal of which there is a file is only read, so no row is there
//! twice, and journals go last. So a crash while recovering is a crash like any other.

use std::{collections::BTreeMap, fs::File};

use arrow::array::RecordBatch;

use super::{
    Settings, compact,
    dataset::{ARROWS, Dataset, OPEN},
    error::StoreError,
    journal::{Flaw, Reader},
    names::markets,
    nanos,
    parquet_file::{ParquetFile, times},
    partition::{Partition, SEPARATOR},
    records,
    schema::micros,
    sealing::{Recipe, Sealing, Stopped, publish, write_down},
    table::Table,
};
use crate::{
    market::{Gap, GapReason, Market, Nanos, Venue},
    metrics::Metrics,
    registry::Registry,
    stop::Stop,
};

/// How the names of files go on, after the id of the run, that say that it has died.
pub(super) const CRASH: &str = "crash";

/// What was recovered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files that were made of journals.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Journals that could not be read to their end.
    pub damaged: u64,
    /// Runs whose journals could not be dealt with. They are as they were, or nearly.
    pub failed: u64,
    /// What was written to the ledger: a row for each venue that a dead run collected from.
    pub crashes: Vec<Gap>,
}

impl Dataset {
    /// Makes files of the journals of all runs that have died, and writes to the ledger that they
    /// have. What cannot be read is put aside, what cannot be done is logged and counted.
    ///
    /// `now` is when collection begins again. A journal that is not done when a stop is requested
    /// is left for the next time.
    ///
    /// # Panics
    /// When zstd has no such level as `settings` say.
    pub fn recover(
        &self,
        settings: &Settings,
        metrics: &Metrics,
        now: Nanos,
        stop: &Stop,
    ) -> Recovered {
        let done = Recovered::default();
        let mut it = Recovery { dataset: self, settings, metrics, now, stop, done };
        for error in compact::settle(self.dir(), self.disk()) {
            it.fail(&error);
        }
        let runs = self.runs().unwrap_or_else(|error| {
            it.fail(&error);
            Vec::new()
        });
        for run in runs {
            if let Err(error) = it.recover(&run) {
                it.fail(&error);
            }
        }
        it.done
    }
}

struct Recovery<'a> {
    dataset: &'a Dataset,
    settings: &'a Settings,
    metrics: &'a Metrics,
    now: Nanos,
    stop: &'a Stop,
    done: Recovered,
}

/// When the last row of each venue was received, in microseconds.
type Last = BTreeMap<Venue, i64>;

/// What is to become of a journal once all are in files.
struct Settled {
    name: String,
    flaw: Option<String>,
}

impl Recovery<'_> {
    fn fail(&mut self, error: &StoreError) {
        log::error!("{error}; what has not been recovered stays for the next time");
        self.done.failed += 1;
    }

    fn recover(&mut self, run: &str) -> Result<(), StoreError> {
        let Some(dead) = self.dataset.claim(run)? else { return Ok(()) };
        let disk = self.dataset.disk();
        for file in dead.files.iter().filter(|it| it.ends_with(OPEN)) {
            // It is made anew, if its journal is there.
            disk.remove(&self.dataset.journal().join(file))?;
        }
        let recipe = Recipe::new(run, self.settings);
        let mut last = Last::new();
        let mut settled = Vec::new();
        for name in dead.files.iter().filter_map(|it| it.strip_suffix(ARROWS)) {
            match self.journal(name, &recipe, &mut last)? {
                Some(it) => settled.push(it),
                None => return Ok(()),
            }
        }
        // A venue may have had its journals closed just then.
        if let Some(lived) = dead.lived() {
            let lived = micros(lived) - micros(Nanos(nanos(self.settings.journal_flush)));
            for venue in dead.venues() {
                last.entry(venue).or_insert(lived);
            }
        }
        if !dead.ended_in_order {
            self.declare(run, &recipe, &last)?;
        }
        for Settled { name, flaw } in settled {
            match flaw {
                Some(what) => {
                    self.done.damaged += 1;
                    self.dataset.put_aside(&name, &what)?;
                }
                None => self.dataset.remove_journal(&name)?,
            }
        }
        disk.remove(&dead.lock)
    }

    /// Makes a file of one journal. `None` if a stop was requested first.
    fn journal(
        &mut self,
        name: &str,
        recipe: &Recipe,
        last: &mut Last,
    ) -> Result<Option<Settled>, StoreError> {
        let path = self.dataset.journal_file(name);
        let settled = |flaw: Option<Flaw>| {
            let flaw = flaw.map(|it| it.to_string());
            Ok(Some(Settled { name: name.to_owned(), flaw }))
        };
        let Some(partition) = Partition::of(name) else {
            let what = "its name is none of ours".to_owned();
            return settled(Some(Flaw::Damaged { at: 0, what }));
        };
        let file = File::open(&path).map_err(StoreError::during("open", &path))?;
        let end = file.metadata().map_err(StoreError::during("read", &path))?.len();
        let mut rows = 0;
        let see = |batch: &RecordBatch| {
            rows += batch.num_rows() as u64;
            note(batch, partition, last);
        };
        if self.dataset.place(partition, name).exists() {
            scan(&file, end, partition.table, see);
            // It may not have come to that.
            write_down(self.dataset, partition, name, rows);
            return settled(None);
        }
        let mut sealing = Sealing::new(partition, name);
        let flaw = match self.read(&mut sealing, &file, end, recipe, see) {
            Ok(flaw) => flaw,
            Err(Interrupted::ByStop) => {
                sealing.discard(self.dataset);
                return Ok(None);
            }
            Err(Interrupted::ByDisk(error)) => {
                sealing.discard(self.dataset);
                return Err(error);
            }
        };
        sealing.finish(self.dataset)?;
        let rows = sealing.rows();
        if 0 < rows {
            let metrics = self.metrics.table(partition.table.name());
            metrics.rows.inc_by(rows);
            metrics.files.inc();
            self.done.rows += rows;
            self.done.files += 1;
            log::info!("recovered {rows} rows from {}", path.display());
        }
        match flaw {
            Some(Flaw::Cut) => {
                let cut = end - sealing.at();
                log::info!("{} ends within a message, of {cut} bytes", path.display());
                settled(None)
            }
            flaw => settled(flaw),
        }
    }

    /// Reads a journal as far as that is possible; says what was in the way of the rest.
    fn read(
        &self,
        sealing: &mut Sealing,
        journal: &File,
        end: u64,
        recipe: &Recipe,
        mut see: impl FnMut(&RecordBatch),
    ) -> Result<Option<Flaw>, Interrupted> {
        loop {
            match sealing.group(journal, end, self.dataset, recipe, &mut see) {
                Ok(true) if self.stop.requested() => return Err(Interrupted::ByStop),
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(Stopped::Journal(flaw)) => return Ok(Some(flaw)),
                Err(Stopped::Disk(error)) => return Err(Interrupted::ByDisk(error)),
            }
        }
    }

    /// Writes to the ledger that the run has died, once.
    fn declare(&mut self, run: &str, recipe: &Recipe, last: &Last) -> Result<(), StoreError> {
        let name = format!("{run}{SEPARATOR}{CRASH}");
        if last.is_empty() || self.is_declared(&name)? {
            return Ok(());
        }
        let crash = |(&venue, last): (&Venue, &i64)| Gap {
            from: Nanos(last.saturating_mul(1_000)).min(self.now),
            to: self.now,
            venue,
            instrument: None,
            channel: None,
            reason: GapReason::Crash,
            dropped: None,
            conn: None,
        };
        let crashes: Vec<_> = last.iter().map(crash).collect();
        let partition = Partition { table: Table::Gaps, exchange: None, day: self.now.day() };
        let (dataset, path) = (self.dataset, self.dataset.open_file(&name));
        let mut file = ParquetFile::create(dataset.disk(), path, Table::Gaps, &recipe.properties)?;
        file.write(&records::gaps(&crashes, &Registry::default()))?;
        file.finish()?;
        publish(dataset, partition, &name, crashes.len() as u64)?;
        self.done.crashes.extend(crashes);
        Ok(())
    }

    fn is_declared(&self, name: &str) -> Result<bool, StoreError> {
        let gaps = self.dataset.dir().join(Table::Gaps.name());
        let days = gaps.read_dir().map_err(StoreError::during("list", &gaps))?;
        let file = format!("{name}.parquet");
        Ok(days.flatten().any(|it| it.path().join(&file).exists()))
    }
}

enum Interrupted {
    ByStop,
    ByDisk(StoreError),
}

/// Shows each batch of a journal to `see`, as far as it can be read.
fn scan(journal: &File, end: u64, table: Table, mut see: impl FnMut(&RecordBatch)) {
    let mut reader = Reader::new(table);
    while let Ok(Some(batch)) = reader.next(journal, end) {
        see(&batch);
    }
}

/// Notes when the rows of a batch were received.
fn note(batch: &RecordBatch, partition: Partition, last: &mut Last) {
    let Some(exchange) = partition.exchange else { return };
    let mut by_market = [None; Market::ALL.len()];
    for (market, &time) in markets(batch).zip(times(batch, partition.table)) {
        if let Some(market) = market {
            let last = &mut by_market[market as usize];
            *last = Some(time).max(*last);
        }
    }
    for (market, time) in Market::ALL.into_iter().zip(by_market) {
        if let Some(time) = time {
            let last = last.entry(Venue::new(exchange, market)).or_insert(time);
            *last = time.max(*last);
        }
    }
}
