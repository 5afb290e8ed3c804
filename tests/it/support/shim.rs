//! A disk that dies or refuses when a test says so.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use parking_lot::Mutex;
use spread_aggregator::store::{Disk, Step, Verdict};

/// No space left on device.
pub(crate) const ENOSPC: i32 = 28;
/// Read-only file system.
pub(crate) const EROFS: i32 = 30;
/// Permission denied.
pub(crate) const EACCES: i32 = 13;
/// Input or output error.
pub(crate) const EIO: i32 = 5;

/// What is said of a process that dies here.
pub(crate) const KILLED: &str = "killed by the test";

type Refuses = dyn Fn(Step, &Path) -> Option<Refusal> + Send + Sync;

/// How a step is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: i32,
    /// Bytes of a write that are written nevertheless.
    pub(crate) torn: usize,
}

/// What happens to the steps of a disk.
#[derive(Default)]
pub(crate) struct Shim {
    taken: AtomicUsize,
    dies_before: AtomicUsize,
    is_dead: AtomicBool,
    refuses: Mutex<Option<Box<Refuses>>>,
}

impl Shim {
    /// One that lets all steps be taken.
    pub(crate) fn new() -> Arc<Self> {
        let shim = Self::default();
        shim.dies_before.store(usize::MAX, Ordering::Relaxed);
        Arc::new(shim)
    }

    /// One on which the process dies before step `n`, counted from 0. If that is a write, its first
    /// half is written.
    pub(crate) fn dying_before(n: usize) -> Arc<Self> {
        let shim = Self::new();
        shim.dies_before.store(n, Ordering::Relaxed);
        shim
    }

    pub(crate) fn disk(self: &Arc<Self>) -> Disk {
        let shim = Arc::clone(self);
        Disk::watched(move |step, path| shim.judge(step, path))
    }

    /// Steps that were taken or refused.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Refuses from now on what `refuses` says, with this error.
    pub(crate) fn refuse(
        &self,
        errno: i32,
        refuses: impl Fn(Step, &Path) -> bool + Send + Sync + 'static,
    ) {
        self.refuse_with(move |step, path| {
            refuses(step, path).then_some(Refusal { errno, torn: 0 })
        });
    }

    pub(crate) fn refuse_with(
        &self,
        refuses: impl Fn(Step, &Path) -> Option<Refusal> + Send + Sync + 'static,
    ) {
        *self.refuses.lock() = Some(Box::new(refuses));
    }

    /// Refuses nothing any more.
    pub(crate) fn heal(&self) {
        *self.refuses.lock() = None;
    }

    fn judge(&self, step: Step, path: &Path) -> Verdict {
        let n = self.taken.fetch_add(1, Ordering::Relaxed);
        if self.is_dead() {
            return Verdict::Refuse(io::Error::other(KILLED));
        }
        if n == self.dies_before.load(Ordering::Relaxed) {
            self.is_dead.store(true, Ordering::Relaxed);
            return match step {
                // Half of it is there, and the writer learns of it and fails at its next step.
                Step::Write(len) => Verdict::Tear(len / 2, io::Error::other(KILLED)),
                _ if thread::panicking() => Verdict::Refuse(io::Error::other(KILLED)),
                _ => panic!("{KILLED}"),
            };
        }
        match self.refuses.lock().as_ref().and_then(|it| it(step, path)) {
            Some(Refusal { errno, torn }) => {
                Verdict::Tear(torn, io::Error::from_raw_os_error(errno))
            }
            None => Verdict::Go,
        }
    }
}

/// Whether a path is that of a journal.
pub(crate) fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "arrows")
}

/// Whether a path is that of an unfinished file.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "open")
}

/// Whether a step is a write.
pub(crate) fn is_write(step: Step) -> bool {
    matches!(step, Step::Write(_))
}
