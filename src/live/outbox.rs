//! What is on its way to one client.
//!
//! All goes through one bounded queue, so that nothing follows the answer that says that it will
//! not. When the queue is full the oldest messages are dropped. Answers are not: they are few, since
//! requests are limited, and a client whose answers pile up unread is closed.
//!
//! While the queue is empty and the client's thread waits for something to write, few messages may go
//! past both, straight to the socket: to wake a thread costs more than to write them.

use std::{
    collections::VecDeque,
    mem,
    net::TcpStream,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::net::{SendFlags, send};
use tungstenite::protocol::frame::coding::CloseCode;

use super::{
    frame::{self, Frame},
    protocol::Answer,
};
use crate::{market::Nanos, stop::Stop};

/// Answers that a client has not been sent yet. Its requests are limited to fewer in a second.
const ANSWERS_MAX: usize = 1_000;

/// Room for this many items stays with a queue that has been longer.
const ROOM_KEPT: usize = 256;

/// A frame on its way to one client or many.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) frame: Frame,
    pub(super) kind: Kind,
}

/// What a frame tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What was received then; `None` for what was known before.
    Message(Option<Nanos>),
    /// How a request was understood.
    Answer,
}

/// Where what a client is to be sent is put.
#[derive(Clone, Debug)]
pub(super) struct Outbox(Arc<State>);

/// Where it is taken out. When this is gone, nothing is kept any more.
#[derive(Debug)]
pub(super) struct Mail(Arc<State>);

/// What is to be sent at a time, in this order.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Frames older than what is queued: the rest of one that was begun, answers that had to make
    /// room, and pongs.
    pub(super) first: VecDeque<Frame>,
    /// What the client has to be told that it missed.
    pub(super) lag: Option<Answer<'static>>,
    pub(super) items: Vec<Item>,
    /// Whether the client was sent messages past this. It stays so until somebody resets it.
    pub(super) heard: bool,
}

/// What the threads that deal with one client share.
#[derive(Debug)]
struct State {
    waiting: Mutex<Waiting>,
    news: Condvar,
    farewell: OnceLock<Farewell>,
    opened: Instant,
    /// Milliseconds from `opened` to the latest pong.
    pong: AtomicU64,
    /// Requested when the client's reader has ended.
    over: Stop,
}

/// What has not been taken out.
#[derive(Debug, Default)]
struct Waiting {
    first: VecDeque<Frame>,
    queue: VecDeque<Item>,
    capacity: usize,
    /// Messages dropped that the client has not been told of.
    dropped: u64,
    /// Events lost before anybody looked whose they were, that the client has not been told of.
    upstream: u64,
    /// Whether the client's thread waits to be woken.
    is_awaited: bool,
    /// Where messages may go straight to.
    socket: Option<Arc<TcpStream>>,
    /// Whether some have since this was last taken out.
    heard: bool,
    is_gone: bool,
}

/// Why a client is closed.
#[derive(Clone, Debug)]
pub(super) struct Farewell {
    pub(super) code: CloseCode,
    pub(super) reason: String,
}

/// An outbox of `capacity` items, and where they come out.
pub(super) fn outbox(capacity: usize, now: Instant) -> (Outbox, Mail) {
    let state = Arc::new(State {
        waiting: Mutex::new(Waiting { capacity, ..Waiting::default() }),
        news: Condvar::new(),
        farewell: OnceLock::new(),
        opened: now,
        pong: AtomicU64::new(0),
        over: Stop::default(),
    });
    (Outbox(Arc::clone(&state)), Mail(state))
}

impl Outbox {
    /// Sends messages; returns how many had to be dropped.
    pub(super) fn send(&self, items: impl IntoIterator<Item = Item>) -> u64 {
        let mut waiting = self.0.waiting.lock();
        // A client that is gone misses nothing.
        if waiting.is_gone {
            return 0;
        }
        let before = waiting.dropped;
        let mut fits = true;
        for item in items {
            fits &= waiting.push(item);
        }
        let dropped = waiting.dropped - before;
        self.0.tell(waiting);
        self.close_unless(fits);
        dropped
    }

    /// Lets messages go straight to `socket`, to which nobody but the client's thread writes besides.
    pub(super) fn connect(&self, socket: Arc<TcpStream>) {
        self.0.waiting.lock().socket = Some(socket);
    }

    /// Writes messages to the socket, if they need not wait for anything before them and the system has
    /// room; says whether they are on their way. `bytes` is only lent.
    pub(super) fn send_now(&self, items: &[Item], bytes: &mut Vec<u8>) -> bool {
        let mut waiting = self.0.waiting.lock();
        let is_idle = waiting.is_awaited && waiting.is_empty() && self.farewell().is_none();
        let Some(socket) = waiting.socket.as_ref().filter(|_| is_idle) else { return false };
        bytes.clear();
        for it in items {
            bytes.extend_from_slice(&it.frame);
        }
        // What ails the socket is for the client's thread to find out.
        let sent = send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        let Ok(sent) = sent else { return false };
        waiting.heard = true;
        if sent < bytes.len() {
            waiting.first.push_back(Frame::from(&bytes[sent..]));
            self.0.tell(waiting);
        }
        true
    }

    /// Sends an answer; returns how many messages had to be dropped.
    pub(super) fn answer(&self, answer: &Answer<'_>) -> u64 {
        self.send([Item { frame: frame::text(&answer.to_json()), kind: Kind::Answer }])
    }

    /// Sends a frame as soon as can be.
    pub(super) fn hurry(&self, frame: Frame) {
        let mut waiting = self.0.waiting.lock();
        let fits = waiting.put_first(frame);
        self.0.tell(waiting);
        self.close_unless(fits);
    }

    /// Events of all clients were lost.
    pub(super) fn lost_upstream(&self, events: u64) {
        let mut waiting = self.0.waiting.lock();
        waiting.upstream += events;
        self.0.tell(waiting);
    }

    /// Ends it: what is queued is not sent any more. The first reason counts.
    pub(super) fn close(&self, code: CloseCode, reason: impl Into<String>) {
        let _ = self.0.farewell.set(Farewell { code, reason: reason.into() });
        self.0.tell(self.0.waiting.lock());
    }

    fn close_unless(&self, fits: bool) {
        if !fits {
            let why = format!("{ANSWERS_MAX} answers have not been read");
            self.close(CloseCode::Policy, why);
        }
    }

    pub(super) fn farewell(&self) -> Option<&Farewell> {
        self.0.farewell.get()
    }

    /// The client has shown that it lives.
    pub(super) fn pong(&self, now: Instant) {
        let since = now.saturating_duration_since(self.0.opened).as_millis();
        self.0.pong.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Nothing will be read of the client any more.
    pub(super) fn hang_up(&self) {
        self.0.over.request();
    }
}

impl Mail {
    /// Takes out what is to be sent, `at_most` that many items, for which it waits up to `patience`.
    pub(super) fn take(&self, load: &mut Load, at_most: usize, patience: Duration) {
        let until = Instant::now() + patience;
        let mut waiting = self.0.waiting.lock();
        while waiting.is_empty() && self.0.farewell.get().is_none() {
            waiting.is_awaited = true;
            if self.0.news.wait_until(&mut waiting, until).timed_out() {
                break;
            }
        }
        waiting.is_awaited = false;
        waiting.take(load, at_most);
    }

    pub(super) fn farewell(&self) -> Option<&Farewell> {
        self.0.farewell.get()
    }

    /// For how long the client has not shown that it lives.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        let pong = Duration::from_millis(self.0.pong.load(Ordering::Relaxed));
        now.saturating_duration_since(self.0.opened).saturating_sub(pong)
    }

    /// Waits until nothing will be read of the client any more.
    pub(super) fn wait_until_over(&self, patience: Duration) {
        let _ = self.0.over.wait(patience);
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        let gone = Waiting { is_gone: true, ..Waiting::default() };
        *self.0.waiting.lock() = gone;
    }
}

impl State {
    /// Wakes the client's thread if it waits, which costs a system call.
    fn tell(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let is_awaited = mem::take(&mut waiting.is_awaited);
        drop(waiting);
        if is_awaited {
            self.news.notify_one();
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.queue.is_empty() && self.dropped + self.upstream == 0
    }

    /// Queues an item, at the expense of the oldest; `false` when too many answers wait.
    #[must_use]
    fn push(&mut self, item: Item) -> bool {
        let oldest = (self.queue.len() == self.capacity).then(|| self.queue.pop_front()).flatten();
        self.queue.push_back(item);
        match oldest {
            Some(Item { kind: Kind::Answer, frame }) => self.put_first(frame),
            Some(Item { kind: Kind::Message(_), .. }) => {
                self.dropped += 1;
                true
            }
            None => true,
        }
    }

    #[must_use]
    fn put_first(&mut self, frame: Frame) -> bool {
        let fits = self.first.len() < ANSWERS_MAX;
        if fits && !self.is_gone {
            self.first.push_back(frame);
        }
        fits
    }

    fn take(&mut self, load: &mut Load, at_most: usize) {
        let Load { first, lag, items, heard } = load;
        first.append(&mut self.first);
        *heard |= mem::take(&mut self.heard);
        items.extend(self.queue.drain(..at_most.min(self.queue.len())));
        if self.queue.is_empty() {
            self.queue.shrink_to(ROOM_KEPT);
        }
        let (dropped, upstream) = (mem::take(&mut self.dropped), mem::take(&mut self.upstream));
        *lag = (0 < dropped + upstream).then_some(Answer::Lag { dropped, upstream });
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpListener, thread};

    use socket2::SockRef;

    use super::*;

    const SOON: Duration = Duration::ZERO;
    const FOREVER: Duration = Duration::from_mins(10);

    fn message(n: u8) -> Item {
        Item { frame: Frame::from([n]), kind: Kind::Message(None) }
    }

    fn take(mail: &Mail, at_most: usize) -> Load {
        let mut load = Load::default();
        mail.take(&mut load, at_most, SOON);
        load
    }

    /// The first byte of each item.
    fn bytes(load: &Load) -> Vec<u8> {
        load.items.iter().map(|it| it.frame[0]).collect()
    }

    #[test]
    fn messages_make_room_for_newer_ones_and_answers_do_not() {
        let (outbox, mail) = outbox(2, Instant::now());
        outbox.answer(&Answer::Heartbeat { ts: 1 });
        assert!(outbox.0.waiting.lock().first.is_empty(), "it waits for its turn");
        assert_eq!(outbox.send((0..5).map(message)), 3, "the answer is not among them");
        let load = take(&mail, 9);
        assert_eq!((bytes(&load), load.first.len()), (vec![3, 4], 1));
        let lag = load.lag.expect("something").to_json();
        assert_eq!(lag, br#"{"type":"lag","dropped":3,"upstream":0}"#);
        let load = take(&mail, 9);
        assert!(load.lag.is_none() && load.items.is_empty(), "it is told once");
    }

    #[test]
    fn what_is_taken_is_in_order_and_no_more_than_asked_for() {
        let (outbox, mail) = outbox(9, Instant::now());
        outbox.send((0..5).map(message));
        outbox.lost_upstream(7);
        let load = take(&mail, 3);
        assert_eq!(bytes(&load), [0, 1, 2]);
        assert!(matches!(load.lag, Some(Answer::Lag { dropped: 0, upstream: 7 })));
        assert_eq!(bytes(&take(&mail, 3)), [3, 4]);
    }

    #[test]
    fn what_is_in_a_hurry_takes_nobodys_place() {
        let (outbox, mail) = outbox(2, Instant::now());
        outbox.send((0..2).map(message));
        outbox.hurry(frame::ping());
        let load = take(&mail, 9);
        assert_eq!((bytes(&load), load.first.len()), (vec![0, 1], 1));
    }

    /// Without which a client would be told when it is next pinged.
    #[test]
    fn whoever_waits_is_woken() {
        let news: [fn(&Outbox); 5] = [
            |it| assert_eq!(it.send([message(1)]), 0),
            |it| assert_eq!(it.answer(&Answer::Heartbeat { ts: 1 }), 0),
            |it| it.hurry(frame::ping()),
            |it| it.lost_upstream(1),
            |it| it.close(CloseCode::Away, "the end"),
        ];
        for tell in news {
            let (outbox, mail) = outbox(2, Instant::now());
            thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let (mut load, start) = (Load::default(), Instant::now());
                    mail.take(&mut load, 9, FOREVER);
                    start.elapsed()
                });
                while !outbox.0.waiting.lock().is_awaited {
                    thread::yield_now();
                }
                tell(&outbox);
                assert!(waiting.join().expect("no panic") < FOREVER);
            });
        }
    }

    /// Both ends of a connection, of which ours has little room.
    fn connection() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let theirs = TcpStream::connect(listener.local_addr().expect("an address"));
        let (ours, _) = listener.accept().expect("it has connected");
        SockRef::from(&ours).set_send_buffer_size(4_096).expect("a socket");
        (Arc::new(ours), theirs.expect("it listens"))
    }

    #[test]
    fn few_messages_go_past_a_queue_that_is_empty_and_awaited() {
        let (outbox, mail) = outbox(9, Instant::now());
        let (ours, mut theirs) = connection();
        let now = |it| outbox.send_now(&[message(it)], &mut Vec::new());
        outbox.0.waiting.lock().is_awaited = true;
        assert!(!now(1), "there is no socket");
        outbox.connect(ours);
        assert!(now(2));
        let mut read = [0];
        theirs.read_exact(&mut read).expect("it was sent");
        assert_eq!(read, [2]);
        outbox.send([message(3)]);
        outbox.0.waiting.lock().is_awaited = true;
        assert!(!now(4), "another is before it");
        let load = take(&mail, 9);
        assert_eq!((bytes(&load), load.heard), (vec![3], true));
        assert!(!take(&mail, 9).heard, "it is told once");
        assert!(!now(5), "the thread may be writing");
        outbox.0.waiting.lock().is_awaited = true;
        outbox.close(CloseCode::Away, "the end");
        outbox.0.waiting.lock().is_awaited = true;
        assert!(!now(6), "nothing follows a goodbye");
        drop(mail);
        assert!(outbox.0.waiting.lock().socket.is_none(), "the socket is not kept open");
    }

    #[test]
    fn what_the_system_has_no_room_for_is_left_to_the_thread() {
        let (outbox, mail) = outbox(9, Instant::now());
        let (ours, mut theirs) = connection();
        outbox.connect(Arc::clone(&ours));
        let frame: Vec<u8> = (0..=u8::MAX).cycle().take(1_000_003).collect();
        let large = Item { frame: frame.clone().into(), kind: Kind::Message(None) };
        outbox.0.waiting.lock().is_awaited = true;
        assert!(outbox.send_now(&[large], &mut Vec::new()));
        assert!(!outbox.0.waiting.lock().is_awaited, "it is woken");
        assert!(!outbox.send_now(&[message(1)], &mut Vec::new()), "the rest is before it");
        let rest = take(&mail, 9).first.pop_front().expect("there is one");
        assert!(rest.len() < frame.len());
        let mut begun = vec![0; frame.len() - rest.len()];
        theirs.read_exact(&mut begun).expect("it was sent");
        assert_eq!([begun, rest.to_vec()].concat(), frame);
        // The peer does not read on: as soon as its room is used up, nothing is taken.
        outbox.0.waiting.lock().is_awaited = true;
        while outbox.send_now(&[message(2)], &mut Vec::new()) {}
        assert!(outbox.0.waiting.lock().is_empty(), "what was not sent is the sender's");
    }

    #[test]
    fn a_client_that_is_gone_misses_nothing() {
        let (outbox, mail) = outbox(2, Instant::now());
        outbox.send((0..2).map(message));
        drop(mail);
        assert_eq!(outbox.send((0..5).map(message)), 0);
        outbox.hurry(frame::ping());
        let waiting = outbox.0.waiting.lock();
        assert!(waiting.is_empty() && waiting.queue.capacity() == 0, "nothing is kept");
    }

    #[test]
    fn answers_that_pile_up_end_it() {
        let (outbox, mail) = outbox(2, Instant::now());
        for _ in 0..ANSWERS_MAX + 2 {
            outbox.answer(&Answer::Heartbeat { ts: 1 });
        }
        assert!(outbox.farewell().is_none());
        outbox.answer(&Answer::Heartbeat { ts: 1 });
        assert_eq!(outbox.farewell().map(|it| it.code), Some(CloseCode::Policy));
        assert_eq!(take(&mail, 9).first.len(), ANSWERS_MAX);
    }
}
