//! Finished files found and read back, whatever is in them.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use arrow::{
    array::{Array as _, AsArray as _, DictionaryArray, RecordBatch},
    compute::kernels::cast_utils::Parser as _,
    datatypes::{Date32Type, Int32Type, TimestampMicrosecondType},
};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    errors::ParquetError,
    file::metadata::FileMetaData,
};

use super::{
    batch::BATCH_ROWS,
    error::{Cause, StoreError},
    schema::schema,
    table::Table,
};
use crate::market::Exchange;

/// A file that is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// The UTC day of its rows, counted from the epoch.
    pub(super) day: i32,
    /// Whose rows they are, in the tables that are parted so.
    pub(super) exchange: Option<Exchange>,
}

/// The files of `table` below `dir`, day by day. What is in folders of other names is none of ours.
pub(super) fn find(dir: &Path, table: Table) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    for (date, folder) in folders(&dir.join(table.name()), "date=")? {
        let Some(day) = Date32Type::parse(&date) else { continue };
        if table.is_by_exchange() {
            for (name, folder) in folders(&folder, "exchange=")? {
                let Ok(exchange) = name.parse() else { continue };
                add(&folder, day, Some(exchange), &mut found)?;
            }
        } else {
            add(&folder, day, None, &mut found)?;
        }
    }
    found.sort_by(|a, b| (a.day, a.exchange, &a.path).cmp(&(b.day, b.exchange, &b.path)));
    Ok(found)
}

fn add(
    folder: &Path,
    day: i32,
    exchange: Option<Exchange>,
    to: &mut Vec<Found>,
) -> Result<(), StoreError> {
    let files = list(folder)?.into_iter();
    let files = files.filter(|it| it.extension().is_some_and(|it| it == "parquet"));
    to.extend(files.map(|path| Found { path, day, exchange }));
    Ok(())
}

/// The folders in `dir` whose names start with `key`, by the rest of their names.
fn folders(dir: &Path, key: &str) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let named = |path: PathBuf| {
        let value = path.file_name()?.to_str()?.strip_prefix(key)?.to_owned();
        path.is_dir().then_some((value, path))
    };
    Ok(list(dir)?.into_iter().filter_map(named).collect())
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed: io::Result<_> =
        fs::read_dir(dir).and_then(|it| it.map(|entry| Ok(entry?.path())).collect());
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(StoreError::during("list", dir)),
    }
}

/// Shows the rows of a file of `table` to `visit`, batch by batch, and of them these `columns`, in the
/// order of the table. With them comes the run that has written the file, if it was a single one.
///
/// # Errors
/// Also when the columns are not what they should be, and for what makes the Parquet library panic.
pub(super) fn read(
    path: &Path,
    table: Table,
    columns: &[&'static str],
    mut visit: impl FnMut(Option<&str>, &RecordBatch) -> Result<(), Cause>,
) -> Result<(), StoreError> {
    let read = || -> Result<(), Cause> {
        let file = File::open(path)?;
        let footer = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())?;
        check_columns(&footer, table, columns)?;
        let run = run(footer.metadata().file_metadata()).map(str::to_owned);
        let mask = ProjectionMask::columns(footer.parquet_schema(), columns.iter().copied());
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer)
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask)
            .build()?;
        for batch in batches {
            visit(run.as_deref(), &batch.map_err(ParquetError::from)?)?;
        }
        Ok(())
    };
    let caught = catch_unwind(AssertUnwindSafe(read));
    caught.unwrap_or(Err(Cause::Panic)).map_err(StoreError::during("read", path))
}

fn check_columns(
    footer: &ArrowReaderMetadata,
    table: Table,
    columns: &[&'static str],
) -> Result<(), Cause> {
    let expected = schema(table);
    for &name in columns {
        let expected = expected.field_with_name(name).expect("a column of the table").data_type();
        let found = footer.schema().field_with_name(name).ok();
        if found.is_none_or(|it| it.data_type() != expected) {
            let found = found.map_or_else(|| "none".to_owned(), |it| it.data_type().to_string());
            return Err(Cause::Column { name, expected: expected.to_string(), found });
        }
    }
    Ok(())
}

/// The run that has written a file; `None` when it was put together from those of several.
fn run(metadata: &FileMetaData) -> Option<&str> {
    let line = |key: &str| {
        let lines = metadata.key_value_metadata()?.iter();
        let mut named = lines.filter(|it| it.key.strip_prefix("spread_aggregator.") == Some(key));
        named.next()?.value.as_deref()
    };
    if line("compacted") == Some("true") { None } else { line("run_id") }
}

/// A column of names of a batch that was [`read`].
pub(super) fn names<'a>(batch: &'a RecordBatch, column: &str) -> &'a DictionaryArray<Int32Type> {
    batch[column].as_dictionary()
}

/// One of the names.
pub(super) fn name(names: &DictionaryArray<Int32Type>, row: usize) -> Option<&str> {
    names.key(row).map(|key| names.values().as_string::<i32>().value(key))
}

/// A column of times of a batch that was [`read`], in microseconds; one without nulls.
pub(super) fn times<'a>(batch: &'a RecordBatch, column: &'static str) -> Result<&'a [i64], Cause> {
    let times = batch[column].as_primitive::<TimestampMicrosecondType>();
    if times.null_count() == 0 { Ok(times.values()) } else { Err(Cause::Null(column)) }
}
