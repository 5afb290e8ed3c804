//! Looks at the state of the whole while it runs.

use std::time::{Duration, Instant};

use super::{
    drops::DropEpisodes, episode::Episode, notify, pulse::Pulse, reload::Applied, whole::Whole,
};
use crate::{ledger::Ledger, metrics::QueueMetrics};

/// How often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A queue of which it is said when it drops.
struct Watched {
    name: String,
    metrics: QueueMetrics,
    drops: Episode,
}

/// Looks at the state of the whole until it is to stop.
pub(super) fn watch(
    whole: &Whole<'_>,
    mut applied: Applied<'_>,
    drops: &mut DropEpisodes<'_>,
    ledger: &Ledger,
) {
    let writers = (0..applied.plan.writers).map(|n| format!("writer-{n}"));
    let spreads = applied.engine.map(|_| "spreads".to_owned());
    let vital = writers.clone().chain(spreads).chain(["ledger".to_owned()]);
    let mut pulse = Pulse::new(vital.map(|it| whole.metrics.queue(&it)));
    let names =
        writers.chain(["spreads", "ledger", "live", "live-spreads", "capture"].map(str::to_owned));
    let mut queues: Vec<_> = names
        .map(|it| Watched {
            metrics: whole.metrics.queue(&it),
            name: it,
            drops: Episode::default(),
        })
        .collect();
    notify::ready();
    while !whole.stop.wait(LOOK_EVERY) {
        if pulse.beats() {
            notify::alive();
        }
        applied.look();
        look(whole, &mut queues);
        drops.look(Instant::now());
        ledger.retry();
    }
    notify::stopping();
    look(whole, &mut queues);
}

fn look(whole: &Whole<'_>, queues: &mut [Watched]) {
    let known = whole.registry.len();
    whole.metrics.instruments.set(i64::try_from(known).unwrap_or(i64::MAX));
    for Watched { name, metrics, drops } in queues {
        if let Some(line) = drops.look(metrics.dropped.get()) {
            log::warn!("queue {name}: {line}");
        }
    }
}
