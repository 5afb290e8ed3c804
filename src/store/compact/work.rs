//! Where one folder of the dataset is compacted, and how the result takes its place.
//!
//! ```text
//! DIR/compact/quotes-binance-2026-11-23.lock       held by who works there
//! DIR/compact/quotes-binance-2026-11-23/runs/      sorted rows
//! DIR/compact/quotes-binance-2026-11-23/new/       what becomes the folder
//! DIR/compact/quotes-binance-2026-11-23/record.jsonl
//! ```
//!
//! Readers see the old files or the new ones, never both and never neither, as the two folders are
//! exchanged in one step. The record says what was replaced by what. It is there from before the
//! exchange until all has been done, and which of the two folders has the outputs tells whether the
//! exchange has taken place. So whoever finds the work of one that was killed can end it:
//!
//! | record | outputs in `new/` | what is done |
//! |---|---|---|
//! | no | any | nothing has happened: all is removed |
//! | yes | yes | nothing has happened: first the record is removed, then all |
//! | yes | no | the exchange has taken place: what is left of it is done |

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::output::Finished;
use crate::store::{
    disk::Disk,
    error::{Cause, StoreError},
    layout::entries,
    manifest::{self, LINES, Line, Manifest},
    partition::{Partition, SEPARATOR},
};

/// Below the folder of the dataset.
const COMPACT: &str = "compact";

/// How the names of locks end.
const LOCK: &str = ".lock";

/// What is replaced by what, as lines of the manifest.
const RECORD: &str = "record.jsonl";

/// How often is looked for files that came into the old folder while it was emptied. A writer would
/// have to name its file through a path that it had resolved before the exchange.
const LATE_MAX: usize = 100;

/// The right to replace the files of one folder.
pub(super) struct Work<'a> {
    disk: &'a Disk,
    root: &'a Path,
    dir: PathBuf,
    lock: PathBuf,
    _held: File,
}

/// What is replaced by what.
struct Record {
    partition: Partition,
    /// Names, all in the folder of the partition.
    inputs: BTreeSet<String>,
    outputs: Vec<Finished>,
}

impl<'a> Work<'a> {
    /// Claims the right, and ends what one that was killed has left; `None` if somebody has it.
    pub(super) fn claim(
        disk: &'a Disk,
        root: &'a Path,
        name: &str,
    ) -> Result<Option<Self>, StoreError> {
        let all = root.join(COMPACT);
        disk.create_dirs(root, &all)?;
        let lock = all.join(format!("{name}{LOCK}"));
        let Some(held) = hold(&lock)? else { return Ok(None) };
        let work = Self { disk, root, dir: all.join(name), lock, _held: held };
        work.settle()?;
        Ok(Some(work))
    }

    /// Who has left anything.
    pub(super) fn names(root: &Path) -> Result<Vec<String>, StoreError> {
        let mut names: Vec<_> = entries(&root.join(COMPACT))?
            .into_iter()
            .map(|(name, _)| name.strip_suffix(LOCK).map(str::to_owned).unwrap_or(name))
            .collect();
        names.dedup();
        Ok(names)
    }

    /// Makes the folders.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        self.disk.create_dirs(self.root, &self.new_dir())?;
        self.disk.create_dirs(self.root, &self.runs_dir())
    }

    pub(super) fn runs_dir(&self) -> PathBuf {
        self.dir.join("runs")
    }

    pub(super) fn new_dir(&self) -> PathBuf {
        self.dir.join("new")
    }

    fn record_path(&self) -> PathBuf {
        self.dir.join(RECORD)
    }

    /// Where the one who works under `name` says what is replaced.
    pub(super) fn record_of(root: &Path, name: &str) -> PathBuf {
        root.join(COMPACT).join(name).join(RECORD)
    }

    /// Puts the files in `new/` into the place of `inputs`. All else that is in the folder of
    /// `partition` stays there.
    pub(super) fn replace(
        &self,
        partition: Partition,
        inputs: BTreeSet<String>,
        outputs: Vec<Finished>,
        grace: Duration,
    ) -> Result<(), StoreError> {
        let record = Record { partition, inputs, outputs };
        let folder = self.root.join(partition.folder());
        self.take_over(&folder)?;
        self.link_others(&folder, &record)?;
        self.disk.sync_dir(&self.new_dir())?;
        self.write(&record)?;
        self.disk.exchange(&folder, &self.new_dir())?;
        Self::let_readers_list(grace);
        self.complete(&record)
    }

    #[expect(clippy::disallowed_methods, reason = "a kill may end it, as at any other moment")]
    fn let_readers_list(grace: Duration) {
        thread::sleep(grace);
    }

    /// Whoever may write to the folder now may do so to the one in its place.
    fn take_over(&self, folder: &Path) -> Result<(), StoreError> {
        let (new, like) = (self.new_dir(), stat(folder)?);
        let ours = stat(&new)?;
        if (ours.uid(), ours.gid()) != (like.uid(), like.gid()) {
            let owned = chown(&new, Some(like.uid()), Some(like.gid()));
            owned.map_err(StoreError::during("give to the owner of its files", folder))?;
        }
        fs::set_permissions(&new, like.permissions())
            .map_err(StoreError::during("set permissions of", &new))
    }

    /// Gives the files that stay a name in the new folder too, so that no reader misses them.
    fn link_others(&self, folder: &Path, record: &Record) -> Result<(), StoreError> {
        let there = entries(folder)?;
        let is_there = |name: &String| there.iter().any(|(it, _)| it == name);
        if let Some(gone) = record.inputs.iter().find(|it| !is_there(it)) {
            let path = folder.join(gone);
            return Err(StoreError::during("replace", &path)(io::Error::from(
                io::ErrorKind::NotFound,
            )));
        }
        let others = there.iter().filter(|(name, is_dir)| !is_dir && !record.inputs.contains(name));
        for (name, _) in others {
            self.disk.link(&folder.join(name), &self.new_dir().join(name))?;
        }
        Ok(())
    }

    fn write(&self, record: &Record) -> Result<(), StoreError> {
        let unnamed = self.dir.join("record.new");
        self.disk.append(&unnamed, manifest::text(&record.lines()).as_bytes())?;
        self.disk.rename(&unnamed, &self.record_path())?;
        self.disk.sync_dir(&self.dir)
    }

    fn read(&self) -> Result<Option<Record>, StoreError> {
        let path = self.record_path();
        if !path.exists() {
            return Ok(None);
        }
        let mut lines = Manifest::default();
        let read = lines.read_file(&path).ok().and_then(|()| Record::of(&lines));
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it is no record");
        read.map(Some).ok_or_else(|| StoreError::during("read", &path)(invalid()))
    }

    /// Ends the work of one that was killed.
    fn settle(&self) -> Result<(), StoreError> {
        let Some(record) = self.read()? else { return self.clean() };
        let new = self.new_dir();
        if record.outputs.iter().any(|it| new.join(&it.name).exists()) {
            return self.give_up();
        }
        log::info!("{}: a compaction that was cut off is completed", self.dir.display());
        self.complete(&record)?;
        self.clean()
    }

    /// Removes what was prepared. Must not be called once the folders have been exchanged.
    fn give_up(&self) -> Result<(), StoreError> {
        // It goes first: without it nothing has happened, whatever else is there.
        self.disk.remove(&self.record_path())?;
        self.disk.sync_dir(&self.dir)?;
        self.clean()
    }

    /// Does what is left to do once the folders have been exchanged.
    fn complete(&self, record: &Record) -> Result<(), StoreError> {
        let folder = self.root.join(record.partition.folder());
        // Its day may have been removed since.
        if let Some(above) = folder.parent().filter(|it| it.exists()) {
            self.disk.sync_dir(above)?;
        }
        self.disk.sync_dir(&self.dir)?;
        self.empty_old(&folder, record)?;
        self.disk.sync_dir(&self.dir)?;
        let date = manifest::folder(self.root, record.partition.date());
        self.disk.create_dirs(self.root, &date)?;
        self.disk.rename(&self.record_path(), &date.join(format!("{}{LINES}", record.run())))?;
        self.disk.sync_dir(&date)
    }

    /// Removes the inputs from the old folder, and moves over what else has come into it.
    fn empty_old(&self, folder: &Path, record: &Record) -> Result<(), StoreError> {
        let old = self.new_dir();
        for _ in 0..LATE_MAX {
            let (inputs, others): (Vec<_>, Vec<_>) =
                entries(&old)?.into_iter().partition(|(name, _)| record.inputs.contains(name));
            if !others.is_empty() {
                self.disk.create_dirs(self.root, folder)?;
                for (name, is_dir) in &others {
                    self.move_over(&old.join(name), &folder.join(name), *is_dir)?;
                }
                self.disk.sync_dir(folder)?;
            }
            for (name, _) in others.iter().filter(|(_, is_dir)| !is_dir).chain(&inputs) {
                self.disk.remove(&old.join(name))?;
            }
            if self.disk.remove_empty_dir(&old)? {
                return Ok(());
            }
        }
        Err(StoreError::during("empty", &old)(io::Error::from(io::ErrorKind::DirectoryNotEmpty)))
    }

    fn move_over(&self, from: &Path, to: &Path, is_dir: bool) -> Result<(), StoreError> {
        if is_dir {
            return self.disk.rename(from, to);
        }
        self.disk.link(from, to)?;
        let [from_file, to_file] = [stat(from)?, stat(to)?].map(|it| (it.dev(), it.ino()));
        if from_file == to_file {
            return Ok(());
        }
        Err(StoreError::during("move", from)(Cause::Taken(to.to_owned())))
    }

    /// Removes all that is left. Nothing of it is of any use.
    fn clean(&self) -> Result<(), StoreError> {
        self.disk.remove_dir(&self.dir)
    }

    /// Gives the right back, after success and after failure.
    pub(super) fn end(self) -> Result<(), StoreError> {
        self.settle()?;
        // While it is held: whoever opened it in between finds that it is gone.
        self.disk.remove(&self.lock)
    }
}

impl Record {
    fn lines(&self) -> Vec<Line> {
        let folder = self.partition.folder();
        let path = |name: &str| format!("{}/{name}", folder.display());
        let outputs =
            self.outputs.iter().map(|it| Line::Added { path: path(&it.name), rows: it.rows });
        let inputs = self.inputs.iter().map(|it| Line::Removed { path: path(it) });
        outputs.chain(inputs).collect()
    }

    fn of(lines: &Manifest) -> Option<Self> {
        let (first, _) = lines.added.first_key_value()?;
        let folder = Path::new(first).parent()?;
        let name =
            |path: &String| Some(Path::new(path).strip_prefix(folder).ok()?.to_str()?.to_owned());
        let output = |(path, &rows): (&String, &u64)| Some(Finished { name: name(path)?, rows });
        Some(Self {
            partition: Partition::parse(folder)?,
            inputs: lines.removed.iter().map(name).collect::<Option<_>>()?,
            outputs: lines.added.iter().map(output).collect::<Option<_>>()?,
        })
    }

    /// The run that wrote the outputs.
    fn run(&self) -> &str {
        let name = &self.outputs.first().expect("rows go into at least one file").name;
        name.split_once(SEPARATOR).map_or(name, |(run, _)| run)
    }
}

fn stat(path: &Path) -> Result<fs::Metadata, StoreError> {
    fs::symlink_metadata(path).map_err(StoreError::during("look at", path))
}

/// Creates and locks a lock file; `None` if somebody else holds it.
fn hold(path: &Path) -> Result<Option<File>, StoreError> {
    loop {
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(StoreError::during("open", path))?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(StoreError::during("lock", path)(error)),
        }
        // Whoever held it before may have removed it after it was opened here.
        let ours = file.metadata().map_err(StoreError::during("look at", path))?;
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {
                return Ok(Some(file));
            }
            _ => (),
        }
    }
}
