//! Prometheus' text format, as much of it as `top` reads.

use std::collections::HashMap;

const PREFIX: &str = "spread_aggregator_";

/// The samples of a page: by name without the prefix, what its labels are and its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metrics {
    samples: HashMap<String, Vec<(Labels, f64)>>,
}

type Labels = Vec<(String, String)>;

impl Metrics {
    /// Reads a page. A line that is no sample of ours is left out.
    pub(super) fn parse(page: &str) -> Self {
        let mut it = Self::default();
        for (name, labels, value) in page.lines().filter_map(sample) {
            it.samples.entry(name.to_owned()).or_default().push((labels, value));
        }
        it
    }

    /// The sum of the samples that have all of `labels`; `None` when there is none.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.samples.get(name)?;
        let mut fitting = samples.iter().filter(|(has, _)| fits(has, labels)).peekable();
        fitting.peek()?;
        Some(fitting.map(|(_, value)| value).sum())
    }

    /// The buckets of a histogram, added up over all that has `labels`: upper bound and how many
    /// are not above it, in order.
    pub(super) fn buckets(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (has, count) in self.samples.get(name).into_iter().flatten() {
            let bound = has.iter().find(|(key, _)| key == "le");
            let Some(bound) = bound.and_then(|(_, it)| number(it)) else { continue };
            if fits(has, labels) {
                match buckets.iter_mut().find(|it| it.0.total_cmp(&bound).is_eq()) {
                    Some(it) => it.1 += count,
                    None => buckets.push((bound, *count)),
                }
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}

fn fits(has: &Labels, wanted: &[(&str, &str)]) -> bool {
    wanted.iter().all(|(key, value)| has.iter().any(|it| it.0 == *key && it.1 == *value))
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        _ => text.parse().ok().filter(|it: &f64| !it.is_nan()),
    }
}

/// `name{key="value",…} number`, and perhaps a time.
fn sample(line: &str) -> Option<(&str, Labels, f64)> {
    let line = line.strip_prefix(PREFIX)?;
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    // No label of ours has a brace or a quotation mark in its value.
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => ("", rest),
    };
    let value = number(rest.split_whitespace().next()?)?;
    let label = |it: &str| {
        let (key, value) = it.split_once('=')?;
        Some((key.trim().to_owned(), value.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
    };
    let labels = labels.split(',').filter(|it| !it.is_empty()).map(label);
    Some((name, labels.collect::<Option<_>>()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# HELP spread_aggregator_events Quotes and trades decoded.
spread_aggregator_events_total{exchange="a",market="spot",channel="quotes"} 3
spread_aggregator_events_total{exchange="a",market="spot",channel="trades"} 4
spread_aggregator_events_total{exchange="b",market="perp",channel="quotes"} 5
spread_aggregator_threads 12 1795435200
spread_aggregator_lag_bucket{exchange="a",le="+Inf"} 9
spread_aggregator_lag_bucket{exchange="a",le="0.5"} 7
go_threads 8
spread_aggregator_
spread_aggregator_broken{exchange="a" 3
spread_aggregator_broken{exchange=a} 3
spread_aggregator_broken NaN
"#;

    #[test]
    fn samples_are_added_up_by_label() {
        let it = Metrics::parse(PAGE);
        assert_eq!(it.sum("events_total", &[("exchange", "a")]), Some(7.0));
        assert_eq!(it.sum("events_total", &[("exchange", "a"), ("channel", "trades")]), Some(4.0));
        assert_eq!(it.sum("events_total", &[]), Some(12.0));
        assert_eq!(it.sum("threads", &[]), Some(12.0));
        assert_eq!(it.sum("events_total", &[("exchange", "c")]), None);
        assert_eq!(it.sum("broken", &[]), None);
        assert_eq!(it.sum("go_threads", &[]), None);
    }

    #[test]
    fn buckets_come_in_the_order_of_their_bounds() {
        let it = Metrics::parse(PAGE).buckets("lag_bucket", &[("exchange", "a")]);
        assert_eq!(it, [(0.5, 7.0), (f64::INFINITY, 9.0)]);
    }

    #[test]
    fn every_beginning_of_a_page_can_be_read() {
        for end in 0..=PAGE.len() {
            let it = Metrics::parse(&PAGE[..end]);
            assert!(it.samples.len() <= 3, "{it:?}");
        }
    }
}
