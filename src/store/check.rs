//! A finished file, held against all that is said of it.
//!
//! The checksum comes first: pages are only decoded once it is known that they are as they were
//! written. What the footer claims is bounded by what a footer can hold. The Parquet library may
//! still panic on what was made to mislead it, so a panic in it is a fault of the file.

use std::{
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use arrow::{
    array::{AsArray, DictionaryArray, RecordBatch},
    datatypes::{Field, Int32Type, Schema, TimestampMicrosecondType},
};
use parquet::{
    arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    },
    errors::ParquetError,
    file::metadata::FileMetaData,
};

use super::{
    batch::BATCH_ROWS,
    checksum::Checksum,
    date::Date,
    error::StoreError,
    partition::Partition,
    properties::{COMPACTED, FORMAT_VERSION, PREFIX},
    schema::schema,
};
use crate::market::Nanos;

/// The longest footer that is read. One of a file of 4 GiB has a quarter of that; to read one takes
/// up to a hundred times its length, if it was made to.
const FOOTER_MAX: u64 = 32 << 20;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    what: String,
    expected: String,
    found: String,
}

/// Why a file is not in order.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such file.
    Gone,
    /// At least one fault.
    Faults(Vec<Fault>),
    /// Whoever was shown the rows has failed.
    Visitor(StoreError),
}

/// What a file in order has been found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// What a file says of itself.
struct Label {
    rows: Option<u64>,
    times: Option<(i64, i64)>,
    is_compacted: bool,
}

impl Fault {
    pub(super) fn new(what: &str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { what: what.to_owned(), expected: expected.to_string(), found: found.to_string() }
    }

    /// One if `expected` is not what was `found`.
    fn unless<T: PartialEq + fmt::Display>(what: &str, expected: T, found: T) -> Option<Self> {
        (expected != found).then(|| Self::new(what, expected, found))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, found } = self;
        write!(f, "{what}: expected {expected}, found {found}")
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Faults(vec![fault])
    }
}

/// Reads all of a file of `partition` and shows each batch of its rows to `visit`, which may have
/// seen some when it turns out that there is a fault.
///
/// `listed` is how many rows the manifest says it has.
pub(super) fn check(
    path: &Path,
    partition: Partition,
    listed: Option<u64>,
    mut visit: impl FnMut(&RecordBatch) -> Result<(), StoreError>,
) -> Result<Checked, Failure> {
    let file = open(path)?;
    let bytes = check_frame(&file)?;
    let checksum = Checksum::read(&file).map_err(|it| unreadable(&it))?;
    let mut faults = Vec::new();
    faults.extend(check_checksum(checksum));
    let footer = caught("footer", || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()));
    let footer = match footer {
        Ok(footer) => footer,
        Err(fault) => {
            faults.push(fault);
            return Err(Failure::Faults(faults));
        }
    };
    let label = check_footer(&footer, partition, listed, &mut faults);
    // Of a file whose bytes are not what they were, or that has other columns, rows mean nothing.
    if !faults.is_empty() {
        return Err(Failure::Faults(faults));
    }
    let mut rows = Rows::new(partition, &label);
    let read = || -> Result<Result<(), Failure>, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer);
        for batch in builder.with_batch_size(BATCH_ROWS).build()? {
            let batch = batch?;
            if let Err(fault) = rows.check(&batch) {
                return Ok(Err(fault.into()));
            }
            if let Err(error) = visit(&batch) {
                return Ok(Err(Failure::Visitor(error)));
            }
        }
        Ok(Ok(()))
    };
    caught("rows", read)??;
    rows.finish(&label, &mut faults);
    if faults.is_empty() {
        Ok(Checked { rows: rows.count, bytes })
    } else {
        Err(Failure::Faults(faults))
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Gone,
        _ => unreadable(&error),
    })
}

fn unreadable(error: &impl fmt::Display) -> Failure {
    Fault::new("file", "one that can be read", error).into()
}

/// Runs what reads a file that may be anything.
fn caught<T>(what: &str, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Fault> {
    let wrong = |found: &dyn fmt::Display| Fault::new(what, "Parquet", found);
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| wrong(&error)),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(wrong(&format!("what makes its reader panic: {}", message.unwrap_or_default())))
        }
    }
}

/// Checks what is at the end of a file; returns how many bytes it has.
fn check_frame(file: &File) -> Result<u64, Failure> {
    let bytes = file.metadata().map_err(|it| unreadable(&it))?.len();
    let Some(end) = bytes.checked_sub(8) else {
        return Err(Fault::new("size", "at least 8 bytes", format!("{bytes}")).into());
    };
    let mut tail = [0; 8];
    file.read_exact_at(&mut tail, end).map_err(|it| unreadable(&it))?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != *b"PAR1" {
        return Err(Fault::new("last bytes", "PAR1", magic.escape_ascii()).into());
    }
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    let max = FOOTER_MAX.min(end);
    if max < footer {
        return Err(Fault::new("bytes in the footer", format!("at most {max}"), footer).into());
    }
    Ok(bytes)
}

fn check_checksum(checksum: Checksum) -> Option<Fault> {
    let stored = checksum.stored.map_or_else(|| "none".to_owned(), |it| format!("{it:08x}"));
    Fault::unless("checksum", format!("{:08x}", checksum.computed), stored)
}

/// Checks what the footer says without a look at the rows.
fn check_footer(
    footer: &ArrowReaderMetadata,
    partition: Partition,
    listed: Option<u64>,
    faults: &mut Vec<Fault>,
) -> Label {
    let metadata = footer.metadata().file_metadata();
    let version = line(metadata, "format_version").unwrap_or("none");
    faults.extend(Fault::unless("format version", FORMAT_VERSION, version));
    faults.extend(check_schema(footer.schema(), &schema(partition.table)));
    let label = Label::read(metadata);
    let rows = u64::try_from(metadata.num_rows()).unwrap_or_default();
    match label.rows {
        Some(said) => faults.extend(Fault::unless("rows", said, rows)),
        None => faults.push(Fault::new("rows in the metadata", rows, "none")),
    }
    if let Some(listed) = listed {
        faults.extend(Fault::unless("rows by the manifest", listed, rows));
    }
    if label.times.is_none() {
        faults.push(Fault::new("times in the metadata", "a first and a last", "none"));
    }
    label
}

fn check_schema(found: &Schema, expected: &Schema) -> Option<Fault> {
    let column = |it: &Field| {
        format!("{} {}{}", it.name(), it.data_type(), if it.is_nullable() { " null" } else { "" })
    };
    let columns =
        |it: &Schema| it.fields().iter().map(|it| column(it)).collect::<Vec<_>>().join(", ");
    Fault::unless("columns", columns(expected), columns(found))
}

/// The value of one of our lines of metadata.
fn line<'a>(metadata: &'a FileMetaData, key: &str) -> Option<&'a str> {
    let lines = metadata.key_value_metadata()?;
    lines.iter().find(|it| it.key.strip_prefix(PREFIX) == Some(key))?.value.as_deref()
}

impl Label {
    fn read(metadata: &FileMetaData) -> Self {
        let time = |key| line(metadata, key)?.parse().ok();
        Self {
            rows: line(metadata, "rows").and_then(|it| it.parse().ok()),
            times: time("ts_recv_first").zip(time("ts_recv_last")),
            is_compacted: line(metadata, COMPACTED) == Some("true"),
        }
    }
}

/// The rows of a file as far as they have been read.
struct Rows {
    partition: Partition,
    /// Column numbers.
    time: usize,
    exchange: Option<usize>,
    count: u64,
    times: Option<(i64, i64)>,
    last: Option<LastRow>,
}

/// The last row of a file that is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct LastRow {
    symbol: Option<String>,
    market: Option<String>,
    time: i64,
}

impl Rows {
    fn new(partition: Partition, label: &Label) -> Self {
        let schema = schema(partition.table);
        let at = |name| schema.index_of(name).expect("a column of the table");
        Self {
            partition,
            time: at(partition.table.time()),
            exchange: partition.exchange.map(|_| at("exchange")),
            count: 0,
            times: None,
            last: label.is_compacted.then(LastRow::default),
        }
    }

    fn check(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        self.count += batch.num_rows() as u64;
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>().values();
        for &time in times {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
        self.check_folder(batch)?;
        self.check_order(batch)
    }

    /// Each row is in the folder of its day and its exchange.
    fn check_folder(&self, batch: &RecordBatch) -> Result<(), Fault> {
        let date = self.partition.date();
        let day = |micros: i64| micros.checked_mul(1_000).map(|it| Date::from(Nanos(it)));
        let (first, last) = self.times.unwrap_or_default();
        for time in [first, last] {
            if day(time) != Some(date) {
                let found = day(time).map_or_else(|| format!("{time} us"), |it| it.to_string());
                return Err(Fault::new(self.partition.table.time(), date, found));
            }
        }
        let Some((at, exchange)) = self.exchange.zip(self.partition.exchange) else {
            return Ok(());
        };
        let names = batch.column(at).as_dictionary::<Int32Type>().values().as_string::<i32>();
        let other = names.iter().flatten().find(|it| *it != exchange.name());
        other.map_or(Ok(()), |it| Err(Fault::new("exchange", exchange, it)))
    }

    fn check_order(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        let Some(last) = &mut self.last else { return Ok(()) };
        let names = |name| batch.column_by_name(name).map(AsArray::as_dictionary::<Int32Type>);
        let (Some(symbols), Some(markets)) = (names("symbol"), names("market")) else {
            return Ok(());
        };
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>().values();
        let mut keys = None;
        for (row, &time) in times.iter().enumerate() {
            let now = Some((symbols.key(row), markets.key(row)));
            if now == keys && last.time <= time {
                last.time = time;
                continue;
            }
            keys = now;
            let name = |names: &DictionaryArray<Int32Type>| {
                let values = names.values().as_string::<i32>();
                names.key(row).map(|at| values.value(at).to_owned())
            };
            let next = LastRow { symbol: name(symbols), market: name(markets), time };
            if next < *last {
                return Err(Fault::new("order", format!("{last} or later"), next));
            }
            *last = next;
        }
        Ok(())
    }

    /// Holds all rows against what the file says.
    fn finish(&self, label: &Label, faults: &mut Vec<Fault>) {
        let said = label.rows.unwrap_or_default();
        faults.extend(Fault::unless("rows read", said, self.count));
        let range = |it: Option<(i64, i64)>| {
            it.map_or_else(|| "none".to_owned(), |(first, last)| format!("{first} to {last}"))
        };
        let time = self.partition.table.time();
        faults.extend(Fault::unless(time, range(label.times), range(self.times)));
    }
}

impl fmt::Display for LastRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |it: &Option<String>| it.clone().unwrap_or_else(|| "null".to_owned());
        write!(f, "{} {} {}", name(&self.symbol), name(&self.market), self.time)
    }
}
