//! What one connection has asked for, and what has become of it, topic by topic.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    exchange::{Op, Protocol, Request, Subject, Topic},
    market::Channel,
    metrics::{SubscriptionState, health::NAMES_MAX},
};

/// An answer to a request that takes longer has been lost.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A topic that nobody answers for is asked for this often before it is left alone for a while.
const ATTEMPTS_MAX: u8 = 3;
/// A topic that was refused, or never answered for, is asked for again after this: what is not
/// listed today may be tomorrow.
const LATE_RETRY: Duration = Duration::from_mins(10);
/// One topic that has gone mute is asked for anew this often: at two requests each, 360 an hour.
const RESUBSCRIBE_EVERY: Duration = Duration::from_secs(20);

/// The topics of one connection.
#[derive(Debug)]
pub(super) struct Subscriptions {
    protocol: &'static Protocol,
    topics: Vec<Subscription>,
    /// What is yet to be asked for, each entry in one request. What is asked for again are parts
    /// of earlier requests, and so within the same limits.
    to_ask: VecDeque<(Op, Vec<usize>)>,
    /// What has been asked for and not been answered for, by request.
    asked: BTreeMap<u64, Asked>,
    last_request: u64,
    next_request_at: Instant,
    next_resubscribe_at: Instant,
    reports: Vec<Report>,
}

/// Something the operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is about, as the venue spells it.
    pub topic: String,
    /// What has become of it.
    pub what: String,
}

#[derive(Debug)]
struct Subscription {
    /// Place of the instrument on the connection.
    place: usize,
    channel: Channel,
    symbol: String,
    state: State,
    attempts: u8,
    /// Whether the operator has heard that the venue does not serve it, which is said once.
    told: bool,
    /// When it was last asked for anew because it had gone mute.
    resubscribed: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Requested,
    Unanswered { retry_at: Instant },
    Acknowledged,
    Refused { retry_at: Instant },
    Removed,
}

#[derive(Debug)]
struct Asked {
    topics: Vec<usize>,
    sent: Instant,
}

impl Subscriptions {
    /// Topics that are all yet to be asked for: `symbols` are native, in the order of their places.
    pub(super) fn new<'a>(
        protocol: &'static Protocol,
        symbols: impl Iterator<Item = &'a str>,
        channels: &[Channel],
        now: Instant,
    ) -> Self {
        let of = |(place, symbol)| {
            channels.iter().map(move |&channel| Subscription::new(place, symbol, channel))
        };
        let topics: Vec<_> = symbols.enumerate().flat_map(of).collect();
        let all: Vec<_> = (0..topics.len()).collect();
        Self {
            to_ask: requests(protocol, &topics, &all).map(|it| (Op::Subscribe, it)).collect(),
            protocol,
            topics,
            asked: BTreeMap::new(),
            last_request: 0,
            next_request_at: now,
            next_resubscribe_at: now,
            reports: Vec::new(),
        }
    }

    /// One more instrument, yet to be asked for.
    pub(super) fn add(&mut self, place: usize, symbol: &str, channels: &[Channel]) {
        let first = self.topics.len();
        self.topics.extend(channels.iter().map(|&it| Subscription::new(place, symbol, it)));
        let new: Vec<_> = (first..self.topics.len()).collect();
        let requests = requests(self.protocol, &self.topics, &new);
        self.to_ask.extend(requests.map(|it| (Op::Subscribe, it)));
    }

    /// Ends the subscriptions to an instrument: they are not expected to deliver any more.
    pub(super) fn remove(&mut self, place: usize) {
        let mut asked = Vec::new();
        for (n, it) in self.topics.iter_mut().enumerate().filter(|(_, it)| it.place == place) {
            if 0 < it.attempts && it.state != State::Removed {
                asked.push(n);
            }
            it.state = State::Removed;
        }
        let topics = &self.topics;
        let stays = |it: &usize| topics[*it].state != State::Removed;
        for (_, request) in &mut self.to_ask {
            request.retain(stays);
        }
        self.to_ask.retain(|(_, it)| !it.is_empty());
        for request in self.asked.values_mut() {
            request.topics.retain(stays);
        }
        self.asked.retain(|_, it| !it.topics.is_empty());
        let requests = requests(self.protocol, &self.topics, &asked);
        self.to_ask.extend(requests.map(|it| (Op::Unsubscribe, it)));
    }

    /// Asks anew, alone, for a topic that was active and has gone mute, and returns it: now and then
    /// one, since a venue counts requests.
    pub(super) fn resubscribe(
        &mut self,
        now: Instant,
        is_stale: impl Fn(usize, Channel) -> bool,
    ) -> Option<(usize, Channel)> {
        if now < self.next_resubscribe_at {
            return None;
        }
        let rested = |it: &Subscription| it.resubscribed.is_none_or(|at| at + LATE_RETRY <= now);
        let stale = |it: &Subscription| {
            it.state == State::Acknowledged && rested(it) && is_stale(it.place, it.channel)
        };
        let topic = self.topics.iter().position(stale)?;
        self.next_resubscribe_at = now + RESUBSCRIBE_EVERY;
        self.topics[topic].resubscribed = Some(now);
        self.to_ask.push_back((Op::Unsubscribe, vec![topic]));
        self.to_ask.push_back((Op::Subscribe, vec![topic]));
        self.report(topic, "has gone mute; asked for again");
        Some((self.topics[topic].place, self.topics[topic].channel))
    }

    /// What the operator should hear of, since the last call.
    pub(super) fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Whether data can be expected: not when all topics have been refused.
    pub(super) fn expect_data(&self) -> bool {
        self.topics.iter().any(|it| !matches!(it.state, State::Refused { .. } | State::Removed))
    }

    /// How many topics are in each state, in the order of [`SubscriptionState::ALL`]; `activity`
    /// says it of those that have had data.
    pub(super) fn states(
        &self,
        activity: impl Fn(usize, Channel) -> Option<SubscriptionState>,
    ) -> [i64; SubscriptionState::ALL.len()] {
        let mut counts = [0; SubscriptionState::ALL.len()];
        for state in self.topics.iter().filter_map(|it| it.shown(&activity)) {
            counts[state as usize] += 1;
        }
        counts
    }

    /// The topics in `state`, as the venue spells them: the first [`NAMES_MAX`].
    pub(super) fn named(
        &self,
        state: SubscriptionState,
        activity: impl Fn(usize, Channel) -> Option<SubscriptionState>,
    ) -> Vec<String> {
        let topics =
            (0..self.topics.len()).filter(|&it| self.topics[it].shown(&activity) == Some(state));
        topics.take(NAMES_MAX).map(|it| self.name(it)).collect()
    }

    /// When the next request may be sent, if there is one.
    pub(super) fn next_request_at(&self) -> Option<Instant> {
        (!self.to_ask.is_empty()).then_some(self.next_request_at)
    }

    /// The next request, when it is due. `time` is in Unix seconds.
    pub(super) fn ask(&mut self, now: Instant, time: i64) -> Option<String> {
        if now < self.next_request_at {
            return None;
        }
        let (op, topics) = self.to_ask.pop_front()?;
        self.last_request += 1;
        let named: Vec<_> = topics.iter().map(|&it| self.topics[it].as_topic()).collect();
        let request = Request { id: self.last_request, op, time, topics: &named };
        let text = (self.protocol.request)(&request);
        if op == Op::Subscribe {
            for &topic in &topics {
                self.topics[topic].attempts = self.topics[topic].attempts.saturating_add(1);
            }
            self.asked.insert(self.last_request, Asked { topics, sent: now });
        }
        self.next_request_at = now + self.protocol.limits.request_every;
        Some(text)
    }

    /// The venue has said yes.
    pub(super) fn accepted(&mut self, subject: &Subject) {
        for topic in self.answered(subject) {
            self.topics[topic].state = State::Acknowledged;
            self.topics[topic].told = false;
        }
    }

    /// The venue has said no. The request is taken apart until the topics that caused it stand
    /// alone, so that none takes the others along.
    pub(super) fn refused(&mut self, subject: &Subject, reason: &str, now: Instant) {
        let unnamed = *subject == Subject::Unnamed;
        let quoted = if unnamed { self.named_in(reason).map(Subject::Request) } else { None };
        let topics = self.answered(quoted.as_ref().unwrap_or(subject));
        if let [only] = topics[..] {
            self.topics[only].state = State::Refused { retry_at: now + LATE_RETRY };
            return self.tell_once(only, &format!("was refused: {reason}"));
        }
        let parted = |name: fn(&Self, usize) -> String| -> (Vec<usize>, Vec<usize>) {
            topics.iter().partition(|&&it| quotes(reason, &name(self, it)))
        };
        let (mut named, mut others) = parted(Self::name);
        if named.is_empty() {
            (named, others) = parted(|it, topic| it.topics[topic].symbol.clone());
        }
        if named.is_empty() || others.is_empty() {
            let (first, second) = topics.split_at(topics.len() / 2);
            let halves = [first.to_vec(), second.to_vec()];
            let halves = halves.into_iter().filter(|it| !it.is_empty());
            self.to_ask.extend(halves.map(|it| (Op::Subscribe, it)));
        } else {
            self.to_ask.push_back((Op::Subscribe, others));
            self.to_ask.extend(named.into_iter().map(|it| (Op::Subscribe, vec![it])));
        }
    }

    /// Asks again for what has not been answered for, and, late, for what was refused.
    pub(super) fn sweep(&mut self, now: Instant, delivers: impl Fn(usize, Channel) -> bool) {
        let late = |it: &Asked| ANSWER_MAX < now.saturating_duration_since(it.sent);
        while let Some(first) = self.asked.first_entry().filter(|it| late(it.get())) {
            let Asked { topics, .. } = first.remove();
            self.unanswered(topics, now, &delivers);
        }
        for (n, it) in self.topics.iter_mut().enumerate() {
            let (State::Refused { retry_at } | State::Unanswered { retry_at }) = it.state else {
                continue;
            };
            if retry_at <= now {
                it.state = State::Requested;
                it.attempts = 0;
                self.to_ask.push_back((Op::Subscribe, vec![n]));
            }
        }
    }

    fn unanswered(
        &mut self,
        topics: Vec<usize>,
        now: Instant,
        delivers: impl Fn(usize, Channel) -> bool,
    ) {
        let mut again = Vec::new();
        for topic in topics {
            let it = &mut self.topics[topic];
            if delivers(it.place, it.channel) {
                it.state = State::Acknowledged;
                it.told = false;
            } else if it.attempts < ATTEMPTS_MAX {
                again.push(topic);
            } else {
                it.state = State::Unanswered { retry_at: now + LATE_RETRY };
                self.tell_once(topic, "has not been answered for");
            }
        }
        if !again.is_empty() {
            self.to_ask.push_back((Op::Subscribe, again));
        }
    }

    /// The topics that an answer is about; they are not waited for any more.
    fn answered(&mut self, subject: &Subject) -> Vec<usize> {
        match subject {
            Subject::Topic(channel, symbol) => self.answered_topic(*channel, symbol),
            Subject::Request(id) => self.asked.remove(id).map_or_else(Vec::new, |it| it.topics),
            // A venue that does not say answers in the order it was asked.
            Subject::Unnamed => self.asked.pop_first().map_or_else(Vec::new, |(_, it)| it.topics),
        }
    }

    fn answered_topic(&mut self, channel: Channel, symbol: &str) -> Vec<usize> {
        let topics = &self.topics;
        let named = |&it: &usize| topics[it].channel == channel && topics[it].symbol == symbol;
        for request in self.asked.values_mut() {
            if let Some(at) = request.topics.iter().position(named) {
                let topic = request.topics.swap_remove(at);
                self.asked.retain(|_, it| !it.topics.is_empty());
                return vec![topic];
            }
        }
        Vec::new()
    }

    /// The oldest request for a symbol that a refusal quotes.
    fn named_in(&self, reason: &str) -> Option<u64> {
        let symbol = |&it: &usize| self.topics[it].symbol.as_str();
        let named = |it: &Asked| it.topics.iter().any(|it| quotes(reason, symbol(it)));
        self.asked.iter().find(|(_, it)| named(it)).map(|(&id, _)| id)
    }

    fn name(&self, topic: usize) -> String {
        (self.protocol.topic)(&self.topics[topic].as_topic())
    }

    /// Of what is asked for again and again in vain.
    fn tell_once(&mut self, topic: usize, what: &str) {
        if !std::mem::replace(&mut self.topics[topic].told, true) {
            self.report(topic, what);
        }
    }

    fn report(&mut self, topic: usize, what: &str) {
        self.reports.push(Report { topic: self.name(topic), what: what.to_owned() });
    }
}

/// Whether a refusal quotes a name. Venues quote it whole.
fn quotes(reason: &str, name: &str) -> bool {
    let ends = |it: Option<char>| it.is_none_or(|it| !it.is_alphanumeric() && !"-_".contains(it));
    reason.match_indices(name).any(|(at, _)| {
        let (before, after) = (&reason[..at], &reason[at + name.len()..]);
        ends(before.chars().next_back()) && ends(after.chars().next())
    })
}

/// The topics `new` by the requests that ask for them first.
fn requests(
    protocol: &Protocol,
    topics: &[Subscription],
    new: &[usize],
) -> impl Iterator<Item = Vec<usize>> + use<> {
    let of = |channel| new.iter().copied().filter(|&it| topics[it].channel == channel).collect();
    let groups: Vec<Vec<usize>> = if protocol.limits.one_channel_per_request {
        Channel::ALL.map(of).to_vec()
    } else {
        vec![new.to_vec()]
    };
    let most = protocol.limits.topics_per_request;
    groups.into_iter().flat_map(move |it| it.chunks(most).map(<[_]>::to_vec).collect::<Vec<_>>())
}

impl Subscription {
    fn new(place: usize, symbol: &str, channel: Channel) -> Self {
        Self {
            place,
            channel,
            symbol: symbol.to_owned(),
            state: State::Requested,
            attempts: 0,
            told: false,
            resubscribed: None,
        }
    }

    /// The state that is shown of it; `None` when it has been removed.
    fn shown(
        &self,
        activity: impl Fn(usize, Channel) -> Option<SubscriptionState>,
    ) -> Option<SubscriptionState> {
        let answered = match self.state {
            State::Removed => return None,
            State::Requested | State::Unanswered { .. } => SubscriptionState::Requested,
            State::Acknowledged => SubscriptionState::Acknowledged,
            State::Refused { .. } => SubscriptionState::Refused,
        };
        Some(activity(self.place, self.channel).unwrap_or(answered))
    }

    fn as_topic(&self) -> Topic<'_> {
        Topic { channel: self.channel, symbol: &self.symbol }
    }
}
