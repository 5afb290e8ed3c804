//! `/healthz`: how each exchange is doing, and whether the disk takes what it is given.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    clock::now,
    listener::Shared,
    memory::reconnects,
    process::{self, usage},
    response::Response,
};
use crate::{
    market::{Nanos, Venue},
    metrics::{
        SubscriptionState,
        health::{Failure, NAMES_MAX, Report, Snapshot},
    },
};

/// A connection that has not reported for so long is stuck. It reports every second.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// Data that is younger than this says more than what connections have reported.
const FRESH: Duration = Duration::from_secs(5);

/// How a venue is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The lists have not been read yet.
    Starting,
    /// There is nothing to collect.
    Empty,
    /// No connection is up.
    Disconnected,
    /// Connected, but nothing has come yet.
    Waiting,
    /// Data comes.
    Delivering,
    /// No data for a while, as is usual for all there is.
    Quiet,
    /// No data, though there should be.
    Silent,
}

impl State {
    /// The name in lower case.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Empty => "empty",
            State::Disconnected => "disconnected",
            State::Waiting => "waiting",
            State::Delivering => "delivering",
            State::Quiet => "quiet",
            State::Silent => "silent",
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub(super) fn is_well(self) -> bool {
        matches!(self, State::Delivering | State::Quiet)
    }

    /// The state of a venue at `now`, by what its connections have reported.
    #[must_use]
    pub(super) fn of(venue: &Snapshot, now: Nanos) -> Self {
        let since = |period: Duration| now.0 - i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
        let is_up = |it: &&Report| since(STUCK_AFTER) <= it.time.0;
        let up: Vec<_> = venue.reports.iter().filter(is_up).collect();
        let is_fresh = venue.heard.is_some_and(|it| since(FRESH) <= it.0);
        let any = |state: SubscriptionState| up.iter().any(|it| 0 < it.states[state as usize]);
        match () {
            () if venue.wanted.connections == 0 && up.is_empty() => State::Starting,
            () if venue.wanted.instruments == 0 => State::Empty,
            () if up.is_empty() => State::Disconnected,
            () if is_fresh || any(SubscriptionState::Delivering) => State::Delivering,
            () if any(SubscriptionState::Quiet) => State::Quiet,
            () if venue.heard.is_none() => State::Waiting,
            () => State::Silent,
        }
    }
}

/// The answer: 200 when all is well, else 503 with the reasons.
pub(super) fn page(shared: &Shared<'_>) -> Response {
    let (time, instant) = (now(), Instant::now());
    let mut problems = Vec::new();
    let exchanges: Vec<_> =
        (0..shared.venues.len()).map(|n| venue(n, shared, time, &mut problems)).collect();
    let disk = disk(shared, instant, &mut problems);
    let uptime = instant - shared.memory.lock().started;
    let queues: Vec<_> = shared
        .metrics
        .queues()
        .into_iter()
        .map(|(name, it)| {
            json!({ "queue": name, "depth": it.depth.get(), "age_seconds": it.age.get(), "dropped": it.dropped.get() })
        })
        .collect();
    let live = &shared.metrics.live;
    let usage = usage();
    let body = json!({
        "status": if problems.is_empty() { "ok" } else { "failing" },
        "problems": problems,
        "version": env!("CARGO_PKG_VERSION"),
        "time": time.0,
        "uptime_seconds": uptime.as_secs(),
        "exchanges": exchanges,
        "disk": disk,
        "queues": queues,
        "live": { "clients": live.clients.get(), "dropped": live.dropped.get() },
        "process": {
            "resident_memory_bytes": usage.map(|it| it.resident),
            "threads": usage.map(|it| it.threads),
            "open_descriptors": usage.map(|it| it.descriptors),
        },
    });
    Response::json(if problems.is_empty() { 200 } else { 503 }, &body)
}

fn venue(n: usize, shared: &Shared<'_>, time: Nanos, problems: &mut Vec<String>) -> Value {
    let venue: Venue = shared.venues[n];
    let metrics = shared.metrics.venue(venue);
    let snapshot = metrics.health.snapshot();
    let state = State::of(&snapshot, time);
    let age = snapshot.heard.map(|it| seconds_since(it, time));
    if !state.is_well() {
        let age = age.map_or("ever".to_owned(), |it| format!("for {it:.0} s"));
        let is_new = |it: &&Failure| snapshot.heard.is_none_or(|heard| heard <= it.time);
        let why = snapshot.failure.as_ref().filter(is_new);
        let why = why.map_or(String::new(), |it| format!("; {}", it.said));
        problems.push(format!("{venue} is {}: no data {age}{why}", state.name()));
    }
    let count = |of: &SubscriptionState| {
        let counts = snapshot.reports.iter().map(|it| it.states[*of as usize]);
        (of.name().to_owned(), counts.sum::<i64>().into())
    };
    let states: serde_json::Map<_, Value> = SubscriptionState::ALL.iter().map(count).collect();
    let so_far = reconnects(shared.metrics, venue);
    json!({
        "exchange": venue.exchange.name(),
        "market": venue.market.name(),
        "state": state.name(),
        "instruments": snapshot.wanted.instruments,
        "connections": { "up": snapshot.reports.len(), "wanted": snapshot.wanted.connections },
        "subscriptions": states,
        "refused": names(&snapshot, |it| &it.refused),
        "stale": names(&snapshot, |it| &it.stale),
        "last_message_age_seconds": age,
        "reconnects_last_hour": shared.memory.lock().recent_reconnects(n, so_far),
        "reconnects": so_far,
        "decode_errors": metrics.decode_errors.get(),
        "last_failure": snapshot.failure.map(|it| json!({ "time": it.time.0, "said": it.said })),
    })
}

/// The names that connections report, the first few.
fn names(venue: &Snapshot, of: impl Fn(&Report) -> &Vec<String>) -> Vec<&str> {
    venue.reports.iter().flat_map(of).map(String::as_str).take(NAMES_MAX).collect()
}

fn disk(shared: &Shared<'_>, now: Instant, problems: &mut Vec<String>) -> Value {
    let dir = shared.storage.display().to_string();
    let space = process::disk(shared.storage);
    let refuses = shared.memory.lock().is_refused(now);
    if refuses {
        problems.push(format!("{dir} cannot be written to"));
    }
    let errors = shared.metrics.files(crate::market::Channel::Quotes).errors.get();
    json!({
        "dir": dir,
        "free_bytes": space.map(|it| it.free),
        "size_bytes": space.map(|it| it.size),
        "writable": !refuses,
        "write_errors": errors,
    })
}

/// How long ago `then` was.
#[expect(clippy::cast_precision_loss, reason = "an age of centuries may be inexact")]
pub(super) fn seconds_since(then: Nanos, now: Nanos) -> f64 {
    now.0.saturating_sub(then.0).max(0) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::health::Wanted;

    const NOW: Nanos = Nanos(1_795_435_200_000_000_000);

    fn report(seconds_ago: i64, state: SubscriptionState) -> Report {
        let mut report =
            Report { time: Nanos(NOW.0 - seconds_ago * 1_000_000_000), ..Report::default() };
        report.states[state as usize] = 3;
        report
    }

    #[test]
    fn a_venue_is_as_well_as_the_best_of_its_connections() {
        use SubscriptionState::{Acknowledged, Delivering, Quiet, Refused, Stale};
        let wanted = Wanted { instruments: 9, connections: 2 };
        let nothing = Wanted { instruments: 0, connections: 1 };
        let heard = Some(Nanos(1));
        for (wanted, heard, reports, state) in [
            (Wanted::default(), None, vec![], State::Starting),
            (nothing, None, vec![], State::Empty),
            (wanted, None, vec![], State::Disconnected),
            (wanted, heard, vec![], State::Disconnected),
            (wanted, None, vec![report(1, Acknowledged)], State::Waiting),
            (wanted, None, vec![report(1, Refused)], State::Waiting),
            (wanted, heard, vec![report(1, Acknowledged)], State::Silent),
            (wanted, Some(NOW), vec![report(1, Acknowledged)], State::Delivering),
            (wanted, Some(NOW), vec![], State::Disconnected),
            (wanted, heard, vec![report(1, Stale)], State::Silent),
            (wanted, heard, vec![report(1, Stale), report(1, Quiet)], State::Quiet),
            (wanted, heard, vec![report(1, Stale), report(1, Delivering)], State::Delivering),
            (wanted, heard, vec![report(60, Delivering)], State::Disconnected),
        ] {
            let venue = Snapshot { wanted, heard, failure: None, reports };
            assert_eq!(State::of(&venue, NOW), state, "{venue:?}");
        }
    }
}
