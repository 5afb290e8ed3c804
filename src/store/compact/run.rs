//! Sorted rows on the disk, between two passes.

use std::{
    fs::File,
    io::{BufReader, BufWriter},
    path::{Path, PathBuf},
};

use arrow::{
    array::RecordBatch,
    error::ArrowError,
    ipc::{reader::StreamReader, writer::StreamWriter},
};

use crate::store::{disk::Disk, error::StoreError};

/// A file of sorted rows: an Arrow IPC stream of plain batches. It is read once and need not
/// survive anything, so it is never synced.
pub(super) struct Run {
    path: PathBuf,
}

/// The rows of a [`Run`], whose file is gone when this is.
pub(super) struct Rows {
    path: PathBuf,
    stream: StreamReader<BufReader<File>>,
}

impl Run {
    /// Writes all `rows` to a new file.
    pub(super) fn write(
        disk: &Disk,
        path: PathBuf,
        rows: impl Iterator<Item = Result<RecordBatch, StoreError>>,
    ) -> Result<Self, StoreError> {
        let mut stream: Option<StreamWriter<_>> = None;
        for batch in rows {
            let batch = batch?;
            let stream = match &mut stream {
                Some(stream) => stream,
                none => none.insert(create(disk, &path, &batch)?),
            };
            stream.write(&batch).map_err(StoreError::during("write", &path))?;
        }
        let mut stream = stream.expect("a run has at least one row");
        stream.finish().map_err(StoreError::during("finish", &path))?;
        // Else an error would get lost in the drop.
        stream.into_inner().map_err(StoreError::during("finish", &path))?;
        Ok(Self { path })
    }

    /// Starts to read.
    pub(super) fn open(self) -> Result<Rows, StoreError> {
        let file = File::open(&self.path).map_err(StoreError::during("open", &self.path))?;
        let stream = StreamReader::try_new(BufReader::new(file), None)
            .map_err(StoreError::during("read", &self.path))?;
        Ok(Rows { path: self.path, stream })
    }
}

fn create(
    disk: &Disk,
    path: &Path,
    batch: &RecordBatch,
) -> Result<StreamWriter<BufWriter<File>>, StoreError> {
    let created = StreamWriter::try_new_buffered(disk.create(path)?, batch.schema_ref());
    created.map_err(StoreError::during("create", path))
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch: Result<RecordBatch, ArrowError> = self.stream.next()?;
        Some(batch.map_err(StoreError::during("read", &self.path)))
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // The room is needed; what stays goes with the whole folder.
        let _ = std::fs::remove_file(&self.path);
    }
}
