//! What a connection is subscribed to.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::{
    prices::{Book, Mid},
    stream::{Beat, Stream},
};
use crate::market::Channel;

/// Subscriptions of one connection, whatever the venue's limit.
const TOPICS_MAX: usize = 20_000;

/// A subscription that delivers.
#[derive(Debug)]
pub(super) struct Topic {
    /// As the client spelled it.
    pub(super) name: Box<str>,
    /// The instrument, as a position in the venue's list.
    pub(super) row: usize,
    /// What the session wants to remember of it.
    pub(super) style: u8,
    /// Fills that may be merged into one trade.
    pub(super) fills_max: u64,
    /// The book as the client knows it.
    pub(super) last: Option<Book>,
    /// When `last`, or the history of trades, was sent.
    pub(super) sent: Option<Instant>,
    /// Where it is in its stream; `None` before it has begun.
    pub(super) cursor: Option<Cursor>,
}

/// A place in a stream.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) stream: Arc<Stream>,
    /// The stream's own, at hand.
    pub(super) beat: Beat,
    /// From this event on the client has been told of all before `next`.
    pub(super) first: u64,
    /// The next one.
    pub(super) next: u64,
    pub(super) mid: Mid,
}

impl Cursor {
    /// Begins to listen; see [`Stream::begin`].
    pub(super) fn new(stream: &Arc<Stream>, count: f64, lately: f64) -> Self {
        let next = stream.begin(count, lately);
        Self {
            stream: Arc::clone(stream),
            beat: stream.beat,
            first: next,
            next,
            mid: Mid::default(),
        }
    }

    /// Leaves out the events before `next`; returns how many those are.
    pub(super) fn skip_to(&mut self, next: u64) -> u64 {
        let next = next.max(self.next);
        let skipped = next - std::mem::replace(&mut self.next, next);
        if 0 < skipped {
            self.first = next;
        }
        skipped
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Silent,
    Live(Channel, usize),
}

/// All subscriptions of one connection.
#[derive(Debug, Default)]
pub(super) struct Topics {
    names: HashMap<Box<str>, Place>,
    quotes: Vec<Topic>,
    trades: Vec<Topic>,
}

impl Topics {
    /// All of them, the silent ones too.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|it| &**it)
    }

    /// Adds a subscription under which nothing will ever come.
    pub(super) fn add_silent(&mut self, name: &str) {
        if self.names.len() < TOPICS_MAX && !self.contains(name) {
            self.names.insert(name.into(), Place::Silent);
        }
    }

    /// Adds a subscription; one that is there stays as it is.
    pub(super) fn add(
        &mut self,
        name: &str,
        row: usize,
        channel: Channel,
        style: u8,
        fills_max: u64,
    ) {
        if TOPICS_MAX <= self.names.len() || self.contains(name) {
            return;
        }
        let all = self.of_mut(channel);
        all.push(Topic {
            name: name.into(),
            row,
            style,
            fills_max,
            last: None,
            sent: None,
            cursor: None,
        });
        let place = Place::Live(channel, all.len() - 1);
        self.names.insert(name.into(), place);
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        let Some(place) = self.names.remove(name) else { return false };
        if let Place::Live(channel, at) = place {
            let all = self.of_mut(channel);
            all.swap_remove(at);
            let moved = all.get(at).map(|it| it.name.clone());
            if let Some(moved) = moved {
                self.names.insert(moved, place);
            }
        }
        true
    }

    pub(super) fn of(&self, channel: Channel) -> &[Topic] {
        match channel {
            Channel::Quotes => &self.quotes,
            Channel::Trades => &self.trades,
        }
    }

    pub(super) fn of_mut(&mut self, channel: Channel) -> &mut Vec<Topic> {
        match channel {
            Channel::Quotes => &mut self.quotes,
            Channel::Trades => &mut self.trades,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_leaves_the_others_where_they_are_found() {
        let mut topics = Topics::default();
        for (row, name) in ["a", "b", "c", "a"].into_iter().enumerate() {
            topics.add(name, row, Channel::Quotes, 0, 1);
        }
        topics.add("t", 0, Channel::Trades, 0, 1);
        topics.add_silent("x");
        assert_eq!(topics.len(), 5);
        assert!(topics.remove("a") && topics.remove("x") && !topics.remove("a"));
        assert!(topics.remove("c"), "the one that took a's place is found");
        let names = |channel| topics.of(channel).iter().map(|it| &*it.name).collect::<Vec<_>>();
        assert_eq!(Channel::ALL.map(names), [vec!["b"], vec!["t"]]);
    }
}
