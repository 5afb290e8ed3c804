//! `[spreads]`.

use std::time::Duration;

use super::Check;
use crate::{
    config::written::{self, Period},
    market::Venue,
    spreads,
};

/// 6 KB an instrument.
const SAMPLES_MAX: u128 = 1000;
/// Quotes of this long wait in memory.
const REORDER_MAX: Duration = Duration::from_secs(10);

impl Check {
    pub(super) fn spreads(
        &mut self,
        it: &written::Spreads,
        exchanges: &[written::Exchange],
    ) -> Option<spreads::Settings> {
        self.not_zero("spreads.max_quote_age", it.max_quote_age);
        self.finite("spreads.min_net_bps", it.min_net_bps);
        self.not_negative("spreads.hysteresis_bps", it.hysteresis_bps);
        self.not_negative("spreads.identity_guard", it.identity_guard);
        if it.identity_guard.0 == 0.0 {
            self.problem("spreads.identity_guard", "must be above 0, such as 0.2 for 20 %");
        }
        self.not_zero("spreads.sample_every", it.sample_every);
        self.windows(it.window, it.sample_every);
        if REORDER_MAX < it.reorder.0 {
            let max = humantime::format_duration(REORDER_MAX);
            self.problem("spreads.reorder", format_args!("must be \"{max}\" or less"));
        }
        let mut same_asset = Vec::new();
        for it in &it.same_asset {
            match it.parse() {
                Ok(it) => same_asset.push(it),
                Err(err) => self.problem("spreads.same_asset", err),
            }
        }
        let venue = |it: &written::Exchange| {
            Some(Venue::new(it.name.parse().ok()?, it.market.parse().ok()?))
        };
        let fees = exchanges.iter().filter_map(|it| Some((venue(it)?, it.taker_fee_bps.0)));
        it.enabled.then(|| spreads::Settings {
            max_quote_age: it.max_quote_age.0,
            min_net_bps: it.min_net_bps.0,
            hysteresis_bps: it.hysteresis_bps.0,
            identity_guard: it.identity_guard.0,
            identity_after: it.identity_after.0,
            same_asset,
            taker_fee_bps: fees.collect(),
            window: it.window.0,
            sample_every: it.sample_every.0,
            reorder: it.reorder.0,
        })
    }

    fn windows(&mut self, Period(window): Period, Period(step): Period) {
        if window < step {
            self.problem("spreads.window", "must not be shorter than sample_every");
        }
        let steps = window.as_millis() / step.as_millis().max(1);
        if SAMPLES_MAX < steps {
            let what = format_args!(
                "must be {SAMPLES_MAX} times sample_every at most, for the memory, not {steps} times"
            );
            self.problem("spreads.window", what);
        }
    }
}
