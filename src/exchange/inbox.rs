//! What one connection learns from its frames.

use std::{collections::HashSet, hash::BuildHasher as _, sync::Arc};

use compact_str::CompactString;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{DecodeError, wire::Gunzip};
use crate::market::{
    Channel, ConnId, Event, Instrument, InstrumentId, Level, Nanos, Quote, Side, Trade, TradeId,
};

/// The symbols of one connection, and what its frames have said.
///
/// `events` and `notices` are drained and reused by the connection, so decoding market data does
/// not allocate in the steady state.
#[derive(Debug)]
pub struct Inbox {
    conn: ConnId,
    entries: Vec<Entry>,
    /// The places of those that are listed, by symbol.
    by_symbol: HashTable<usize>,
    hasher: RandomState,
    /// When the bytes of the frame at hand left the socket; set before each.
    pub ts_recv: Nanos,
    /// Quotes and trades, in the order of the frame.
    pub events: Vec<Event>,
    /// All else the frame said.
    pub notices: Vec<Notice>,
    /// Unpacks frames, in memory that is reused like the rest.
    pub(super) gunzip: Gunzip,
}

/// One instrument on one connection.
#[derive(Debug)]
struct Entry {
    /// As frames spell it; in place, as every frame has to be compared with it.
    symbol: CompactString,
    instrument: InstrumentId,
    contract_size: f64,
    bid: Option<Level>,
    ask: Option<Level>,
    /// Of the latest quote.
    ts_event: Option<Nanos>,
    sequence: Option<i64>,
    seen: [Option<Seen>; Channel::ALL.len()],
}

/// How one channel of an instrument has delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When its last data came.
    pub last: Nanos,
    /// The longest time between two of its data, in nanoseconds.
    pub longest_pause: i64,
}

/// A frame that is not market data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A request, or one topic of it, was accepted.
    Accepted(Subject),
    /// A subscription has ended as we asked.
    Unsubscribed,
    /// A request, or one topic of it, was refused.
    Refused {
        /// What was refused.
        subject: Subject,
        /// The venue's words.
        reason: String,
    },
    /// The venue is ready for requests.
    Welcome,
    /// The venue wants to hear this text.
    Ping(String),
    /// The answer to our own ping.
    Pong,
    /// The venue is about to close the connection.
    Closing(String),
    /// A kind of frame that we know and do not use.
    Ignored(String),
    /// Data for a symbol that is not on this connection.
    Unlisted(String),
    /// A kind of frame that we do not know.
    Unknown,
}

/// What an answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The request of that number.
    Request(u64),
    /// One topic, of whichever request.
    Topic(Channel, String),
    /// The venue does not say.
    Unnamed,
}

impl Subject {
    /// The request of an id that the venue echoes as text; it may be one that is not ours.
    #[must_use]
    pub fn request(id: &str) -> Self {
        id.parse().map_or(Subject::Unnamed, Subject::Request)
    }
}

/// What a frame says of one side of the book.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// Nothing.
    Unchanged,
    /// This is the best level now; `None` for an empty side.
    Now(Option<Level>),
}

impl Inbox {
    /// An inbox without symbols, for the frames of one connection.
    #[must_use]
    pub fn new(conn: ConnId) -> Self {
        Self {
            conn,
            entries: Vec::new(),
            by_symbol: HashTable::new(),
            hasher: RandomState::default(),
            ts_recv: Nanos::default(),
            events: Vec::new(),
            notices: Vec::new(),
            gunzip: Gunzip::default(),
        }
    }

    /// Makes the frames' mentions of `instrument` known under `id`. Its place on the connection is
    /// returned; an instrument of the same native symbol keeps its place.
    pub fn list(&mut self, id: InstrumentId, instrument: &Arc<Instrument>) -> usize {
        if let Some(place) = self.place(&instrument.symbol_native) {
            let entry = &mut self.entries[place];
            if entry.instrument != id {
                *entry = Entry::new(id, instrument);
            }
            return place;
        }
        let place = self.entries.len();
        self.entries.push(Entry::new(id, instrument));
        let hash_of = |place: &usize| self.hasher.hash_one(self.entries[*place].symbol.as_str());
        self.by_symbol.insert_unique(hash_of(&place), place, hash_of);
        place
    }

    /// Makes the frames' mentions of the instrument at `place` unknown.
    pub fn unlist(&mut self, place: usize) {
        self.by_symbol.retain(|it| *it != place);
    }

    /// The places of all instruments that are listed.
    #[must_use]
    pub fn places(&self) -> HashSet<usize> {
        self.by_symbol.iter().copied().collect()
    }

    /// The latest quote of each instrument that has had one.
    pub fn latest(&self) -> impl Iterator<Item = Quote> {
        self.entries.iter().filter_map(|it| {
            let seen = it.seen[Channel::Quotes as usize]?;
            Some(Quote {
                instrument: it.instrument,
                conn: self.conn,
                ts_event: it.ts_event,
                ts_recv: seen.last,
                bid: it.bid,
                ask: it.ask,
                sequence: it.sequence,
            })
        })
    }

    /// The place of an instrument by its native symbol.
    #[must_use]
    pub fn place(&self, symbol: &str) -> Option<usize> {
        let is_it = |place: &usize| self.entries[*place].symbol == symbol;
        self.by_symbol.find(self.hasher.hash_one(symbol), is_it).copied()
    }

    /// The instrument at `place`.
    #[must_use]
    pub fn instrument(&self, place: usize) -> InstrumentId {
        self.entries[place].instrument
    }

    /// How `channel` of the instrument at `place` has delivered so far, if it has.
    #[must_use]
    pub fn seen(&self, place: usize, channel: Channel) -> Option<Seen> {
        self.entries[place].seen[channel as usize]
    }

    /// A whole quote.
    pub(super) fn quote(
        &mut self,
        symbol: &str,
        ts_event: Option<Nanos>,
        sequence: Option<i64>,
        bid: Option<Level>,
        ask: Option<Level>,
    ) -> Result<(), DecodeError> {
        self.update(symbol, ts_event, sequence, Update::Now(bid), Update::Now(ask))
    }

    /// A quote of which a venue sends only what moved.
    pub(super) fn update(
        &mut self,
        symbol: &str,
        ts_event: Option<Nanos>,
        sequence: Option<i64>,
        bid: Update,
        ask: Update,
    ) -> Result<(), DecodeError> {
        let (conn, ts_recv) = (self.conn, self.ts_recv);
        let Some(entry) = self.entry(symbol) else { return Ok(()) };
        // Both sides are read before either is kept: a refused frame changes nothing.
        let bid = entry.after(entry.bid, bid)?;
        let ask = entry.after(entry.ask, ask)?;
        (entry.bid, entry.ask) = (bid, ask);
        (entry.ts_event, entry.sequence) = (ts_event, sequence);
        entry.delivered(Channel::Quotes, ts_recv);
        let instrument = entry.instrument;
        let quote = Quote { instrument, conn, ts_event, ts_recv, bid, ask, sequence };
        self.events.push(Event::Quote(quote));
        Ok(())
    }

    /// A trade.
    pub(super) fn trade(
        &mut self,
        symbol: &str,
        ts_event: Option<Nanos>,
        level: Option<Level>,
        side: Side,
        id: TradeId,
    ) -> Result<(), DecodeError> {
        let (conn, ts_recv) = (self.conn, self.ts_recv);
        let Some(entry) = self.entry(symbol) else { return Ok(()) };
        let level = entry.in_base_units(level)?;
        let Level { price, size } =
            level.ok_or(DecodeError::Value("a trade without a price or a size"))?;
        entry.delivered(Channel::Trades, ts_recv);
        let instrument = entry.instrument;
        let trade = Trade { instrument, conn, ts_event, ts_recv, price, size, side, id };
        self.events.push(Event::Trade(trade));
        Ok(())
    }

    /// Anything but market data.
    pub(super) fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// A frame of a kind that we know and do not use.
    pub(super) fn ignore(&mut self, what: &str) {
        self.notices.push(Notice::Ignored(what.to_owned()));
    }

    fn entry(&mut self, symbol: &str) -> Option<&mut Entry> {
        let Some(place) = self.place(symbol) else {
            self.notices.push(Notice::Unlisted(symbol.to_owned()));
            return None;
        };
        Some(&mut self.entries[place])
    }
}

impl Entry {
    fn new(id: InstrumentId, instrument: &Instrument) -> Self {
        Self {
            symbol: instrument.symbol_native.as_str().into(),
            instrument: id,
            contract_size: instrument.contract_size,
            bid: None,
            ask: None,
            ts_event: None,
            sequence: None,
            seen: [None; 2],
        }
    }

    fn delivered(&mut self, channel: Channel, now: Nanos) {
        let seen = &mut self.seen[channel as usize];
        let pause = seen.map_or(0, |it| now.0.saturating_sub(it.last.0).max(it.longest_pause));
        *seen = Some(Seen { last: now, longest_pause: pause });
    }

    /// A side of the book after an update.
    fn after(&self, side: Option<Level>, update: Update) -> Result<Option<Level>, DecodeError> {
        match update {
            Update::Unchanged => Ok(side),
            Update::Now(level) => self.in_base_units(level),
        }
    }

    fn in_base_units(&self, level: Option<Level>) -> Result<Option<Level>, DecodeError> {
        let Some(Level { price, size }) = level else { return Ok(None) };
        let size = size * self.contract_size;
        if size.is_finite() {
            Ok(Some(Level { price, size }))
        } else {
            Err(DecodeError::Value("a size beyond all numbers"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Exchange, Market, Venue};

    fn with(contract_size: f64) -> (Inbox, usize) {
        let mut inbox = Inbox::new(ConnId(0));
        let venue = Venue::new(Exchange::Okx, Market::Spot);
        let (symbol, symbol_native) = ("A-B".to_owned(), "A-B".to_owned());
        let instrument = Instrument { venue, symbol, symbol_native, contract_size };
        let place = inbox.list(InstrumentId(0), &Arc::new(instrument));
        (inbox, place)
    }

    #[test]
    fn of_an_update_whose_ask_cannot_be_the_bid_is_not_kept() {
        let (mut inbox, place) = with(1e10);
        let level = |price, size| Some(Level { price, size });
        let now = |price, size| Update::Now(level(price, size));
        inbox.ts_recv = Nanos(1);
        inbox.update("A-B", None, Some(1), now(2.0, 1.0), now(3.0, 1.0)).expect("a good update");
        inbox.ts_recv = Nanos(2);
        // Beyond all numbers in base units.
        let refused = inbox.update("A-B", None, Some(2), now(2.5, 1.0), now(3.5, 1e300));
        assert!(refused.is_err());
        let [latest] = inbox.latest().collect::<Vec<_>>()[..] else { panic!("one") };
        assert_eq!((latest.bid, latest.sequence), (level(2.0, 1e10), Some(1)));
        assert_eq!(inbox.seen(place, Channel::Quotes).map(|it| it.last), Some(Nanos(1)));
        inbox.update("A-B", None, Some(3), Update::Unchanged, now(4.0, 1.0)).expect("a good one");
        let Some(Event::Quote(last)) = inbox.events.last() else { panic!("a quote") };
        assert_eq!((last.bid, last.ask), (level(2.0, 1e10), level(4.0, 1e10)));
    }

    #[test]
    fn a_capture_may_claim_any_time_of_receipt() {
        let (mut inbox, place) = with(1.0);
        for ts in [i64::MIN, i64::MAX, i64::MIN] {
            inbox.ts_recv = Nanos(ts);
            inbox.quote("A-B", None, None, None, None).expect("a good quote");
        }
        let seen = inbox.seen(place, Channel::Quotes).expect("it has delivered");
        assert_eq!(seen, Seen { last: Nanos(i64::MIN), longest_pause: i64::MAX });
    }
}
