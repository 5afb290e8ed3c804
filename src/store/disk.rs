//! Every change that the store makes to the disk goes through here.
//!
//! So a test can stop the world before any of them, or let the disk refuse.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    num::NonZeroU64,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use rustix::fs::{Advice, CWD, RenameFlags, fadvise, renameat_with};

use super::error::StoreError;

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub struct Disk {
    watch: Option<Arc<Watch>>,
}

type Watch = dyn Fn(Step, &Path) -> Verdict + Send + Sync;

/// A change to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file is created.
    Create,
    /// This many bytes are written to one.
    Write(usize),
    /// What is beyond a certain length is cut off.
    Truncate,
    /// A file is made to survive a loss of power.
    Sync,
    /// So is what was created in, renamed into or removed from a folder.
    SyncDir,
    /// A file gets another name.
    Rename,
    /// A file gets one more name.
    Link,
    /// Two folders change places.
    Exchange,
    /// A file is removed.
    Remove,
    /// A folder is created.
    CreateDir,
    /// A folder is removed.
    RemoveDir,
}

/// What becomes of a step.
#[derive(Debug)]
pub enum Verdict {
    /// It is done.
    Go,
    /// It is not.
    Refuse(io::Error),
    /// If it is a write, this many bytes of it are written.
    Tear(usize, io::Error),
}

impl Disk {
    /// A disk of which `watch` decides, before each step, whether it is taken.
    #[must_use]
    pub fn watched(watch: impl Fn(Step, &Path) -> Verdict + Send + Sync + 'static) -> Self {
        Self { watch: Some(Arc::new(watch)) }
    }

    fn watch(&self, step: Step, path: &Path) -> Verdict {
        self.watch.as_ref().map_or(Verdict::Go, |it| it(step, path))
    }

    fn ask(&self, step: Step, path: &Path) -> io::Result<()> {
        match self.watch(step, path) {
            Verdict::Go => Ok(()),
            Verdict::Refuse(error) | Verdict::Tear(_, error) => Err(error),
        }
    }

    /// Creates a file that is not there yet, to be written and read.
    pub(super) fn create(&self, path: &Path) -> Result<File, StoreError> {
        self.create_with(path, File::options().create_new(true))
    }

    /// Creates a file, or empties the one that is there, to be written and read.
    pub(super) fn create_or_empty(&self, path: &Path) -> Result<File, StoreError> {
        self.create_with(path, File::options().create(true).truncate(true))
    }

    fn create_with(&self, path: &Path, options: &mut OpenOptions) -> Result<File, StoreError> {
        self.ask(Step::Create, path)
            .and_then(|()| options.read(true).write(true).open(path))
            .map_err(StoreError::during("create", path))
    }

    /// Writes all of `bytes` at a place in a file. When that fails, any part of them may be there.
    pub(super) fn write(&self, file: &File, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self.watch(Step::Write(bytes.len()), path) {
            Verdict::Go => file.write_all_at(bytes, at),
            Verdict::Refuse(error) => Err(error),
            Verdict::Tear(n, error) => {
                file.write_all_at(&bytes[..n.min(bytes.len())], at).and(Err(error))
            }
        }
    }

    /// Cuts off what is beyond `len` bytes.
    pub(super) fn truncate(&self, file: &File, path: &Path, len: u64) -> Result<(), StoreError> {
        self.ask(Step::Truncate, path)
            .and_then(|()| file.set_len(len))
            .map_err(StoreError::during("truncate", path))
    }

    /// Makes what a file holds survive a loss of power.
    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        // The size is made to last as well, the time of the last change need not be.
        self.ask(Step::Sync, path)
            .and_then(|()| file.sync_data())
            .map_err(StoreError::during("sync", path))
    }

    /// Makes what was created in, renamed into or removed from `dir` survive a loss of power.
    pub(super) fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.ask(Step::SyncDir, dir)
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(StoreError::during("sync", dir))
    }

    /// Gives a file another name.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.ask(Step::Rename, from)
            .and_then(|()| fs::rename(from, to))
            .map_err(StoreError::during("rename", from))
    }

    /// Removes a file; one that is not there is none that stays.
    pub(super) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match self.ask(Step::Remove, path).and_then(|()| fs::remove_file(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::during("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Adds to a file, which is created if need be, and makes that survive a loss of power.
    pub(super) fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let open = || File::options().append(true).create(true).open(path);
        let file = self.ask(Step::Create, path).and_then(|()| open());
        let file = file.map_err(StoreError::during("open", path))?;
        let written = match self.watch(Step::Write(bytes.len()), path) {
            Verdict::Go => (&file).write_all(bytes),
            Verdict::Refuse(error) => Err(error),
            Verdict::Tear(n, error) => {
                (&file).write_all(&bytes[..n.min(bytes.len())]).and(Err(error))
            }
        };
        written.map_err(StoreError::during("write", path))?;
        self.sync(&file, path)
    }

    /// Gives a file one more name, unless there is something of that name.
    pub(super) fn link(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        match self.ask(Step::Link, to).and_then(|()| fs::hard_link(from, to)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(StoreError::during("link", from)),
        }
    }

    /// Puts each of two folders into the place of the other, in one step.
    pub(super) fn exchange(&self, one: &Path, other: &Path) -> Result<(), StoreError> {
        let exchange = || Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?);
        self.ask(Step::Exchange, one)
            .and_then(|()| exchange())
            .map_err(StoreError::during("exchange", one))
    }

    /// Removes a folder and all that is in it; one that is not there is none that stays.
    pub(super) fn remove_dir(&self, path: &Path) -> Result<(), StoreError> {
        match self.ask(Step::RemoveDir, path).and_then(|()| fs::remove_dir_all(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::during("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes a folder if it is empty; says whether it is gone.
    pub(super) fn remove_empty_dir(&self, path: &Path) -> Result<bool, StoreError> {
        match self.ask(Step::RemoveDir, path).and_then(|()| fs::remove_dir(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            removed => removed.map(|()| true).map_err(StoreError::during("remove", path)),
        }
    }

    /// Creates `folder` and what is missing between it and `root`, each durably.
    pub(super) fn create_dirs(&self, root: &Path, folder: &Path) -> Result<(), StoreError> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = folder.parent().filter(|_| folder != root);
        if let Some(parent) = parent {
            self.create_dirs(root, parent)?;
        }
        match self.ask(Step::CreateDir, folder).and_then(|()| fs::create_dir(folder)) {
            // Another writer was faster.
            Err(_) if folder.is_dir() => (),
            created => created.map_err(StoreError::during("create", folder))?,
        }
        parent.map_or(Ok(()), |it| self.sync_dir(it))
    }
}

/// Lets the system have the memory in which it keeps `range` of a file, which nobody will read soon. What
/// is not synced stays.
pub(super) fn forget(file: &File, range: Range<u64>) {
    let Some(len) = NonZeroU64::new(range.end - range.start) else { return };
    // It is advice: where it is not taken, nothing is lost.
    let _ = fadvise(file, range.start, Some(len), Advice::DontNeed);
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("watched", &self.watch.is_some()).finish()
    }
}
