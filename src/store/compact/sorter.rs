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

#[cfg(test)]
mod tests {
    use arrow::{
        array::{AsArray as _, Int64Array, StringDictionaryBuilder, TimestampMicrosecondArray},
        datatypes::Int32Type,
    };
    use proptest::prelude::*;

    use super::*;

    /// Symbol, market, time; and a number that tells it from all others.
    type Row = (Option<u8>, bool, i64, i64);

    fn batch(rows: &[Row]) -> RecordBatch {
        let names = |name: &dyn Fn(&Row) -> Option<String>| {
            let mut names = StringDictionaryBuilder::<Int32Type>::new();
            for row in rows {
                names.append_option(name(row));
            }
            Arc::new(names.finish())
        };
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|it| it.2));
        let times = Arc::new(times.with_timezone("UTC"));
        let x = names(&|_| Some("x".to_owned()));
        let columns: Vec<arrow::array::ArrayRef> = vec![
            times.clone(),
            times,
            x.clone(),
            names(&|it| Some(if it.1 { "spot" } else { "perp" }.to_owned())),
            // In another order than the numbers.
            names(&|it| it.0.map(|it| format!("{}-USDT", it.wrapping_mul(77)))),
            names(&|_| None),
            x,
            Arc::new(rows.iter().map(|it| Some(it.3)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|_| None::<i32>).collect::<arrow::array::Int32Array>()),
        ];
        RecordBatch::try_new(schema(Table::Gaps), columns).expect("the columns of the table")
    }

    /// Symbol, market, time and number of each row.
    fn rows(batch: &RecordBatch) -> Vec<(Option<String>, String, i64, i64)> {
        let name = |column: &str, row| {
            let names = batch[column].as_dictionary::<Int32Type>();
            let name = |at| names.values().as_string::<i32>().value(at).to_owned();
            names.key(row).map(name)
        };
        let time = batch["ts_to"].as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
        let number = batch["dropped"].as_primitive::<arrow::datatypes::Int64Type>();
        let row = |row| {
            let market = name("market", row).expect("never null");
            (name("symbol", row), market, time.value(row), number.value(row))
        };
        (0..batch.num_rows()).map(row).collect()
    }

    fn sorted(batches: &[RecordBatch], memory: usize) -> Vec<RecordBatch> {
        let dir = tempfile::tempdir().expect("a folder");
        let mut sorter = Sorter::new(&Disk::default(), Table::Gaps, dir.path(), memory);
        for batch in batches {
            sorter.push(batch).expect("room");
        }
        let sorted = sorter.finish().and_then(Iterator::collect).expect("room");
        let left = std::fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(left, 0, "runs are gone once they have been read");
        sorted
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn rows_come_out_sorted_and_equal_ones_as_they_went_in(
            parts in prop::collection::vec(
                prop::collection::vec((prop::option::of(0..20_u8), any::<bool>(), 0..50_i64), 1..400),
                1..40,
            ),
            // From two rows to all rows at a time.
            memory in prop_oneof![Just(64_usize), Just(100_000), Just(usize::MAX)],
        ) {
            let mut number = 0;
            let numbered = |&(symbol, market, time): &(Option<u8>, bool, i64)| {
                number += 1;
                (symbol, market, time, number)
            };
            let numbered: Vec<Row> = parts.concat().iter().map(numbered).collect();
            let mut left = &numbered[..];
            let mut batches = Vec::new();
            for part in &parts {
                let (some, rest) = left.split_at(part.len());
                batches.push(batch(some));
                left = rest;
            }
            let mut expected: Vec<_> = batches.iter().flat_map(rows).collect();
            expected.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
            let sorted: Vec<_> = sorted(&batches, memory).iter().flat_map(rows).collect();
            prop_assert_eq!(sorted, expected);
        }
    }

    #[test]
    fn all_batches_but_the_last_are_full() {
        use crate::store::batch::BATCH_ROWS;
        let rows: Vec<Row> =
            (0..30_000_i64).map(|it| (Some(it.to_le_bytes()[0] % 7), true, it, it)).collect();
        let batches: Vec<_> = rows.chunks(999).map(batch).collect();
        let sizes = |memory| sorted(&batches, memory).iter().map(RecordBatch::num_rows).collect();
        let [one, many]: [Vec<_>; 2] = [usize::MAX, 500_000].map(sizes);
        assert_eq!(one, [BATCH_ROWS, BATCH_ROWS, BATCH_ROWS, 30_000 - 3 * BATCH_ROWS]);
        assert_eq!(many, one);
    }
}
