//! What a venue says of an instrument on one channel: a stream of numbered events, each of which is
//! a function of its number, so that every connection that carries it says the same.
//!
//! On the channel of quotes an event is a state of the book, on that of trades a frame with some.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use fastrand::Rng;

use super::{
    dialect::{Echo, Rules},
    listing::Row,
    prices::{Book, Mid, Prices, Print, mix, sides, size, whole},
    schedule::Schedule,
    told::Holes,
};

/// One book in so many is sent again, where a venue does such things.
const ECHO_EVERY: u64 = 16;
/// One empty side in so many quotes of a thin instrument.
const EMPTY_EVERY: u32 = 24;
/// Frames with trades, of which two have several where a venue sends several in one.
const FRAMES: u64 = 8;
/// One frame in so many repeats trades, where a venue does such things.
const REPRINT_EVERY: u64 = 8;
/// Trades that a frame tells again, at most.
const REPRINTS: u64 = 2;
/// What merged trades are numbered by is so far below what their fills are.
const AGGREGATES: u64 = 1 << 40;

/// Keep chances apart.
mod salt {
    pub(super) const ECHO: u64 = 0x6563_686f << 32;
    pub(super) const SIZES: u64 = 0x7369_7a65 << 32;
    pub(super) const FILLS: u64 = 0x6669_6c6c << 32;
    pub(super) const FRAME: u64 = 0x6672_616d << 32;
    pub(super) const REPRINT: u64 = 0x7265_7072 << 32;
}

/// When the events of a stream happen, and how they are numbered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    /// Tells streams apart.
    pub(super) key: u64,
    /// The number of the first event after the start.
    pub(super) first: u64,
    /// Its part of all messages ...
    pub(super) share: f64,
    /// ... and so many messages are between two of its events; 0 when there are none.
    every: f64,
}

impl Beat {
    pub(super) fn new(key: u64, first: u64, share: f64) -> Self {
        Self { key, first, share, every: if 0.0 < share { 1.0 / share } else { 0.0 } }
    }

    /// The number of the next event when there have been `count` messages.
    pub(super) fn next(&self, count: f64) -> u64 {
        let events = count.max(0.0) * self.share;
        let number = self.first + whole(events);
        number + u64::from(self.delay(number) < events.fract())
    }

    /// How many messages there have been when an event happens: between those of its number and of
    /// the next, anywhere.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for all events of a run")]
    fn count(&self, number: u64) -> f64 {
        let since = number.wrapping_sub(self.first).cast_signed() as f64;
        (since + self.delay(number)) * self.every
    }

    fn delay(&self, number: u64) -> f64 {
        unit(mix(self.key ^ number))
    }
}

/// A number within 0 and 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 * (f64::EPSILON / 2.0)
}

/// A stream, and how far clients have been told of it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) beat: Beat,
    told: AtomicU64,
    /// Of books by their numbers, of trades by theirs, not by those of their frames.
    pub(super) holes: Holes,
}

impl Stream {
    pub(super) fn new(beat: Beat) -> Self {
        Self { beat, told: AtomicU64::new(0), holes: Holes::default() }
    }

    /// Where somebody begins to listen when there have been `count` messages: at the next event, or
    /// where another one that listens is, if that has been told of all by `lately`. So no event is
    /// between what one is told and what another is.
    pub(super) fn begin(self: &Arc<Self>, count: f64, lately: f64) -> u64 {
        let (next, told) = (self.beat.next(count), self.told());
        let others = 1 < Arc::strong_count(self);
        if others && self.beat.next(lately) <= told { next.min(told) } else { next }
    }

    /// Takes it that somebody is told of all before the event `to`; returns how far somebody had
    /// been told before.
    pub(super) fn tell(&self, to: u64) -> u64 {
        self.told.fetch_max(to, Ordering::Relaxed)
    }

    /// How far somebody has been told.
    pub(super) fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }
}

/// Knows what the events of a stream are.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) prices: Prices,
    pub(super) schedule: &'a Schedule,
    pub(super) rules: &'a Rules,
    /// Of the venue.
    pub(super) slot: u64,
    pub(super) row: &'a Row,
    pub(super) beat: Beat,
}

impl Teller<'_> {
    /// When an event happens, in milliseconds since the epoch.
    pub(super) fn time(&self, number: u64) -> u64 {
        self.schedule.time(self.beat.count(number))
    }

    /// Whether an event says again what the one before has said, word for word.
    pub(super) fn repeats(&self, number: u64) -> bool {
        self.rules.echo == Echo::Same && self.echoes(number)
    }

    /// A state of the book. `mid` is for it to remember something from one to the next.
    pub(super) fn book(&self, number: u64, mid: &mut Mid) -> Book {
        if self.rules.echo != Echo::Never && self.echoes(number) {
            let before = self.own_book(number - 1, mid);
            return match self.rules.echo {
                Echo::Renumbered => {
                    Book { update: self.update(number), time: self.time(number), ..before }
                }
                Echo::Same | Echo::Never => before,
            };
        }
        let book = self.own_book(number, mid);
        if !self.rules.one_sided || self.row.index.is_multiple_of(2) {
            return book;
        }
        one_sided(number, &self.own_book(number - 1, mid), book)
    }

    /// Whether an event says what the one before has said. No two in a row do.
    fn echoes(&self, number: u64) -> bool {
        let chance = |number| mix(self.beat.key ^ salt::ECHO ^ number).is_multiple_of(ECHO_EVERY);
        chance(number) && !chance(number - 1)
    }

    /// The state of the book as it would be if it did not depend on the one before.
    fn own_book(&self, number: u64, mid: &mut Mid) -> Book {
        let mut rng = Rng::with_seed(mix(self.beat.key ^ number));
        let (row, time) = (self.row, self.time(number));
        let (bid, ask) = sides(row, self.prices.step(self.slot, row, time, mid), &mut rng);
        let sizes = [size(row, number, &mut rng), size(row, number, &mut rng)];
        let update = self.update(number);
        let mut book = Book { bid, bid_size: sizes[0], ask, ask_size: sizes[1], update, time };
        if row.thin {
            match rng.u32(..EMPTY_EVERY * 2) {
                0 => (book.bid, book.bid_size) = (0, 0),
                1 => (book.ask, book.ask_size) = (0, 0),
                _ => {}
            }
        }
        book
    }

    /// Update ids leave some out.
    fn update(&self, number: u64) -> u64 {
        4 * number + mix(self.beat.key ^ number) % 4
    }

    /// The number of the first trade in a frame.
    pub(super) fn first_print(&self, frame: u64) -> u64 {
        let (block, at) = (frame / FRAMES, frame % FRAMES);
        let [pair, many] = self.crowded(block);
        let more = u64::from(pair < at) + self.surplus() * u64::from(many < at);
        block * self.prints() + at + more
    }

    /// Trades of a frame of many beyond the first.
    fn surplus(&self) -> u64 {
        self.rules.prints_max as u64 - 1
    }

    /// Trades of a block of frames: all have one, one has two, and one has the most there may be.
    fn prints(&self) -> u64 {
        FRAMES + self.surplus() + u64::from(0 < self.surplus())
    }

    /// Which frames of a block have two trades and many: none where all have one.
    fn crowded(&self, block: u64) -> [u64; 2] {
        if self.surplus() == 0 {
            return [FRAMES; 2];
        }
        let random = mix(self.beat.key ^ salt::SIZES ^ block);
        let pair = random % FRAMES;
        [pair, (pair + 1 + (random >> 8) % (FRAMES - 1)) % FRAMES]
    }

    /// The frame of a trade.
    fn frame_of(&self, print: u64) -> u64 {
        let first = print / self.prints() * FRAMES;
        let begun = |it: &u64| self.first_print(*it) <= print;
        (first + 1..first + FRAMES).take_while(begun).last().unwrap_or(first)
    }

    /// A trade at the best price, of up to `fills_max` fills.
    pub(super) fn print(&self, number: u64, fills_max: u64, mid: &mut Mid) -> Print {
        let mut rng = Rng::with_seed(mix(self.beat.key ^ number));
        let (row, time) = (self.row, self.time(self.frame_of(number)));
        let (bid, ask) = sides(row, self.prices.step(self.slot, row, time, mid), &mut rng);
        let buy = rng.bool();
        let (fills, id) = self.fills(number, fills_max.max(1));
        Print {
            price: if buy { ask } else { bid },
            size: size(row, number, &mut rng),
            buy,
            id,
            fills,
            aggregate: number.saturating_sub(AGGREGATES),
            update: 4 * number + 3,
            time,
        }
    }

    /// How many fills a trade has, and the id of the last of them. Of as many trades as the most
    /// fills one can have, each has another number of fills, so that their ids can be counted.
    fn fills(&self, number: u64, most: u64) -> (u64, u64) {
        let (block, at) = (number / most, number % most);
        let turn = mix(self.beat.key ^ salt::FILLS ^ block) % most;
        let of = |at| 1 + (at + turn) % most;
        let before = block * (most * (most + 1) / 2) + (0..at).map(of).sum::<u64>();
        (of(at), before + of(at))
    }

    /// How many trades of the frame before a frame tells again, where its venue does such things.
    pub(super) fn reprints(&self, frame: u64) -> u64 {
        let again = mix(self.beat.key ^ salt::REPRINT ^ frame).is_multiple_of(REPRINT_EVERY);
        if self.rules.reprints && again { REPRINTS } else { 0 }
    }

    /// Decides what else there is to a frame with trades.
    pub(super) fn chance(&self, frame: u64) -> Rng {
        Rng::with_seed(mix(self.beat.key ^ salt::FRAME ^ frame))
    }
}

/// `book` with one side as the state before has left it: events of even numbers move the bid, the
/// others the ask. Where that would cross, or a side is empty, both move.
fn one_sided(number: u64, before: &Book, book: Book) -> Book {
    if [before.bid, before.ask, book.bid, book.ask].contains(&0) {
        return book;
    }
    if number.is_multiple_of(2) && book.bid < before.ask {
        Book { ask: before.ask, ask_size: before.ask_size, ..book }
    } else if !number.is_multiple_of(2) && before.bid < book.ask {
        Book { bid: before.bid, bid_size: before.bid_size, ..book }
    } else {
        book
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        market::{Channel, Exchange, Market, Venue},
        simulator::{Options, world::World},
    };

    fn world(exchange: Exchange) -> World {
        let venues = Market::ALL.map(|it| Venue::new(exchange, it)).to_vec();
        World::new(&Options { venues, symbols: 3, ..Options::default() }, None)
    }

    #[test]
    fn events_are_counted_when_they_happen() {
        let beat = Beat::new(7, 1_000, 0.03);
        for number in 900..1_200 {
            let count = beat.count(number);
            assert!(count < beat.count(number + 1) || number == 1_199);
            let happened = [count - 1e-6, count + 1e-6].map(|it| beat.next(it));
            let wanted = if number < 1_000 { [1_000; 2] } else { [number, number + 1] };
            assert_eq!(happened, wanted);
        }
        assert_eq!(Beat::new(7, 1_000, 0.0).next(1e9), 1_000, "never");
    }

    /// What a venue says of its second instrument.
    fn with_teller(
        exchange: Exchange,
        market: usize,
        channel: Channel,
        test: impl FnOnce(Teller<'_>),
    ) {
        let world = world(exchange);
        let served = &world.venues[market];
        let beat = served.stream(1, channel).beat;
        test(served.teller(&world.schedule.read(), &served.rows[1], beat));
    }

    #[test]
    fn ids_of_trades_leave_none_out_however_many_are_in_a_frame() {
        for exchange in Exchange::ALL {
            for market in [0, 1] {
                with_teller(exchange, market, Channel::Trades, |teller| {
                    let first = teller.beat.first;
                    let (mut next, mut crowds) = (teller.first_print(first), 0);
                    let mut id = teller.print(next - 1, 3, &mut Mid::default()).id;
                    for frame in first..first + 100 {
                        let (begin, end) =
                            (teller.first_print(frame), teller.first_print(frame + 1));
                        assert_eq!(begin, next);
                        let len = usize::try_from(end - begin).unwrap();
                        assert!((1..=teller.rules.prints_max).contains(&len), "{len}");
                        crowds += u64::from(1 < len);
                        for number in begin..end {
                            let print = teller.print(number, 3, &mut Mid::default());
                            assert_eq!(teller.frame_of(number), frame);
                            assert_eq!(print.id - print.fills, id);
                            assert_eq!(print.time, teller.time(frame));
                            assert_eq!(teller.print(number, 1, &mut Mid::default()).fills, 1);
                            id = print.id;
                        }
                        next = end;
                    }
                    assert_eq!(0 < crowds, 1 < teller.rules.prints_max, "{exchange}: {crowds}");
                });
            }
        }
    }

    #[test]
    fn one_side_of_a_book_moves_at_a_time_where_a_venue_says_so() {
        with_teller(Exchange::Bybit, 0, Channel::Quotes, |teller| {
            let book = |number| teller.book(number, &mut Mid::default());
            let first = teller.beat.first;
            let (mut one, mut before) = (0, book(first));
            for number in first + 1..first + 1_000 {
                let book = book(number);
                assert!(book.bid < book.ask);
                let bid = (book.bid, book.bid_size) == (before.bid, before.bid_size);
                let ask = (book.ask, book.ask_size) == (before.ask, before.ask_size);
                one += u64::from(bid || ask);
                before = book;
            }
            assert!(500 < one, "{one} of 1000");
        });
    }

    #[test]
    fn a_second_listener_begins_where_the_first_one_is() {
        let stream = Arc::new(Stream::new(Beat::new(7, 1_000, 1.0)));
        assert_eq!(stream.begin(50.0, 0.0), stream.beat.next(50.0), "nobody else listens");
        let first = Arc::clone(&stream);
        assert_eq!(first.tell(1_040), 0);
        assert_eq!(stream.begin(50.0, 30.0), 1_040);
        assert_eq!(first.tell(1_060), 1_040);
        assert_eq!(stream.begin(50.0, 30.0), stream.beat.next(50.0), "not ahead of its time");
        assert_eq!(stream.begin(2_000.0, 1_500.0), stream.beat.next(2_000.0), "the first is stuck");
        drop(first);
        assert_eq!(stream.begin(70.0, 50.0), stream.beat.next(70.0));
    }
}
