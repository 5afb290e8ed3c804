//! The folder that many collectors may share.

use std::{
    fs::{self, File, TryLockError},
    mem,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use super::{
    disk::Disk,
    error::StoreError,
    nanos,
    partition::{Partition, SEPARATOR},
    segment::Segment,
    table::Table,
};
use crate::market::{Nanos, Venue};

/// Where journals are, and files that are being written, below the folder of the dataset.
pub(super) const JOURNAL: &str = "journal";

/// Where journals go that cannot be read to their end, below that.
const DAMAGED: &str = "damaged";

/// How the names of journals end.
pub(super) const ARROWS: &str = ".arrows";

/// How the names of files that are being written end.
pub(super) const OPEN: &str = ".parquet.open";

/// How the names of the files end by which a run shows that it lives.
const LOCK: &str = ".lock";

/// A dataset, held open by one run of the program.
///
/// The run holds a lock on `journal/<run-id>.lock` for as long as this lives, also when it is
/// killed: the system gives the lock back, and the next run [recovers](Self::recover) what the dead
/// one left.
#[derive(Debug)]
pub struct Dataset {
    dir: PathBuf,
    run: String,
    disk: Disk,
    lock: File,
    /// Journals that the sealer has not met yet.
    announced: Mutex<Vec<Arc<Segment>>>,
    /// How many it has.
    waiting: AtomicUsize,
}

impl Dataset {
    /// Opens the dataset in `dir`, which is created if it is missing.
    ///
    /// # Errors
    /// When the folders or the lock cannot be made.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_on(Disk::default(), dir)
    }

    /// [`open`](Self::open) on a disk of one's own, for tests of what happens when it fails.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_on(disk: Disk, dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(StoreError::during("create the dataset's folder", dir))?;
        for folder in Table::ALL.map(Table::name).iter().chain([&JOURNAL]) {
            disk.create_dirs(dir, &dir.join(folder))?;
        }
        let run = run_id();
        let lock = lock(&disk, &dir.join(JOURNAL), &run)?;
        Ok(Self {
            dir: dir.to_owned(),
            run,
            disk,
            lock,
            announced: Mutex::default(),
            waiting: AtomicUsize::new(0),
        })
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

    /// Notes what this run collects from, for the ledger, should it die.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn collects_from(&self, venues: impl IntoIterator<Item = Venue>) -> Result<(), StoreError> {
        let line = |it: Venue| format!("{} {}\n", it.exchange, it.market);
        let lines: String = venues.into_iter().map(line).collect();
        let path = self.lock_file(&self.run);
        self.disk
            .write(&self.lock, &path, 0, lines.as_bytes())
            .map_err(StoreError::during("write", &path))
    }

    /// Notes that this run lives at `now`.
    pub(super) fn lives(&self, now: Nanos) {
        let now = u64::try_from(now.0).map(|it| SystemTime::UNIX_EPOCH + Duration::from_nanos(it));
        // Should it fail, a crash is taken to have been earlier than it was.
        let _ = now.map(|it| self.lock.set_modified(it));
    }

    fn lock_file(&self, run: &str) -> PathBuf {
        self.journal().join(format!("{run}{LOCK}"))
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The folder of journals.
    pub(super) fn journal(&self) -> PathBuf {
        self.dir.join(JOURNAL)
    }

    pub(super) fn journal_file(&self, name: &str) -> PathBuf {
        self.journal().join(format!("{name}{ARROWS}"))
    }

    /// The file that is being written.
    pub(super) fn open_file(&self, name: &str) -> PathBuf {
        self.journal().join(format!("{name}{OPEN}"))
    }

    /// Where it goes when it is whole.
    pub(super) fn place(&self, partition: Partition, name: &str) -> PathBuf {
        self.dir.join(partition.folder()).join(format!("{name}.parquet"))
    }

    /// Removes a journal, of which there is a file.
    pub(super) fn remove_journal(&self, name: &str) -> Result<(), StoreError> {
        self.disk.remove(&self.journal_file(name))?;
        self.disk.sync_dir(&self.journal())
    }

    /// Puts a journal aside that could not be read to its end, or at all.
    pub(super) fn put_aside(&self, name: &str, what: &str) -> Result<(), StoreError> {
        let (from, damaged) = (self.journal_file(name), self.journal().join(DAMAGED));
        let to = damaged.join(format!("{name}{ARROWS}"));
        self.disk.create_dirs(&self.dir, &damaged)?;
        self.disk.rename(&from, &to)?;
        log::error!("{} is damaged, {what}; moved to {}", from.display(), to.display());
        self.disk.sync_dir(&damaged).and_then(|()| self.disk.sync_dir(&self.journal()))
    }

    /// Hands a new journal to the sealer.
    pub(super) fn announce(&self, segment: Arc<Segment>) {
        self.announced.lock().push(segment);
    }

    /// The journals that are new.
    pub(super) fn announced(&self) -> Vec<Arc<Segment>> {
        mem::take(&mut self.announced.lock())
    }

    /// How many journals there are.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed) + self.announced.lock().len()
    }

    pub(super) fn set_waiting(&self, n: usize) {
        self.waiting.store(n, Ordering::Relaxed);
    }

    /// The runs that have left anything in the journal's folder, dead or alive.
    pub(super) fn runs(&self) -> Result<Vec<String>, StoreError> {
        let names = self.names()?;
        let mut runs: Vec<_> = names.iter().filter_map(|it| owner(it)).map(str::to_owned).collect();
        runs.sort_unstable();
        runs.dedup();
        Ok(runs)
    }

    /// What `run` has left; `None` if it lives.
    pub(super) fn claim(&self, run: &str) -> Result<Option<Dead>, StoreError> {
        let lock = self.lock_file(run);
        let ended_in_order = !lock.exists();
        let Some(held) = claim(&lock)? else { return Ok(None) };
        // Listed once it is ours: another run may have cleaned up since.
        let mut files = self.names()?;
        files.retain(|it| owner(it) == Some(run));
        Ok(Some(Dead { files, lock, held, ended_in_order }))
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let journal = self.journal();
        let names = fs::read_dir(&journal).and_then(|it| {
            it.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        });
        let mut names: Vec<_> = names.map_err(StoreError::during("list", &journal))?;
        names.sort_unstable();
        Ok(names)
    }
}

/// What a dead run left. While this lives, nobody else takes it up.
pub(super) struct Dead {
    /// Names of files in the journal's folder.
    pub(super) files: Vec<String>,
    pub(super) lock: PathBuf,
    held: File,
    /// Whether it took its lock away, as a run does that is stopped.
    pub(super) ended_in_order: bool,
}

impl Dead {
    /// What the run collected from, as far as it has said.
    pub(super) fn venues(&self) -> Vec<Venue> {
        let text = fs::read_to_string(&self.lock).unwrap_or_default();
        let venue = |line: &str| {
            let (exchange, market) = line.split_once(' ')?;
            Some(Venue::new(exchange.parse().ok()?, market.parse().ok()?))
        };
        text.lines().filter_map(venue).collect()
    }

    /// When the run is known to have lived last.
    pub(super) fn lived(&self) -> Option<Nanos> {
        let time = self.held.metadata().and_then(|it| it.modified()).ok()?;
        let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Nanos(nanos(since)))
    }
}

impl Drop for Dead {
    fn drop(&mut self) {
        release(&self.held);
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        let lock = self.lock_file(&self.run);
        if let Err(error) = self.disk.remove(&lock) {
            log::warn!("{error}");
        }
        release(&self.lock);
    }
}

/// A child that is being started has the file as well, and with it the lock, until it is another
/// program.
fn release(lock: &File) {
    if let Err(error) = lock.unlock() {
        log::debug!("failed to give a lock back: {error}");
    }
}

/// `20261124T140301Z-1f3a9c2b77d1`
pub(super) fn run_id() -> String {
    let began = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let began = began.replace(['-', ':'], "");
    format!("{began}-{:04x}{:08x}", process::id(), fastrand::u32(..))
}

/// Creates and locks the lock file of a run. Its time is when the run lived last, its lines what it
/// collects from.
///
/// It is locked before it gets its name, so that no other run ever finds it unlocked.
fn lock(disk: &Disk, journal: &Path, run: &str) -> Result<File, StoreError> {
    let unnamed = journal.join(format!("{run}{LOCK}.new"));
    let file = disk.create(&unnamed)?;
    file.lock().map_err(StoreError::during("lock", &unnamed))?;
    disk.rename(&unnamed, &journal.join(format!("{run}{LOCK}")))?;
    Ok(file)
}

/// The run a file belongs to.
fn owner(name: &str) -> Option<&str> {
    let of_a_run = || name.strip_suffix(OPEN).or_else(|| name.strip_suffix(ARROWS));
    let lock = name.strip_suffix(LOCK);
    lock.or_else(|| of_a_run()?.split_once(SEPARATOR).map(|(run, _)| run))
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
            ("20261124T140301Z-1f3a_gaps-0-1.arrows", Some("20261124T140301Z-1f3a")),
            ("20261124T140301Z-1f3a.lock.new", None),
            ("notes.txt", None),
            ("notes.arrows", None),
            ("damaged", None),
        ] {
            assert_eq!(owner(name), run, "{name}");
        }
    }

    #[test]
    fn a_lock_that_lives_cannot_be_claimed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("run.lock");
        let held = lock(&Disk::default(), dir.path(), "run").expect("a lock");
        assert!(claim(&path).expect("no error").is_none(), "it is held");
        // Not by a drop: a child that another test starts has inherited the file until it execs.
        held.unlock().expect("no error");
        assert!(claim(&path).expect("no error").is_some(), "its owner is gone");
    }
}
