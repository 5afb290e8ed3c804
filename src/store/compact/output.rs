//! Sorted rows to few large files.

use std::{
    mem,
    path::{Path, PathBuf},
};

use arrow::array::RecordBatch;
use parquet::file::{
    metadata::SortingColumn,
    properties::{EnabledStatistics, WriterPropertiesPtr},
};

use crate::store::{
    batch::BATCH_ROWS,
    compression::Compression,
    disk::Disk,
    error::StoreError,
    parquet_file::ParquetFile,
    properties::{self, COMPACTED},
    schema::schema,
    table::Table,
};

/// Row groups that all rows are parted into, if that makes none too small or too large: a reader that
/// looks for one symbol reads one of them at least, and what is said of each of all of them.
const GROUPS: u64 = 256;

/// The fewest rows in a row group: what is said of a group takes 2 KB, what is in it a hundred times
/// that.
const GROUP_ROWS_MIN: u64 = 16_384;

/// The most. A group is in memory until it is written: that many take 5 MB.
const GROUP_ROWS_MAX: u64 = 131_072;

/// Rows in a page: what a reader that knows the page index reads at least.
const PAGE_ROWS: usize = 8_192;

/// Files of sorted rows, one after the other.
pub(super) struct Outputs<'a> {
    disk: &'a Disk,
    table: Table,
    dir: &'a Path,
    /// How the names of the files start.
    name: String,
    properties: WriterPropertiesPtr,
    target_size: u64,
    /// Rows in a row group.
    group_rows: usize,
    open: Option<ParquetFile>,
    /// Rows in that one.
    rows: u64,
    finished: Vec<Finished>,
}

/// A file that is whole.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    /// Its name, without its folder.
    pub(super) name: String,
    pub(super) rows: u64,
}

impl<'a> Outputs<'a> {
    /// Makes `dir/<name>-<n>.parquet` of `rows` rows, each of at least `target_size` bytes but the
    /// last.
    pub(super) fn new(
        disk: &'a Disk,
        table: Table,
        dir: &'a Path,
        name: String,
        properties: WriterPropertiesPtr,
        target_size: u64,
        rows: u64,
    ) -> Self {
        Self {
            disk,
            table,
            dir,
            name,
            properties,
            target_size,
            group_rows: group_rows(rows),
            open: None,
            rows: 0,
            finished: Vec::new(),
        }
    }

    /// Takes the next rows of the order: [`BATCH_ROWS`], unless they are the last.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let path = self.next_path();
        let file = match &mut self.open {
            Some(file) => file,
            none => {
                none.insert(ParquetFile::create(self.disk, path, self.table, &self.properties)?)
            }
        };
        self.rows += batch.num_rows() as u64;
        file.write(batch)?;
        if file.rows_in_memory() < self.group_rows {
            return Ok(());
        }
        file.end_group()?;
        if self.target_size <= file.size() { self.close() } else { Ok(()) }
    }

    fn next_path(&self) -> PathBuf {
        self.dir.join(format!("{}-{}.parquet", self.name, self.finished.len() + 1))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let Some(file) = self.open.take() else { return Ok(()) };
        let (path, rows) = (self.next_path(), mem::take(&mut self.rows));
        file.finish()?;
        let name = path.file_name().expect("it ends with a name").to_string_lossy().into_owned();
        self.finished.push(Finished { name, rows });
        Ok(())
    }

    /// All files, whole and synced.
    pub(super) fn finish(mut self) -> Result<Vec<Finished>, StoreError> {
        self.close()?;
        Ok(self.finished)
    }
}

/// Rows in a row group, of so many: full batches, so that none is cut in two.
fn group_rows(rows: u64) -> usize {
    let rows = (rows / GROUPS).clamp(GROUP_ROWS_MIN, GROUP_ROWS_MAX);
    usize::try_from(rows).expect("GROUP_ROWS_MAX is less").next_multiple_of(BATCH_ROWS)
}

/// Sorted rows are searched: everything has statistics and a page index, and a reader can ask
/// whether a row group has a symbol.
///
/// `inputs` is the number of files whose rows they are.
pub(super) fn properties(
    table: Table,
    run: &str,
    compression: Compression,
    inputs: usize,
) -> WriterPropertiesPtr {
    let schema = schema(table);
    let column = |name| schema.index_of(name).expect("a column of the table");
    let sorted_by = ["symbol", "market", table.time()].map(|name| SortingColumn {
        column_idx: i32::try_from(column(name)).expect("a dozen columns"),
        descending: false,
        nulls_first: true,
    });
    let more = [(COMPACTED, "true".to_owned()), ("inputs", inputs.to_string())];
    let mut it = properties::builder(run, compression, more)
        // They are ended here, with a sync.
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_sorting_columns(Some(sorted_by.into()))
        .set_column_bloom_filter_enabled("symbol".into(), true);
    for column in schema.fields() {
        let name = column.name().as_str().into();
        it = it.set_column_statistics_enabled(name, EnabledStatistics::Page);
    }
    it.build().into()
}
