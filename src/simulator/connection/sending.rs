//! Data frames: how many are due, and of what.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Connection, TICK_IDLE};
use crate::{
    market::Channel,
    simulator::{
        dialect::Update,
        frame::Load,
        garbage,
        prices::{self, Print},
        schedule::Schedule,
        told::Before,
        topics::Cursor,
    },
};

/// Messages a second below which a connection has little to send.
const IDLE_BELOW: f64 = 50.0;
/// Frames made at once, about and at most: after a pause the rest is not made up for.
const BATCH_MAX: f64 = 20_000.0;
/// Connections to one venue send an event within this of each other, unless something is wrong.
const LAG_MAX: Duration = Duration::from_secs(5);
/// How often books are looked through for those to be sent again.
const REPEAT_SCAN: Duration = Duration::from_millis(100);
/// What an oversized frame is said to have.
const OVERSIZED: u64 = (16 << 20) + (1 << 10);
/// Good frames between broken ones.
const GARBAGE_EVERY: u64 = 8;
/// Trades in one frame, of any venue.
const PRINTS_MAX: usize = 8;
/// One frame of trades in so many is left out, where some are lost.
const LOSE_EVERY: u8 = 8;

impl Connection<'_> {
    /// Makes new subscriptions begin.
    pub(super) fn begin_topics(&mut self, now: Instant) {
        let schedule = self.world.schedule.read();
        let count = schedule.count(now);
        let lately = now.checked_sub(LAG_MAX).map_or(0.0, |it| schedule.count(it));
        self.share = 0.0;
        for channel in Channel::ALL {
            for topic in self.topics.of_mut(channel) {
                let stream = self.served.stream(topic.row, channel);
                topic.cursor.get_or_insert_with(|| Cursor::new(stream, count, lately));
                self.share += stream.beat.share;
            }
        }
    }

    /// Makes what has become due since the last time.
    pub(super) fn generate(&mut self, now: Instant) {
        // The clock has been read before this lock is taken: see `World::set_rate`.
        let world = self.world;
        let schedule = &*world.schedule.read();
        let count = schedule.count(now);
        let owed = (count - std::mem::replace(&mut self.count, count)) * self.share;
        let idle = schedule.rate() * self.share < IDLE_BELOW;
        self.set_tick(if idle { TICK_IDLE.max(world.tick) } else { world.tick });
        if self.closing.is_some() || self.spoiled {
            return;
        }
        self.release();
        // A venue conflates what a client cannot take.
        if self.holding.mute || self.blocked {
            return self.skip(count);
        }
        if self.holding.oversized {
            return self.announce_oversized();
        }
        if BATCH_MAX < owed {
            self.skip(count - BATCH_MAX / self.share);
        }
        for at in 0..self.topics.of(Channel::Quotes).len() {
            self.send_quotes(schedule, at, count, now);
        }
        for at in 0..self.topics.of(Channel::Trades).len() {
            self.send_trades(schedule, at, count);
        }
        self.repeat_unchanged(now);
        self.served.counters.tally(std::mem::take(&mut self.tally));
    }

    /// Leaves out all that has happened by now.
    pub(super) fn skip_all(&mut self, now: Instant) {
        let count = self.world.schedule.read().count(now);
        self.skip(count);
    }

    fn skip(&mut self, count: f64) {
        for channel in Channel::ALL {
            for cursor in self.topics.of_mut(channel).iter_mut().filter_map(|it| it.cursor.as_mut())
            {
                self.tally.skipped += cursor.skip_to(cursor.beat.next(count));
            }
        }
        self.served.counters.tally(std::mem::take(&mut self.tally));
    }

    fn set_tick(&mut self, tick: Duration) {
        if tick != self.read_timeout && self.pipe.socket.tcp().set_read_timeout(Some(tick)).is_ok()
        {
            self.read_timeout = tick;
        }
    }

    /// The states of one book that it has had until there were `count` messages.
    fn send_quotes(&mut self, schedule: &Schedule, at: usize, count: f64, now: Instant) {
        let topic = &mut self.topics.of_mut(Channel::Quotes)[at];
        let Some(cursor) = &mut topic.cursor else { return };
        let due = cursor.beat.next(count);
        if due <= cursor.next {
            return;
        }
        let row = &self.served.rows[topic.row];
        if !row.moves() {
            cursor.skip_to(due);
            return;
        }
        if self.holding.mute_symbols && self.served.mutes(row) {
            self.tally.skipped += cursor.skip_to(due);
            return;
        }
        let first = std::mem::replace(&mut cursor.next, due);
        let before = cursor.stream.holes.tell(cursor.stream.tell(due), first..due);
        for number in first..due {
            let told = [before.has(number), first < number || before.has(number - 1)];
            self.send_quote(schedule, at, (number, told), None, now);
        }
    }

    /// A state of a book, as it is sent at `time` when that is not when it came to be, and whether
    /// somebody has been `told` of it and of the one before. Says whether it is one that the market
    /// has had.
    fn send_quote(
        &mut self,
        schedule: &Schedule,
        at: usize,
        (number, told): (u64, [bool; 2]),
        time: Option<u64>,
        now: Instant,
    ) -> bool {
        let topic = &mut self.topics.of_mut(Channel::Quotes)[at];
        let Some(cursor) = &mut topic.cursor else { return false };
        let row = &self.served.rows[topic.row];
        let teller = self.served.teller(schedule, row, cursor.beat);
        let book = teller.book(number, &mut cursor.mid);
        let known = told[0] || told[1] && teller.repeats(number);
        let (time, last) = (time.unwrap_or(book.time), topic.last.as_ref());
        let update = Update { row, topic, now: time, last };
        let mut good = false;
        let sent = self.pipe.out.frame(self.rules.data, |out| {
            let mut load = self.session.quote(&update, &book, out);
            good = 0 < load.quotes;
            load.repeats = load.quotes * u64::from(last.is_some_and(|it| it.says(&book)));
            load
        });
        (topic.last, topic.sent) = (Some(book), Some(now));
        self.tally.distinct[Channel::Quotes as usize] += u64::from(good && !known);
        self.follow_up(Channel::Quotes, at, sent);
        good
    }

    /// The frames with trades of one instrument until there were `count` messages.
    fn send_trades(&mut self, schedule: &Schedule, at: usize, count: f64) {
        let topic = &mut self.topics.of_mut(Channel::Trades)[at];
        let Some(cursor) = &mut topic.cursor else { return };
        let due = cursor.beat.next(count);
        if due <= cursor.next {
            return;
        }
        let row = &self.served.rows[topic.row];
        if !row.moves() {
            cursor.skip_to(due);
            return;
        }
        if self.holding.mute_symbols && self.served.mutes(row) {
            self.tally.skipped += cursor.skip_to(due);
            return;
        }
        let first = std::mem::replace(&mut cursor.next, due);
        let teller = self.served.teller(schedule, row, cursor.beat);
        let [told, begin, end] =
            [cursor.stream.tell(due), first, due].map(|it| teller.first_print(it));
        let before = cursor.stream.holes.tell(told, begin..end);
        for frame in first..due {
            self.send_frame(schedule, at, frame, &before);
        }
    }

    /// A frame with trades. Those are counted of which nobody had been told `before`.
    fn send_frame(&mut self, schedule: &Schedule, at: usize, frame: u64, before: &Before) {
        let topic = &mut self.topics.of_mut(Channel::Trades)[at];
        let Some(cursor) = &mut topic.cursor else { return };
        let row = &self.served.rows[topic.row];
        let teller = self.served.teller(schedule, row, cursor.beat);
        let [begin, end] = [frame, frame + 1].map(|it| teller.first_print(it));
        // What this client has not been told cannot be told again.
        let again = teller.reprints(frame).min(begin - teller.first_print(cursor.first));
        let mut prints = [Print::NONE; PRINTS_MAX];
        let mut len = 0;
        for (print, number) in prints.iter_mut().zip(begin - again..end) {
            *print = teller.print(number, topic.fills_max, &mut cursor.mid);
            len += 1;
        }
        let mut rng = teller.chance(frame);
        if self.holding.lose_trades && rng.u8(..LOSE_EVERY) == 0 {
            self.served.counters.add(&Load { lost_trades: end - begin, ..Load::default() });
            cursor.first = frame + 1;
            if !before.has(begin) {
                cursor.stream.holes.miss(begin..end);
            }
            return;
        }
        let update = Update { row, topic, now: teller.time(frame), last: None };
        let new = before.lacks(begin..end);
        let mut trades = 0;
        let sent = self.pipe.out.frame(self.rules.data, |out| {
            let mut load = self.session.trades(&update, &prints[..len], &mut rng, out);
            load.trades -= again;
            load.repeated_trades += again;
            trades = load.trades;
            load
        });
        // A trade may be told as many.
        let distinct = if new == end - begin { trades } else { trades.min(new) };
        self.tally.distinct[Channel::Trades as usize] += distinct;
        self.follow_up(Channel::Trades, at, sent);
    }

    /// Tells the trades from before the subscription.
    fn send_history(&mut self, schedule: &Schedule, at: usize, now: Instant) {
        let topic = &mut self.topics.of_mut(Channel::Trades)[at];
        topic.sent = Some(now);
        let Some(cursor) = &mut topic.cursor else { return };
        let row = &self.served.rows[topic.row];
        let teller = self.served.teller(schedule, row, cursor.beat);
        let end = teller.first_print(cursor.next);
        let begin = end - self.rules.history as u64;
        let print = |number| teller.print(number, topic.fills_max, &mut cursor.mid);
        let prints: Vec<_> = (begin..end).map(print).collect();
        let told = teller.first_print(cursor.stream.tell(cursor.next));
        let before = cursor.stream.holes.tell(told, begin..end);
        self.tally.distinct[Channel::Trades as usize] += before.lacks(begin..end);
        let update = Update { row, topic, now: prices::now(), last: None };
        self.frames += 1;
        self.pipe.out.frame(self.rules.data, |out| {
            self.session.history(&update, &prints, out);
            Load { repeated_trades: prints.len() as u64, ..Load::trades(0) }
        });
    }

    /// Sends books again that have not changed for as long as the venue says.
    fn repeat_unchanged(&mut self, now: Instant) {
        let Some(after) = self.rules.repeat_after else { return };
        if now - self.scanned < REPEAT_SCAN {
            return;
        }
        self.scanned = now;
        let time = prices::now();
        for topic in self.topics.of_mut(Channel::Quotes) {
            let row = &self.served.rows[topic.row];
            let old = topic.sent.is_some_and(|it| after <= now - it);
            let muted = self.holding.mute_symbols && self.served.mutes(row);
            let moves = row.moves() && !muted;
            let (true, true, Some(book)) = (old, moves, topic.last) else { continue };
            topic.sent = Some(now);
            self.frames += 1;
            let update = Update { row, topic, now: time, last: None };
            self.pipe.out.frame(self.rules.data, |out| {
                let load = self.session.quote(&update, &book, out);
                Load { repeats: load.quotes, ..load }
            });
        }
    }

    /// Has a good frame followed by what faults make of it.
    fn follow_up(&mut self, channel: Channel, at: usize, good: std::ops::Range<usize>) {
        self.frames += 1;
        let due = self.frames.is_multiple_of(GARBAGE_EVERY);
        if due && (self.holding.garbage || self.holding.wrong_encoding) {
            let good = self.pipe.out.payload(self.rules.data, good);
            let make =
                if self.holding.garbage { garbage::broken } else { garbage::wrongly_encoded };
            let (wire, broken) = make(self.rules.data, good, &mut self.rng);
            self.pipe.out.frame(wire, |out| {
                out.extend_from_slice(&broken);
                Load { garbage: 1, ..Load::default() }
            });
            return;
        }
        if self.holding.twice {
            let frame = self.pipe.out.take();
            self.pipe.out.put(frame.clone());
            self.pipe.out.put(frame.again());
        }
        if self.holding.swap {
            self.swap(channel, at);
        }
    }

    /// Keeps the last frame back until the next one of its topic has gone ahead.
    fn swap(&mut self, channel: Channel, at: usize) {
        match self.held.take() {
            Some((held, topic, frame)) if (held, topic) == (channel, at) => {
                self.pipe.out.put(frame);
            }
            None => self.held = Some((channel, at, self.pipe.out.take())),
            other => self.held = other,
        }
    }

    /// Sends what was kept back for a fault that is over.
    fn release(&mut self) {
        if !self.holding.swap
            && let Some((.., frame)) = self.held.take()
        {
            self.pipe.out.put(frame);
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
        let world = self.world;
        let schedule = &*world.schedule.read();
        let told = [self.rules.snapshot, 0 < self.rules.history];
        for (channel, _) in Channel::ALL.into_iter().zip(told).filter(|it| it.1) {
            for at in 0..self.topics.of(channel).len() {
                match channel {
                    _ if self.topics.of(channel)[at].sent.is_some() => {}
                    Channel::Quotes => self.send_snapshot(schedule, at, now),
                    Channel::Trades => self.send_history(schedule, at, now),
                }
            }
        }
    }

    /// The book as it is.
    fn send_snapshot(&mut self, schedule: &Schedule, at: usize, now: Instant) {
        let topic = &self.topics.of(Channel::Quotes)[at];
        let Some(cursor) = &topic.cursor else { return };
        if !self.served.rows[topic.row].moves() {
            return;
        }
        let (stream, next) = (Arc::clone(&cursor.stream), cursor.next);
        let before = stream.holes.before(stream.told());
        let told = [next - 1, next - 2].map(|it| before.has(it));
        // One that is none must not pass for the good one of another connection.
        if self.send_quote(schedule, at, (next - 1, told), Some(prices::now()), now) {
            stream.holes.tell(stream.tell(next), next - 1..next);
        }
    }
}
