//! Data frames: how many are due, and of what.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{Connection, TICK, TICK_IDLE};
use crate::{
    market::Channel,
    simulator::{
        dialect::{Echo, Update},
        frame::Load,
        garbage,
        prices::{self, Book, Prices, Print, whole},
        topics::Topic,
        world::Served,
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
/// One book in so many is sent again, where a venue does such things.
const ECHO_EVERY: u8 = 16;
/// One frame in so many repeats trades, where a venue does such things.
const REPRINT_EVERY: u8 = 8;
/// One frame of trades in so many is left out, where some are lost.
const LOSE_EVERY: u8 = 8;

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
        if !row.moves() || self.holding.mute_symbols && self.served.mutes(row) {
            return;
        }
        let echoed = topic.last.filter(|_| self.rules.echo != Echo::Never);
        let echoed = echoed.filter(|_| self.rng.u8(..ECHO_EVERY) == 0);
        let mut book = match echoed {
            Some(book) if self.rules.echo == Echo::Same => book,
            Some(book) => Book { update: row.next_update(1), time, ..book },
            None => self.world.prices.book(self.served.slot, row, time, &mut self.rng),
        };
        let update = Update { row, topic, now: time, last: topic.last.as_ref() };
        let sent = self.pipe.out.frame(self.rules.data, |out| {
            let mut load = self.session.quote(&update, &mut book, out);
            load.repeats = load.quotes * u64::from(topic.last.is_some_and(|it| it.says(&book)));
            load
        });
        (topic.last, topic.sent) = (Some(book), Some(now));
        self.follow_with_garbage(sent);
    }

    fn send_trades(&mut self, at: usize, time: u64) {
        let topic = &mut self.topics.of_mut(Channel::Trades)[at];
        let row = &self.served.rows[topic.row];
        if !row.moves() || self.holding.mute_symbols && self.served.mutes(row) {
            return;
        }
        let mut prints = [Print::NONE; PRINTS_MAX];
        let most = self.rules.prints_max.min(PRINTS_MAX);
        let again = self.rules.reprints && self.rng.u8(..REPRINT_EVERY) == 0;
        let told = if again { topic.told.len().min(most - 1) } else { 0 };
        prints[..told].copy_from_slice(&topic.told[topic.told.len() - told..]);
        let most = most - told;
        let new = if 1 < most && self.rng.u8(..4) == 0 { self.rng.usize(2..=most) } else { 1 };
        for print in &mut prints[told..told + new] {
            let prices = self.world.prices;
            *print = prices.print(self.served.slot, row, time, &mut self.rng, topic.fills_max);
            if self.rules.reprints {
                topic.tell_apart(print, &mut self.rng);
            }
        }
        if 0 < self.rules.history {
            row.remember(&prints[told..told + new], self.rules.history);
        }
        if self.holding.lose_trades && self.rng.u8(..LOSE_EVERY) == 0 {
            let load = Load { lost_trades: new as u64, ..Load::default() };
            return self.served.counters.add(&load);
        }
        let update = Update { row, topic, now: time, last: None };
        let sent = self.pipe.out.frame(self.rules.data, |out| {
            let prints = &prints[..told + new];
            let mut load = self.session.trades(&update, prints, &mut self.rng, out);
            load.trades -= told as u64;
            load.repeated_trades += told as u64;
            load
        });
        self.follow_with_garbage(sent);
    }

    /// Tells the trades from before the subscription.
    fn send_history(&mut self, at: usize, time: u64, now: Instant) {
        let topic = &mut self.topics.of_mut(Channel::Trades)[at];
        topic.sent = Some(now);
        let prices = self.world.prices;
        let prints = history(self.served, topic, prices, self.rules.history, time, &mut self.rng);
        let row = &self.served.rows[topic.row];
        let update = Update { row, topic, now: time, last: None };
        self.frames += 1;
        self.pipe.out.frame(self.rules.data, |out| {
            self.session.history(&update, &prints, out);
            Load { repeated_trades: prints.len() as u64, ..Load::trades(0) }
        });
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
            let muted = self.holding.mute_symbols && self.served.mutes(row);
            let moves = row.moves() && !muted;
            let (true, true, Some(mut book)) = (old, moves, topic.last) else { continue };
            topic.sent = Some(now);
            self.frames += 1;
            let update = Update { row, topic, now: time, last: None };
            self.pipe.out.frame(self.rules.data, |out| {
                let load = self.session.quote(&update, &mut book, out);
                Load { repeats: load.quotes, ..load }
            });
        }
    }

    fn follow_with_garbage(&mut self, good: std::ops::Range<usize>) {
        self.frames += 1;
        if self.holding.garbage && self.frames.is_multiple_of(GARBAGE_EVERY) {
            let good = self.pipe.out.payload(self.rules.data, good);
            let (wire, broken) = garbage::broken(self.rules.data, good, &mut self.rng);
            self.pipe.out.frame(wire, |out| {
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

    /// Sends what a venue tells on subscribe of those topics of which nothing has been sent.
    pub(super) fn send_snapshots(&mut self, now: Instant) {
        if self.holding.mute || self.spoiled {
            return;
        }
        let told = [self.rules.snapshot, 0 < self.rules.history];
        for (channel, _) in Channel::ALL.into_iter().zip(told).filter(|it| it.1) {
            for at in 0..self.topics.of(channel).len() {
                match channel {
                    _ if self.topics.of(channel)[at].sent.is_some() => {}
                    Channel::Quotes => self.send_quote(at, prices::now(), now),
                    Channel::Trades => self.send_history(at, prices::now(), now),
                }
            }
        }
    }
}

/// The last trades of a topic's instrument, oldest first; made up where there have been too few.
fn history(
    served: &Served,
    topic: &Topic,
    prices: Prices,
    most: usize,
    time: u64,
    rng: &mut Rng,
) -> Vec<Print> {
    const FEWEST: usize = 3;
    let row = &served.rows[topic.row];
    let mut prints = row.remembered();
    if prints.is_empty() {
        let earlier = time.saturating_sub(1_000);
        prints.push(prices.print(served.slot, row, earlier, rng, 1));
    }
    while prints.len() < FEWEST.min(most) {
        let Print { id, aggregate, time, .. } = prints[0];
        let first = Print { id: id - 1, aggregate: aggregate - 1, time: time - 700, ..prints[0] };
        prints.insert(0, first);
    }
    prints
}
