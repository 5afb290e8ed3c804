//! The threads that serve clients.

use std::thread::Scope;

use parking_lot::Mutex;

use super::whole::Whole;
use crate::{
    channel::fair,
    config::Plan,
    feed::sinks::{Lane, Tap},
    live::{self, Door, Facts, Source},
    market::{Channel, Venue},
    spreads::{self, Spreads},
};

/// Starts what serves clients at `door`, if there is one; it ends when the program stops. What is
/// returned feeds it: with events, and with the crosses of `engine`.
pub(super) fn start<'s>(
    scope: &'s Scope<'s, '_>,
    whole: &'s Whole<'s>,
    plan: &'s Plan,
    door: Option<Door>,
    engine: Option<&'s Mutex<Spreads>>,
) -> (Vec<Tap>, Option<spreads::Tap>) {
    let (Some(door), Some(settings)) = (door, &plan.live) else { return (Vec::new(), None) };
    log::info!("dashboard, API and metrics on {}", door.url());
    let (queue, events) = fair::queue(Venue::COUNT, plan.queue_capacity);
    let metrics = whole.metrics.queue("live").holding(plan.queue_capacity);
    let (events, open) = Source::new(events, metrics.clone());
    let tap = Tap { lane: Lane { queue, metrics }, channels: &Channel::ALL, open };
    let (queue, crosses) = fair::queue(1, plan.queue_capacity);
    let metrics = whole.metrics.queue("live-spreads").holding(plan.queue_capacity);
    let (crosses, open) = Source::new(crosses, metrics.clone());
    let outlet = spreads::Tap { queue, metrics, open };
    let facts = Facts {
        metrics: whole.metrics,
        registry: &whole.registry,
        spreads: engine,
        venues: plan.venues.iter().map(|it| it.protocol.venue).collect(),
        storage: &plan.storage.dir,
        stop: whole.stop,
    };
    let (server, hub) = live::open(door, settings, facts, events, crosses);
    whole.spawn(scope, "live-hub".to_owned(), move || hub.run());
    whole.spawn(scope, "live".to_owned(), move || server.run());
    (vec![tap], Some(outlet))
}
