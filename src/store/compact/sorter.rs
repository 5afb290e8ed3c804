//! Rows sorted in bounded memory: in chunks that fit, each put aside on the disk, then merged.

use std::{
    mem,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::array::RecordBatch;

use super::{
    merge::{Merge, Source},
    names::{Frozen, Names, Order},
    run::Run,
    sort::Chunk,
};
use crate::store::{disk::Disk, error::StoreError, schema::schema, table::Table};

/// What a run takes while it is merged: two batches of 8,192 rows of 130 bytes at most, one of them
/// as it was read, and their keys.
const CURSOR_BYTES: usize = 4 << 20;

/// The most runs merged at a time, however much memory there is: file descriptors are few too.
const FAN_IN_MAX: usize = 64;

/// The rows of one folder on their way to their order.
pub(super) struct Sorter {
    disk: Disk,
    table: Table,
    dir: PathBuf,
    names: Names,
    chunk: Chunk,
    chunk_bytes: usize,
    fan_in: usize,
    /// In the order of their rows, so that equal ones stay as they were.
    runs: Vec<Run>,
    written: usize,
}

/// All rows in their order.
pub(super) struct InOrder {
    names: Frozen,
    rows: Merge,
    dir: PathBuf,
}

impl Sorter {
    /// Sorts rows of `table` in about `memory` bytes, with runs in `dir`.
    pub(super) fn new(disk: &Disk, table: Table, dir: &Path, memory: usize) -> Self {
        Self {
            disk: disk.clone(),
            table,
            dir: dir.to_owned(),
            names: Names::new(&schema(table)),
            chunk: Chunk::default(),
            // A half for the chunk, a quarter for the runs; the rest is for who reads and writes.
            chunk_bytes: memory / 2,
            fan_in: (memory / 4 / CURSOR_BYTES).clamp(2, FAN_IN_MAX),
            runs: Vec::new(),
            written: 0,
        }
    }

    /// Takes rows, of the schema of the table.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let plain = self.names.plain(batch).map_err(StoreError::during("sort in", &self.dir))?;
        self.chunk.push(plain);
        if self.chunk_bytes <= self.chunk.bytes() {
            let order = self.order()?;
            let sorted = mem::take(&mut self.chunk).sort(&order);
            let sorted = sorted.map(in_dir(&self.dir));
            let run = Run::write(&self.disk.clone(), self.next_path(), sorted)?;
            self.runs.push(run);
        }
        Ok(())
    }

    /// All rows in their order. Nothing is left to be sorted then; most is left to be read.
    pub(super) fn finish(mut self) -> Result<InOrder, StoreError> {
        let order = Arc::new(self.order()?);
        while self.fan_in < self.runs.len() + 1 {
            self.merge_once(&order)?;
        }
        let mut sources = open(mem::take(&mut self.runs))?;
        if 0 < self.chunk.rows() {
            let sorted = mem::take(&mut self.chunk).sort(&order);
            sources.push(Box::new(sorted.map(in_dir(&self.dir))));
        }
        let rows = Merge::new(sources, order, &self.dir)?;
        Ok(InOrder { names: self.names.freeze(), rows, dir: self.dir })
    }

    /// Makes one run of each `fan_in` neighbours.
    fn merge_once(&mut self, order: &Arc<Order>) -> Result<(), StoreError> {
        let mut left = mem::take(&mut self.runs).into_iter();
        while 0 < left.len() {
            let some: Vec<_> = left.by_ref().take(self.fan_in).collect();
            let merge = Merge::new(open(some)?, Arc::clone(order), &self.dir)?;
            let run = Run::write(&self.disk.clone(), self.next_path(), merge)?;
            self.runs.push(run);
        }
        Ok(())
    }

    fn order(&self) -> Result<Order, StoreError> {
        self.names.order(self.table).map_err(StoreError::during("sort in", &self.dir))
    }

    fn next_path(&mut self) -> PathBuf {
        self.written += 1;
        self.dir.join(format!("{}.arrows", self.written))
    }
}

fn open(runs: Vec<Run>) -> Result<Vec<Source>, StoreError> {
    runs.into_iter().map(|it| Ok(Box::new(it.open()?) as Source)).collect()
}

fn in_dir<T, C>(dir: &Path) -> impl FnMut(Result<T, C>) -> Result<T, StoreError> + use<T, C>
where
    C: Into<crate::store::error::Cause>,
{
    let dir = dir.to_owned();
    move |it| it.map_err(StoreError::during("sort in", &dir))
}

impl Iterator for InOrder {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let plain = match self.rows.next()? {
            Ok(plain) => plain,
            Err(error) => return Some(Err(error)),
        };
        Some(self.names.named(&plain).map_err(StoreError::during("merge in", &self.dir)))
    }
}
