//! What `top` shows: the last two samples and what follows from them.

use std::{collections::BTreeMap, time::Instant};

use serde::Deserialize;

use super::scrape::Metrics;

/// What a collector says at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) health: Health,
    pub(super) metrics: Metrics,
}

/// `/healthz`. What a collector of another version leaves out is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) problems: Vec<String>,
    pub(super) version: String,
    pub(super) uptime_seconds: u64,
    pub(super) exchanges: Vec<Venue>,
    pub(super) disk: Disk,
    pub(super) queues: Vec<Queue>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Venue {
    pub(super) exchange: String,
    pub(super) market: String,
    pub(super) state: String,
    pub(super) instruments: u64,
    pub(super) connections: Connections,
    pub(super) subscriptions: BTreeMap<String, i64>,
    pub(super) last_message_age_seconds: Option<f64>,
    pub(super) reconnects: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Connections {
    pub(super) up: u64,
    pub(super) wanted: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Disk {
    pub(super) free_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Queue {
    #[serde(rename = "queue")]
    pub(super) name: String,
    pub(super) depth: i64,
    pub(super) age_seconds: f64,
    pub(super) dropped: u64,
}

/// What is known of one collector.
#[derive(Debug)]
pub(super) struct Board {
    /// Its address.
    pub(super) url: String,
    /// Why it could not be asked the last time, if so.
    pub(super) trouble: Option<String>,
    latest: Option<(Instant, Sample)>,
    previous: Option<(Instant, Sample)>,
}

impl Board {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), trouble: None, latest: None, previous: None }
    }

    /// What it has just said.
    pub(super) fn put(&mut self, now: Instant, sample: Sample) {
        self.previous = self.latest.replace((now, sample));
        self.trouble = None;
    }

    /// It could not be asked.
    pub(super) fn fail(&mut self, why: String) {
        self.trouble = Some(why);
    }

    /// What it said last.
    pub(super) fn health(&self) -> Option<&Health> {
        self.latest.as_ref().map(|(_, it)| &it.health)
    }

    /// A metric as it is, added up over all that has `labels`.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.latest.as_ref()?.1.metrics.sum(name, labels)
    }

    /// How much a counter has grown in a second; `None` while there is nothing to compare with, and
    /// when the collector has started anew.
    pub(super) fn rate(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let ((then, before), (now, after)) = (self.previous.as_ref()?, self.latest.as_ref()?);
        let grown = after.metrics.sum(name, labels)? - before.metrics.sum(name, labels)?;
        let seconds = now.duration_since(*then).as_secs_f64();
        (0.0 <= grown && 0.0 < seconds).then(|| grown / seconds)
    }

    /// The bound, in the histogram's unit, that this part of what came since the last look is below;
    /// infinite when it is above all bounds.
    pub(super) fn quantile(&self, name: &str, labels: &[(&str, &str)], part: f64) -> Option<f64> {
        let ((_, before), (_, after)) = (self.previous.as_ref()?, self.latest.as_ref()?);
        let before = before.metrics.buckets(name, labels);
        let after = after.metrics.buckets(name, labels);
        let grown = |n: usize| after[n].1 - before.get(n).map_or(0.0, |it| it.1);
        let all = grown(after.len().checked_sub(1)?);
        let reached = (0..after.len()).find(|&n| part * all <= grown(n));
        (0.0 < all).then_some(after[reached?].0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(page: &str) -> Sample {
        Sample { metrics: Metrics::parse(page), ..Sample::default() }
    }

    fn board(before: &str, after: &str) -> Board {
        let start = Instant::now();
        let mut board = Board::new("http://test");
        board.put(start, sample(before));
        board.put(start + Duration::from_secs(2), sample(after));
        board
    }

    #[test]
    fn a_rate_needs_two_looks_at_one_run() {
        let rate = |before, after| board(before, after).rate("n_total", &[]);
        assert_eq!(rate("spread_aggregator_n_total 4", "spread_aggregator_n_total 10"), Some(3.0));
        assert_eq!(rate("spread_aggregator_n_total 4", "spread_aggregator_n_total 3"), None);
        assert_eq!(rate("", "spread_aggregator_n_total 3"), None);
        assert_eq!(Board::new("http://test").rate("n_total", &[]), None);
    }

    #[test]
    fn a_quantile_is_of_what_came_since() {
        let page = |small: u32, all: u32| {
            format!(
                "spread_aggregator_s_bucket{{le=\"0.1\"}} {small}\n\
                 spread_aggregator_s_bucket{{le=\"5\"}} {all}\n\
                 spread_aggregator_s_bucket{{le=\"+Inf\"}} {all}\n"
            )
        };
        let of =
            |before: &str, after: &str, part| board(before, after).quantile("s_bucket", &[], part);
        assert_eq!(of(&page(100, 100), &page(100, 110), 0.5), Some(5.0));
        assert_eq!(of(&page(0, 0), &page(100, 110), 0.5), Some(0.1));
        assert_eq!(of(&page(0, 0), &page(100, 110), 0.99), Some(5.0));
        assert_eq!(of(&page(7, 7), &page(7, 7), 0.5), None);
        assert_eq!(of("", "", 0.5), None);
    }

    #[test]
    fn trouble_ends_with_the_next_answer_and_leaves_what_was_known() {
        let mut board = board("", "spread_aggregator_threads 3");
        board.fail("refused".to_owned());
        assert_eq!(board.value("threads", &[]), Some(3.0));
        assert_eq!(board.trouble.as_deref(), Some("refused"));
        board.put(Instant::now(), Sample::default());
        assert_eq!(board.trouble, None);
    }
}
