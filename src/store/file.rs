//! One Parquet file, from its first row to its place in the dataset.
//!
//! It is written under `journal/`, closed, synced, and only then renamed to where readers look: a
//! reader's glob never matches half a file.

use std::path::{Path, PathBuf};

use arrow::{array::RecordBatch, datatypes::Date32Type};
use parquet::file::properties::WriterPropertiesPtr;

use super::{disk::Disk, error::StoreError, parquet_file::ParquetFile, table::Table};
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
    file: ParquetFile,
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
        let file = ParquetFile::create(&Disk::default(), path, partition.table, properties)?;
        Ok(Self { partition, opened: now, file, root: root.to_owned(), name })
    }

    pub(super) fn rows(&self) -> u64 {
        self.file.rows()
    }

    pub(super) fn size(&self) -> u64 {
        self.file.size()
    }

    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        times: (Nanos, Nanos),
    ) -> Result<(), StoreError> {
        self.file.write(batch, times)
    }

    /// Makes the file whole and puts it where readers look. When that fails, nothing of it is left.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let Self { partition, file, root, name, .. } = self;
        let open = file.path().to_owned();
        let closed = file.finish().and_then(|()| publish(&open, &root, partition, &name));
        if closed.is_err() {
            discard(&open);
        }
        closed
    }

    /// Gives the file up and removes it, if that is possible. A later run sweeps what stays.
    pub(super) fn discard(self) {
        discard(self.file.path());
    }
}

fn discard(path: &Path) {
    if let Err(error) = Disk::default().remove(path) {
        log::debug!("{error}");
    }
}

fn publish(open: &Path, root: &Path, partition: Partition, name: &str) -> Result<(), StoreError> {
    let disk = Disk::default();
    let folder = root.join(partition.folder());
    disk.create_dirs(root, &folder)?;
    let path = folder.join(format!("{name}.parquet"));
    disk.rename(open, &path)?;
    disk.sync_dir(&folder).inspect_err(|_| {
        // Its rows are about to be declared lost, so they must not stay.
        let _ = disk.remove(&path);
    })
}
