//! Many small files to few large ones, sorted by symbol, market and time.
//!
//! All finished files of one folder are read, checked, sorted in bounded memory, and written anew;
//! what was written is read back and checked; then the folder is replaced in one step. Rows stay
//! exactly as they are, also those that two collectors have recorded both.

mod folder;
mod merge;
mod names;
mod output;
mod run;
mod sort;
mod sorter;
mod work;

use std::{collections::BTreeSet, path::Path, time::Duration};

pub use self::folder::Compacted;
use self::{folder::compact_folder, work::Work};
use super::{
    Compression, date::Date, disk::Disk, error::StoreError, layout::folders, manifest::Manifest,
    partition::Partition, table::Table,
};

/// The least memory that is enough: what it takes to merge two runs and to write a file.
pub const MEMORY_MIN: u64 = 64 << 20;

/// The most memory that is of use: with more, a chunk could have more rows than can be numbered.
pub const MEMORY_MAX: u64 = 32 << 30;

/// The largest files that are made: the footers of larger ones are not read.
pub const TARGET_SIZE_MAX: u64 = 4 << 30;

/// How files are compacted.
#[derive(Clone, Debug)]
pub struct Options {
    /// About how many bytes of memory to use, from [`MEMORY_MIN`] to [`MEMORY_MAX`].
    pub memory: u64,
    /// The size in bytes beyond which a file is closed, up to [`TARGET_SIZE_MAX`].
    pub target_size: u64,
    /// How pages are compressed.
    pub compression: Compression,
    /// How long the files that were replaced stay. A reader that has opened the old folder, and lists
    /// it only after they are gone, would see nothing, and take it for an answer.
    pub grace: Duration,
}

/// Which days to compact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// This one: every folder that has a file that is not compacted.
    One(Date),
    /// All before this one: every folder that has more than one such file.
    Before(Date),
}

impl Days {
    /// Whether a folder of `date` with so many files that are not compacted is due.
    fn are_due(self, date: Date, files: usize) -> bool {
        match self {
            Days::One(day) => date == day && 0 < files,
            Days::Before(day) => date < day && 1 < files,
        }
    }

    fn include(self, date: Date) -> bool {
        self.are_due(date, usize::MAX)
    }
}

/// Compacts what is due in the dataset in `root`, folder by folder, and tells `report` of each.
///
/// A folder that fails is left as it was; so is one at which another process is at work. Readers and
/// collectors may go on meanwhile. When it is killed, what it was at is ended by the next one, by
/// the next run of a collector, or by [`settle`].
///
/// # Errors
/// When the folders cannot be listed.
pub fn compact(
    root: &Path,
    days: Days,
    options: &Options,
    disk: &Disk,
    mut report: impl FnMut(Result<Compacted, StoreError>),
) -> Result<(), StoreError> {
    settle(root, disk).into_iter().map(Err).for_each(&mut report);
    for table in Table::ALL {
        let partitions = folders(root, table)?;
        for partition in partitions.iter().filter_map(|it| Partition::parse(it)) {
            if days.include(partition.date()) {
                let compacted = compact_folder(root, partition, days, options, disk);
                compacted.transpose().map(&mut report);
            }
        }
    }
    Ok(())
}

/// Ends what compactions that were killed have left; returns what could not be done. Those under way
/// are left alone.
#[must_use = "what has failed stays for the next time"]
pub fn settle(root: &Path, disk: &Disk) -> Vec<StoreError> {
    let end = |name: String| match Work::claim(disk, root, &name)? {
        Some(work) => work.end(),
        None => Ok(()),
    };
    let names = match Work::names(root) {
        Ok(names) => names,
        Err(error) => return vec![error],
    };
    names.into_iter().filter_map(|it| end(it).err()).collect()
}

/// The files whose rows are in others now, or will be as soon as a compaction that is under way
/// replaces them.
pub(super) fn replaced(root: &Path) -> Result<BTreeSet<String>, StoreError> {
    let mut lines = Manifest::default();
    for record in Work::names(root)?.iter().map(|it| Work::record_of(root, it)) {
        // Most have none, and one that has been done is in the manifest.
        let _ = lines.read_file(&record);
    }
    Ok(lines.removed)
}
