//! Sorted rows of many sources made into one sequence.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    mem,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{array::RecordBatch, compute::interleave_record_batch};

use super::names::{Key, Order};
use crate::store::{batch::BATCH_ROWS, error::StoreError};

/// Rows in an order, as plain batches.
pub(super) type Source = Box<dyn Iterator<Item = Result<RecordBatch, StoreError>>>;

/// The rows of all sources in their order, as batches of [`BATCH_ROWS`] but for the last. Rows that
/// are equal come in the order of their sources.
pub(super) struct Merge {
    order: Arc<Order>,
    /// Where all this happens, for errors.
    dir: PathBuf,
    cursors: Vec<Cursor>,
    /// The next row of each source that has any left.
    heads: BinaryHeap<Reverse<(Key, usize)>>,
    /// What `rows` are rows of: those the cursors are in, and those they have left since the last
    /// batch was made.
    batches: Vec<RecordBatch>,
    /// Batch and row.
    rows: Vec<(usize, usize)>,
}

struct Cursor {
    source: Source,
    /// The number of the batch it is in.
    batch: usize,
    /// Of the rows of that batch.
    keys: Vec<Key>,
    at: usize,
}

impl Merge {
    /// Reads the first batch of each source.
    pub(super) fn new(
        sources: Vec<Source>,
        order: Arc<Order>,
        dir: &Path,
    ) -> Result<Self, StoreError> {
        let cursor = |source| Cursor { source, batch: 0, keys: Vec::new(), at: 0 };
        let mut merge = Self {
            order,
            dir: dir.to_owned(),
            cursors: sources.into_iter().map(cursor).collect(),
            heads: BinaryHeap::new(),
            batches: Vec::new(),
            rows: Vec::with_capacity(BATCH_ROWS),
        };
        for n in 0..merge.cursors.len() {
            merge.advance(n)?;
        }
        Ok(merge)
    }

    /// Makes the next row of source `n` a head, once its last one is none any more.
    fn advance(&mut self, n: usize) -> Result<(), StoreError> {
        let cursor = &mut self.cursors[n];
        while cursor.at == cursor.keys.len() {
            let Some(batch) = cursor.source.next().transpose()? else {
                cursor.keys = Vec::new();
                cursor.at = 0;
                return Ok(());
            };
            cursor.keys.clear();
            cursor.keys.extend(self.order.keys(&batch));
            cursor.at = 0;
            cursor.batch = self.batches.len();
            self.batches.push(batch);
        }
        self.heads.push(Reverse((cursor.keys[cursor.at], n)));
        Ok(())
    }

    /// Takes rows of the source that has the least, until another has or there are enough.
    fn take(&mut self, n: usize) {
        let cursor = &mut self.cursors[n];
        let room = BATCH_ROWS - self.rows.len();
        let end = cursor.keys.len().min(cursor.at + room);
        let keys = &cursor.keys[cursor.at..end];
        let taken = match self.heads.peek() {
            Some(Reverse(next)) => keys.partition_point(|&key| (key, n) < *next),
            None => keys.len(),
        };
        let rows = cursor.at..cursor.at + taken;
        self.rows.extend(rows.map(|row| (cursor.batch, row)));
        cursor.at += taken;
    }

    fn fill(&mut self) -> Result<(), StoreError> {
        while self.rows.len() < BATCH_ROWS
            && let Some(Reverse((_, n))) = self.heads.pop()
        {
            self.take(n);
            self.advance(n)?;
        }
        Ok(())
    }

    /// Makes a batch of the rows taken, and forgets the batches that are used up.
    fn make(&mut self) -> Result<RecordBatch, StoreError> {
        let batches: Vec<_> = self.batches.iter().collect();
        let made = interleave_record_batch(&batches, &self.rows)
            .map_err(StoreError::during("merge in", &self.dir))?;
        self.rows.clear();
        let used = mem::take(&mut self.batches);
        for cursor in self.cursors.iter_mut().filter(|it| it.at < it.keys.len()) {
            self.batches.push(used[cursor.batch].clone());
            cursor.batch = self.batches.len() - 1;
        }
        Ok(made)
    }
}

impl Iterator for Merge {
    type Item = Result<RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.fill() {
            return Some(Err(error));
        }
        (!self.rows.is_empty()).then(|| self.make())
    }
}
