//! Spreads between exchanges, as quotes come: buy at one's ask, sell at another's bid.
//!
//! The engine does no I/O and is told the time. It keeps the latest quote of every instrument,
//! ordered by symbol and market; each quote is compared with the other exchanges' in both
//! directions, and no quote makes it look at anything else.
//!
//! Invariants, each checked by a test:
//! - a leg that is older than [`Settings::max_quote_age`] makes no spread, and ends an episode at
//!   the time at which it became too old, however late that is noticed;
//! - what it makes of quotes depends on them and their order alone, not on when
//!   [`tick`](Spreads::tick) is called, and in whole microseconds, which is what files hold: it can
//!   be computed again from stored quotes;
//! - two quote assets are never compared, nor two markets, nor an exchange with itself.

mod episodes;
mod group;
mod identity;
mod order;
mod rules;
mod run;
mod scale;
mod settings;
#[cfg(test)]
mod tests;
mod views;
mod windows;

use std::{
    collections::{HashMap, HashSet},
    hint,
    sync::Arc,
};

use self::{
    group::{Group, NEVER, micros, nanos},
    rules::Rules,
    windows::Windows,
};
pub use self::{
    run::{Ends, Outlet, Tap, run},
    settings::{InvalidSameAsset, SameAsset, Settings},
    views::{Bands, CrossHistory, History, Latest, Quarantined, Sample, Symbol},
};
use crate::market::{Cross, Episode, Instrument, InstrumentId, Market, Nanos, Quote};

/// The engine.
#[derive(Debug)]
pub struct Spreads {
    rules: Rules,
    groups: Vec<Group>,
    /// By market and symbol.
    by_symbol: [HashMap<Box<str>, usize>; Market::ALL.len()],
    /// By instrument.
    places: Vec<Place>,
    /// How many instruments have a column in the windows.
    columns: usize,
    windows: Windows,
    /// The groups that have, or had a moment ago, an open episode.
    with_open: Vec<usize>,
    /// The symbols of [`Watch::Only`], as groups are called.
    watched: Option<HashSet<Box<str>>>,
    /// The latest time it was told, by quotes or by the clock, in microseconds.
    now: i64,
    counts: Counts,
}

/// Where an instrument is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Unknown,
    /// It has been replaced by one of the same name, or there was no room for it.
    Nowhere,
    At {
        group: u32,
        slot: u8,
    },
}

/// What the engine has to say; to be emptied and used again.
#[derive(Debug, Default)]
pub struct Out {
    /// Whether [`crosses`](Self::crosses) are wanted at all.
    pub wanted: bool,
    /// What each quote earned with each other exchange, in both directions, of the symbols that
    /// are [watched](Spreads::watch).
    pub crosses: Vec<Cross>,
    /// Episodes that are over.
    pub episodes: Vec<Episode>,
}

/// Of which symbols every cross is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Watch {
    /// Of all.
    #[default]
    All,
    /// Of these, in the spelling of any of their exchanges.
    Only(HashSet<String>),
}

/// What the engine has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Quotes taken in.
    pub updates: u64,
    /// Quotes that came after a younger one, of any instrument, or after the engine had advanced.
    pub late: u64,
    /// Episodes begun.
    pub episodes: u64,
    /// Pairs that are quarantined at present.
    pub quarantined: u64,
}

/// How far the clock has to fall behind what was received for it to have been set back, in
/// microseconds.
const CLOCK_STEP: i64 = 10_000_000;

/// Quotes for which what they are compared with is fetched together.
const FETCHED: usize = 16;

impl Spreads {
    /// An engine that knows no instruments.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            rules: Rules::new(settings),
            groups: Vec::new(),
            by_symbol: Default::default(),
            places: Vec::new(),
            columns: 0,
            windows: Windows::new(settings.window, settings.sample_every),
            with_open: Vec::new(),
            watched: None,
            now: NEVER,
            counts: Counts::default(),
        }
    }

    /// Whether [`list`](Self::list) has been called for `id`.
    #[must_use]
    pub fn knows(&self, id: InstrumentId) -> bool {
        !matches!(self.places.get(id.0 as usize), None | Some(Place::Unknown))
    }

    /// Makes an instrument known, once. It takes the place of one of the same venue and native
    /// symbol.
    pub fn list(&mut self, id: InstrumentId, instrument: &Arc<Instrument>, out: &mut Out) {
        let at = id.0 as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, Place::Unknown);
        }
        self.places[at] = Place::Nowhere;
        let group = self.group_for(&instrument.symbol, instrument.venue.market);
        let Some((slot, old)) = self.groups[group].seat(id, instrument, &self.rules) else {
            log::warn!(
                "{} of {}: too many instruments of one symbol, this one makes no spreads",
                instrument.symbol_native,
                instrument.venue
            );
            return;
        };
        if let Some(old) = old {
            self.places[old.0 as usize] = Place::Nowhere;
            self.groups[group].vacate(slot, self.now, &mut self.counts, out);
        } else {
            self.groups[group].slots[slot].column = self.columns;
            self.columns += 1;
        }
        let group = u32::try_from(group).expect("no more groups than instruments");
        let slot = u8::try_from(slot).expect("no more than SLOTS_MAX");
        self.places[at] = Place::At { group, slot };
    }

    /// Takes in quotes, as [`on_quote`](Self::on_quote) does one.
    pub fn on_quotes(&mut self, quotes: &[Quote], out: &mut Out) {
        for quotes in quotes.chunks(FETCHED) {
            // What they are compared with lies all over the memory. The processor fetches it for many at a
            // time, but only if nothing else is to be done in between.
            hint::black_box(quotes.iter().map(|it| self.fetch(it)).fold(0, i64::wrapping_add));
            for quote in quotes {
                self.on_quote(quote, out);
            }
        }
    }

    /// Reads what [`on_quote`](Self::on_quote) will look at, to no other end.
    fn fetch(&self, quote: &Quote) -> i64 {
        let Some(Place::At { group, slot }) = self.places.get(quote.instrument.0 as usize) else {
            return 0;
        };
        let (group, slot) = (&self.groups[*group as usize], usize::from(*slot));
        let latest = group.slots[slot].latest.map_or(0, |it| it.ts_recv.0);
        group.legs.iter().map(|it| it.at).fold(latest, i64::wrapping_add)
    }

    /// Takes in a quote of an instrument that is known. What it ends and earns is appended to
    /// `out`.
    ///
    /// Quotes should come in the order of their receipt; one that is older than what is known of
    /// its instrument, or too old for a spread, is left out.
    pub fn on_quote(&mut self, quote: &Quote, out: &mut Out) {
        let Some(Place::At { group: at, slot }) = self.places.get(quote.instrument.0 as usize)
        else {
            return;
        };
        let (at, slot) = (*at as usize, usize::from(*slot));
        let received = micros(quote.ts_recv);
        self.counts.updates += 1;
        self.counts.late += u64::from(received < self.now);
        self.now = self.now.max(received);
        let group = &mut self.groups[at];
        if received < group.legs[slot].at.max(self.now - self.rules.max_quote_age) {
            return;
        }
        group.update(slot, quote, self.now, &self.rules, &mut self.counts, out);
        if !group.open.is_empty() && !group.listed_open {
            group.listed_open = true;
            self.with_open.push(at);
        }
    }

    /// Says that all quotes received before `now` have been taken in: one that comes yet is late.
    pub fn advance(&mut self, now: Nanos) {
        self.now = self.now.max(micros(now));
    }

    /// Looks at the time: ends the episodes of which a leg has become too old, and samples the
    /// windows. It [advances](Self::advance) to `now`, unless that shows that the clock was set back.
    pub fn tick(&mut self, now: Nanos, out: &mut Out) {
        if micros(now) < self.now.saturating_sub(CLOCK_STEP) {
            self.rewind(out);
        }
        self.advance(now);
        let oldest = self.oldest();
        let (groups, rules) = (&mut self.groups, &self.rules);
        self.with_open.retain(|&at| {
            groups[at].expire(oldest, rules, out);
            groups[at].listed_open = !groups[at].open.is_empty();
            groups[at].listed_open
        });
        self.windows.tick(&self.groups, self.columns, self.now, oldest);
    }

    /// Ends all episodes.
    pub fn finish(&mut self, out: &mut Out) {
        let (now, oldest) = (self.now, self.oldest());
        for at in self.with_open.drain(..) {
            let group = &mut self.groups[at];
            group.expire(oldest, &self.rules, out);
            group.close_all(now, out);
            group.listed_open = false;
        }
    }

    /// Says of which symbols every cross is wanted: of all, until told.
    pub fn watch(&mut self, watch: &Watch) {
        self.watched = match watch {
            Watch::All => None,
            Watch::Only(symbols) => {
                Some(symbols.iter().map(|it| scale::split(it).0.into()).collect())
            }
        };
        for group in &mut self.groups {
            group.watched = is_watched(self.watched.as_ref(), &group.symbol);
        }
    }

    /// Goes by other thresholds from the next quote on. Fees, windows and what is said to be the same
    /// asset stay as they were.
    pub fn set_rules(&mut self, settings: &Settings) {
        self.rules = Rules::new(settings);
    }

    /// What has been done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many episodes are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.with_open.iter().map(|&it| self.groups[it].open.len()).sum()
    }

    /// The latest time it knows of.
    #[must_use]
    pub fn now(&self) -> Nanos {
        nanos(self.now)
    }

    /// The earliest receipt of a quote that makes spreads, in microseconds.
    fn oldest(&self) -> i64 {
        self.now.saturating_sub(self.rules.max_quote_age)
    }

    fn group(&self, symbol: &str, market: Market) -> Option<&Group> {
        let at = self.by_symbol[market as usize].get(scale::split(symbol).0)?;
        Some(&self.groups[*at])
    }

    fn group_for(&mut self, symbol: &str, market: Market) -> usize {
        let (symbol, _) = scale::split(symbol);
        let by_symbol = &mut self.by_symbol[market as usize];
        if let Some(&at) = by_symbol.get(symbol) {
            return at;
        }
        let at = self.groups.len();
        by_symbol.insert(symbol.into(), at);
        let mut group = Group::new(symbol, market);
        group.watched = is_watched(self.watched.as_ref(), symbol);
        self.groups.push(group);
        at
    }

    /// The clock was set back: what was received before cannot be compared with what comes.
    fn rewind(&mut self, out: &mut Out) {
        log::warn!("the clock was set back: spreads begin anew");
        self.finish(out);
        for group in &mut self.groups {
            group.forget();
        }
        self.counts.quarantined = 0;
        self.windows.clear();
        self.now = NEVER;
    }
}

fn is_watched(watched: Option<&HashSet<Box<str>>>, symbol: &str) -> bool {
    watched.is_none_or(|it| it.contains(symbol))
}
