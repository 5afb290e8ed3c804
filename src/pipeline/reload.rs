//! Another configuration for a pipeline that runs.

use log::LevelFilter;
use parking_lot::Mutex;

use super::{notify, orders::Orders};
use crate::{
    config::{Change, Plan, changes},
    spreads::Spreads,
};

/// Where another configuration is left for the pipeline, which looks once a second.
#[derive(Debug, Default)]
pub struct Reload {
    next: Mutex<Option<Box<Plan>>>,
}

impl Reload {
    /// Leaves `plan` to be applied; one that has not been taken yet is forgotten.
    pub fn offer(&self, plan: Plan) {
        *self.next.lock() = Some(Box::new(plan));
    }

    fn take(&self) -> Option<Box<Plan>> {
        self.next.lock().take()
    }
}

/// The configuration as it is applied, and those who are told of another.
pub(super) struct Applied<'a> {
    pub(super) plan: Plan,
    /// In the order of the plan.
    pub(super) orders: &'a [Orders],
    pub(super) engine: Option<&'a Mutex<Spreads>>,
    pub(super) from: &'a Reload,
}

impl Applied<'_> {
    /// Applies what has been left, as far as that can be done while running.
    pub(super) fn look(&mut self) {
        let Some(new) = self.from.take() else { return };
        notify::reloading();
        let changes = changes(&self.plan, &new);
        if changes.is_empty() {
            log::info!("the configuration has been read again: nothing has changed");
        }
        // Of a change of the level both hear, those who listen before it and those after.
        self.set_log_level(self.plan.log_level.max(new.log_level));
        changes.iter().for_each(say);
        self.apply(&new);
        notify::ready();
    }

    fn set_log_level(&mut self, level: LevelFilter) {
        if level != self.plan.log_level {
            log::set_max_level(level);
            self.plan.log_level = level;
        }
    }

    /// None of this can fail, so that nothing is applied by half.
    fn apply(&mut self, new: &Plan) {
        self.set_log_level(new.log_level);
        for (venue, orders) in self.plan.venues.iter_mut().zip(self.orders) {
            let of = venue.protocol.venue;
            if let Some(new) = new.venues.iter().find(|it| it.protocol.venue == of) {
                let shard = venue.filter.shard;
                venue.filter = new.filter.clone();
                venue.filter.shard = shard;
                venue.rediscover = new.rediscover;
                venue.patience = new.patience;
                orders.give(venue);
            }
        }
        if let (Some(settings), Some(new)) = (&mut self.plan.spreads, &new.spreads) {
            settings.take_thresholds(new);
            if let Some(engine) = self.engine {
                engine.lock().set_rules(settings);
            }
        }
    }
}

fn say(it: &Change) {
    let Change { key, from, to, applies } = it;
    if *applies {
        log::info!("configuration: {key}: {from} -> {to}, applied");
    } else {
        log::warn!("configuration: {key}: {from} -> {to}, refused: it takes a restart");
    }
}
