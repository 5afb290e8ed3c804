//! What waits for the client goes out: at once, in pieces, or byte by byte.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{CLOSE_WITHIN, Connection, End};

/// How long a write may keep a thread from reading.
pub(super) const WRITE_WITHIN: Duration = Duration::from_millis(50);
/// A client that takes nothing for so long is dropped ...
const SLOW_MAX: Duration = Duration::from_secs(30);
/// ... and so is one that has us keep so much for it.
const OUTBOX_MAX: usize = 16 << 20;
/// Torn batches are written in so many pieces, with these pauses.
const TORN_PIECES: u32 = 5;
const TORN_PAUSE: Duration = Duration::from_millis(2);
/// So many bytes trickle at a turn, with these pauses.
const TRICKLE_BYTES: usize = 64;
const TRICKLE_PAUSE: Duration = Duration::from_micros(200);

impl Connection<'_> {
    /// Writes what the client takes; says whether it is given up.
    pub(super) fn flush(&mut self, now: Instant) -> Option<End> {
        if self.holding.torn {
            self.write_torn();
        }
        let gone = if self.holding.trickle { self.trickle() } else { self.write() }.is_err();
        self.blocked = !self.pipe.out.is_empty();
        if !self.blocked {
            self.drained = now;
        }
        let slow = SLOW_MAX < now - self.drained || OUTBOX_MAX < self.pipe.out.len();
        let closed = self.closing.is_some_and(|it| CLOSE_WITHIN < now - it);
        (gone || slow || closed || self.cut).then_some(End::Over)
    }

    fn write(&mut self) -> io::Result<()> {
        if self.pipe.out.is_empty() {
            return Ok(());
        }
        let (load, outcome) =
            self.pipe.out.write_to(&mut self.pipe.socket, usize::MAX, self.world.frames_per_write);
        self.served.counters.add(&load);
        outcome
    }

    fn write_torn(&mut self) {
        for piece in 0..TORN_PIECES {
            if self.pipe.out.is_empty() {
                return;
            }
            let limit = if piece == 0 { 1 } else { self.rng.usize(1..400) };
            let (load, outcome) =
                self.pipe.out.write_to(&mut self.pipe.socket, limit, self.world.frames_per_write);
            self.served.counters.add(&load);
            if outcome.is_err() || self.stop.wait(TORN_PAUSE) {
                return;
            }
        }
    }

    fn trickle(&mut self) -> io::Result<()> {
        for _ in 0..TRICKLE_BYTES {
            let frames = self.world.frames_per_write;
            let (load, outcome) = self.pipe.out.write_to(&mut self.pipe.socket, 1, frames);
            self.served.counters.add(&load);
            outcome?;
            if self.pipe.out.is_empty() || self.stop.wait(TRICKLE_PAUSE) {
                break;
            }
        }
        Ok(())
    }

    /// Writes the rest, for a moment.
    pub(super) fn write_all(&mut self) {
        let deadline = Instant::now() + WRITE_WITHIN;
        while !self.pipe.out.is_empty() && Instant::now() < deadline && self.write().is_ok() {}
    }
}
