//! Is every file there, and what it says it is?

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    check::{Failure, Fault, check},
    compact,
    date::Date,
    disk::Disk,
    error::StoreError,
    layout::{finished, folders},
    manifest::Manifest,
    partition::Partition,
    table::Table,
};

/// How often a day is looked at again when files of it are missing: they may have been compacted
/// since the manifest was read.
const LOOKS_MAX: usize = 20;

/// What has been found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that are in order.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their size.
    pub bytes: u64,
    /// Files that are not in order or not there.
    pub wrong: u64,
    /// Files of the manifest that are gone with the whole folder of their day, as retention removes
    /// them.
    pub retired: u64,
}

/// Reads every finished file of the dataset in `root`, and tells `report` of each that is wrong:
/// its path, below `root`, and what is wrong with it.
///
/// A collector may write and a compaction run meanwhile.
///
/// # Errors
/// When folders cannot be listed.
pub fn verify(
    root: &Path,
    disk: &Disk,
    report: impl FnMut(&str, &[Fault]),
) -> Result<Verified, StoreError> {
    for error in compact::settle(root, disk) {
        log::warn!("{error}");
    }
    let mut verifier = Verifier { root, report, verified: Verified::default() };
    for (date, partitions) in verifier.days()? {
        verifier.check_day(date, &partitions)?;
    }
    Ok(verifier.verified)
}

struct Verifier<'a, R> {
    root: &'a Path,
    report: R,
    verified: Verified,
}

impl<R: FnMut(&str, &[Fault])> Verifier<'_, R> {
    /// The folders of each day. Files in other folders are reported.
    fn days(&mut self) -> Result<BTreeMap<Date, Vec<Partition>>, StoreError> {
        let dates = Manifest::dates(self.root)?.into_iter();
        let mut days: BTreeMap<_, _> = dates.map(|it| (it, Vec::new())).collect();
        for folder in Table::ALL
            .iter()
            .map(|&it| folders(self.root, it))
            .collect::<Result<Vec<_>, _>>()?
            .concat()
        {
            match Partition::parse(&folder) {
                Some(partition) => days.entry(partition.date()).or_default().push(partition),
                None => self.report_strays(&folder)?,
            }
        }
        Ok(days)
    }

    fn report_strays(&mut self, folder: &Path) -> Result<(), StoreError> {
        for name in finished(&self.root.join(folder))? {
            let fault =
                Fault::new("place", "the folder of a date and an exchange", folder.display());
            self.wrong(&format!("{}/{name}", folder.display()), &[fault]);
        }
        Ok(())
    }

    fn wrong(&mut self, path: &str, faults: &[Fault]) {
        self.verified.wrong += 1;
        (self.report)(path, faults);
    }

    fn check_day(&mut self, date: Date, partitions: &[Partition]) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for look in 0..LOOKS_MAX {
            // Before the manifest: what is taken from there goes here.
            let pending = compact::replaced(self.root)?;
            let manifest = Manifest::read(self.root, date)?;
            if look == 0 {
                for (path, why) in &manifest.wrong {
                    self.wrong(path, &[Fault::new("manifest", "lines of JSON", why)]);
                }
            }
            // A collector may have made a folder since they were listed.
            let listed =
                manifest.added.keys().filter_map(|it| Partition::parse(Path::new(it).parent()?));
            let all: BTreeSet<_> = partitions.iter().copied().chain(listed).collect();
            for partition in all {
                self.check_folder(partition, &manifest, &mut seen)?;
            }
            let mut listed: Vec<_> = manifest.added.into_iter().collect();
            listed.retain(|(path, _)| {
                !manifest.removed.contains(path) && !pending.contains(path) && !seen.contains(path)
            });
            missing = listed;
            if missing.is_empty() {
                break;
            }
        }
        self.report_missing(&missing);
        Ok(())
    }

    /// Checks the files that have not been seen yet.
    fn check_folder(
        &mut self,
        partition: Partition,
        manifest: &Manifest,
        seen: &mut BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let folder = partition.folder();
        for name in finished(&self.root.join(&folder))? {
            let path = format!("{}/{name}", folder.display());
            if seen.contains(&path) {
                continue;
            }
            if manifest.removed.contains(&path) {
                let fault = Fault::new("file", "none, as others have its rows", "it there again");
                self.wrong(&path, &[fault]);
            } else if !self.check_file(&path, partition, manifest) {
                continue;
            }
            seen.insert(path);
        }
        Ok(())
    }

    /// Says whether the file is there.
    fn check_file(&mut self, path: &str, partition: Partition, manifest: &Manifest) -> bool {
        let listed = manifest.added.get(path).copied();
        match check(&self.root.join(path), partition, listed, |_| Ok(())) {
            Ok(checked) => {
                self.verified.files += 1;
                self.verified.rows += checked.rows;
                self.verified.bytes += checked.bytes;
            }
            Err(Failure::Faults(faults)) => self.wrong(path, &faults),
            Err(Failure::Gone) => return false,
            Err(Failure::Visitor(_)) => unreachable!("this one does not fail"),
        }
        true
    }

    fn report_missing(&mut self, missing: &[(String, u64)]) {
        for (path, rows) in missing {
            let parent = Path::new(path).parent();
            let day = parent.and_then(Partition::parse).map(Partition::date_folder);
            if day.is_some_and(|it| !self.root.join(it).exists()) {
                self.verified.retired += 1;
                continue;
            }
            self.wrong(path, &[Fault::new("file", format!("one of {rows} rows"), "none")]);
        }
    }
}
