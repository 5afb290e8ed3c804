//! The thread that writes to one client, and decides when it is dead.

use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use super::{
    clock::now,
    frame,
    outbox::{Farewell, Item, Kind, Load, Mail},
    protocol::Answer,
};
use crate::metrics::{LiveMetrics, Tally};

/// Messages that are written together: 40 KB.
const BATCH_MAX: usize = 128;
/// How long one write may keep the thread from looking up.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_millis(250);
/// Pings that may stay without an answer.
const PINGS_UNANSWERED_MAX: u32 = 2;
/// How long a client has to take its goodbye, and again to answer it.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// What writes to one client.
pub(super) struct Writer<'a> {
    pub(super) tcp: &'a TcpStream,
    pub(super) mail: Mail,
    pub(super) ping_interval: Duration,
    pub(super) metrics: &'a LiveMetrics,
}

/// How a client ends.
enum End {
    /// With a goodbye.
    Farewell,
    /// It does not answer, or does not read.
    Dead,
    /// Its connection has broken.
    Broken,
}

impl Writer<'_> {
    /// Writes what comes until the client ends or has to.
    pub(super) fn run(self) {
        let mut pages = Pages::default();
        let end = self.write(&mut pages);
        match (&end, self.mail.farewell()) {
            (End::Farewell, Some(farewell)) => self.say(farewell, pages),
            (End::Dead, _) => {
                self.metrics.dead.inc();
            }
            _ => {}
        }
        // Wakes the reader as well.
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    fn write(&self, pages: &mut Pages) -> End {
        let mut latency = Tally::default();
        let mut next_ping = Instant::now() + self.ping_interval;
        loop {
            let wait = next_ping.saturating_duration_since(Instant::now());
            self.mail.take(&mut pages.load, BATCH_MAX, wait);
            if self.mail.farewell().is_some() {
                return End::Farewell;
            }
            pages.bytes.clear();
            pages.put_first();
            if let Some(lag) = pages.load.lag.take() {
                pages.put(&frame::text(&lag.to_json()));
            }
            let start = Instant::now();
            if next_ping <= start {
                if self.is_dead(start) {
                    return End::Dead;
                }
                next_ping = start + self.ping_interval;
                pages.put_ping();
            }
            pages.put_items();
            if let Err(end) = self.put(&pages.bytes) {
                return end;
            }
            count(&mut pages.load.items, &mut latency, self.metrics);
        }
    }

    /// Writes all of `bytes`, for as long as the client shows that it lives.
    fn put(&self, mut bytes: &[u8]) -> Result<(), End> {
        let mut saying_goodbye = None;
        let mut tcp = self.tcp;
        while !bytes.is_empty() {
            match tcp.write(bytes) {
                Ok(n) if n == bytes.len() => break,
                Ok(0) => return Err(End::Broken),
                Ok(n) => bytes = &bytes[n..],
                Err(err) if is_patience(&err) => {}
                Err(_) => return Err(End::Broken),
            }
            let now = Instant::now();
            if self.is_dead(now) {
                return Err(End::Dead);
            }
            // A frame that has been begun has to be ended before the goodbye.
            if self.mail.farewell().is_some() {
                let since = *saying_goodbye.get_or_insert(now);
                if FAREWELL_MAX < now - since {
                    return Err(End::Dead);
                }
            }
        }
        Ok(())
    }

    fn is_dead(&self, now: Instant) -> bool {
        self.ping_interval * PINGS_UNANSWERED_MAX < self.mail.silence(now)
    }

    /// What has been answered goes out first; then the client has a moment to close its side.
    fn say(&self, farewell: &Farewell, mut pages: Pages) {
        self.mail.take(&mut pages.load, usize::MAX, Duration::ZERO);
        pages.bytes.clear();
        pages.put_first();
        pages.load.items.retain(|it| it.kind == Kind::Answer);
        pages.put_items();
        pages.put(&frame::close(farewell.code, &farewell.reason));
        if self.put(&pages.bytes).is_ok() {
            let _ = self.tcp.shutdown(Shutdown::Write);
            self.mail.wait_until_over(FAREWELL_MAX);
        }
    }
}

/// Counts messages that have been written, and forgets them.
pub(super) fn count(items: &mut Vec<Item>, latency: &mut Tally, metrics: &LiveMetrics) {
    let (mut sent, time) = (0, now());
    for item in items.drain(..) {
        if let Kind::Message(ts_recv) = item.kind {
            sent += 1;
            if let Some(ts_recv) = ts_recv {
                latency.observe(time.0 - ts_recv.0);
            }
        }
    }
    metrics.sent.inc_by(sent);
    metrics.latency.add(latency);
}

/// What is to be written at a time.
#[derive(Default)]
struct Pages {
    load: Load,
    bytes: Vec<u8>,
}

impl Pages {
    fn put(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
    }

    fn put_first(&mut self) {
        for frame in self.load.first.drain(..) {
            self.bytes.extend_from_slice(&frame);
        }
    }

    fn put_ping(&mut self) {
        self.put(&frame::ping());
        // Some have nothing to do with pings.
        if !std::mem::take(&mut self.load.heard) {
            self.put(&frame::text(&Answer::Heartbeat { ts: now().0 }.to_json()));
        }
    }

    fn put_items(&mut self) {
        for item in &self.load.items {
            self.bytes.extend_from_slice(&item.frame);
            self.load.heard = true;
        }
    }
}

/// Whether a call ended because its time was up.
pub(super) fn is_patience(err: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(err.kind(), WouldBlock | TimedOut | Interrupted)
}
