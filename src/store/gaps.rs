//! The loss ledger read back.

use std::{
    collections::{BTreeSet, BinaryHeap},
    path::Path,
};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch},
    datatypes::{Int32Type, Int64Type},
};

use super::{
    error::{Cause, StoreError},
    read::{Found, find, name, names, read, times},
    table::Table,
};
use crate::market::{Channel, Exchange, GapReason, Market};

/// Rows that are sorted at a time, of less than 200 bytes each. A ledger of more is read again for
/// each as many.
const PAGE: usize = 100_000;

const COLUMNS: [&str; 9] =
    ["ts_from", "ts_to", "exchange", "market", "symbol", "stream", "reason", "dropped", "conn_id"];

/// A row of the loss ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapRow {
    /// The last that is known to be there, in microseconds since the epoch, UTC.
    pub from: i64,
    /// The first that is there again.
    pub to: i64,
    /// Whose data it is.
    pub exchange: Exchange,
    /// Of which market.
    pub market: Market,
    /// Of which instrument; `None` for all of the connection, or of the venue without one.
    pub symbol: Option<String>,
    /// Of which channel; `None` for all.
    pub channel: Option<Channel>,
    /// How it got lost.
    pub reason: GapReason,
    /// How many events, exactly; `None` when that cannot be known.
    pub dropped: Option<i64>,
    /// Over which connection of its run; `None` for several or none.
    pub conn: Option<i32>,
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this instrument, by its unified symbol, and those of all instruments.
    pub symbol: Option<String>,
    /// Of this exchange.
    pub exchange: Option<Exchange>,
}

impl Wanted {
    /// Whether a row is.
    #[must_use]
    pub fn takes(&self, row: &GapRow) -> bool {
        let same = |symbol: &String| row.symbol.as_ref().is_none_or(|it| it == symbol);
        self.symbol.as_ref().is_none_or(same) && self.exchange.is_none_or(|it| it == row.exchange)
    }
}

/// Shows the rows of the ledger in `dir` to `show`, by the time they begin. Files that cannot be read
/// are left out and returned.
///
/// # Errors
/// When the files cannot be listed, or `show` fails.
pub fn ledger<E: From<StoreError>>(
    dir: &Path,
    wanted: &Wanted,
    show: impl FnMut(&GapRow) -> Result<(), E>,
) -> Result<Vec<StoreError>, E> {
    by_pages(&find(dir, Table::Gaps)?, wanted, PAGE, show)
}

/// What rows are sorted by; the file and the row in it tell equal ones apart.
type Place = (i64, i64, usize, usize);

/// A row and its place, ordered by it.
struct Placed {
    place: Place,
    row: GapRow,
}

fn by_pages<E>(
    files: &[Found],
    wanted: &Wanted,
    page: usize,
    mut show: impl FnMut(&GapRow) -> Result<(), E>,
) -> Result<Vec<StoreError>, E> {
    let (mut faults, mut faulty) = (Vec::new(), BTreeSet::new());
    let mut shown = None;
    loop {
        let mut least = BinaryHeap::new();
        for (n, file) in files.iter().enumerate() {
            let mut at = 0;
            let read = read_rows(&file.path, |row, _| {
                let place = (row.from, row.to, n, at);
                at += 1;
                if shown < Some(place) && wanted.takes(&row) {
                    least.push(Placed { place, row });
                }
                if page < least.len() {
                    least.pop();
                }
            });
            if let Err(error) = read
                && faulty.insert(n)
            {
                faults.push(error);
            }
        }
        let rows = least.into_sorted_vec();
        for it in &rows {
            show(&it.row)?;
        }
        match rows.last() {
            Some(it) if rows.len() == page => shown = Some(it.place),
            _ => return Ok(faults),
        }
    }
}

/// Shows the rows of a file, and the run that has written them.
pub(super) fn read_rows(
    path: &Path,
    mut visit: impl FnMut(GapRow, Option<&str>),
) -> Result<(), StoreError> {
    read(path, Table::Gaps, &COLUMNS, |run, batch| {
        for row in 0..batch.num_rows() {
            visit(GapRow::read(batch, row)?, run);
        }
        Ok(())
    })
}

impl GapRow {
    fn read(batch: &RecordBatch, row: usize) -> Result<Self, Cause> {
        let text = |column| name(names(batch, column), row);
        let known = |column| text(column).ok_or(Cause::Null(column));
        let conn = batch["conn_id"].as_primitive::<Int32Type>();
        let dropped = batch["dropped"].as_primitive::<Int64Type>();
        Ok(Self {
            from: times(batch, "ts_from")?[row],
            to: times(batch, "ts_to")?[row],
            exchange: one_of("exchange", &Exchange::ALL, Exchange::name, known("exchange")?)?,
            market: one_of("market", &Market::ALL, Market::name, known("market")?)?,
            symbol: text("symbol").map(str::to_owned),
            channel: text("stream")
                .map(|it| one_of("stream", &Channel::ALL, Channel::name, it))
                .transpose()?,
            reason: one_of("reason", &GapReason::ALL, GapReason::name, known("reason")?)?,
            dropped: dropped.is_valid(row).then(|| dropped.value(row)),
            conn: conn.is_valid(row).then(|| conn.value(row)),
        })
    }
}

pub(super) fn one_of<T: Copy>(
    column: &'static str,
    all: &[T],
    name: fn(T) -> &'static str,
    found: &str,
) -> Result<T, Cause> {
    let known = all.iter().copied().find(|&it| name(it) == found);
    known.ok_or_else(|| Cause::Name { column, found: found.to_owned() })
}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Placed {}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        market::{Gap, Nanos, Record, Venue},
        metrics::Metrics,
        registry::Registry,
        store::{Compression, Dataset, RecordWriter, Sealer, Settings},
    };

    /// 2026-11-23T12:00:00Z
    const NOON: i64 = 1_795_435_200_000_000_000;

    fn gap(second: i64) -> Record {
        let at = |second| Nanos(NOON + second * 1_000_000_000);
        Record::Gap(Gap {
            from: at(second),
            to: at(second + 1),
            venue: Venue::new(Exchange::Okx, Market::Spot),
            instrument: None,
            channel: None,
            reason: GapReason::Disconnect,
            dropped: None,
            conn: None,
        })
    }

    #[test]
    fn a_ledger_of_any_size_is_shown_by_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            dir: dir.path().to_owned(),
            journal_flush: Duration::from_secs(1),
            rotate: Duration::from_hours(1),
            rotate_size: 1 << 20,
            compression: Compression::None,
            keep_days: None,
        };
        let (registry, metrics) = (Registry::default(), Metrics::new());
        // Some of them twice, over midnight, and in files that overlap.
        let seconds = [[9, 1, 5, 86_400], [1, 7, 3, 90_000], [5, 2, 8, 1]];
        for seconds in seconds {
            let dataset = Dataset::open(dir.path()).expect("a dataset");
            let mut writer = RecordWriter::new(&dataset, &settings, &registry, &metrics);
            writer.append(&mut seconds.map(gap).to_vec());
            assert_eq!(writer.finish(Nanos(NOON)).rows_lost, 0);
            let sealed = Sealer::new(&dataset, &settings, &metrics).finish(&|| Nanos(NOON));
            assert_eq!(sealed.records, seconds.len() as u64);
        }
        let mut expected = seconds.concat();
        expected.sort_unstable();
        let files = find(dir.path(), Table::Gaps).expect("files");
        for page in [1, 2, 3, 5, 11, 12, 13, 100] {
            let mut shown = Vec::new();
            let faults = by_pages::<StoreError>(&files, &Wanted::default(), page, |it| {
                shown.push(it.from / 1_000_000 - NOON / 1_000_000_000);
                Ok(())
            });
            assert!(faults.expect("a ledger").is_empty());
            assert_eq!(shown, expected, "{page} a page");
        }
    }
}
