//! Who goes first where there is not enough processor for all.
//!
//! Hundreds of connections may have something to do at the same time, and one writer has to keep up with
//! all of them. Were they alike, it would get a hundredth of what it needs, and its queue would drop what can
//! as well wait in the connections' sockets.

use rustix::process::setpriority_process;

/// How urgent a thread is; that of connections is the usual.
#[derive(Clone, Copy, Debug)]
pub(super) enum Priority {
    /// It empties a queue that drops what it comes too late for.
    Consumer,
    /// It works off what others leave on the disk, which can wait.
    Sealer,
}

impl Priority {
    /// `body`, for a thread that has this priority. The system may not let it have a higher one, which is for
    /// root and where `RLIMIT_NICE` allows it; then all are alike.
    pub(super) fn of<T>(self, body: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let nice = match self {
            Priority::Consumer => -10,
            // Three times less than others; more would have it never catch up.
            Priority::Sealer => 5,
        };
        move || {
            // On Linux a thread has a priority of its own.
            if let Err(error) = setpriority_process(None, nice) {
                log::debug!("no priority {nice} for this thread: {error}");
            }
            body()
        }
    }
}
