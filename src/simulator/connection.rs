//! One WebSocket client's life: read, keep alive, send what is due, until one side has enough.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use fastrand::Rng;
use socket2::SockRef;
use tungstenite::{
    Error, Message,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext},
};

use super::{
    dialect::{Desk, Rules, Session, Update, quote_load},
    fault::{Holding, Shots},
    frame::{Load, Outbox},
    garbage,
    http::is_timeout,
    keepalive::{Keepalive, Verdict},
    prices::{self, Print, whole},
    topics::Topics,
    world::{Served, World},
};
use crate::{market::Channel, stop::Stop};

/// A busy connection is served this often.
const TICK: Duration = Duration::from_millis(5);
/// One with little to send.
const TICK_IDLE: Duration = Duration::from_millis(40);
/// Messages a second below which a connection has little to send.
const IDLE_BELOW: f64 = 50.0;
/// Frames made at once, at most: after a pause the rest is not made up for.
const BATCH_MAX: f64 = 20_000.0;
/// How long a write may keep a thread from reading.
const WRITE_WITHIN: Duration = Duration::from_millis(50);
/// A client that takes nothing for so long is dropped ...
const SLOW_MAX: Duration = Duration::from_secs(30);
/// ... and so is one that has us keep so much for it.
const OUTBOX_MAX: usize = 16 << 20;
/// How long the answer to a close frame is waited for.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How often books are looked through for those to be sent again.
const REPEAT_SCAN: Duration = Duration::from_millis(100);
/// The largest message a client may send.
const MESSAGE_MAX: usize = 1 << 20;
/// What an oversized frame is said to have.
const OVERSIZED: u64 = (16 << 20) + (1 << 10);
/// Good frames between broken ones.
const GARBAGE_EVERY: u64 = 8;
/// Trades in one frame, of any venue.
const PRINTS_MAX: usize = 8;
/// Torn batches are written in so many pieces, with these pauses.
const TORN_PIECES: u32 = 5;
const TORN_PAUSE: Duration = Duration::from_millis(2);

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client has left, or both sides have said goodbye.
    Over,
    /// It is to be reset.
    Reset,
}

/// The socket to read from, and what is to be written to it.
struct Pipe {
    socket: TcpStream,
    out: Outbox,
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.raw(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client that has been answered its upgrade.
pub(super) struct Connection<'a> {
    world: &'a World,
    served: &'a Served,
    stop: &'a Stop,
    rules: Rules,
    session: Box<dyn Session>,
    topics: Topics<'a>,
    context: WebSocketContext,
    pipe: Pipe,
    rng: Rng,
    keepalive: Keepalive,
    epoch: u64,
    holding: Holding,
    shots: Shots,
    /// Since the close frame went out.
    closing: Option<Instant>,
    /// An unfinished frame has been announced: nothing sensible can follow.
    spoiled: bool,
    /// Quotes and trades owed.
    due: [f64; 2],
    generated: Instant,
    scanned: Instant,
    /// When the outbox was last empty.
    drained: Instant,
    read_timeout: Duration,
    frames: u64,
}

impl<'a> Connection<'a> {
    /// `tail` is what came after the head of the upgrade.
    pub(super) fn new(
        world: &'a World,
        served: &'a Served,
        stop: &'a Stop,
        session: Box<dyn Session>,
        (socket, tail): (TcpStream, Vec<u8>),
        client: u64,
    ) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TICK))?;
        socket.set_write_timeout(Some(WRITE_WITHIN))?;
        let config = WebSocketConfig::default()
            // It is zeroed before every read.
            .read_buffer_size(4096)
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        let rules = (served.dialect.rules)(served.venue.market);
        let now = Instant::now();
        Ok(Self {
            world,
            served,
            stop,
            session,
            topics: Topics::new(&served.demand),
            context: WebSocketContext::from_partially_read(tail, Role::Server, Some(config)),
            pipe: Pipe { socket, out: Outbox::default() },
            rng: Rng::with_seed(world.prices.seed ^ client << 20),
            keepalive: Keepalive::new(&rules, world.keepalive, world.limits, now),
            rules,
            epoch: served.faults.epoch(),
            holding: served.faults.holding(),
            shots: served.faults.shots(),
            closing: None,
            spoiled: false,
            due: [0.0; 2],
            generated: now,
            scanned: now,
            drained: now,
            read_timeout: TICK,
            frames: 0,
        })
    }

    /// Serves the client until it leaves, is made to leave, or all is to stop.
    pub(super) fn run(mut self) {
        let _open = self.served.counters.opened();
        let end = self.serve();
        if end == Some(End::Reset) {
            // What cannot be reset is closed.
            let _ = SockRef::from(&self.pipe.socket).set_linger(Some(Duration::ZERO));
            return;
        }
        self.write_all();
        let _ = self.pipe.socket.shutdown(Shutdown::Write);
    }

    fn serve(&mut self) -> Option<End> {
        self.attend(|session, desk| session.start(desk));
        loop {
            if self.stop.requested() {
                self.close(1001, "going away");
                return None;
            }
            if let Some(end) = self.obey_faults() {
                return Some(end);
            }
            if self.holding.half_open {
                self.generated = Instant::now();
                let _ = self.stop.wait(TICK_IDLE);
                continue;
            }
            let ended = self.receive();
            let now = Instant::now();
            self.keep_alive(now);
            self.generate(now);
            if let Some(end) = self.flush(now).or(ended) {
                return Some(end);
            }
        }
    }

    /// Notices faults that have come or gone.
    fn obey_faults(&mut self) -> Option<End> {
        let shots = self.served.faults.shots();
        if shots != self.shots {
            let before = std::mem::replace(&mut self.shots, shots);
            if before.drops != shots.drops {
                return Some(End::Reset);
            }
            if before.eofs != shots.eofs {
                return Some(End::Over);
            }
            self.close(1001, "going away");
        }
        let epoch = self.served.faults.epoch();
        if epoch != self.epoch {
            self.epoch = epoch;
            self.holding = self.served.faults.holding();
        }
        (self.spoiled && !self.holding.oversized).then_some(End::Over)
    }

    /// Waits for one message, a tick at most, and acts on it.
    fn receive(&mut self) -> Option<End> {
        let message = self.context.read(&mut self.pipe);
        let now = Instant::now();
        match message {
            Ok(Message::Text(text)) => {
                self.count(now);
                self.attend(|session, desk| session.text(text.as_str(), desk));
            }
            Ok(Message::Ping(_)) => self.count(now),
            Ok(Message::Pong(_)) => {
                if self.keepalive.pong() {
                    self.count(now);
                }
            }
            Ok(_) => {}
            Err(Error::Io(e)) if is_timeout(&e) => {}
            Err(_) => return Some(End::Over),
        }
        // A pong that waits is written by the next read at the latest.
        let _ = self.context.flush(&mut self.pipe);
        None
    }

    fn count(&mut self, now: Instant) {
        if !self.keepalive.frame(now) {
            self.close(1008, "Too many requests");
        }
    }

    /// Has the session act, and does what it has decided.
    fn attend(&mut self, act: impl FnOnce(&mut dyn Session, &mut Desk<'_, '_>)) {
        if self.closing.is_some() {
            return;
        }
        let now = Instant::now();
        let (mut replies, mut pinged, mut close) = (vec![], false, None);
        let mut desk = Desk {
            served: self.served,
            topics: &mut self.topics,
            replies: &mut replies,
            limits: self.world.limits,
            now,
            pinged: &mut pinged,
            close: &mut close,
        };
        act(&mut *self.session, &mut desk);
        if pinged {
            self.keepalive.pinged(now);
        }
        let late = self.rules.late_acks && self.rng.u8(..4) == 0;
        if late {
            self.send_snapshots(now);
        }
        for reply in replies {
            self.pipe.out.text(reply.as_bytes());
        }
        self.send_snapshots(now);
        if let Some((code, reason)) = close {
            self.close(code, reason);
        }
    }

    fn send_snapshots(&mut self, now: Instant) {
        if !self.rules.snapshot || self.holding.mute || self.spoiled {
            return;
        }
        for at in 0..self.topics.of(Channel::Quotes).len() {
            if self.topics.of(Channel::Quotes)[at].last.is_none() {
                self.send_quote(at, prices::now(), now);
            }
        }
    }

    fn keep_alive(&mut self, now: Instant) {
        match self.keepalive.check(0 < self.topics.len(), now) {
            Verdict::Fine => {}
            Verdict::Ping => {
                let payload = prices::now().to_string();
                let _ = self.context.write(&mut self.pipe, Message::Ping(payload.into()));
                let _ = self.context.flush(&mut self.pipe);
            }
            Verdict::Cut => self.close(self.rules.cut.0, self.rules.cut.1),
        }
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        if self.closing.is_none() {
            self.closing = Some(Instant::now());
            let frame = CloseFrame { code: code.into(), reason: reason.into() };
            // It is queued, or the connection is closed already.
            let _ = self.context.close(&mut self.pipe, Some(frame));
        }
    }

    /// Makes what has become due since the last time.
    fn generate(&mut self, now: Instant) {
        let elapsed = (now - std::mem::replace(&mut self.generated, now)).as_secs_f64();
        let rate = self.world.venue_rate();
        let mut busy = 0.0;
        for (due, share) in self.due.iter_mut().zip(self.topics.share(self.world.trade_share)) {
            busy += share * rate;
            *due = (*due + share * rate * elapsed).min(BATCH_MAX);
        }
        self.set_tick(if busy < IDLE_BELOW { TICK_IDLE } else { TICK });
        if self.closing.is_some() || self.spoiled || self.holding.mute || !self.pipe.out.is_empty()
        {
            // A venue conflates what a client cannot take.
            self.due = [0.0; 2];
            return;
        }
        if self.holding.oversized {
            self.announce_oversized();
            return;
        }
        let mut left = self.due.map(whole);
        for (due, whole) in self.due.iter_mut().zip(left) {
            *due -= f64::from(u32::try_from(whole).unwrap_or(u32::MAX));
        }
        let time = prices::now();
        while 0 < left[0] + left[1] {
            if self.rng.u64(..left[0] + left[1]) < left[0] {
                left[0] -= 1;
                if let Some(at) = self.topics.pick(Channel::Quotes, &mut self.rng) {
                    self.send_quote(at, time, now);
                }
            } else {
                left[1] -= 1;
                if let Some(at) = self.topics.pick(Channel::Trades, &mut self.rng) {
                    self.send_trades(at, time);
                }
            }
        }
        self.repeat_unchanged(time, now);
        if !self.pipe.out.is_empty() {
            self.keepalive.pushed(now);
        }
    }

    fn set_tick(&mut self, tick: Duration) {
        if tick != self.read_timeout && self.pipe.socket.set_read_timeout(Some(tick)).is_ok() {
            self.read_timeout = tick;
        }
    }

    fn send_quote(&mut self, at: usize, time: u64, now: Instant) {
        let topic = &mut self.topics.of_mut(Channel::Quotes)[at];
        let row = &self.served.rows[topic.row];
        if !row.moves() {
            return;
        }
        let mut book = self.world.prices.book(self.served.slot, row, time, &mut self.rng);
        let update = Update { row, topic, now: time, last: topic.last.as_ref() };
        let sent = self.pipe.out.frame(|out| {
            self.session.quote(&update, &mut book, out);
            quote_load(false)
        });
        (topic.last, topic.sent) = (Some(book), Some(now));
        self.follow_with_garbage(sent);
    }

    fn send_trades(&mut self, at: usize, time: u64) {
        let topic = &self.topics.of(Channel::Trades)[at];
        let row = &self.served.rows[topic.row];
        if !row.moves() {
            return;
        }
        let mut prints = [Print::NONE; PRINTS_MAX];
        let most = self.rules.prints_max.min(PRINTS_MAX);
        let count = if 1 < most && self.rng.u8(..4) == 0 { self.rng.usize(2..=most) } else { 1 };
        for print in &mut prints[..count] {
            let prices = self.world.prices;
            *print = prices.print(self.served.slot, row, time, &mut self.rng, topic.fills_max);
        }
        let update = Update { row, topic, now: time, last: None };
        let sent = self.pipe.out.frame(|out| {
            let trades = self.session.trades(&update, &prints[..count], &mut self.rng, out);
            Load { frames: 1, trades, ..Load::default() }
        });
        self.follow_with_garbage(sent);
    }

    /// Sends books again that have not changed for as long as the venue says.
    fn repeat_unchanged(&mut self, time: u64, now: Instant) {
        let Some(after) = self.rules.repeat_after else { return };
        if now - self.scanned < REPEAT_SCAN {
            return;
        }
        self.scanned = now;
        for topic in self.topics.of_mut(Channel::Quotes) {
            let row = &self.served.rows[topic.row];
            let old = topic.sent.is_some_and(|it| after <= now - it);
            let (true, true, Some(mut book)) = (old, row.moves(), topic.last) else { continue };
            topic.sent = Some(now);
            let update = Update { row, topic, now: time, last: None };
            self.pipe.out.frame(|out| {
                self.session.quote(&update, &mut book, out);
                quote_load(true)
            });
        }
    }

    fn follow_with_garbage(&mut self, good: std::ops::Range<usize>) {
        self.frames += 1;
        if self.holding.garbage && self.frames.is_multiple_of(GARBAGE_EVERY) {
            let broken = garbage::broken(self.pipe.out.payload(good), &mut self.rng);
            self.pipe.out.frame(|out| {
                out.extend_from_slice(&broken);
                Load { garbage: 1, ..Load::default() }
            });
        }
    }

    fn announce_oversized(&mut self) {
        self.spoiled = true;
        self.pipe.out.raw(&[0x81, 127]);
        self.pipe.out.raw(&OVERSIZED.to_be_bytes());
        self.pipe.out.raw(&[b' '; 1024]);
    }

    /// Writes what the client takes; says whether it is given up.
    fn flush(&mut self, now: Instant) -> Option<End> {
        if self.holding.torn {
            self.write_torn();
        }
        let gone = self.write().is_err();
        if self.pipe.out.is_empty() {
            self.drained = now;
        }
        let slow = SLOW_MAX < now - self.drained || OUTBOX_MAX < self.pipe.out.len();
        let closed = self.closing.is_some_and(|it| CLOSE_WITHIN < now - it);
        (gone || slow || closed).then_some(End::Over)
    }

    fn write(&mut self) -> io::Result<()> {
        if self.pipe.out.is_empty() {
            return Ok(());
        }
        let (load, outcome) = self.pipe.out.write_to(&mut self.pipe.socket, usize::MAX);
        self.served.counters.add(&load);
        outcome
    }

    fn write_torn(&mut self) {
        for piece in 0..TORN_PIECES {
            if self.pipe.out.is_empty() {
                return;
            }
            let limit = if piece == 0 { 1 } else { self.rng.usize(1..400) };
            let (load, outcome) = self.pipe.out.write_to(&mut self.pipe.socket, limit);
            self.served.counters.add(&load);
            if outcome.is_err() || self.stop.wait(TORN_PAUSE) {
                return;
            }
        }
    }

    /// Writes the rest, for a moment.
    fn write_all(&mut self) {
        let deadline = Instant::now() + WRITE_WITHIN;
        while !self.pipe.out.is_empty() && Instant::now() < deadline && self.write().is_ok() {}
    }
}
