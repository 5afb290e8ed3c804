//! Lines of many feeds in the order of receipt.
//!
//! A feed's lines are in order, but feeds write in chunks. The order depends on nothing but the
//! lines, so that it is the same whenever a capture is read.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::line::{Body, Line};

/// For how long a feed may keep a chunk before it is written: far less in practice.
const SPAN: i64 = 1_000_000_000;
/// Bytes of frames that wait for earlier ones. More than this would come in a second only at
/// rates at which nothing else keeps up either.
const BYTES_MAX: usize = 128 << 20;
/// Feeds that are told apart: more than a run can have.
const FEEDS_MAX: usize = 20_000;
/// What a line takes besides its frame, about.
const LINE_BYTES: usize = 256;
/// What an instrument takes, about.
const INSTRUMENT_BYTES: usize = 128;

/// Puts lines in order.
#[derive(Debug, Default)]
pub struct Merge {
    /// By time and place.
    held: BTreeMap<(i64, u64), Line>,
    /// How far each feed has come: its lines stay in their order.
    feeds: HashMap<String, i64>,
    ready: VecDeque<(i64, Line)>,
    /// The first line of the run's files.
    run: Option<Line>,
    latest: i64,
    bytes: usize,
    count: u64,
}

impl Merge {
    /// Takes in the next line of the capture; another run does not begin before the former is over.
    pub fn push(&mut self, line: Line) {
        let Some(of) = line.of() else {
            if self.run.as_ref() != Some(&line) {
                self.finish();
                self.latest = 0;
                self.run = Some(line.clone());
                self.ready.push_back((0, line));
            }
            return;
        };
        let room = self.feeds.len() < FEEDS_MAX;
        let time = match self.feeds.get_mut(&of.feed) {
            Some(last) => {
                *last = of.time.0.max(*last);
                *last
            }
            None if room => *self.feeds.entry(of.feed.clone()).or_insert(of.time.0),
            None => of.time.0,
        };
        self.latest = self.latest.max(time);
        self.bytes += bytes(&line);
        self.held.insert((time, self.count), line);
        self.count += 1;
        let until = self.latest.saturating_sub(SPAN);
        self.release(until);
        if BYTES_MAX < self.bytes {
            self.release(i64::MAX);
        }
    }

    /// The next line that no other can precede, and its time in nanoseconds.
    pub fn pop(&mut self) -> Option<(i64, Line)> {
        self.ready.pop_front()
    }

    /// There are no more lines.
    pub fn finish(&mut self) {
        self.release(i64::MAX);
        self.feeds.clear();
    }

    fn release(&mut self, until: i64) {
        while let Some(entry) = self.held.first_entry() {
            if until <= entry.key().0 {
                break;
            }
            let ((time, _), line) = entry.remove_entry();
            self.bytes -= bytes(&line);
            self.ready.push_back((time, line));
        }
    }
}

fn bytes(line: &Line) -> usize {
    LINE_BYTES
        + match line {
            Line::Frame(_, Body::Text(it)) => it.len(),
            Line::Frame(_, Body::Binary(it)) => it.len(),
            Line::Connection(.., instruments) => instruments.len() * INSTRUMENT_BYTES,
            Line::File(_) | Line::Mark(..) | Line::Lost(..) => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::line::{Mark, Of},
        market::{ConnId, Exchange, Market, Nanos, Venue},
    };

    fn line(feed: &str, time: i64) -> Line {
        let venue = Venue::new(Exchange::ALL[0], Market::Spot);
        Line::Mark(Of { feed: feed.into(), venue, conn: ConnId(0), time: Nanos(time) }, Mark::Calm)
    }

    fn popped(merge: &mut Merge) -> Vec<(String, i64)> {
        std::iter::from_fn(|| merge.pop())
            .filter_map(|(_, it)| it.of().map(|of| (of.feed.clone(), of.time.0)))
            .collect()
    }

    #[test]
    fn feeds_are_merged_by_time_and_none_is_reordered() {
        let mut merge = Merge::default();
        for (feed, time) in [("a", 10), ("a", 30), ("a", 29), ("b", 5), ("b", 30), ("c", 20)] {
            merge.push(line(feed, time));
        }
        assert_eq!(popped(&mut merge), [], "others may still come");
        merge.push(line("c", 20 + SPAN));
        let named = |it: &[(&str, i64)]| -> Vec<_> {
            it.iter().map(|(feed, time)| ((*feed).to_owned(), *time)).collect()
        };
        assert_eq!(popped(&mut merge), named(&[("b", 5), ("a", 10)]));
        merge.finish();
        let rest = [("c", 20), ("a", 30), ("a", 29), ("b", 30), ("c", 20 + SPAN)];
        assert_eq!(popped(&mut merge), named(&rest));
    }
}
