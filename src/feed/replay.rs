//! Captured frames through the sessions, filters and loss accounts of the feeds that received them.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use super::{
    connection::{Tally, account},
    filter::Filter,
    losses::Losses,
    roster::Known,
    session::{Patience, Session},
    sinks::{Scratch, Sinks},
};
use crate::{
    capture::{Body, Line, Mark, Of},
    exchange::{self, Protocol},
    ledger::Ledger,
    market::{Channel, ConnId, Gap, GapReason, Instrument, Nanos, Venue},
    metrics::{Metrics, VenueMetrics},
    registry::Registry,
};

/// Feeds that can be told apart: more than a run can have.
const FEEDS_MAX: usize = 20_000;
/// Connections of a feed: one, or two that overlap.
const CONNECTIONS_MAX: usize = 2;
/// Instruments over all connections: ten times what all venues list.
const PLACES_MAX: usize = 1_000_000;
/// A session is told the time as often as a connection does.
const TICK: i64 = 50_000_000;
/// Sessions are judged by nobody here: a silence is that of the capture.
const PATIENCE: Patience =
    Patience { heartbeat_timeout: Duration::from_secs(30), stale_after: Duration::from_mins(2) };

/// What a replay needs.
#[derive(Debug)]
pub struct Ends<'a> {
    /// Where events go.
    pub sinks: Sinks<'a>,
    /// Where losses are declared.
    pub ledger: Ledger,
    /// The instruments.
    pub registry: &'a Registry,
    /// The counters.
    pub metrics: &'a Metrics,
}

/// What has been replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Frames.
    pub frames: u64,
    /// Frames whose connection the capture does not describe.
    pub strangers: u64,
    /// Frames that the capture says it has not got.
    pub lost: u64,
    /// Frames whose decoder panicked.
    pub panics: u64,
}

/// Replays one line after the other.
pub struct Replay<'a> {
    ends: Ends<'a>,
    feeds: HashMap<String, Feed>,
    venues: HashMap<Venue, VenueMetrics>,
    /// Instruments over all connections.
    places: usize,
    /// Stands for the time of the first line.
    start: Instant,
    began: Option<Nanos>,
    last: Nanos,
    done: Done,
    scratch: Scratch,
}

struct Feed {
    protocol: &'static Protocol,
    filter: Filter,
    losses: Losses,
    overlap: bool,
    sessions: BTreeMap<u32, Carried>,
}

struct Carried {
    session: Session,
    instruments: Vec<Known>,
    ticked: Nanos,
    errors: u64,
}

impl<'a> Replay<'a> {
    /// Nothing yet; `start` stands for the time of the first line.
    #[must_use]
    pub fn new(ends: Ends<'a>, start: Instant) -> Self {
        Self {
            ends,
            feeds: HashMap::new(),
            venues: HashMap::new(),
            places: 0,
            start,
            began: None,
            last: Nanos(0),
            done: Done::default(),
            scratch: Scratch::default(),
        }
    }

    /// Whether a consumer has more than `events` before it.
    #[must_use]
    pub fn is_ahead_by(&self, events: usize) -> bool {
        self.ends.sinks.have_more_than(events)
    }

    /// Takes in the next line.
    ///
    /// # Errors
    /// When it asks for more than a capture can need.
    pub fn line(&mut self, line: Line) -> Result<(), String> {
        if let Some(of) = line.of() {
            self.began.get_or_insert(of.time);
            self.last = self.last.max(of.time);
        }
        match line {
            Line::File(_) => self.end_run(),
            Line::Connection(of, channels, instruments) => {
                return self.connection(&of, &channels, instruments);
            }
            Line::Frame(of, body) => self.frame(&of, &body),
            Line::Mark(of, mark) => return self.mark(&of, mark),
            Line::Lost(of, frames) => self.lost(&of, frames),
        }
        Ok(())
    }

    /// There are no more lines.
    #[must_use]
    pub fn finish(mut self) -> Done {
        self.end_run();
        self.done
    }

    fn end_run(&mut self) {
        let mut feeds: Vec<_> = mem::take(&mut self.feeds).into_iter().collect();
        feeds.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, mut feed) in feeds {
            let ids: Vec<_> = feed.sessions.keys().copied().collect();
            let instruments: Vec<_> =
                feed.sessions.values().flat_map(|it| it.instruments.clone()).collect();
            for id in ids {
                feed.end(id, &self.ends.ledger);
            }
            feed.losses.finish(&instruments, self.last);
        }
        self.places = 0;
        self.began = None;
    }

    fn feed(&mut self, of: &Of) -> Result<&mut Feed, String> {
        let Self { feeds, ends, .. } = self;
        if !feeds.contains_key(&of.feed) {
            if FEEDS_MAX <= feeds.len() {
                return Err(format!("more than {FEEDS_MAX} feeds"));
            }
            let protocol = exchange::find(of.venue)
                .ok_or_else(|| format!("there is no code for {}", of.venue))?;
            let feed = Feed {
                protocol,
                filter: Filter::new(protocol.quirks.repeats_trades),
                losses: Losses::new(protocol, ends.ledger.clone(), of.time, false),
                overlap: false,
                sessions: BTreeMap::new(),
            };
            feeds.insert(of.feed.clone(), feed);
        }
        feeds.get_mut(&of.feed).ok_or_else(|| "no such feed".to_owned())
    }

    fn connection(
        &mut self,
        of: &Of,
        channels: &[Channel],
        instruments: Vec<Instrument>,
    ) -> Result<(), String> {
        let known = self.intern(instruments)?;
        let (now, ledger) = (self.instant(of.time), self.ends.ledger.clone());
        let more = known.len();
        if PLACES_MAX < self.places + more {
            return Err(format!("more than {PLACES_MAX} instruments over all connections"));
        }
        let feed = self.feed(of)?;
        if feed.protocol.venue != of.venue {
            return Err(format!(
                "feed {:?} is of {}, not {}",
                of.feed, feed.protocol.venue, of.venue
            ));
        }
        let mut less = 0;
        if let Some(it) = feed.sessions.get_mut(&of.conn.0) {
            less += it.instruments.len();
            if it.instruments != known {
                it.session.assign(&known, channels);
                feed.losses.carry(&known, of.time);
                it.instruments = known;
            }
        } else {
            if !feed.overlap {
                feed.losses.connecting();
            }
            let most = if feed.overlap { CONNECTIONS_MAX - 1 } else { 0 };
            while most < feed.sessions.len() {
                let Some((&oldest, it)) = feed.sessions.first_key_value() else { break };
                if !feed.overlap {
                    feed.filter.ended(it.session.latest());
                }
                less += feed.end(oldest, &ledger);
            }
            let session = Session::new(feed.protocol, PATIENCE, of.conn, &known, channels, now);
            feed.losses.opened(&known, of.time);
            let it = Carried { session, instruments: known, ticked: of.time, errors: 0 };
            feed.sessions.insert(of.conn.0, it);
        }
        self.places = self.places + more - less;
        Ok(())
    }

    fn intern(&self, instruments: Vec<Instrument>) -> Result<Vec<Known>, String> {
        let registry = self.ends.registry;
        let known = |it| {
            let id = registry.intern(it).map_err(|err| err.to_string())?;
            registry.get(id).map(|it| (id, it)).ok_or_else(|| "not in the registry".to_owned())
        };
        instruments.into_iter().map(known).collect()
    }

    fn mark(&mut self, of: &Of, mark: Mark) -> Result<(), String> {
        let now = self.instant(of.time);
        let ledger = self.ends.ledger.clone();
        let feed = self.feed(of)?;
        let mut less = 0;
        match mark {
            Mark::Fresh => {
                feed.filter = Filter::new(feed.protocol.quirks.repeats_trades);
                feed.overlap = false;
                let ids: Vec<_> = feed.sessions.keys().copied().collect();
                less = ids.into_iter().map(|id| feed.end(id, &ledger)).sum();
            }
            Mark::Overlap => {
                feed.overlap = true;
                let old = feed.sessions.get(&of.conn.0);
                feed.filter.begin(old.into_iter().flat_map(|it| it.session.latest()));
            }
            Mark::Over => {
                feed.overlap = false;
                feed.filter.end(now);
                let ids: Vec<_> = feed.sessions.keys().copied().collect();
                let others = ids.into_iter().filter(|it| *it != of.conn.0);
                less = others.map(|id| feed.end(id, &ledger)).sum();
            }
            Mark::Calm => feed.filter.calm(),
        }
        self.places -= less;
        Ok(())
    }

    fn lost(&mut self, of: &Of, frames: u64) {
        self.done.lost = self.done.lost.saturating_add(frames);
        self.ends.ledger.declare(Gap {
            from: of.time,
            to: of.time,
            venue: of.venue,
            instrument: None,
            channel: None,
            reason: GapReason::QueueDrop,
            // Nobody knows what was in them.
            dropped: None,
            conn: None,
        });
    }

    fn frame(&mut self, of: &Of, body: &Body) {
        let now = self.instant(of.time);
        let Self { ends, feeds, venues, done, scratch, .. } = self;
        done.frames += 1;
        let feed = feeds.get_mut(&of.feed).filter(|it| it.protocol.venue == of.venue);
        let Some((feed, mut it)) = feed.and_then(|feed| {
            let it = feed.sessions.remove(&of.conn.0)?;
            Some((feed, it))
        }) else {
            done.strangers += 1;
            return;
        };
        let metrics = venues.entry(of.venue).or_insert_with(|| ends.metrics.venue(of.venue));
        metrics.messages.inc();
        let session = &mut it.session;
        let read = AssertUnwindSafe(|| match body {
            Body::Text(text) => session.on_text(text, of.time, now),
            Body::Binary(frame) => session.on_binary(frame, of.time, now),
        });
        if catch_unwind(read).is_err() {
            // As when it was received: the connection is gone, and all that the feed knew.
            done.panics += 1;
            self.places -= it.instruments.len();
            return;
        }
        metrics.decode_errors.inc_by(it.session.decode_errors - it.errors);
        it.errors = it.session.decode_errors;
        feed.account(&mut it, of.conn, metrics);
        ends.sinks.send(of.venue, it.session.events(), scratch);
        if TICK <= of.time.0 - it.ticked.0 {
            it.ticked = of.time;
            feed.losses.tick(of.time);
            // A silence of the capture ends nothing.
            let _ = it.session.tick(now, of.time);
            let _ = it.session.reports();
        }
        it.session.gaps().drain(..).for_each(|gap| ends.ledger.declare(gap));
        while it.session.outgoing().is_some() {}
        feed.sessions.insert(of.conn.0, it);
    }

    /// What stands for `time`.
    fn instant(&self, time: Nanos) -> Instant {
        let began = self.began.unwrap_or(time);
        self.start + Duration::from_nanos(time.0.saturating_sub(began.0).max(0).unsigned_abs())
    }
}

impl Feed {
    /// Ends a connection; returns how many instruments it carried.
    fn end(&mut self, conn: u32, ledger: &Ledger) -> usize {
        let Some(mut it) = self.sessions.remove(&conn) else { return 0 };
        it.session.end(None);
        it.session.gaps().drain(..).for_each(|gap| ledger.declare(gap));
        it.instruments.len()
    }

    fn account(&mut self, it: &mut Carried, conn: ConnId, metrics: &VenueMetrics) {
        let mut tally = Tally::default();
        account(&mut it.session, conn, (&mut self.filter, &mut self.losses), &mut tally);
        metrics.quotes.inc_by(tally.quotes);
        metrics.trades.inc_by(tally.trades);
        metrics.repeated.inc_by(tally.repeated);
    }
}

impl std::fmt::Debug for Replay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("feeds", &self.feeds.len()).finish_non_exhaustive()
    }
}
