//! Replacing a connection before it ends: the next one is opened, subscribes and delivers while the
//! old one still does, and what both bring is passed on once.

use std::{
    hash::BuildHasher,
    thread,
    time::{Duration, Instant},
};

use hashbrown::HashMap;

use super::{
    Backoff, Feed, Losses, Shared, connection::Connection, disconnect::Disconnect, recent::Recent,
    socket,
};
use crate::{
    market::{Event, Level, Nanos, Quote},
    metrics::ReconnectReason,
};

/// Both deliver for at least this long after the next one has been answered for all it asked.
const OVERLAP_MIN: Duration = Duration::from_secs(1);
/// The next one is given up when it has not come so far.
const OVERLAP_MAX: Duration = Duration::from_mins(1);
/// How long either may keep the other waiting.
const TURN: Duration = Duration::from_millis(1);

/// What outlives the connections of a feed.
pub(super) struct Past<'a> {
    pub(super) filter: Filter,
    pub(super) losses: &'a mut Losses,
}

/// What has been passed on already.
#[derive(Debug)]
pub(super) struct Filter {
    /// Whether the venue sends trades more than once.
    repeats: bool,
    recent: Recent,
    /// While two connections deliver.
    marks: Option<Marks>,
}

impl Filter {
    pub(super) fn new(repeats: bool) -> Self {
        Self { repeats, recent: Recent::default(), marks: None }
    }

    /// Two connections deliver from now on; `latest` is what the old one has passed on last.
    fn begin(&mut self, latest: impl Iterator<Item = Quote>) {
        let mut marks = Marks::default();
        for quote in latest {
            marks.is_newer(&quote);
        }
        self.marks = Some(marks);
    }

    /// One connection is left.
    fn end(&mut self) {
        self.marks = None;
        if !self.repeats {
            self.recent = Recent::default();
        }
    }

    /// Takes out what has been passed on before; returns how much that was.
    pub(super) fn drop_repeated(&mut self, events: &mut Vec<Event>) -> u64 {
        let before = events.len();
        if let Some(marks) = &mut self.marks {
            events.retain(|event| match event {
                Event::Quote(quote) => marks.is_newer(quote),
                Event::Trade(_) => true,
            });
        } else if !self.repeats {
            return 0;
        }
        self.recent.drop_repeated(events);
        (before - events.len()) as u64
    }
}

/// How far each instrument's quotes have come.
#[derive(Debug, Default)]
struct Marks {
    marks: HashMap<u32, Mark, foldhash::fast::RandomState>,
    hasher: foldhash::fast::RandomState,
}

#[derive(Debug, Default)]
struct Mark {
    sequence: Option<i64>,
    ts_event: Option<Nanos>,
    /// Of the quotes at `ts_event`, for venues that do not number them.
    contents: Vec<u64>,
}

impl Marks {
    fn is_newer(&mut self, quote: &Quote) -> bool {
        let bits = |it: Option<Level>| it.map(|it| (it.price.to_bits(), it.size.to_bits()));
        let content = self.hasher.hash_one((bits(quote.bid), bits(quote.ask)));
        let Some(mark) = self.marks.get_mut(&quote.instrument.0) else {
            let (sequence, ts_event) = (quote.sequence, quote.ts_event);
            let mark = Mark { sequence, ts_event, contents: vec![content] };
            self.marks.insert(quote.instrument.0, mark);
            return true;
        };
        if let (Some(new), Some(old)) = (quote.sequence, mark.sequence) {
            mark.sequence = Some(new.max(old));
            return old < new;
        }
        if quote.ts_event < mark.ts_event {
            return false;
        }
        if mark.ts_event < quote.ts_event {
            mark.ts_event = quote.ts_event;
            mark.contents.clear();
        }
        let new = !mark.contents.contains(&content);
        if new {
            mark.contents.push(content);
        }
        new
    }
}

/// When a failed replacement may be tried again.
#[derive(Debug, Default)]
pub(super) struct Hold {
    until: Option<Instant>,
    backoff: Backoff,
}

impl Hold {
    pub(super) fn is_over(&self) -> bool {
        self.until.is_none_or(|it| it <= Instant::now())
    }
}

/// Replaces `old`; what is returned is the connection to go on with, and how it is doing.
pub(super) fn replace<'a>(
    mut old: Connection<'a>,
    feed: &'a Feed,
    shared: &'a Shared<'a>,
    past: &mut Past<'_>,
    hold: &mut Hold,
) -> (Connection<'a>, Result<(), Disconnect>) {
    let (why, reason) = match old.session.closing() {
        Some(said) => (format!("the exchange says: {said}"), ReconnectReason::Notice),
        None => ("it is near the end of its lifetime".to_owned(), ReconnectReason::Lifetime),
    };
    log::info!("{}: {why}: opening another connection", feed.name);
    past.filter.begin(old.session.latest());
    let next = overlap(&mut old, feed, shared, past);
    past.filter.end();
    match next {
        Ok(mut next) => {
            shared.metrics.reconnected(reason);
            *hold = Hold::default();
            next.set_patience(socket::PATIENCE);
            old.close();
            (next, Ok(()))
        }
        Err(Some(ended)) => (old, Err(ended)),
        Err(None) => {
            hold.until = Some(Instant::now() + hold.backoff.after_failure());
            old.set_patience(socket::PATIENCE);
            (old, Ok(()))
        }
    }
}

/// Brings up another connection while `old` is read, until it can take over. When it cannot, what
/// has become of `old` meanwhile is returned.
fn overlap<'a>(
    old: &mut Connection<'a>,
    feed: &'a Feed,
    shared: &'a Shared<'a>,
    past: &mut Past<'_>,
) -> Result<Connection<'a>, Option<Disconnect>> {
    let mut ended = None;
    let mut next = match open(old, feed, shared, past, &mut ended) {
        Ok(next) => next,
        Err(err) if err.is_stop() => return Err(Some(err)),
        Err(err) => {
            log::warn!("{}: no other connection: {err}", feed.name);
            return Err(ended);
        }
    };
    old.set_patience(TURN);
    next.set_patience(TURN);
    let opened = Instant::now();
    let mut settled = None;
    let mut started = next.start(past);
    loop {
        if let Err(err) = started {
            log::warn!("{}: the other connection ended: {err}", feed.name);
            return Err(if err.is_stop() { Some(err) } else { ended });
        }
        if ended.is_none() {
            ended = step(old, past, settled.is_some());
        }
        let now = Instant::now();
        if next.session.closing().is_some() {
            return Err(ended);
        }
        if settled.is_none() && next.is_settled() {
            settled = Some(now);
        }
        let overlapped = settled.is_some_and(|it| OVERLAP_MIN <= now - it);
        if next.session.has_data() && (overlapped || ended.is_some()) {
            return Ok(next);
        }
        if OVERLAP_MAX <= now - opened {
            return if next.session.has_data() { Ok(next) } else { Err(ended) };
        }
        started = next.step(past);
    }
}

/// A step of the connection that is being replaced; what has ended it, if it has. Unless the next one
/// is `covered` by all it has asked for, that is a loss.
fn step(old: &mut Connection<'_>, past: &mut Past<'_>, covered: bool) -> Option<Disconnect> {
    let ended = old.step(past).err()?;
    if !covered && !ended.is_stop() {
        past.losses.lost(old.conn);
    }
    Some(ended)
}

/// Connects on a thread of its own, since `old` has to be read meanwhile.
fn open<'a>(
    old: &mut Connection<'a>,
    feed: &'a Feed,
    shared: &'a Shared<'a>,
    past: &mut Past<'_>,
    ended: &mut Option<Disconnect>,
) -> Result<Connection<'a>, Disconnect> {
    thread::scope(|scope| {
        let open = || {
            if shared.gate.pass(shared.stop) {
                Connection::open(feed, shared)
            } else {
                Err(Disconnect::Stopped)
            }
        };
        let name = format!("{}-next", feed.name);
        let opening = thread::Builder::new().name(name).spawn_scoped(scope, open);
        let opening = opening.map_err(|err| Disconnect::Socket(err.into()))?;
        while !opening.is_finished() {
            if ended.is_none() {
                *ended = step(old, past, false);
            } else if shared.stop.wait(TURN) {
                break;
            }
        }
        // A panic of that thread is one of this feed.
        opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{ConnId, InstrumentId};

    fn quote(sequence: Option<i64>, ts_event: i64, price: f64) -> Quote {
        Quote {
            instrument: InstrumentId(1),
            conn: ConnId(0),
            ts_event: Some(Nanos(ts_event)),
            ts_recv: Nanos(9),
            bid: Some(Level { price, size: 1.0 }),
            ask: None,
            sequence,
        }
    }

    fn passed(quotes: &[Quote]) -> Vec<bool> {
        let mut marks = Marks::default();
        quotes.iter().map(|it| marks.is_newer(it)).collect()
    }

    #[test]
    fn numbered_quotes_pass_once_in_the_order_of_their_numbers() {
        let of = |n| quote(Some(n), 7, 1.0);
        let passed = passed(&[of(5), of(6), of(5), of(6), of(7), of(6), of(9)]);
        assert_eq!(passed, [true, true, false, false, true, false, true]);
    }

    #[test]
    fn quotes_without_a_number_pass_once_by_their_time_and_what_they_say() {
        let of = |ts, price| quote(None, ts, price);
        let quotes =
            [of(1, 1.0), of(1, 2.0), of(1, 1.0), of(2, 1.0), of(1, 2.0), of(2, 1.0), of(2, 3.0)];
        assert_eq!(passed(&quotes), [true, true, false, true, false, false, true]);
    }
}
