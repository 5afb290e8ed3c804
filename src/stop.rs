//! A request to shut down, which any thread can make and every thread can wait on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// A shutdown request. It cannot be taken back.
#[derive(Debug, Default)]
pub struct Stop {
    requested: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    /// Asks everybody to stop and wakes those who wait.
    pub fn request(&self) {
        // Under the lock, so that a waiter between its check and its wait cannot miss it.
        let _guard = self.lock.lock();
        self.requested.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Whether the request has been made. Cheap enough to ask for every message.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Waits for `at_most`, or less if the request comes; says whether it has.
    #[must_use]
    pub fn wait(&self, at_most: Duration) -> bool {
        let mut guard = self.lock.lock();
        let pending = |(): &mut ()| !self.requested();
        self.changed.wait_while_for(&mut guard, pending, at_most);
        self.requested()
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    #[test]
    fn a_request_ends_every_wait() {
        let stop = Stop::default();
        let long = Duration::from_hours(1);
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| stop.wait(long))).collect();
            stop.request();
            for waiter in waiters {
                assert!(waiter.join().expect("no panic"));
            }
        });
        let before = Instant::now();
        assert!(stop.wait(long), "a wait after the request returns at once");
        assert!(before.elapsed() < long);
    }

    #[test]
    fn a_wait_without_a_request_ends_by_itself() {
        assert!(!Stop::default().wait(Duration::from_millis(1)));
    }
}
