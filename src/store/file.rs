//! One Parquet file, from its first row to its place in the dataset.
//!
//! It is written under `journal/`, closed, synced, and only then renamed to where readers look: a
//! reader's glob never matches half a file.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, datatypes::Date32Type};
use parquet::{
    arrow::ArrowWriter,
    file::{metadata::ParquetMetaDataReader, properties::WriterPropertiesPtr},
};

use super::{
    error::{Cause, StoreError},
    properties::say,
    schema::{micros, schema},
    table::Table,
};
use crate::market::{Exchange, Nanos};

/// Where files are written, below the folder of the dataset.
pub(super) const JOURNAL: &str = "journal";

/// How the names of files that are being written end.
pub(super) const OPEN: &str = ".parquet.open";

/// What is told apart by files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) table: Table,
    /// `None` for a table that is not parted by exchange.
    pub(super) exchange: Option<Exchange>,
    /// The UTC day of [`Table::time`], counted from the epoch.
    pub(super) day: i32,
}

impl Partition {
    /// `quotes/date=2026-11-23/exchange=binance` or `gaps/date=2026-11-23`
    fn folder(self) -> PathBuf {
        let date =
            Date32Type::to_naive_date_opt(self.day).expect("chrono reaches further than i64");
        let exchange = self.exchange.map(|it| format!("/exchange={it}")).unwrap_or_default();
        PathBuf::from(format!("{}/date={date}{exchange}", self.table))
    }

    /// `quotes-binance` or `gaps`
    pub(super) fn name(self) -> String {
        let exchange = self.exchange.map(|it| format!("-{it}")).unwrap_or_default();
        format!("{}{exchange}", self.table)
    }
}

/// A file that is being written. Whoever creates it writes at least one row.
pub(super) struct OpenFile {
    pub(super) partition: Partition,
    pub(super) opened: Nanos,
    writer: ArrowWriter<File>,
    rows: u64,
    /// The first and the last [`Table::time`].
    times: Option<(Nanos, Nanos)>,
    path: PathBuf,
    root: PathBuf,
    name: String,
}

impl OpenFile {
    /// Creates `root/journal/<name>.parquet.open`.
    pub(super) fn create(
        root: &Path,
        name: String,
        partition: Partition,
        properties: &WriterPropertiesPtr,
        now: Nanos,
    ) -> Result<Self, StoreError> {
        let path = root.join(JOURNAL).join(format!("{name}{OPEN}"));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(StoreError::during("create", &path))?;
        let schema = schema(partition.table);
        let writer = ArrowWriter::try_new(file, schema, Some(properties.as_ref().clone()))
            .map_err(StoreError::during("create", &path))?;
        Ok(Self {
            partition,
            opened: now,
            writer,
            rows: 0,
            times: None,
            path,
            root: root.to_owned(),
            name,
        })
    }

    /// Rows written so far, whether they are on the disk or not.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes the file would have if it were closed now; an estimate.
    pub(super) fn size(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Adds the rows of `batch`, whose first and last [`Table::time`] are `times`. They count as
    /// written even if that fails.
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        times: (Nanos, Nanos),
    ) -> Result<(), StoreError> {
        let (first, last) = self.times.unwrap_or(times);
        self.times = Some((first.min(times.0), last.max(times.1)));
        self.rows += batch.num_rows() as u64;
        let groups = self.writer.flushed_row_groups().len();
        self.writer.write(batch).map_err(StoreError::during("write", &self.path))?;
        if groups < self.writer.flushed_row_groups().len() {
            // Else all of the file is left to do when it is closed, and the queue fills up.
            self.writer.inner().sync_data().map_err(StoreError::during("sync", &self.path))?;
        }
        Ok(())
    }

    /// Makes the file whole and puts it where readers look. When that fails, nothing of it is left.
    pub(super) fn close(mut self) -> Result<(), StoreError> {
        let closed = self.seal().and_then(|()| self.publish());
        if closed.is_err() {
            self.discard();
        }
        closed
    }

    /// Gives the file up and removes it, if that is possible. A later run sweeps what stays.
    pub(super) fn discard(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            log::debug!("{}", StoreError::during("remove", &self.path)(error));
        }
    }

    /// Writes the footer, reads it back, and syncs.
    fn seal(&mut self) -> Result<(), StoreError> {
        self.describe();
        self.writer.finish().map_err(StoreError::during("finish", &self.path))?;
        self.check().map_err(StoreError::during("check", &self.path))?;
        self.writer.inner().sync_all().map_err(StoreError::during("sync", &self.path))
    }

    /// What can only be said of a file once it has all its rows.
    fn describe(&mut self) {
        let mut lines = vec![say("rows", self.rows.to_string())];
        if let Some((first, last)) = self.times {
            lines.push(say("ts_recv_first", micros(first).to_string()));
            lines.push(say("ts_recv_last", micros(last).to_string()));
        }
        for line in lines {
            self.writer.append_key_value_metadata(line);
        }
    }

    /// Pairs what was counted with what the file itself says.
    fn check(&self) -> Result<(), Cause> {
        let footer = ParquetMetaDataReader::new().parse_and_finish(self.writer.inner())?;
        let footer = footer.file_metadata().num_rows();
        if u64::try_from(footer) == Ok(self.rows) {
            return Ok(());
        }
        Err(Cause::Rows { counted: self.rows, footer })
    }

    fn publish(&self) -> Result<(), StoreError> {
        let folder = self.root.join(self.partition.folder());
        create_dirs(&self.root, &folder)?;
        let path = folder.join(format!("{}.parquet", self.name));
        fs::rename(&self.path, &path).map_err(StoreError::during("rename", &self.path))?;
        sync_dir(&folder).inspect_err(|_| {
            // Its rows are about to be declared lost, so they must not stay.
            let _ = fs::remove_file(&path);
        })
    }
}

/// Creates `folder` and what is missing between it and `root`, each durably.
pub(super) fn create_dirs(root: &Path, folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|_| folder != root);
    if let Some(parent) = parent {
        create_dirs(root, parent)?;
    }
    match fs::create_dir(folder) {
        // Another writer was faster.
        Err(_) if folder.is_dir() => (),
        created => created.map_err(StoreError::during("create", folder))?,
    }
    parent.map_or(Ok(()), sync_dir)
}

/// Makes what was created in or renamed into `dir` survive a loss of power.
fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|it| it.sync_all()).map_err(StoreError::during("sync", dir))
}
