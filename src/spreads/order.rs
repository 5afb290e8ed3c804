//! Quotes of many connections in the order of their receipt.
//!
//! They arrive in the order in which the threads of the connections came to run. Stored quotes can
//! only be ordered by receipt, so spreads are made in that order too: by microsecond, by exchange,
//! and as they came.

use crate::market::{Exchange, Nanos, Quote};

use super::{CLOCK_STEP, group::micros};

/// Quotes that wait, at most. A clock that stands still must not fill the memory: 12 MB.
const HELD_MAX: usize = 100_000;

/// Quotes that wait for earlier ones.
#[derive(Debug, Default)]
pub(super) struct Order {
    held: Vec<(Key, Quote)>,
    /// Of those that are due, with their places in `held`.
    due: Vec<(Key, usize)>,
    later: Vec<(Key, Quote)>,
}

/// The microsecond of receipt, and the exchange.
type Key = (i64, u8);

impl Order {
    pub(super) fn push(&mut self, quote: Quote, exchange: Exchange) {
        self.held.push(((micros(quote.ts_recv), exchange as u8), quote));
    }

    /// Appends those received before `until` to `ready`, in order; all of them when the clock does
    /// not go on as it should.
    pub(super) fn release(&mut self, until: Nanos, ready: &mut Vec<Quote>) {
        let mut until = micros(until);
        let latest = self.held.iter().map(|it| it.0.0).max();
        let set_back = latest.is_some_and(|it| until.saturating_add(CLOCK_STEP) < it);
        if set_back || HELD_MAX < self.held.len() {
            until = i64::MAX;
        }
        if self.held.iter().all(|it| until <= it.0.0) {
            return;
        }
        for (n, held) in self.held.iter().enumerate() {
            if held.0.0 < until {
                self.due.push((held.0, n));
            } else {
                self.later.push(*held);
            }
        }
        // A stable sort makes use of what is in order already: all of one connection.
        self.due.sort_by_key(|it| it.0);
        ready.extend(self.due.drain(..).map(|(_, n)| self.held[n].1));
        self.held.clear();
        std::mem::swap(&mut self.held, &mut self.later);
        trim(&mut self.held);
        trim(&mut self.later);
        trim(&mut self.due);
    }
}

/// Gives back what a burst has made a buffer grow to, bit by bit.
pub(super) fn trim<T>(buffer: &mut Vec<T>) {
    /// 2 MB of quotes: that much is usual.
    const CAPACITY_KEPT: usize = 16_384;
    let half = buffer.capacity() / 2;
    if CAPACITY_KEPT <= half && buffer.len() < half / 2 {
        buffer.shrink_to(half);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{ConnId, InstrumentId};

    const LAST: Nanos = Nanos(i64::MAX);

    fn push(order: &mut Order, at: i64, exchange: usize) {
        let instrument = InstrumentId(u32::try_from(exchange).expect("small"));
        let (conn, sequence) = (ConnId(0), None);
        let ts_recv = Nanos(at);
        let (ts_event, bid, ask) = (None, None, None);
        let quote = Quote { instrument, conn, ts_event, ts_recv, bid, ask, sequence };
        order.push(quote, Exchange::ALL[exchange]);
    }

    fn release(order: &mut Order, until: Nanos) -> Vec<(i64, u32)> {
        let mut ready = Vec::new();
        order.release(until, &mut ready);
        ready.iter().map(|it| (it.ts_recv.0, it.instrument.0)).collect()
    }

    #[test]
    fn quotes_are_ordered_by_microsecond_then_exchange_then_arrival() {
        let mut order = Order::default();
        for (at, exchange) in [(5_000, 1), (3_900, 2), (3_100, 2), (3_500, 0), (9_000, 1)] {
            push(&mut order, at, exchange);
        }
        let ready = release(&mut order, Nanos(6_000));
        assert_eq!(ready, [(3_500, 0), (3_900, 2), (3_100, 2), (5_000, 1)]);
        assert_eq!(release(&mut order, Nanos(9_000)), [], "one of that time may still come");
        push(&mut order, 8_000, 3);
        assert_eq!(release(&mut order, LAST), [(8_000, 3), (9_000, 1)]);
        assert_eq!(release(&mut order, LAST), []);
    }

    #[test]
    fn a_clock_that_stands_still_or_is_set_back_holds_nothing_up() {
        let mut order = Order::default();
        (0..=HELD_MAX).for_each(|_| push(&mut order, 1_000, 0));
        assert_eq!(release(&mut order, Nanos(0)).len(), HELD_MAX + 1);
        for _ in 0..9 {
            push(&mut order, 1_000, 0);
            assert_eq!(release(&mut order, LAST).len(), 1);
        }
        assert!(order.held.capacity() + order.later.capacity() < HELD_MAX / 2);
        push(&mut order, 1_000, 0);
        assert_eq!(release(&mut order, Nanos(0)), []);
        push(&mut order, (CLOCK_STEP + 1) * 1_000, 0);
        assert_eq!(release(&mut order, Nanos(0)).len(), 2);
    }
}
