//! Rows sorted in memory.

use arrow::{array::RecordBatch, compute::interleave_record_batch, error::ArrowError};

use super::names::Order;
use crate::store::batch::BATCH_ROWS;

/// What it takes to sort a row, besides the row: an [`Item`].
const ITEM_BYTES: usize = size_of::<Item>();

/// Rows that wait to be sorted, in the order in which they were read.
#[derive(Default)]
pub(super) struct Chunk {
    batches: Vec<RecordBatch>,
    bytes: usize,
    rows: usize,
}

/// A row of a chunk.
#[derive(Clone, Copy)]
struct Item {
    time: i64,
    batch: u32,
    row: u32,
}

/// The rows of a chunk in their order, as batches of [`BATCH_ROWS`].
pub(super) struct Sorted {
    batches: Vec<RecordBatch>,
    items: Vec<Item>,
    at: usize,
}

impl Chunk {
    pub(super) fn push(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size() + batch.num_rows() * ITEM_BYTES;
        self.batches.push(batch);
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that it takes to hold and to sort the rows.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sorts the rows. Those that are equal in `order` stay as they were.
    ///
    /// They are dealt out to their groups first, which takes no comparison; those of a group are in
    /// order already, unless a clock was set back or several files cover the same time.
    pub(super) fn sort(self, order: &Order) -> Sorted {
        let mut ends = vec![0_u32; order.groups() + 1];
        for key in self.batches.iter().flat_map(|it| order.keys(it)) {
            ends[key.group as usize + 1] += 1;
        }
        for group in 1..ends.len() {
            ends[group] += ends[group - 1];
        }
        let mut items = vec![Item { time: 0, batch: 0, row: 0 }; self.rows];
        for (batch, rows) in (0..).zip(&self.batches) {
            for (row, key) in (0..).zip(order.keys(rows)) {
                let next = &mut ends[key.group as usize];
                items[*next as usize] = Item { time: key.time, batch, row };
                *next += 1;
            }
        }
        let mut start = 0;
        for end in ends {
            let group = &mut items[start as usize..end as usize];
            if !group.is_sorted_by_key(|it| it.time) {
                group.sort_by_key(|it| it.time);
            }
            start = end;
        }
        Sorted { batches: self.batches, items, at: 0 }
    }
}

impl Iterator for Sorted {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = &self.items[self.at..self.items.len().min(self.at + BATCH_ROWS)];
        if rows.is_empty() {
            return None;
        }
        self.at += rows.len();
        let rows: Vec<_> = rows.iter().map(|it| (it.batch as usize, it.row as usize)).collect();
        Some(interleave_record_batch(&self.batches.iter().collect::<Vec<_>>(), &rows))
    }
}
