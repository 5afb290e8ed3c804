//! SIGINT and SIGTERM ask for an orderly stop; a second one ends the process at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    iterator::{Handle, Signals},
};

use crate::stop::Stop;

/// What a shell reports of a process that a signal ended.
const STOPPED_BY_A_SECOND_SIGNAL: i32 = 130;

/// Runs `work`, turning signals into a request to `stop`.
///
/// # Errors
/// When the system does not let us handle signals.
pub(super) fn stopping_on_signals<T>(stop: &Stop, work: impl FnOnce() -> T) -> io::Result<T> {
    let nothing = || log::warn!("SIGHUP: there is no configuration to read again");
    heeding_signals(stop, nothing, work)
}

/// The same, and does `reread` on SIGHUP.
///
/// # Errors
/// When the system does not let us handle signals.
pub(super) fn heeding_signals<T>(
    stop: &Stop,
    reread: impl Fn() + Sync,
    work: impl FnOnce() -> T,
) -> io::Result<T> {
    // In the signal's own handler, so that it works however stuck the process is.
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let again = Arc::clone(&stopping);
        flag::register_conditional_shutdown(signal, STOPPED_BY_A_SECOND_SIGNAL, again)?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let handle = signals.handle();
    thread::scope(|scope| {
        let wait = || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    reread();
                    continue;
                }
                log::info!("stopping; a second signal ends the program at once");
                stopping.store(true, Ordering::SeqCst);
                stop.request();
            }
        };
        let thread = thread::Builder::new().name("signals".into()).spawn_scoped(scope, wait)?;
        let result = {
            let _end = CloseOnDrop(handle);
            work()
        };
        thread.join().expect("waiting for signals does not panic");
        Ok(result)
    })
}

/// Ends the waiting thread on every way out of the work, a panic too.
struct CloseOnDrop(Handle);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
