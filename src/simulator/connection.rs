//! One WebSocket client's life: read, keep alive, send what is due, until one side has enough.

mod sending;
mod writing;

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use fastrand::Rng;
use socket2::SockRef;
use tungstenite::{
    Error, Message,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext},
};

use self::writing::WRITE_WITHIN;
use super::{
    board::{Holding, Shots},
    dialect::{Desk, Farewell, Rules, Session},
    frame::{Frame, Outbox},
    http::is_timeout,
    keepalive::{Keepalive, Verdict},
    prices,
    socket::Socket,
    topics::Topics,
    world::{Served, Tally, World},
};
use crate::{market::Channel, stop::Stop};

/// A connection with little to send is served this often.
const TICK_IDLE: Duration = Duration::from_millis(40);
/// How long the answer to a close frame is waited for.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// The largest message a client may send.
const MESSAGE_MAX: usize = 1 << 20;

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
    socket: Socket,
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
    rules: &'a Rules,
    session: Box<dyn Session>,
    /// When the venue begins to speak; `None` once it has.
    begins: Option<Instant>,
    topics: Topics,
    context: WebSocketContext,
    pipe: Pipe,
    rng: Rng,
    keepalive: Keepalive,
    epoch: u64,
    holding: Holding,
    shots: Shots,
    /// Since the close frame went out.
    closing: Option<Instant>,
    /// It ends without one.
    cut: bool,
    /// An unfinished frame has been announced: nothing sensible can follow.
    spoiled: bool,
    /// The part of all messages that its topics are ...
    share: f64,
    /// ... and up to which count of all messages they have been sent.
    count: f64,
    tally: Tally,
    scanned: Instant,
    /// When the outbox was last empty.
    drained: Instant,
    /// The client does not take what is written.
    blocked: bool,
    read_timeout: Duration,
    /// A frame that is to come after the next one of its topic.
    held: Option<(Channel, usize, Frame)>,
    /// Data frames made, and those keepalive knows of.
    frames: u64,
    frames_seen: u64,
}

impl<'a> Connection<'a> {
    /// `tail` is what came after the head of the upgrade.
    pub(super) fn new(
        world: &'a World,
        served: &'a Served,
        stop: &'a Stop,
        session: Box<dyn Session>,
        (socket, tail): (Socket, Vec<u8>),
        client: u64,
    ) -> io::Result<Self> {
        socket.tcp().set_nodelay(true)?;
        socket.tcp().set_read_timeout(Some(world.tick))?;
        socket.tcp().set_write_timeout(Some(WRITE_WITHIN))?;
        let config = WebSocketConfig::default()
            // It is zeroed before every read.
            .read_buffer_size(4096)
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        let rules = &served.rules;
        let now = Instant::now();
        Ok(Self {
            world,
            served,
            stop,
            session,
            begins: Some(now + rules.begins_after),
            topics: Topics::default(),
            context: WebSocketContext::from_partially_read(tail, Role::Server, Some(config)),
            pipe: Pipe { socket, out: Outbox::default() },
            rng: Rng::with_seed(world.prices.seed ^ client << 20),
            keepalive: Keepalive::new(rules, world.keepalive, world.limits, now),
            rules,
            epoch: served.faults.epoch(),
            holding: served.faults.holding(),
            shots: served.faults.shots(),
            closing: None,
            cut: false,
            spoiled: false,
            share: 0.0,
            count: 0.0,
            tally: Tally::default(),
            scanned: now,
            drained: now,
            read_timeout: world.tick,
            frames: 0,
            frames_seen: 0,
            blocked: false,
            held: None,
        })
    }

    /// Serves the client until it leaves, is made to leave, or all is to stop.
    pub(super) fn run(mut self) {
        let _open = self.served.counters.opened();
        let end = self.serve();
        if end == Some(End::Reset) {
            // What cannot be reset is closed.
            let _ = SockRef::from(self.pipe.socket.tcp()).set_linger(Some(Duration::ZERO));
            return;
        }
        self.write_all();
        self.linger();
    }

    /// Ends our side and waits a moment for the client's end: a socket closed with something
    /// unread is reset, which costs the client what it has not read yet.
    fn linger(&mut self) {
        let deadline = Instant::now() + CLOSE_WITHIN;
        let mut rest = [0; 4096];
        if self.pipe.socket.finish().is_err() {
            return;
        }
        while !self.stop.requested() && Instant::now() < deadline {
            match self.pipe.socket.read(&mut rest) {
                Ok(1..) => {}
                Err(e) if is_timeout(&e) => {}
                _ => return,
            }
        }
    }

    fn serve(&mut self) -> Option<End> {
        loop {
            if self.stop.requested() {
                self.close(Some((1001, "going away")));
                return None;
            }
            if let Some(end) = self.obey_faults() {
                return Some(end);
            }
            if self.holding.half_open {
                self.skip_all(Instant::now());
                let _ = self.stop.wait(TICK_IDLE);
                continue;
            }
            if self.begins.is_some_and(|it| it <= Instant::now()) {
                self.begins = None;
                self.attend(|session, desk| session.start(desk));
            }
            let ended = self.receive();
            // Who injects a fault and then hears from us sees its effect.
            self.look_at_lasting_faults();
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
            if before.closes != shots.closes {
                self.close(Some((1001, "going away")));
            }
            if before.notices != shots.notices {
                self.announce();
            }
        }
        self.look_at_lasting_faults();
        (self.spoiled && !self.holding.oversized).then_some(End::Over)
    }

    fn look_at_lasting_faults(&mut self) {
        let epoch = self.served.faults.epoch();
        if epoch != self.epoch {
            self.epoch = epoch;
            self.holding = self.served.faults.holding();
        }
    }

    /// Waits for one message, a tick at most, and acts on it.
    fn receive(&mut self) -> Option<End> {
        let message = self.context.read(&mut self.pipe);
        let now = Instant::now();
        if message.is_ok() {
            // The answer comes after what has happened before.
            self.generate(now);
        }
        match message {
            Ok(Message::Text(text)) => {
                self.count(now);
                if self.begins.is_none() {
                    self.attend(|session, desk| session.text(text.as_str(), desk));
                }
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
            self.close(self.rules.excess);
        }
    }

    /// Has the session act, and does what it has decided.
    fn attend(&mut self, act: impl FnOnce(&mut dyn Session, &mut Desk<'_>)) {
        if self.closing.is_some() || self.cut {
            return;
        }
        let now = Instant::now();
        let (mut replies, mut pinged, mut ponged, mut close) = (vec![], false, false, None);
        let mut desk = Desk {
            served: self.served,
            topics: &mut self.topics,
            replies: &mut replies,
            limits: self.world.limits,
            now,
            pinged: &mut pinged,
            ponged: &mut ponged,
            close: &mut close,
        };
        act(&mut *self.session, &mut desk);
        self.begin_topics(now);
        if pinged {
            self.keepalive.pinged(now);
        }
        if ponged {
            self.keepalive.pong();
        }
        let late = self.rules.late_acks && self.rng.u8(..4) == 0;
        if late {
            self.send_snapshots(now);
        }
        for reply in replies {
            self.pipe.out.text(self.rules.replies, reply.as_bytes());
        }
        self.send_snapshots(now);
        if let Some(farewell) = close {
            self.close(farewell);
        }
    }

    fn announce(&mut self) {
        if let Some(notice) = self.session.notice(prices::now()) {
            self.pipe.out.text(self.rules.replies, notice.as_bytes());
        }
    }

    fn keep_alive(&mut self, now: Instant) {
        if self.frames != self.frames_seen {
            self.frames_seen = self.frames;
            self.keepalive.pushed(now);
        }
        match self.keepalive.check(0 < self.topics.len(), now) {
            Verdict::Fine => {}
            Verdict::Ping => {
                if let Some(ping) = self.session.ping(prices::now()) {
                    return self.pipe.out.text(self.rules.replies, ping.as_bytes());
                }
                let payload = prices::now().to_string();
                let _ = self.context.write(&mut self.pipe, Message::Ping(payload.into()));
                let _ = self.context.flush(&mut self.pipe);
            }
            Verdict::Cut => {
                if let Some(words) = self.session.last_words().filter(|_| self.closing.is_none()) {
                    self.pipe.out.text(self.rules.replies, words.as_bytes());
                }
                self.close(self.rules.cut);
            }
        }
    }

    fn close(&mut self, farewell: Farewell) {
        let Some((code, reason)) = farewell else {
            self.cut = true;
            return;
        };
        if self.closing.is_none() {
            self.closing = Some(Instant::now());
            let frame = CloseFrame { code: code.into(), reason: reason.into() };
            // It is queued, or the connection is closed already.
            let _ = self.context.close(&mut self.pipe, Some(frame));
        }
    }
}
