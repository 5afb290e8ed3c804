//! From a journal to a Parquet file in its place: the same for a file that is closed in order and
//! for what a crash has left.

use std::fs::File;

use arrow::array::RecordBatch;
use parquet::file::properties::WriterPropertiesPtr;

use super::{
    Settings,
    batch::BATCH_ROWS,
    dataset::Dataset,
    error::StoreError,
    journal::{Flaw, Reader},
    layout::PARQUET,
    manifest::{self, Line},
    parquet_file::ParquetFile,
    partition::Partition,
    properties::properties,
};

/// Rows in a row group, give or take a batch. A group is in memory until it ends, and one journal
/// at a time is read: 131,072 rows take about 5 MB.
const GROUP_ROWS: usize = 131_072;

/// Bytes of a Parquet file's row, before there is one to measure. It should be too much rather than
/// too little.
const ROW_BYTES: u64 = 32;

/// How Parquet files are made.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) properties: WriterPropertiesPtr,
    pub(super) group_rows: usize,
}

impl Recipe {
    /// For files of the run `run`.
    pub(super) fn new(run: &str, settings: &Settings) -> Self {
        // A file's size is known by the group: a small one has small groups.
        let rows = settings.rotate_size / ROW_BYTES / 8;
        let rows = usize::try_from(rows).unwrap_or(GROUP_ROWS);
        Self {
            properties: properties(run, settings.compression),
            group_rows: rows.clamp(BATCH_ROWS, GROUP_ROWS),
        }
    }
}

/// A journal that is being read, and the Parquet file that is being made of it.
pub(super) struct Sealing {
    partition: Partition,
    name: String,
    reader: Reader,
    /// `None` until there is a row, and once it is finished.
    file: Option<ParquetFile>,
    is_finished: bool,
    rows: u64,
    bytes: u64,
}

/// Why a journal was not read on.
pub(super) enum Stopped {
    /// The disk refuses. It may be different next time.
    Disk(StoreError),
    /// The journal cannot be read beyond what has been read.
    Journal(Flaw),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Disk(error)
    }
}

impl Sealing {
    pub(super) fn new(partition: Partition, name: &str) -> Self {
        Self {
            partition,
            name: name.to_owned(),
            reader: Reader::new(partition.table),
            file: None,
            is_finished: false,
            rows: 0,
            bytes: 0,
        }
    }

    /// Rows that have been read.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// How far the journal has been read: up to the end of a message.
    pub(super) fn at(&self) -> u64 {
        self.reader.at()
    }

    /// Bytes the file would have with `rows` rows; an estimate.
    pub(super) fn size(&self, rows: u64) -> u64 {
        if self.rows == 0 {
            return rows * ROW_BYTES;
        }
        let size = u128::from(self.bytes) * u128::from(rows) / u128::from(self.rows);
        u64::try_from(size).unwrap_or(u64::MAX)
    }

    /// Whether the file is whole, though it may not be in its place.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Makes a row group of the next rows, of those before byte `end` of the journal, and shows each
    /// batch to `see`. Says whether there may be more.
    pub(super) fn group(
        &mut self,
        journal: &File,
        end: u64,
        dataset: &Dataset,
        recipe: &Recipe,
        mut see: impl FnMut(&RecordBatch),
    ) -> Result<bool, Stopped> {
        while let Some(batch) = self.read(journal, end, dataset)? {
            see(&batch);
            let file = match &mut self.file {
                Some(file) => file,
                none => {
                    let (path, table) = (dataset.open_file(&self.name), self.partition.table);
                    let properties = &recipe.properties;
                    none.insert(ParquetFile::create(dataset.disk(), path, table, properties)?)
                }
            };
            file.write(&batch)?;
            self.rows += batch.num_rows() as u64;
            if recipe.group_rows <= file.rows_in_memory() {
                file.end_group()?;
                self.bytes = file.size();
                return Ok(true);
            }
        }
        if let Some(file) = &mut self.file {
            file.end_group()?;
        }
        Ok(false)
    }

    fn read(
        &mut self,
        journal: &File,
        end: u64,
        dataset: &Dataset,
    ) -> Result<Option<RecordBatch>, Stopped> {
        self.reader.next(journal, end).map_err(|flaw| match flaw {
            Flaw::Io(error) => {
                let path = dataset.journal_file(&self.name);
                Stopped::Disk(StoreError::during("read", &path)(error))
            }
            flaw => Stopped::Journal(flaw),
        })
    }

    /// Makes the file whole and puts it in its place, which can be tried again if the first
    /// [is done](Self::is_finished).
    pub(super) fn finish(&mut self, dataset: &Dataset) -> Result<(), StoreError> {
        if let Some(file) = self.file.take() {
            file.finish()?;
            self.is_finished = true;
        }
        if self.is_finished {
            publish(dataset, self.partition, &self.name, self.rows)?;
        }
        Ok(())
    }

    /// Removes what there is of the file, if that can be done. The next one will take its place.
    pub(super) fn discard(self, dataset: &Dataset) {
        drop(self.file);
        if let Err(error) = dataset.disk().remove(&dataset.open_file(&self.name)) {
            log::debug!("{error}");
        }
    }
}

/// Puts a file that is whole in its place, where readers look, and writes down that it is there.
pub(super) fn publish(
    dataset: &Dataset,
    partition: Partition,
    name: &str,
    rows: u64,
) -> Result<(), StoreError> {
    let disk = dataset.disk();
    let place = dataset.place(partition, name);
    let folder = dataset.dir().join(partition.folder());
    disk.create_dirs(dataset.dir(), &folder)?;
    if !place.exists() {
        disk.rename(&dataset.open_file(name), &place)?;
    }
    disk.sync_dir(&folder)?;
    write_down(dataset, partition, name, rows);
    Ok(())
}

/// Adds a file that is in its place to the manifest. If that cannot be done, nobody will know should
/// the file get lost; to give it up would lose it for certain.
pub(super) fn write_down(dataset: &Dataset, partition: Partition, name: &str, rows: u64) {
    let path = format!("{}/{name}{PARQUET}", partition.folder().display());
    let (root, run) = (dataset.dir(), dataset.run_id());
    let line = Line::Added { path, rows };
    if let Err(error) = manifest::append(dataset.disk(), root, partition.date(), run, line) {
        log::warn!("{error}; the file is whole, but not in the manifest");
    }
}
