//! A Parquet file that is being written.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use arrow::{
    array::{AsArray as _, PrimitiveArray, RecordBatch},
    datatypes::TimestampMicrosecondType,
};
use crc32fast::Hasher;
use parquet::{
    arrow::ArrowWriter,
    file::{metadata::ParquetMetaDataReader, properties::WriterPropertiesPtr},
};

use super::{
    checksum::{self, UNKNOWN},
    disk::{Disk, forget},
    error::{Cause, StoreError},
    properties::say,
    schema::schema,
    table::Table,
};

/// A Parquet file that is being written. Nobody may take it for a whole one before it is
/// [finished](Self::finish).
pub(super) struct ParquetFile {
    table: Table,
    writer: ArrowWriter<Sink>,
    rows: u64,
    /// The first and the last [`Table::time`], in microseconds.
    times: Option<(i64, i64)>,
}

impl ParquetFile {
    /// Creates a file, or empties the one that is there.
    pub(super) fn create(
        disk: &Disk,
        path: PathBuf,
        table: Table,
        properties: &WriterPropertiesPtr,
    ) -> Result<Self, StoreError> {
        let file = disk.create_or_empty(&path)?;
        let sink = Sink { disk: disk.clone(), file, path, len: 0, crc: Hasher::new() };
        let path = sink.path.clone();
        let writer = ArrowWriter::try_new(sink, schema(table), Some(properties.as_ref().clone()))
            .map_err(StoreError::during("create", &path))?;
        Ok(Self { table, writer, rows: 0, times: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.writer.inner().path
    }

    /// Bytes of the row groups that have ended.
    pub(super) fn size(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Adds the rows of `batch`. They count as written even if that fails.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let times = times(batch, self.table).iter().copied();
        for time in times.clone().min().into_iter().chain(times.max()) {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(StoreError::during("write", self.path()))
    }

    /// Rows that are in memory until their group ends.
    pub(super) fn rows_in_memory(&self) -> usize {
        self.writer.in_progress_rows()
    }

    /// Ends a row group: what it has in memory goes to the file, and the file to the disk.
    pub(super) fn end_group(&mut self) -> Result<(), StoreError> {
        self.writer.flush().map_err(StoreError::during("write", self.path()))?;
        // Else all of the file is left to do when it is finished.
        let sink = self.writer.inner();
        sink.sync()?;
        forget(&sink.file, 0..sink.len);
        Ok(())
    }

    /// Writes the footer with the checksum, reads it back, and syncs.
    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        self.describe();
        self.writer.finish().map_err(StoreError::during("finish", self.path()))?;
        let sink = self.writer.inner();
        sink.put_checksum().map_err(StoreError::during("finish", &sink.path))?;
        self.check().map_err(StoreError::during("check", &sink.path))?;
        sink.sync()
    }

    /// What can only be said of a file once it has all its rows.
    fn describe(&mut self) {
        let mut lines = vec![say("rows", self.rows.to_string()), say("crc32", UNKNOWN)];
        if let Some((first, last)) = self.times {
            lines.push(say("ts_recv_first", first.to_string()));
            lines.push(say("ts_recv_last", last.to_string()));
        }
        for line in lines {
            self.writer.append_key_value_metadata(line);
        }
    }

    /// Pairs what was counted with what the file itself says.
    fn check(&self) -> Result<(), Cause> {
        let footer = ParquetMetaDataReader::new().parse_and_finish(&self.writer.inner().file)?;
        let footer = footer.file_metadata().num_rows();
        if u64::try_from(footer) == Ok(self.rows) {
            return Ok(());
        }
        Err(Cause::Rows { counted: self.rows, footer })
    }
}

/// The [`Table::time`] of each row of a batch, in microseconds.
pub(super) fn times(batch: &RecordBatch, table: Table) -> &[i64] {
    let times: &PrimitiveArray<TimestampMicrosecondType> = batch[table.time()].as_primitive();
    times.values()
}

/// Where the bytes of a file go.
struct Sink {
    disk: Disk,
    file: File,
    path: PathBuf,
    len: u64,
    crc: Hasher,
}

impl Sink {
    fn put_checksum(&self) -> io::Result<()> {
        let at = checksum::digits(&self.file, self.len)?;
        let at = at.ok_or_else(|| io::Error::other("there is no place for the checksum"))?;
        let digits = format!("{:08x}", self.crc.clone().finalize());
        self.disk.write(&self.file, &self.path, at, digits.as_bytes())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync(&self.file, &self.path)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write(&self.file, &self.path, self.len, bytes)?;
        self.crc.update(bytes);
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
