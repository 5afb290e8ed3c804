//! The settings, in the form in which they are applied.

use std::time::Duration;

use super::settings::{SameAsset, Settings};
use crate::market::{Exchange, Venue};

/// Times are in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) max_quote_age: i64,
    open_above: f64,
    keep_above: f64,
    /// The price of one as a multiple of that of the other.
    apart_above: f64,
    agree_below: f64,
    pub(super) identity_after: i64,
    same_asset: Vec<SameAsset>,
    fees: Vec<(Venue, f64)>,
}

/// A quarantined pair is let go when its prices have come this much nearer to each other than the
/// guard demands: one at the edge of it would come and go.
const AGREES_WITHIN: f64 = 0.75;

impl Rules {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            max_quote_age: whole_micros(settings.max_quote_age),
            open_above: settings.min_net_bps,
            keep_above: settings.min_net_bps - settings.hysteresis_bps,
            apart_above: 1.0 + settings.identity_guard,
            agree_below: 1.0 + settings.identity_guard * AGREES_WITHIN,
            identity_after: whole_micros(settings.identity_after),
            same_asset: settings.same_asset.clone(),
            fees: settings.taker_fee_bps.clone(),
        }
    }

    pub(super) fn fee_bps(&self, venue: Venue) -> f64 {
        self.fees.iter().find(|it| it.0 == venue).map_or(0.0, |it| it.1)
    }

    pub(super) fn trusts(&self, group: &str, a: Exchange, b: Exchange) -> bool {
        self.same_asset.iter().any(|it| it.covers(group, a, b))
    }

    pub(super) fn opens(&self, net_bps: f64) -> bool {
        self.open_above < net_bps
    }

    pub(super) fn keeps(&self, net_bps: f64) -> bool {
        self.keep_above < net_bps
    }

    /// Whether two prices are too far from each other; not when one of them is not a number.
    pub(super) fn are_apart(&self, a: f64, b: f64) -> bool {
        b * self.apart_above < a || a * self.apart_above < b
    }

    pub(super) fn agree(&self, a: f64, b: f64) -> bool {
        a <= b * self.agree_below && b <= a * self.agree_below
    }
}

pub(super) fn whole_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}
