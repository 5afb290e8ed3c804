//! One symbol of one market, at all the exchanges that quote it.

use std::sync::Arc;

use super::{Counts, Out, episodes::Open, identity::Suspect, rules::Rules, scale};
use crate::market::{Cross, Exchange, Instrument, InstrumentId, Level, Market, Nanos, Quote};

/// The most instruments of one group: one bit each in a mask. Eight exchanges, of which some list
/// an asset and a multiple of it.
pub(super) const SLOTS_MAX: usize = 16;

/// All that may be compared with each other.
#[derive(Debug)]
pub(super) struct Group {
    /// The symbol, of the asset itself where exchanges list multiples of it.
    pub(super) symbol: Box<str>,
    pub(super) market: Market,
    /// What is looked at on every update, by slot.
    pub(super) legs: Vec<Leg>,
    /// All else, by slot.
    pub(super) slots: Vec<Slot>,
    pub(super) open: Vec<Open>,
    pub(super) suspects: Vec<Suspect>,
    /// Whether somebody wants to see its crosses.
    pub(super) watched: bool,
    /// Whether it is on the list of groups with open episodes.
    pub(super) listed_open: bool,
    pub(super) begun: Begun,
}

/// Episodes that began on one day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun {
    /// Since the epoch, UTC.
    pub(super) day: i64,
    pub(super) episodes: u32,
}

/// The latest of one instrument, per unit of the asset itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    /// Infinite when there is none.
    pub(super) ask: f64,
    /// Zero when there is none.
    pub(super) bid: f64,
    /// Of both sides, or of the only one; not a number when there is none.
    pub(super) mid: f64,
    /// Receipt of the quote, in microseconds.
    pub(super) at: i64,
    pub(super) fee_bps: f64,
    pub(super) exchange: Exchange,
    /// The slots with which it has an open episode, in either direction.
    pub(super) open: u16,
    /// The slots with which it makes no spread, since one of the two may be another asset.
    pub(super) held: u16,
    /// The slots that are known to be the same asset.
    pub(super) trusted: u16,
}

/// A quote reads one of each exchange: they are to fit into few cache lines.
const _: () = assert!(size_of::<Leg>() == 48);

/// What a cross earns, in basis points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Earned {
    pub(super) gross_bps: f64,
    pub(super) net_bps: f64,
}

/// One instrument.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: InstrumentId,
    pub(super) instrument: Arc<Instrument>,
    /// Units of the asset in one unit of the instrument.
    pub(super) multiple: f64,
    /// As the exchange said it; `None` until the first.
    pub(super) latest: Option<Quote>,
    /// Its column of the windows.
    pub(super) column: usize,
}

/// Before any time there is: the leg is too old at all times.
pub(super) const NEVER: i64 = i64::MIN / 2;

impl Leg {
    pub(super) fn new(exchange: Exchange, fee_bps: f64) -> Self {
        let (ask, bid, mid) = (f64::INFINITY, 0.0, f64::NAN);
        Self { ask, bid, mid, at: NEVER, fee_bps, exchange, open: 0, held: 0, trusted: 0 }
    }

    fn empty(&mut self) {
        (self.ask, self.bid, self.mid, self.at) = (f64::INFINITY, 0.0, f64::NAN, NEVER);
    }

    pub(super) fn set(&mut self, quote: &Quote, at: i64, multiple: f64) {
        let price = |it: Option<Level>| it.map(|it| it.price / multiple);
        self.at = at;
        (self.bid, self.ask, self.mid) = match (price(quote.bid), price(quote.ask)) {
            (Some(bid), Some(ask)) if bid < ask => (bid, ask, f64::midpoint(bid, ask)),
            // A book that is crossed or locked in itself is in between two states.
            (Some(_), Some(_)) | (None, None) => (0.0, f64::INFINITY, f64::NAN),
            (Some(bid), None) => (bid, f64::INFINITY, bid),
            (None, Some(ask)) => (0.0, ask, ask),
        };
    }

    pub(super) fn has_ask(&self) -> bool {
        self.ask.is_finite()
    }

    pub(super) fn has_bid(&self) -> bool {
        0.0 < self.bid
    }

    /// What buying here and selling at `there` earns. A side that is not there makes a total loss,
    /// or not a number: neither is above anything.
    pub(super) fn earns(&self, there: &Leg) -> Earned {
        let gross_bps = (there.bid - self.ask) / self.ask * 10_000.0;
        Earned { gross_bps, net_bps: gross_bps - self.fee_bps - there.fee_bps }
    }
}

impl Group {
    pub(super) fn new(symbol: &str, market: Market) -> Self {
        Self {
            symbol: symbol.into(),
            market,
            legs: Vec::new(),
            slots: Vec::new(),
            open: Vec::new(),
            suspects: Vec::new(),
            watched: false,
            listed_open: false,
            begun: Begun::default(),
        }
    }

    /// Gives `instrument` a slot; `None` when there is none left. An instrument of which only the
    /// id is new takes the slot of the old one, whose id is returned too.
    pub(super) fn seat(
        &mut self,
        id: InstrumentId,
        instrument: &Arc<Instrument>,
        rules: &Rules,
    ) -> Option<(usize, Option<InstrumentId>)> {
        let is_it = |it: &Slot| {
            it.instrument.venue == instrument.venue
                && it.instrument.symbol_native == instrument.symbol_native
        };
        let (multiple, instrument) = (scale::split(&instrument.symbol).1, Arc::clone(instrument));
        if let Some(at) = self.slots.iter().position(is_it) {
            let slot = &mut self.slots[at];
            let old = std::mem::replace(&mut slot.id, id);
            (slot.instrument, slot.multiple, slot.latest) = (instrument, multiple, None);
            return Some((at, Some(old)));
        }
        let at = self.slots.len();
        if at == SLOTS_MAX {
            return None;
        }
        let exchange = instrument.venue.exchange;
        let mut leg = Leg::new(exchange, rules.fee_bps(instrument.venue));
        for (n, other) in self.legs.iter_mut().enumerate() {
            if rules.trusts(&self.symbol, exchange, other.exchange) {
                leg.trusted |= 1 << n;
                other.trusted |= 1 << at;
            }
        }
        self.legs.push(leg);
        self.slots.push(Slot { id, instrument, multiple, latest: None, column: usize::MAX });
        Some((at, None))
    }

    /// Takes in what is new at slot `at`, and compares it with all other exchanges.
    pub(super) fn update(
        &mut self,
        at: usize,
        quote: &Quote,
        now: i64,
        rules: &Rules,
        counts: &mut Counts,
        out: &mut Out,
    ) {
        let oldest = now - rules.max_quote_age;
        if self.legs[at].open != 0 && self.legs[at].at < oldest {
            self.expire(oldest, rules, out);
        }
        let slot = &mut self.slots[at];
        slot.latest = Some(*quote);
        self.legs[at].set(quote, micros(quote.ts_recv), slot.multiple);
        let here = self.legs[at];
        let shown = out.wanted && self.watched;
        for there in 0..self.legs.len() {
            let leg = self.legs[there];
            if leg.exchange == here.exchange || leg.at < oldest {
                continue;
            }
            let bit = 1 << there;
            let apart = rules.are_apart(here.mid, leg.mid) && here.trusted & bit == 0;
            if (apart || here.held & bit != 0) && self.judge([at, there], apart, now, rules, counts)
            {
                self.close_both([at, there], now, out);
                continue;
            }
            let is_open = here.open & bit != 0;
            let (buying, selling) = (here.earns(&leg), leg.earns(&here));
            if is_open || rules.opens(buying.net_bps) {
                self.follow([at, there], buying, now, rules, counts, out);
            }
            if is_open || rules.opens(selling.net_bps) {
                self.follow([there, at], selling, now, rules, counts, out);
            }
            if shown {
                if let Some(cross) = self.cross([at, there], buying, now) {
                    out.crosses.push(cross);
                }
                if let Some(cross) = self.cross([there, at], selling, now) {
                    out.crosses.push(cross);
                }
            }
        }
    }

    /// Forgets what is known of the instrument at `slot`, which is another one now.
    pub(super) fn vacate(&mut self, slot: usize, now: i64, counts: &mut Counts, out: &mut Out) {
        for other in (0..self.legs.len()).filter(|&it| it != slot) {
            self.close_both([slot, other], now, out);
            self.acquit([slot, other], counts);
        }
        self.legs[slot].empty();
    }

    /// Forgets all quotes and suspicions. No episode is open.
    pub(super) fn forget(&mut self) {
        self.suspects.clear();
        for leg in &mut self.legs {
            leg.empty();
            leg.held = 0;
        }
        for slot in &mut self.slots {
            slot.latest = None;
        }
    }

    /// Buying at the first slot and selling at the second; `None` when a side is missing.
    // 14 of them a quote where all are wanted: a fifth faster inlined and pushed than extended by.
    #[inline]
    pub(super) fn cross(&self, [buy, sell]: [usize; 2], earned: Earned, now: i64) -> Option<Cross> {
        let (from, to) = (&self.legs[buy], &self.legs[sell]);
        if !(from.has_ask() && to.has_bid()) {
            return None;
        }
        let (bought, sold) = (&self.slots[buy], &self.slots[sell]);
        let ask = bought.latest.as_ref()?.ask?;
        let mut bid = sold.latest.as_ref()?.bid?;
        // In units of what is bought, which are those of what is sold but for multiples.
        #[expect(clippy::float_cmp, reason = "powers of ten from the same function")]
        if bought.multiple != sold.multiple {
            let ratio = bought.multiple / sold.multiple;
            bid = Level { price: bid.price * ratio, size: bid.size / ratio };
        }
        Some(Cross {
            buy: bought.id,
            sell: sold.id,
            ask,
            bid,
            gross_bps: earned.gross_bps,
            net_bps: earned.net_bps,
            leg_age: now.saturating_sub(from.at.min(to.at)).saturating_mul(1_000),
            ts_recv: nanos(from.at.max(to.at)),
        })
    }

    /// Whether the two make spreads at present.
    pub(super) fn compares(&self, [a, b]: [usize; 2], oldest: i64) -> bool {
        let (a, there) = (&self.legs[a], b);
        let b = &self.legs[b];
        a.exchange != b.exchange && oldest <= a.at.min(b.at) && a.held & (1 << there) == 0
    }

    /// All ordered pairs of slots of two exchanges.
    pub(super) fn pairs(&self) -> impl Iterator<Item = [usize; 2]> + '_ {
        let n = self.legs.len();
        let all = (0..n).flat_map(move |buy| (0..n).map(move |sell| [buy, sell]));
        all.filter(|&[buy, sell]| self.legs[buy].exchange != self.legs[sell].exchange)
    }
}

/// Whole microseconds, which is what files hold: what is computed here can be computed again.
pub(super) fn micros(at: Nanos) -> i64 {
    at.0.div_euclid(1_000)
}

pub(super) fn nanos(micros: i64) -> Nanos {
    Nanos(micros.saturating_mul(1_000))
}
