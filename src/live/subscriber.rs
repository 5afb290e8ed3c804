//! A client as the hub knows it: what is to be sent to it at the end of a turn, and what is held
//! together until its interval is over.

use std::{
    cell::OnceCell,
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

use super::{
    frame::Frame,
    outbox::{Item, Kind, Outbox},
    protocol::Topic,
};
use crate::market::{Best, Cross, Event, InstrumentId, Nanos};

/// Different intervals that one client may use in its life.
pub(super) const INTERVALS_MAX: usize = 16;

/// What the hub has to tell, for those who want it: made into JSON once, and kept only if somebody
/// wants it later.
#[derive(Debug)]
pub(super) struct News<'a> {
    told: &'a Told,
    item: Option<Item>,
    kept: Option<Rc<Message>>,
}

/// What is kept until an interval is over.
#[derive(Debug)]
pub(super) struct Message {
    told: Told,
    item: OnceCell<Item>,
}

/// What is told.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Event(Event),
    Cross(Cross),
    Best(Best),
}

/// Of what the latest is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Quote(InstrumentId),
    Trade(InstrumentId),
    Cross(InstrumentId, InstrumentId),
    Best(usize),
}

impl Told {
    pub(super) fn topic(&self) -> Topic {
        match self {
            Told::Event(it) => it.channel().into(),
            Told::Cross(_) => Topic::Spreads,
            Told::Best(_) => Topic::Screener,
        }
    }

    fn key(&self) -> Key {
        match self {
            Told::Event(Event::Quote(it)) => Key::Quote(it.instrument),
            Told::Event(Event::Trade(it)) => Key::Trade(it.instrument),
            Told::Cross(it) => Key::Cross(it.buy, it.sell),
            Told::Best(it) => Key::Best(it.place),
        }
    }

    fn item(&self, make: impl FnOnce(&Told) -> Frame) -> Item {
        Item { frame: make(self), kind: Kind::Message(self.ts_recv()) }
    }

    /// Receipt of what is told at once; the best crosses wait until they are looked for.
    fn ts_recv(&self) -> Option<Nanos> {
        match self {
            Told::Event(it) => Some(it.ts_recv()),
            Told::Cross(it) => Some(it.ts_recv),
            Told::Best(_) => None,
        }
    }
}

impl<'a> News<'a> {
    pub(super) fn new(told: &'a Told) -> Self {
        Self { told, item: None, kept: None }
    }

    /// As it is sent; `make` is called once, however many want it.
    pub(super) fn item(&mut self, make: impl FnOnce(&Told) -> Frame) -> Item {
        match &self.kept {
            Some(kept) => kept.item(make),
            None => self.item.get_or_insert_with(|| self.told.item(make)).clone(),
        }
    }

    /// As it is kept.
    pub(super) fn kept(&mut self) -> &Rc<Message> {
        let Self { told, item, kept } = self;
        kept.get_or_insert_with(|| {
            let item = item.take().map_or_else(OnceCell::new, OnceCell::from);
            Rc::new(Message { told: (*told).clone(), item })
        })
    }
}

impl Message {
    fn item(&self, make: impl FnOnce(&Told) -> Frame) -> Item {
        self.item.get_or_init(|| self.told.item(make)).clone()
    }
}

/// A client.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) outbox: Outbox,
    /// To be sent at the end of the turn.
    pub(super) staged: Vec<Item>,
    held: Vec<Held>,
}

/// What is held together. Bounded by the number of instruments and of their pairs.
#[derive(Debug)]
struct Held {
    every: Duration,
    /// When it may be sent.
    due: Instant,
    latest: HashMap<Key, Rc<Message>, RandomState>,
}

impl Subscriber {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self { outbox, staged: Vec::new(), held: Vec::new() }
    }

    /// Makes room for messages of an interval; `false` when there are too many.
    pub(super) fn allow(&mut self, interval_ms: u32, now: Instant) -> bool {
        let every = Duration::from_millis(u64::from(interval_ms));
        if every.is_zero() || self.held.iter().any(|it| it.every == every) {
            return true;
        }
        let fits = self.held.len() < INTERVALS_MAX;
        if fits {
            self.held.push(Held { every, due: now, latest: HashMap::default() });
        }
        fits
    }

    /// Holds a message back until its interval, which was allowed, is over; it replaces an older
    /// one of the same key.
    pub(super) fn hold(&mut self, interval_ms: u32, message: &Rc<Message>) {
        let every = Duration::from_millis(u64::from(interval_ms));
        if let Some(held) = self.held.iter_mut().find(|it| it.every == every) {
            held.latest.insert(message.told.key(), Rc::clone(message));
        }
    }

    /// Stages what has been held back for long enough.
    pub(super) fn release(&mut self, now: Instant, make: impl Fn(&Told) -> Frame) {
        for held in self.held.iter_mut().filter(|it| it.due <= now && !it.latest.is_empty()) {
            held.due = now + held.every;
            let latest = held.latest.drain();
            self.staged.extend(latest.map(|(_, message)| message.item(&make)));
        }
    }

    /// Forgets what is held back, for a client that has ended a subscription.
    pub(super) fn forget(&mut self, gone: impl Fn(&Told) -> bool) {
        for held in &mut self.held {
            held.latest.retain(|_, message| !gone(&message.told));
        }
    }

    /// When the next of it is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held.iter().filter(|it| !it.latest.is_empty()).map(|it| it.due).min()
    }
}
