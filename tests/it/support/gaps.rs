//! The loss ledger read back.

use std::{fs::File, path::Path};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int32Type, Int64Type},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use spread_aggregator::{
    market::{GapReason, Venue},
    metrics::Metrics,
};

use super::rows::{files, get, text, time};

/// A row of the ledger as a reader sees it: times in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gap {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// `binance-spot`
    pub(crate) venue: String,
    pub(crate) symbol: Option<String>,
    pub(crate) stream: Option<String>,
    pub(crate) reason: String,
    pub(crate) dropped: Option<i64>,
    pub(crate) conn_id: Option<i32>,
}

impl Gap {
    pub(crate) fn is(&self, reason: GapReason) -> bool {
        self.reason == reason.name()
    }
}

/// The ledger in `dir`, by time. Every row ends after it begins.
pub(crate) fn gaps(dir: &Path) -> Vec<Gap> {
    let mut rows: Vec<_> = files(&dir.join("gaps")).iter().flat_map(|it| read(it)).collect();
    rows.sort();
    for it in &rows {
        assert!(it.from <= it.to, "{it:?}");
    }
    rows
}

fn read(path: &Path) -> Vec<Gap> {
    let file = File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    reader.flat_map(|it| rows_of(&it.expect("a batch"))).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<Gap> {
    let name = |it, at| text(batch, it, at).expect("never null");
    let row = |at| Gap {
        from: time(batch, "ts_from", at).expect("never null"),
        to: time(batch, "ts_to", at).expect("never null"),
        venue: format!("{}-{}", name("exchange", at), name("market", at)),
        symbol: text(batch, "symbol", at),
        stream: text(batch, "stream", at),
        reason: name("reason", at),
        dropped: get(batch, "dropped", at).map(|it| it.as_primitive::<Int64Type>().value(at)),
        conn_id: get(batch, "conn_id", at).map(|it| it.as_primitive::<Int32Type>().value(at)),
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Each row has been counted in the metrics, and nothing else has.
pub(crate) fn assert_all_are_counted(gaps: &[Gap], metrics: &Metrics) {
    for index in 0..Venue::COUNT {
        let venue = Venue::at(index);
        for reason in GapReason::ALL {
            let is = |it: &&Gap| it.venue == venue.to_string() && it.is(reason);
            let rows = gaps.iter().filter(is).count() as u64;
            assert_eq!(metrics.gaps().of(venue, reason).get(), rows, "{venue} {}", reason.name());
        }
    }
}
