//! What can be asked of the engine, by those who hold its lock: nothing here changes anything.

use std::sync::Arc;

use super::{
    Spreads,
    group::{Group, Slot, nanos},
    windows::Past,
};
use crate::market::{Best, Cross, Episode, Exchange, Instrument, Market, Nanos, Quote};

/// A symbol, and where it is quoted.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// `BASE-QUOTE`, of the asset itself where exchanges list multiples of it.
    pub symbol: String,
    /// Which market.
    pub market: Market,
    /// All that may be compared with each other, in the order in which they were first seen.
    pub instruments: Vec<Arc<Instrument>>,
}

/// The latest quote of an instrument.
#[derive(Clone, Debug)]
pub struct Latest {
    /// What is quoted.
    pub instrument: Arc<Instrument>,
    /// As the exchange said it.
    pub quote: Quote,
    /// Nanoseconds since it was received.
    pub age: i64,
    /// Whether it is young enough to make spreads.
    pub is_fresh: bool,
}

/// A pair of exchanges that makes no spreads, since they may trade two assets of one name.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The two instruments.
    pub instruments: [Arc<Instrument>; 2],
    /// When their prices were first found apart.
    pub since: Nanos,
    /// The higher mid price as a multiple of the lower one, per unit of the asset itself.
    pub ratio: f64,
    /// Whether it has been judged; before that it is a suspicion, and makes no spreads either.
    pub is_judged: bool,
}

/// Quantiles of a window by nearest rank: 3 %, 50 % and 97 %.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Bands {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Bands {
    /// The bands of `values`; `None` of none. They must be numbers.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len();
        // The smallest value that at least this part of all is not above.
        let rank = |percent: usize| (n * percent).div_ceil(100).max(1) - 1;
        let quantile = |percent| values.get(rank(percent)).copied();
        Some(Self { low: quantile(3)?, median: quantile(50)?, high: quantile(97)? })
    }
}

/// One instrument over the window.
#[derive(Clone, Debug)]
pub struct History {
    /// Which one.
    pub instrument: Arc<Instrument>,
    /// The oldest first; times at which it had no fresh quote of two sides are left out.
    pub samples: Vec<Sample>,
    /// Of the mid price.
    pub mid: Option<Bands>,
    /// Of the spread of its own book.
    pub spread_bps: Option<Bands>,
}

/// One instrument at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub ts: Nanos,
    /// In the quote asset.
    pub mid: f64,
    /// (ask - bid) / mid, in basis points; no more than 655.35.
    pub spread_bps: f64,
}

/// A cross over the window, before fees.
#[derive(Clone, Debug)]
pub struct CrossHistory {
    /// Where it is bought.
    pub buy: Arc<Instrument>,
    /// Where it is sold.
    pub sell: Arc<Instrument>,
    /// Both taker fees, in basis points: gross less this is net.
    pub fees_bps: f64,
    /// When and the gross in basis points, the oldest first.
    pub gross_bps: Vec<(Nanos, f64)>,
    /// Of the gross.
    pub bands: Option<Bands>,
}

impl Spreads {
    /// All symbols that have been listed, in the order in which they were first seen.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.groups.iter().map(|it| Symbol {
            symbol: it.symbol.to_string(),
            market: it.market,
            instruments: it.slots.iter().map(|it| Arc::clone(&it.instrument)).collect(),
        })
    }

    /// The latest quotes of a symbol, as the exchanges spell it, of both markets.
    #[must_use]
    pub fn quotes_of(&self, symbol: &str) -> Vec<Latest> {
        let groups = Market::ALL.iter().filter_map(|&it| self.group(symbol, it));
        let slots = groups.flat_map(|it| it.slots.iter().zip(&it.legs));
        let named = slots.filter(|(it, _)| it.instrument.symbol == symbol);
        named
            .filter_map(|(slot, leg)| {
                let quote = slot.latest?;
                Some(Latest {
                    instrument: Arc::clone(&slot.instrument),
                    quote,
                    age: nanos(self.now).0.saturating_sub(quote.ts_recv.0).max(0),
                    is_fresh: self.oldest() <= leg.at,
                })
            })
            .collect()
    }

    /// The crosses that earn most at present, the best first: `at_most` of those that are `wanted`,
    /// which is asked with what is bought and what is sold.
    ///
    /// It looks at all pairs: a millisecond for 16 venues of 1000 symbols.
    #[must_use]
    pub fn crosses(
        &self,
        at_most: usize,
        wanted: impl Fn(&Instrument, &Instrument) -> bool,
    ) -> Vec<Cross> {
        let mut best: Vec<Cross> = Vec::new();
        let mut floor = f64::NEG_INFINITY;
        let order = |a: &Cross, b: &Cross| b.net_bps.total_cmp(&a.net_bps);
        for group in &self.groups {
            for pair in group.pairs().filter(|&it| group.compares(it, self.oldest())) {
                let [buy, sell] = pair;
                let earned = group.legs[buy].earns(&group.legs[sell]);
                let instrument = |it: usize| -> &Instrument { &group.slots[it].instrument };
                if floor < earned.net_bps && wanted(instrument(buy), instrument(sell)) {
                    best.extend(group.cross(pair, earned, self.now));
                }
            }
            // Now and then, since to sort for each would cost more than to collect twice as many.
            if at_most.saturating_mul(2) < best.len() {
                best.sort_unstable_by(order);
                best.truncate(at_most);
                floor = best.last().map_or(floor, |it| it.net_bps);
            }
        }
        best.sort_unstable_by(order);
        best.truncate(at_most);
        best
    }

    /// The cross of each symbol and market that earns most at present, of those that have one. It
    /// looks at all pairs, as [`crosses`](Self::crosses) does.
    #[must_use]
    pub fn best(&self) -> Vec<Best> {
        self.groups.iter().enumerate().filter_map(|(at, it)| self.best_of(at, it)).collect()
    }

    fn best_of(&self, place: usize, group: &Group) -> Option<Best> {
        let pairs = group.pairs().filter(|&it| group.compares(it, self.oldest()));
        let earns = |[buy, sell]: [usize; 2]| group.legs[buy].earns(&group.legs[sell]);
        let earning = pairs.map(|it| (it, earns(it))).filter(|(_, it)| it.net_bps.is_finite());
        // Of two that earn the same the first remains.
        let (pair, earned) = earning.max_by(|(_, a), (_, b)| {
            a.net_bps.total_cmp(&b.net_bps).then(std::cmp::Ordering::Greater)
        })?;
        let received = pair.map(|it| group.legs[it].at);
        let cross = group.cross(pair, earned, self.now)?;
        Some(Best {
            place,
            cross,
            received: received.map(nanos),
            leg_ages: received.map(|it| nanos(self.now - it).0),
            expires: nanos(received[0].min(received[1]) - self.oldest()).0,
            episodes: group.begun_on(self.now),
        })
    }

    /// The episodes that are not over, each with the time of its latest update as its close.
    pub fn open(&self) -> impl Iterator<Item = Episode> + '_ {
        self.groups.iter().flat_map(|it| &it.open).map(|it| it.episode)
    }

    /// The pairs that are held back, with why and since when.
    pub fn quarantined(&self) -> impl Iterator<Item = Quarantined> + '_ {
        self.groups.iter().flat_map(|group| {
            group.suspects.iter().map(|it| Quarantined {
                instruments: it.pair.map(|slot| Arc::clone(&group.slots[slot].instrument)),
                since: nanos(it.since),
                ratio: it.ratio,
                is_judged: it.quarantined,
            })
        })
    }

    /// What an instrument's prices were; `None` when there is no such instrument.
    #[must_use]
    pub fn history(&self, symbol: &str, market: Market, exchange: Exchange) -> Option<History> {
        let group = self.group(symbol, market)?;
        let slot = slot(group, symbol, exchange)?;
        let sample = |it: Past| Sample {
            ts: nanos(it.at),
            mid: it.mid * slot.multiple,
            spread_bps: it.spread_bps,
        };
        let samples: Vec<_> = self.windows.of(slot.column).map(sample).collect();
        Some(History {
            instrument: Arc::clone(&slot.instrument),
            mid: Bands::of(samples.iter().map(|it| it.mid)),
            spread_bps: Bands::of(samples.iter().map(|it| it.spread_bps)),
            samples,
        })
    }

    /// What the crosses of a symbol were, of all ordered pairs of exchanges, or of those that buy
    /// or sell at `exchange`; empty when there is no such symbol.
    #[must_use]
    pub fn cross_histories(
        &self,
        symbol: &str,
        market: Market,
        exchange: Option<Exchange>,
    ) -> Vec<CrossHistory> {
        let Some(group) = self.group(symbol, market) else { return Vec::new() };
        let has = |it: usize| exchange.is_none_or(|of| group.legs[it].exchange == of);
        let pairs = group.pairs().filter(|&[buy, sell]| has(buy) || has(sell));
        pairs.map(|pair| self.cross_history(group, pair)).collect()
    }

    fn cross_history(&self, group: &Group, pair: [usize; 2]) -> CrossHistory {
        let [buy, sell] = pair.map(|it| Arc::clone(&group.slots[it].instrument));
        let [from, to] = pair.map(|it| group.legs[it].fee_bps);
        let gross = |[from, to]: [Past; 2]| {
            (nanos(from.at), (to.bid() - from.ask()) / from.ask() * 10_000.0)
        };
        let columns = pair.map(|it| group.slots[it].column);
        let gross_bps: Vec<_> = self.windows.pairs(columns).map(gross).collect();
        let bands = Bands::of(gross_bps.iter().map(|it| it.1));
        CrossHistory { buy, sell, fees_bps: from + to, gross_bps, bands }
    }
}

fn slot<'a>(group: &'a Group, symbol: &str, exchange: Exchange) -> Option<&'a Slot> {
    let at_exchange =
        |it: &&Slot| it.instrument.venue.exchange == exchange && it.instrument.symbol == symbol;
    group.slots.iter().find(at_exchange)
}
