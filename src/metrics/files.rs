//! What is counted of files and journals.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Histogram, labels::FileLabels};

/// The metrics of the files of one table.
#[derive(Clone, Debug)]
pub struct FileMetrics {
    /// Rows in files that are whole and in place. Those in journals are not counted.
    pub rows: Counter,
    /// Rows that could not be written.
    pub lost: Counter,
    /// Files that are whole and in place.
    pub files: Counter,
    /// Failures to write, sync or rename.
    pub errors: Counter,
    /// [`JournalMetrics::delay`]
    pub delay: Histogram,
}

/// The metrics of the journals.
#[derive(Clone, Debug, Default)]
pub struct JournalMetrics {
    /// How long rows had waited when one got them: the first of each batch.
    pub delay: Histogram,
    /// Seconds it took to sync one.
    pub flush: Histogram,
    /// Bytes in all of them.
    pub bytes: Gauge,
}

/// Those of all tables.
#[derive(Debug, Default)]
pub(super) struct FileFamilies {
    rows: Family<FileLabels, Counter>,
    lost: Family<FileLabels, Counter>,
    files: Family<FileLabels, Counter>,
    errors: Counter,
    pub(super) journal: JournalMetrics,
}

impl FileFamilies {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register("rows_written", "Rows in finished files", self.rows.clone());
        to.register("rows_lost", "Rows that could not be written", self.lost.clone());
        to.register("files_written", "Finished files", self.files.clone());
        let help = "Failures to write, sync or rename a file";
        to.register("write_errors", help, self.errors.clone());
        let help = "Seconds from receipt until a journal gets a batch of events, of its first";
        to.register("journal_delay_seconds", help, self.journal.delay.clone());
        let help = "Seconds it took to make what a journal has got survive a loss of power";
        to.register("journal_flush_seconds", help, self.journal.flush.clone());
        let help = "Bytes in journals, of rows that are in no finished file yet";
        to.register("journal_bytes", help, self.journal.bytes.clone());
    }

    pub(super) fn of(&self, table: &'static str) -> FileMetrics {
        let labels = FileLabels { channel: table };
        FileMetrics {
            rows: self.rows.get_or_create_owned(&labels),
            lost: self.lost.get_or_create_owned(&labels),
            files: self.files.get_or_create_owned(&labels),
            errors: self.errors.clone(),
            delay: self.journal.delay.clone(),
        }
    }
}
