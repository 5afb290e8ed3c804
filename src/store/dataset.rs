//! The folder that many collectors may share.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process,
    time::SystemTime,
};

use super::{
    error::StoreError,
    file::{JOURNAL, OPEN, create_dirs},
    table::Table,
};

/// How the names of the files end by which a run shows that it lives.
const LOCK: &str = ".lock";

/// What parts the id of a run from the rest of a file's name. It does not occur in an id.
const SEPARATOR: char = '_';

/// A dataset, held open by one run of the program.
///
/// The run holds a lock on `journal/<run-id>.lock` for as long as this lives, also when it is
/// killed: the system gives the lock back, and the next run to open the dataset sweeps what the
/// dead one left.
#[derive(Debug)]
pub struct Dataset {
    dir: PathBuf,
    run: String,
    _lock: File,
}

impl Dataset {
    /// Opens the dataset in `dir`, which is created if it is missing, and removes the unfinished
    /// files of runs that have died. Those of living runs are left alone.
    ///
    /// # Errors
    /// When the folders or the lock cannot be made, or leftovers cannot be listed or removed.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(StoreError::during("create", dir))?;
        let journal = dir.join(JOURNAL);
        for folder in Table::ALL.map(Table::name).iter().chain([&JOURNAL]) {
            create_dirs(dir, &dir.join(folder))?;
        }
        let run = run_id();
        let lock = lock(&journal, &run)?;
        sweep(&journal)?;
        Ok(Self { dir: dir.to_owned(), run, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name of this run, which no other has: when it began, its process, a random number.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run
    }

    /// The start of the name of a file of this run.
    pub(super) fn file_name(&self, rest: &str) -> String {
        format!("{}{SEPARATOR}{rest}", self.run)
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        let path = self.dir.join(JOURNAL).join(format!("{}{LOCK}", self.run));
        if let Err(error) = fs::remove_file(&path) {
            log::warn!("{}", StoreError::during("remove", &path)(error));
        }
    }
}

/// `20261124T140301Z-1f3a9c2b77d1`
fn run_id() -> String {
    let began = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let began = began.replace(['-', ':'], "");
    format!("{began}-{:04x}{:08x}", process::id(), fastrand::u32(..))
}

/// Creates and locks the lock file of a run.
///
/// It is locked before it gets its name, so that no other run ever finds it unlocked.
fn lock(journal: &Path, run: &str) -> Result<File, StoreError> {
    let unnamed = journal.join(format!("{run}{LOCK}.new"));
    let file = File::create_new(&unnamed).map_err(StoreError::during("create", &unnamed))?;
    file.lock().map_err(StoreError::during("lock", &unnamed))?;
    let named = journal.join(format!("{run}{LOCK}"));
    fs::rename(&unnamed, &named).map_err(StoreError::during("rename", &unnamed))?;
    Ok(file)
}

/// Removes the unfinished files of dead runs, and their lock files.
fn sweep(journal: &Path) -> Result<(), StoreError> {
    for run in runs(journal)? {
        let lock = journal.join(format!("{run}{LOCK}"));
        // Held until the end of the pass, so that two who sweep do not meet.
        let Some(_held) = claim(&lock)? else { continue };
        let leftovers = names(journal)?.into_iter().filter(|it| owner(it) == Some(run.as_str()));
        for leftover in leftovers.filter(|it| it.ends_with(OPEN)) {
            let path = journal.join(leftover);
            remove(&path)?;
            log::warn!("removed {}: unfinished, and its run has died", path.display());
        }
        remove(&lock)?;
    }
    Ok(())
}

/// The runs that have left any file.
fn runs(journal: &Path) -> Result<Vec<String>, StoreError> {
    let mut runs: Vec<_> =
        names(journal)?.iter().filter_map(|it| owner(it)).map(str::to_owned).collect();
    runs.sort_unstable();
    runs.dedup();
    Ok(runs)
}

/// The run a file belongs to.
fn owner(name: &str) -> Option<&str> {
    name.strip_suffix(LOCK)
        .or_else(|| name.strip_suffix(OPEN)?.split_once(SEPARATOR).map(|(run, _)| run))
}

fn names(journal: &Path) -> Result<Vec<String>, StoreError> {
    let names = fs::read_dir(journal).and_then(|it| {
        it.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    });
    names.map_err(StoreError::during("list", journal))
}

/// The lock of a run that has died; `None` if it lives.
fn claim(lock: &Path) -> Result<Option<File>, StoreError> {
    // Created if need be: files without a lock are of no living run either.
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(lock)
        .map_err(StoreError::during("open", lock))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(StoreError::during("lock", lock)(error)),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::during("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_unique_and_starts_with_its_time() {
        let [one, two] = [run_id(), run_id()];
        assert_ne!(one, two);
        let (began, rest) = one.split_once('-').expect("two parts");
        assert_eq!((began.len(), &began[8..9], &began[15..]), (16, "T", "Z"), "{one}");
        assert!(rest.bytes().all(|it| it.is_ascii_hexdigit()), "{one}");
        assert!(!one.contains(SEPARATOR));
    }

    #[test]
    fn a_file_names_its_run() {
        for (name, run) in [
            ("20261124T140301Z-1f3a.lock", Some("20261124T140301Z-1f3a")),
            ("20261124T140301Z-1f3a_quotes-okx-0-1.parquet.open", Some("20261124T140301Z-1f3a")),
            ("20261124T140301Z-1f3a.lock.new", None),
            ("notes.txt", None),
        ] {
            assert_eq!(owner(name), run, "{name}");
        }
    }

    #[test]
    fn a_lock_that_lives_cannot_be_claimed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("run.lock");
        let held = lock(dir.path(), "run").expect("a lock");
        assert!(claim(&path).expect("no error").is_none(), "it is held");
        // Not by a drop: a child that another test starts has inherited the file until it execs.
        held.unlock().expect("no error");
        assert!(claim(&path).expect("no error").is_some(), "its owner is gone");
    }
}
