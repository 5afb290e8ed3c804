//! The primitives the queue is built on: the real ones, or `loom`'s when the model checker runs.

pub(super) use crossbeam_channel::{RecvTimeoutError, TryRecvError, TrySendError};

#[cfg(not(loom))]
pub(super) use self::real::*;
#[cfg(loom)]
pub(super) use self::stand_in::*;

#[cfg(not(loom))]
mod real {
    pub(in super::super) use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    pub(in super::super) use crossbeam_channel::{Receiver, Sender, bounded};
    pub(in super::super) use parking_lot::Mutex;
}

/// `crossbeam-channel` cannot run under `loom`. This has the same contract and is too simple to be
/// wrong, so what `loom` explores is our protocol on top of it.
#[cfg(loom)]
mod stand_in {
    use std::{collections::VecDeque, time::Duration};

    use loom::sync::Condvar;
    pub(in super::super) use loom::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::{RecvTimeoutError, TryRecvError, TrySendError};

    /// `loom`'s, which poisons, with the face of `parking_lot`'s, which does not.
    pub(in super::super) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in super::super) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(in super::super) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("a model that panics has failed already")
        }
    }

    struct Chan<T> {
        state: Mutex<State<T>>,
        changed: Condvar,
        capacity: usize,
    }

    struct State<T> {
        items: VecDeque<T>,
        senders: usize,
    }

    pub(in super::super) struct Sender<T>(Arc<Chan<T>>);
    pub(in super::super) struct Receiver<T>(Arc<Chan<T>>);

    pub(in super::super) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let state = Mutex::new(State { items: VecDeque::new(), senders: 1 });
        let chan = Arc::new(Chan { state, changed: Condvar::new(), capacity });
        (Sender(Arc::clone(&chan)), Receiver(chan))
    }

    impl<T> Sender<T> {
        pub(in super::super) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
            let mut state = self.0.state.lock();
            if state.items.len() == self.0.capacity {
                return Err(TrySendError::Full(item));
            }
            state.items.push_back(item);
            self.0.changed.notify_one();
            Ok(())
        }

        pub(in super::super) fn len(&self) -> usize {
            self.0.state.lock().items.len()
        }

        pub(in super::super) fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    impl<T> Receiver<T> {
        pub(in super::super) fn try_recv(&self) -> Result<T, TryRecvError> {
            let mut state = self.0.state.lock();
            match state.items.pop_front() {
                Some(item) => Ok(item),
                None if state.senders == 0 => Err(TryRecvError::Disconnected),
                None => Err(TryRecvError::Empty),
            }
        }

        /// `loom` has no clock: this waits for as long as it takes, which a timeout never forbids.
        pub(in super::super) fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
            let mut state = self.0.state.lock();
            loop {
                match state.items.pop_front() {
                    Some(item) => return Ok(item),
                    None if state.senders == 0 => return Err(RecvTimeoutError::Disconnected),
                    None => state = self.0.changed.wait(state).expect("as above"),
                }
            }
        }

        pub(in super::super) fn len(&self) -> usize {
            self.0.state.lock().items.len()
        }

        pub(in super::super) fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.state.lock().senders += 1;
            Sender(Arc::clone(&self.0))
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            Receiver(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.state.lock().senders -= 1;
            self.0.changed.notify_all();
        }
    }
}
