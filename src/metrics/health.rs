//! How each venue is doing, as its connections report it about once a second.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
};

use parking_lot::Mutex;

use super::SubscriptionState;
use crate::market::{ConnId, Nanos};

/// How many names of topics a connection reports of each kind of trouble: enough to see what they
/// have in common.
pub const NAMES_MAX: usize = 20;

/// How one venue is doing.
#[derive(Debug, Default)]
pub struct VenueHealth {
    /// When market data was received last; 0 for never.
    heard: AtomicI64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    wanted: Wanted,
    failure: Option<Failure>,
    /// One for each connection that is up.
    reports: BTreeMap<ConnId, Report>,
}

/// The last time that something could not be had: a list, or a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub time: Nanos,
    /// Why, and what is done about it.
    pub said: String,
}

/// What is to be collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Instruments; 0 before the lists have been read.
    pub instruments: usize,
    /// Connections to carry them.
    pub connections: usize,
}

/// What a connection says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// When.
    pub time: Nanos,
    /// How many of its topics are in each state, in the order of [`SubscriptionState::ALL`].
    pub states: [i64; SubscriptionState::ALL.len()],
    /// Topics that the exchange refuses, [`NAMES_MAX`] at most.
    pub refused: Vec<String>,
    /// Topics that were active and are mute, [`NAMES_MAX`] at most.
    pub stale: Vec<String>,
}

/// The venue at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What is to be collected.
    pub wanted: Wanted,
    /// When market data was received last.
    pub heard: Option<Nanos>,
    /// What went wrong last, however long ago.
    pub failure: Option<Failure>,
    /// Of the connections that are up.
    pub reports: Vec<Report>,
}

impl VenueHealth {
    /// Market data was received at `time`; 0 for none. A later call says more than a later time: the
    /// clock may have been set back.
    pub fn heard(&self, time: Nanos) {
        if time.0 != 0 {
            self.heard.store(time.0, Ordering::Relaxed);
        }
    }

    /// The lists have been read.
    pub fn wants(&self, wanted: Wanted) {
        self.inner.lock().wanted = wanted;
    }

    /// A list could not be read, or a connection has ended or could not be made.
    pub fn failed(&self, failure: Failure) {
        self.inner.lock().failure = Some(failure);
    }

    /// A connection is up, and this is how it is doing.
    pub fn report(&self, conn: ConnId, report: Report) {
        self.inner.lock().reports.insert(conn, report);
    }

    /// A connection has ended.
    pub fn ended(&self, conn: ConnId) {
        self.inner.lock().reports.remove(&conn);
    }

    /// When market data was received last.
    #[must_use]
    pub fn last_heard(&self) -> Option<Nanos> {
        Some(Nanos(self.heard.load(Ordering::Relaxed))).filter(|it| it.0 != 0)
    }

    /// How it is doing.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        Snapshot {
            wanted: inner.wanted,
            heard: self.last_heard(),
            failure: inner.failure.clone(),
            reports: inner.reports.values().cloned().collect(),
        }
    }
}
