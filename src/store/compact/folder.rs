//! One folder, from its small files to its large ones.

use std::{cmp::Ordering, collections::BTreeSet, path::Path};

use super::{
    Days, Options,
    output::{self, Finished, Outputs},
    sorter::Sorter,
    work::Work,
};
use crate::store::{
    check::{Failure, check},
    dataset::{ARROWS, JOURNAL, run_id},
    disk::Disk,
    error::{Cause, StoreError},
    layout::{PARQUET, entries, finished},
    manifest::Manifest,
    partition::{Partition, SEPARATOR},
    recover::CRASH,
};

/// How the names of compacted files go on after the id of the run.
const COMPACTED: &str = "compacted-";

/// What has become of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Below the folder of the dataset.
    pub folder: String,
    /// How many rows it has.
    pub rows: u64,
    /// Files there were, and their size in bytes.
    pub before: (usize, u64),
    /// Files there are, and their size in bytes.
    pub after: (usize, u64),
}

/// Compacts the files of `partition`, if they are due and nobody else is at it.
pub(super) fn compact_folder(
    root: &Path,
    partition: Partition,
    days: Days,
    options: &Options,
    disk: &Disk,
) -> Result<Option<Compacted>, StoreError> {
    let folder = root.join(partition.folder());
    if !is_due(partition, days, &settled(root, &folder)?) {
        return Ok(None);
    }
    let Some(work) = Work::claim(disk, root, &name(partition))? else {
        log::info!("{}: another process compacts it", folder.display());
        return Ok(None);
    };
    // Somebody may have been faster.
    let inputs = sorted(settled(root, &folder)?);
    let compacted = if is_due(partition, days, &inputs) {
        compact_files(root, partition, inputs, options, disk, &work).map(Some)
    } else {
        Ok(None)
    };
    let ended = work.end();
    compacted.and_then(|it| ended.map(|()| it))
}

/// The files in `folder` that recovery will not make again: it does so while it does not find them
/// in their place, and has not removed their journals.
fn settled(root: &Path, folder: &Path) -> Result<Vec<String>, StoreError> {
    // In this order: a journal is there before its file.
    let mut files = finished(folder)?;
    let journals = entries(&root.join(JOURNAL))?;
    let journals: BTreeSet<_> =
        journals.iter().filter_map(|(name, _)| name.strip_suffix(ARROWS)).collect();
    let runs: BTreeSet<_> =
        journals.iter().filter_map(|it| Some(it.split_once(SEPARATOR)?.0)).collect();
    files.retain(|file| {
        let stem = file.trim_end_matches(PARQUET);
        let is_crash_of = |(run, rest): (&str, &str)| rest == CRASH && runs.contains(run);
        !journals.contains(stem) && !stem.split_once(SEPARATOR).is_some_and(is_crash_of)
    });
    Ok(files)
}

/// `quotes-binance-2026-11-23`
fn name(partition: Partition) -> String {
    let exchange = partition.exchange.map(|it| format!("-{it}")).unwrap_or_default();
    format!("{}{exchange}-{}", partition.table, partition.date())
}

fn is_due(partition: Partition, days: Days, files: &[String]) -> bool {
    days.are_due(partition.date(), files.iter().filter(|it| !is_compacted(it)).count())
}

fn is_compacted(file: &str) -> bool {
    file.split_once(SEPARATOR).is_some_and(|(_, rest)| rest.starts_with(COMPACTED))
}

/// The order in which files are read, and equal rows stay: what has been compacted comes first, then
/// run by run, in the order in which a run wrote them.
fn sorted(mut files: Vec<String>) -> Vec<String> {
    files.sort_by(|a, b| is_compacted(b).cmp(&is_compacted(a)).then_with(|| by_number(a, b)));
    files
}

/// By name, but 9 before 10 at the end of it.
fn by_number(a: &str, b: &str) -> Ordering {
    let parts = |it: &str| -> (String, Option<u64>) {
        let stem = it.trim_end_matches(PARQUET);
        match stem.rsplit_once('-') {
            Some((start, number)) => (start.to_owned(), number.parse().ok()),
            None => (stem.to_owned(), None),
        }
    };
    parts(a).cmp(&parts(b)).then_with(|| a.cmp(b))
}

fn compact_files(
    root: &Path,
    partition: Partition,
    inputs: Vec<String>,
    options: &Options,
    disk: &Disk,
    work: &Work<'_>,
) -> Result<Compacted, StoreError> {
    work.begin()?;
    let folder = root.join(partition.folder());
    let memory = usize::try_from(options.memory).unwrap_or(usize::MAX);
    let listed = Manifest::read(root, partition.date())?.added;
    let mut sorter = Sorter::new(disk, partition.table, &work.runs_dir(), memory);
    let (mut rows, mut bytes) = (0, 0);
    for input in &inputs {
        let path = folder.join(input);
        let listed = listed.get(&format!("{}/{input}", partition.folder().display())).copied();
        let checked = check(&path, partition, listed, |batch| sorter.push(batch));
        let checked = checked.map_err(|it| failed("compact", &path, it))?;
        rows += checked.rows;
        bytes += checked.bytes;
    }
    let run = run_id();
    let outputs = write(partition, &run, (inputs.len(), rows), sorter, options, disk, work)?;
    let written = read_back(partition, &outputs, rows, &work.new_dir())?;
    let before = (inputs.len(), bytes);
    let after = (outputs.len(), written);
    work.replace(partition, inputs.into_iter().collect(), outputs, options.grace)?;
    let folder = partition.folder().display().to_string();
    Ok(Compacted { folder, rows, before, after })
}

fn write(
    partition: Partition,
    run: &str,
    (inputs, rows): (usize, u64),
    sorter: Sorter,
    options: &Options,
    disk: &Disk,
    work: &Work<'_>,
) -> Result<Vec<Finished>, StoreError> {
    let properties = output::properties(partition.table, run, options.compression, inputs);
    let name = format!("{run}{SEPARATOR}{COMPACTED}{}", name(partition));
    let dir = work.new_dir();
    let mut outputs =
        Outputs::new(disk, partition.table, &dir, name, properties, options.target_size, rows);
    for batch in sorter.finish()? {
        outputs.write(&batch?)?;
    }
    outputs.finish()
}

/// Reads what was written: the inputs are about to be removed. Returns how many bytes it has.
fn read_back(
    partition: Partition,
    outputs: &[Finished],
    rows: u64,
    dir: &Path,
) -> Result<u64, StoreError> {
    let (mut found, mut bytes) = (0, 0);
    for output in outputs {
        let path = dir.join(&output.name);
        let checked = check(&path, partition, Some(output.rows), |_| Ok(()));
        let checked = checked.map_err(|it| failed("read back", &path, it))?;
        found += checked.rows;
        bytes += checked.bytes;
    }
    if found == rows {
        return Ok(bytes);
    }
    Err(StoreError::during("compact into", dir)(Cause::Compacted { read: rows, written: found }))
}

fn failed(operation: &'static str, path: &Path, failure: Failure) -> StoreError {
    match failure {
        Failure::Visitor(error) => error,
        Failure::Gone => StoreError::during(operation, path)(Cause::Gone),
        Failure::Faults(faults) => StoreError::during(operation, path)(Cause::Faults(faults)),
    }
}
