//! Events and records to Parquet files.
//!
//! ```text
//! DIR/quotes/date=2026-11-23/exchange=binance/<unique>.parquet
//! DIR/trades/date=2026-11-23/exchange=binance/<unique>.parquet
//! DIR/spreads/date=2026-11-23/<unique>.parquet
//! DIR/gaps/date=2026-11-23/<unique>.parquet
//! DIR/journal/                                 what is not finished
//! ```
//!
//! Invariants, each checked by a test:
//! - what ends in `.parquet` is whole, and stays as it is;
//! - no file is without rows;
//! - rows given to a [`Writer`] or a [`RecordWriter`] = rows in finished files + rows counted as lost.

mod batch;
mod compression;
mod dataset;
mod error;
mod file;
mod lane;
mod names;
mod properties;
mod record_writer;
mod records;
mod schema;
mod table;
mod writer;

use std::{path::PathBuf, thread, time::Duration};

pub use self::{
    compression::{Compression, InvalidCompression},
    dataset::Dataset,
    error::StoreError,
    lane::Totals,
    record_writer::RecordWriter,
    schema::schema,
    table::Table,
    writer::Writer,
};
use crate::{
    channel::{Received, Receiver},
    market::{Event, Nanos, Record},
    metrics::QueueMetrics,
};

/// How files are written.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the dataset.
    pub dir: PathBuf,
    /// The age at which a file is closed.
    pub rotate: Duration,
    /// The size in bytes at which a file is closed, before its age says so.
    pub rotate_size: u64,
    /// How pages are compressed.
    pub compression: Compression,
}

/// The most events taken out of the queue at a time.
const DRAIN_MAX: usize = 8_192;

/// How long the queue is left alone once it was found empty. Looking now and then costs less than
/// to be woken for every event: 1.37 against 1.55 us an event.
const PAUSE: Duration = Duration::from_millis(5);

/// How often files are checked for their age and size, in nanoseconds.
const TICK: i64 = 100_000_000;

/// How often the files of records are looked at when there are none.
const RECORDS_EVERY: Duration = Duration::from_millis(100);

/// Writes all events until the queue's senders are gone, then closes all files.
///
/// `clock` tells the time, in nanoseconds since the epoch.
pub fn run(
    events: &Receiver<Event>,
    mut writer: Writer<'_>,
    queue: &QueueMetrics,
    clock: impl Fn() -> Nanos,
) -> Totals {
    let mut batch = Vec::with_capacity(DRAIN_MAX);
    let mut ticked = clock();
    loop {
        if events.drain(&mut batch, DRAIN_MAX) == Received::Closed {
            publish(queue, 0, None, clock());
            return writer.finish(clock());
        }
        let now = clock();
        let drained = batch.len();
        publish(queue, drained + events.len(), batch.first(), now);
        writer.append(&mut batch, now);
        if TICK < (now.0 - ticked.0).abs() {
            writer.tick(now);
            ticked = now;
        }
        if drained < DRAIN_MAX {
            thread::park_timeout(PAUSE);
        }
    }
}

/// The most records taken out of the queue at a time.
const RECORDS_MAX: usize = 1_024;

/// Writes all records until the queue's senders are gone, then closes all files.
///
/// `clock` tells the time, in nanoseconds since the epoch.
pub fn run_records(
    records: &Receiver<Record>,
    mut writer: RecordWriter<'_>,
    queue: &QueueMetrics,
    clock: impl Fn() -> Nanos,
) -> Totals {
    let mut batch = Vec::new();
    loop {
        let received = records.recv_all(&mut batch, RECORDS_MAX, RECORDS_EVERY);
        queue.depth.set(i64::try_from(records.len()).unwrap_or(i64::MAX));
        let now = clock();
        if received == Received::Closed {
            return writer.finish(now);
        }
        writer.append(&mut batch, now);
        writer.tick(now);
    }
}

fn publish(queue: &QueueMetrics, depth: usize, oldest: Option<&Event>, now: Nanos) {
    queue.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    #[expect(clippy::cast_precision_loss, reason = "an age of centuries may be inexact")]
    let age = oldest.map_or(0.0, |it| (now.0 - it.ts_recv().0).max(0) as f64 / 1e9);
    queue.age.set(age);
}
