//! A journal while it is written: what the writer's thread and the sealer's know of it.

use std::{
    fs::File,
    mem,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arrow::array::RecordBatch;

use super::{dataset::Dataset, error::StoreError, journal::Encoder, partition::Partition};
use crate::market::Nanos;

/// A journal and, later, its Parquet file.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) partition: Partition,
    /// The name of both files, without their endings.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) file: File,
    rows: AtomicU64,
    /// Bytes that are whole messages. What is beyond is of no meaning.
    bytes: AtomicU64,
    complete: AtomicBool,
    /// Bytes the Parquet file would have if it were finished now; an estimate.
    size: AtomicU64,
    spoiled: AtomicBool,
}

impl Segment {
    /// How much of the journal can be read: rows, and bytes.
    pub(super) fn written(&self) -> (u64, u64) {
        // In this order, so that there are never more rows than are in the bytes.
        let rows = self.rows.load(Ordering::Acquire);
        (rows, self.bytes.load(Ordering::Acquire))
    }

    /// Whether nothing will be added any more.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    pub(super) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Whether the disk may have forgotten what was written, so that nothing should be added.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Relaxed)
    }

    pub(super) fn spoil(&self) {
        self.spoiled.store(true, Ordering::Relaxed);
    }
}

/// The writer's hold on a segment. The segment is complete when this is dropped.
pub(super) struct Journal {
    pub(super) segment: Arc<Segment>,
    pub(super) opened: Nanos,
    encoder: Encoder,
    /// Messages that could not be written yet.
    pending: Vec<u8>,
    /// How often in a row it could not.
    pub(super) failures: u32,
}

impl Journal {
    /// Creates `journal/<name>.arrows`.
    pub(super) fn create(
        dataset: &Dataset,
        name: String,
        partition: Partition,
        now: Nanos,
    ) -> Result<Self, StoreError> {
        let path = dataset.journal_file(&name);
        let segment = Arc::new(Segment {
            partition,
            name,
            file: dataset.disk().create(&path)?,
            path,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            complete: AtomicBool::new(false),
            size: AtomicU64::new(0),
            spoiled: AtomicBool::new(false),
        });
        dataset.announce(Arc::clone(&segment));
        let encoder = Encoder::new(partition.table);
        Ok(Self { segment, opened: now, encoder, pending: Vec::new(), failures: 0 })
    }

    pub(super) fn rows(&self) -> u64 {
        self.segment.rows.load(Ordering::Relaxed)
    }

    /// Writes the rows of `batch`. After a failure it has to be called with the same batch again.
    /// `scratch` is only lent.
    pub(super) fn append(
        &mut self,
        batch: &RecordBatch,
        dataset: &Dataset,
        scratch: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let Self { segment, encoder, pending, .. } = self;
        if pending.is_empty() {
            scratch.clear();
            encoder.encode(batch, scratch).map_err(StoreError::during("encode", &segment.path))?;
        } else {
            mem::swap(pending, scratch);
        }
        let at = segment.bytes.load(Ordering::Relaxed);
        let disk = dataset.disk();
        if let Err(error) = disk.write(&segment.file, &segment.path, at, scratch) {
            mem::swap(pending, scratch);
            self.failures += 1;
            // What is there of the message means nothing, but on a full disk it is in the way.
            let _ = disk.truncate(&segment.file, &segment.path, at);
            return Err(StoreError::during("write", &segment.path)(error));
        }
        pending.clear();
        self.failures = 0;
        segment.bytes.store(at + scratch.len() as u64, Ordering::Release);
        segment.rows.fetch_add(batch.num_rows() as u64, Ordering::Release);
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.segment.complete.store(true, Ordering::Release);
    }
}
