//! The thread that compares quotes between exchanges.

use std::{
    sync::{Arc, atomic::AtomicBool},
    thread::Scope,
    time::Duration,
};

use parking_lot::Mutex;

use super::{priority::Priority, whole::Whole};
use crate::{
    channel::{Sender, fair},
    config::Plan,
    feed::{
        self,
        sinks::{Lane, Tap},
    },
    market::{Channel, Event, Nanos, Record, Venue},
    spreads::{self, Ends, Outlet, Spreads},
};

/// The engine as the configuration wants it; `None` when it wants none.
pub(super) fn engine(plan: &Plan) -> Option<Mutex<Spreads>> {
    plan.spreads.as_ref().map(|it| Mutex::new(Spreads::new(it)))
}

/// Two connections of a feed may be this far apart where they overlap; quotes that wait in a replay
/// cost nobody anything.
const REPLAY_REORDER: Duration = Duration::from_secs(1);

/// The clock of a replay: it is as late as the latest event, so that nothing depends on how fast one
/// goes.
fn latest() -> impl FnMut(&[Event]) -> Nanos {
    let mut latest = Nanos(0);
    move |events| {
        latest = events.iter().map(Event::ts_recv).fold(latest, Nanos::max);
        latest
    }
}

/// Starts the thread of `engine`; it ends after the last clone of what is returned. Every cross
/// goes to `crosses` while somebody listens there.
pub(super) fn start<'s>(
    scope: &'s Scope<'s, '_>,
    whole: &'s Whole<'s>,
    plan: &'s Plan,
    engine: &'s Mutex<Spreads>,
    (records, crosses): (Sender<Record>, Option<spreads::Tap>),
    replaying: bool,
) -> Tap {
    let (queue, events) = fair::queue(Venue::COUNT, plan.queue_capacity);
    let metrics = whole.metrics.queue("spreads").holding(plan.queue_capacity);
    let counters = metrics.clone();
    let records = Outlet { queue: records, metrics: whole.metrics.queue("ledger") };
    let reorder = plan.spreads.as_ref().map(|it| it.reorder).unwrap_or_default();
    let body = move || {
        let ends = Ends {
            events: &events,
            queue: &counters,
            registry: &whole.registry,
            records: &records,
            crosses: crosses.as_ref(),
            metrics: whole.metrics.spreads(),
        };
        if replaying {
            spreads::run(&ends, engine, reorder.max(REPLAY_REORDER), latest());
        } else {
            spreads::run(&ends, engine, reorder, |_| feed::now());
        }
    };
    whole.spawn(scope, "spreads".to_owned(), Priority::Consumer.of(body));
    Tap {
        lane: Lane { queue, metrics },
        channels: &[Channel::Quotes],
        open: Arc::new(AtomicBool::new(true)),
    }
}
