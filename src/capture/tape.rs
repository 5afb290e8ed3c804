//! A feed's end.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Settings,
    chunk::{Carries, Chunk, Feed, Record, What},
    line::Mark,
};
use crate::{
    channel::{Receiver, Sender, Sent, newest},
    market::{ConnId, Nanos, Venue},
    metrics::QueueMetrics,
};

/// A chunk is sent on when it has this many bytes: few enough that a loss is small, many enough that
/// the queue costs nothing a frame.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait to be written, at most; mostly it is their bytes that are too many first. 200
/// connections make 4,000 in a second, since none keeps one for longer than a tick.
const CHUNKS_MAX: usize = 16_384;

/// Where tapes put their chunks. Dropping the last clone ends the recorder.
#[derive(Clone, Debug)]
pub struct Inlet {
    queue: Sender<Chunk>,
    metrics: QueueMetrics,
    waiting: Waiting,
}

/// Chunks that wait to be written.
#[derive(Debug)]
pub struct Outlet {
    pub(super) queue: Receiver<Chunk>,
    pub(super) metrics: QueueMetrics,
    pub(super) waiting: Waiting,
}

/// The bytes of chunks that wait.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    bytes: Arc<AtomicU64>,
    max: u64,
}

/// Both ends of the queue of frames, which `metrics` counts.
#[must_use]
pub fn inlet(settings: &Settings, metrics: &QueueMetrics) -> (Inlet, Outlet) {
    let (queue, chunks) = newest(CHUNKS_MAX);
    let waiting = Waiting { bytes: Arc::default(), max: settings.queue_size };
    let inlet = Inlet { queue, metrics: metrics.clone(), waiting: waiting.clone() };
    (inlet, Outlet { queue: chunks, metrics: metrics.clone(), waiting })
}

impl Waiting {
    fn add(&self, chunk: &Chunk) {
        self.bytes.fetch_add(chunk.records.capacity() as u64, Ordering::Relaxed);
    }

    pub(super) fn take(&self, chunk: &Chunk) {
        self.bytes.fetch_sub(chunk.records.capacity() as u64, Ordering::Relaxed);
    }

    fn is_too_much(&self) -> bool {
        self.max < self.bytes.load(Ordering::Relaxed)
    }
}

/// Takes down what a feed receives. What is left is sent on when it is dropped.
#[derive(Debug)]
pub struct Tape {
    inlet: Inlet,
    feed: Arc<Feed>,
    carries: Vec<Arc<Carries>>,
    before: u64,
    frames: u64,
    records: Vec<u8>,
    evicted: Vec<Chunk>,
}

impl Tape {
    /// A tape of a feed that has no connection.
    #[must_use]
    pub fn new(inlet: Inlet, name: &str, venue: Venue, now: Nanos) -> Self {
        let feed = Arc::new(Feed { name: name.to_owned(), venue });
        let (carries, records) = (Vec::new(), Vec::new());
        let mut it = Self { inlet, feed, carries, before: 0, frames: 0, records, evicted: vec![] };
        it.mark(Mark::Fresh, ConnId(0), now);
        it
    }

    /// A connection carries these from now on.
    pub fn carry(&mut self, carries: Carries) {
        self.flush();
        self.carries.retain(|it| it.conn != carries.conn);
        self.carries.push(Arc::new(carries));
    }

    /// There is no connection but `conn`.
    pub fn retain(&mut self, conn: Option<ConnId>) {
        self.flush();
        self.carries.retain(|it| Some(it.conn) == conn);
    }

    /// A text frame.
    pub fn text(&mut self, conn: ConnId, ts_recv: Nanos, text: &str) {
        self.frame(conn, ts_recv, What::Text(text.as_bytes()));
    }

    /// A binary frame.
    pub fn binary(&mut self, conn: ConnId, ts_recv: Nanos, frame: &[u8]) {
        self.frame(conn, ts_recv, What::Binary(frame));
    }

    /// Something that decides which events are passed on.
    pub fn mark(&mut self, mark: Mark, conn: ConnId, time: Nanos) {
        Record { conn, time, what: What::Mark(mark) }.append(&mut self.records);
    }

    fn frame(&mut self, conn: ConnId, time: Nanos, what: What<'_>) {
        Record { conn, time, what }.append(&mut self.records);
        self.frames += 1;
        if CHUNK_BYTES <= self.records.len() {
            self.flush();
        }
    }

    /// Sends on what there is.
    pub fn flush(&mut self) {
        if self.records.is_empty() {
            return;
        }
        // The next one will be about as large.
        let next = Vec::with_capacity(self.records.len().min(CHUNK_BYTES));
        let chunk = Chunk {
            feed: Arc::clone(&self.feed),
            carries: self.carries.clone(),
            before: self.before,
            frames: self.frames,
            records: mem::replace(&mut self.records, next),
        };
        self.before += mem::take(&mut self.frames);
        let Inlet { queue, metrics, waiting } = &self.inlet;
        waiting.add(&chunk);
        if let Sent::Closed(chunk) = queue.send(chunk, &mut self.evicted) {
            self.evicted.push(chunk);
        }
        while waiting.is_too_much() {
            let Some(oldest) = queue.evict() else { break };
            waiting.take(&oldest);
            metrics.dropped.inc_by(oldest.frames);
        }
        for it in self.evicted.drain(..) {
            waiting.take(&it);
            metrics.dropped.inc_by(it.frames);
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel::Received,
        market::{Exchange, Market},
        metrics::Metrics,
    };

    #[test]
    fn a_disk_that_does_not_keep_up_costs_the_oldest_frames_and_each_is_counted() {
        let metrics = Metrics::new().queue("capture");
        let settings = Settings {
            dir: "x".into(),
            rotate: std::time::Duration::from_secs(1),
            rotate_size: 1,
            max_size: 1,
            queue_size: 1 << 20,
            level: 1,
        };
        let (inlet, outlet) = inlet(&settings, &metrics);
        let venue = Venue::new(Exchange::ALL[0], Market::Spot);
        let mut tape = Tape::new(inlet, "feed-x", venue, Nanos(0));
        let sent = 1 << 14;
        for n in 0..sent {
            tape.text(ConnId(1), Nanos(n), &"x".repeat(1 << 10));
        }
        drop(tape);
        let mut chunks = Vec::new();
        assert_eq!(outlet.queue.drain(&mut chunks, usize::MAX), Received::Items);
        let kept: u64 = chunks.iter().map(|it| it.frames).sum();
        assert!((1..2_000).contains(&kept), "{kept} of 1 KiB kept in 1 MiB");
        assert_eq!(kept + metrics.dropped.get(), sent.unsigned_abs());
        let last = chunks.last().expect("some are kept");
        assert_eq!(last.before + last.frames, sent.unsigned_abs(), "the newest");
        for it in &chunks {
            outlet.waiting.take(it);
        }
        assert_eq!(outlet.waiting.bytes.load(Ordering::Relaxed), 0);
    }
}
