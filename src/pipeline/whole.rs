//! What all threads of a run share, and how they are started.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::AtomicU32,
    thread::{self, Scope, ScopedJoinHandle},
};

use parking_lot::Mutex;

use super::PipelineError;
use crate::{market::Nanos, metrics::Metrics, registry::Registry, stop::Stop};

/// The first failure that ends the run.
pub(super) struct Failure<'a> {
    pub(super) first: Mutex<Option<PipelineError>>,
    pub(super) stop: &'a Stop,
}

impl Failure<'_> {
    pub(super) fn report(&self, err: PipelineError) {
        log::error!("{err}; stopping");
        self.first.lock().get_or_insert(err);
        self.stop.request();
    }
}

/// What all threads of a run share.
pub(super) struct Whole<'a> {
    pub(super) metrics: &'a Metrics,
    pub(super) stop: &'a Stop,
    /// When the run began.
    pub(super) since: Nanos,
    pub(super) registry: Registry,
    pub(super) conn_ids: AtomicU32,
    pub(super) failure: Failure<'a>,
}

impl Whole<'_> {
    /// Starts a thread whose panic stops the run in order.
    pub(super) fn spawn<'s, T: Send + 's>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        name: String,
        body: impl FnOnce() -> T + Send + 's,
    ) -> Option<ScopedJoinHandle<'s, Option<T>>> {
        let thread = name.clone();
        let guarded = move || match catch_unwind(AssertUnwindSafe(body)) {
            Ok(done) => Some(done),
            Err(panic) => {
                let message = message(&*panic);
                self.failure.report(PipelineError::Panicked { name: thread, message });
                None
            }
        };
        match thread::Builder::new().name(name.clone()).spawn_scoped(scope, guarded) {
            Ok(handle) => Some(handle),
            Err(cause) => {
                self.failure.report(PipelineError::Thread { name, cause });
                None
            }
        }
    }
}

/// What a thread that was [spawned](Whole::spawn) has done, once it has ended.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, Option<T>>) -> Option<T> {
    thread.join().expect("its body is guarded against panics")
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
