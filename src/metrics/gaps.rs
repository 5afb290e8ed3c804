//! What is counted of the loss ledger.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::labels::GapLabels;
use crate::market::{GapReason, Venue};

/// The rows of the loss ledger.
#[derive(Clone, Debug, Default)]
pub struct GapMetrics(Family<GapLabels, Counter>);

impl GapMetrics {
    /// How many there are of `venue` for `reason`.
    #[must_use]
    pub fn of(&self, venue: Venue, reason: GapReason) -> Counter {
        let (exchange, market) = (venue.exchange.name(), venue.market.name());
        self.0.get_or_create_owned(&GapLabels { exchange, market, reason: reason.name() })
    }

    pub(super) fn register(&self, to: &mut Registry) {
        let help = "Losses declared in the ledger, by reason";
        to.register("gaps", help, self.0.clone());
    }
}
