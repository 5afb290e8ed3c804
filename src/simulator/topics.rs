//! What a connection is subscribed to.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use fastrand::Rng;

use super::prices::{Book, Print};
use crate::market::Channel;

/// Subscriptions of one connection, whatever the venue's limit.
const TOPICS_MAX: usize = 20_000;

/// Trades that may be repeated.
const TOLD: usize = 2;

/// How many topics that deliver all connections of a venue have.
#[derive(Debug, Default)]
pub(super) struct Demand {
    quotes: AtomicUsize,
    trades: AtomicUsize,
}

impl Demand {
    fn of(&self, channel: Channel) -> &AtomicUsize {
        match channel {
            Channel::Quotes => &self.quotes,
            Channel::Trades => &self.trades,
        }
    }

    pub(super) fn count(&self, channel: Channel) -> usize {
        self.of(channel).load(Ordering::Relaxed)
    }
}

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
    /// The trades told last, where trades have to be told apart.
    pub(super) told: Vec<Print>,
}

impl Topic {
    /// Makes a trade differ from all that have been told, and takes it for told.
    pub(super) fn tell_apart(&mut self, print: &mut Print, rng: &mut Rng) {
        if let Some(last) = self.told.last().filter(|it| it.time == print.time) {
            print.size = last.size + rng.u64(1..8);
        }
        if TOLD == self.told.len() {
            self.told.remove(0);
        }
        self.told.push(*print);
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Silent,
    Live(Channel, usize),
}

/// All subscriptions of one connection; its demand ends with it.
#[derive(Debug)]
pub(super) struct Topics<'a> {
    demand: &'a Demand,
    names: HashMap<Box<str>, Place>,
    quotes: Vec<Topic>,
    trades: Vec<Topic>,
    turns: [usize; 2],
}

impl<'a> Topics<'a> {
    pub(super) fn new(demand: &'a Demand) -> Self {
        Self { demand, names: HashMap::new(), quotes: vec![], trades: vec![], turns: [0; 2] }
    }

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
            told: vec![],
        });
        let place = Place::Live(channel, all.len() - 1);
        self.names.insert(name.into(), place);
        self.demand.of(channel).fetch_add(1, Ordering::Relaxed);
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
            self.demand.of(channel).fetch_sub(1, Ordering::Relaxed);
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

    /// Whose turn it is. Every second time the next one, so that all are heard of; in between one
    /// of those subscribed to first, which tend to be those that trade most.
    pub(super) fn pick(&mut self, channel: Channel, rng: &mut Rng) -> Option<usize> {
        let turn = &mut self.turns[channel as usize];
        *turn += 1;
        let turn = *turn;
        let count = self.of(channel).len();
        let at = if turn.is_multiple_of(2) {
            (turn / 2).checked_rem(count)?
        } else {
            rng.usize(..count.max(1)) * rng.usize(..count.max(1)) / count.max(1)
        };
        (at < count).then_some(at)
    }

    /// This connection's part of the venue's messages: quotes and trades for one message.
    pub(super) fn share(&self, trade_share: f64) -> [f64; 2] {
        let total = Channel::ALL.map(|it| self.demand.count(it));
        let trades = match total {
            [0, _] => 1.0,
            [_, 0] => 0.0,
            _ => trade_share,
        };
        let part =
            |channel: Channel| ratio(self.of(channel).len(), self.demand.count(channel).max(1));
        [part(Channel::Quotes) * (1.0 - trades), part(Channel::Trades) * trades]
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn ratio(part: usize, all: usize) -> f64 {
    part as f64 / all as f64
}

impl Drop for Topics<'_> {
    fn drop(&mut self) {
        for channel in Channel::ALL {
            self.demand.of(channel).fetch_sub(self.of(channel).len(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_follows_the_topics() {
        let demand = Demand::default();
        let mut topics = Topics::new(&demand);
        for (row, name) in ["a", "b", "c", "a"].into_iter().enumerate() {
            topics.add(name, row, Channel::Quotes, 0, 1);
        }
        topics.add("t", 0, Channel::Trades, 0, 1);
        topics.add_silent("x");
        assert_eq!(topics.len(), 5);
        assert_eq!(Channel::ALL.map(|it| demand.count(it)), [3, 1]);
        assert!(topics.remove("a") && topics.remove("x") && !topics.remove("a"));
        assert!(topics.remove("c"), "the one that took a's place is found");
        assert_eq!(topics.of(Channel::Quotes).len(), 1);
        let mut rng = Rng::with_seed(1);
        assert_eq!(topics.pick(Channel::Quotes, &mut rng), Some(0));
        assert_eq!(&*topics.of(Channel::Quotes)[0].name, "b");
        drop(topics);
        assert_eq!(Channel::ALL.map(|it| demand.count(it)), [0, 0]);
    }

    #[test]
    fn connections_share_the_rate_by_their_topics() {
        let demand = Demand::default();
        let [mut one, mut other] = [(); 2].map(|()| Topics::new(&demand));
        one.add("a", 0, Channel::Quotes, 0, 1);
        assert_eq!(one.share(0.1).map(f64::to_bits), [1.0, 0.0].map(f64::to_bits));
        other.add("a", 0, Channel::Quotes, 0, 1);
        other.add("t", 0, Channel::Trades, 0, 1);
        assert_eq!(one.share(0.1).map(f64::to_bits), [0.45, 0.0].map(f64::to_bits));
        assert_eq!(other.share(0.1).map(f64::to_bits), [0.45, 0.1].map(f64::to_bits));
    }
}
