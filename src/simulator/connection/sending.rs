//! Data frames: how many are due, and of what.

use std::time::{Duration, Instant};

use super::{Connection, TICK, TICK_IDLE};
use crate::{
    market::Channel,
    simulator::{
        dialect::{Update, quote_load},
        frame::Load,
        garbage,
        prices::{self, Print, whole},
    },
};

/// Messages a second below which a connection has little to send.
const IDLE_BELOW: f64 = 50.0;
/// Frames made at once, at most: after a pause the rest is not made up for.
const BATCH_MAX: f64 = 20_000.0;
/// How often books are looked through for those to be sent again.
const REPEAT_SCAN: Duration = Duration::from_millis(100);
/// What an oversized frame is said to have.
const OVERSIZED: u64 = (16 << 20) + (1 << 10);
/// Good frames between broken ones.
const GARBAGE_EVERY: u64 = 8;
/// Trades in one frame, of any venue.
const PRINTS_MAX: usize = 8;

impl Connection<'_> {
    /// Makes what has become due since the last time.
    pub(super) fn generate(&mut self, now: Instant) {
        let elapsed = (now - std::mem::replace(&mut self.generated, now)).as_secs_f64();
        let rate = self.world.venue_rate();
        let mut busy = 0.0;
        for (due, share) in self.due.iter_mut().zip(self.topics.share(self.world.trade_share)) {
            busy += share * rate;
            *due = (*due + share * rate * elapsed).min(BATCH_MAX);
        }
        self.set_tick(if busy < IDLE_BELOW { TICK_IDLE } else { TICK });
        let mute = self.closing.is_some() || self.spoiled || self.holding.mute;
        if mute || self.blocked {
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
            self.frames += 1;
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

    pub(super) fn send_snapshots(&mut self, now: Instant) {
        if !self.rules.snapshot || self.holding.mute || self.spoiled {
            return;
        }
        for at in 0..self.topics.of(Channel::Quotes).len() {
            if self.topics.of(Channel::Quotes)[at].last.is_none() {
                self.send_quote(at, prices::now(), now);
            }
        }
    }
}
