//! Replacing a connection before it ends: the next one is opened, subscribes and delivers while the
//! old one still does, and what both bring is passed on once.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Backoff, Feed, Losses, Shared, budget::Budget, connection::Connection, disconnect::Disconnect,
    filter::Filter, socket,
};
use crate::{
    capture::{Mark, Tape},
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
    /// For lines about topics.
    pub(super) topics: Budget,
    /// What is received is taken down there, if anywhere.
    pub(super) tape: Option<Tape>,
}

impl Past<'_> {
    fn mark(&mut self, mark: Mark, of: &Connection<'_>) {
        if let Some(tape) = &mut self.tape {
            if mark == Mark::Over {
                tape.retain(Some(of.conn));
            }
            tape.mark(mark, of.conn, socket::now());
        }
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
    past.mark(Mark::Overlap, &old);
    past.filter.begin(old.session.latest());
    let next = overlap(&mut old, feed, shared, past);
    past.filter.end(Instant::now());
    past.mark(Mark::Over, next.as_ref().unwrap_or(&old));
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
