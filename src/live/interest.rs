//! Who wants what: from a symbol to its subscribers.
//!
//! The last word about a symbol at a venue counts. A client's entries for a symbol are of disjoint
//! venues, and so are those for all symbols; what is written of a symbol goes before what is written
//! of all, and is erased when all are spoken of later.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::protocol::Venues;
use crate::market::InstrumentId;

/// The subscriptions of one topic.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// No list is empty; each is ordered by client.
    by_symbol: HashMap<Box<str>, Vec<Entry>, RandomState>,
    to_all: Vec<Entry>,
    /// By client, how many names it has in here; all symbols count as one.
    names: HashMap<u32, usize, RandomState>,
    /// By instrument, who wants it: what has been found out since anything changed.
    known: Vec<Option<Box<[Wanting]>>>,
}

/// A client, and for how many milliseconds messages are held together for it.
pub(super) type Wanting = (u32, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    client: u32,
    venues: Venues,
    /// `None`: not of this symbol, though of all others.
    interval_ms: Option<u32>,
}

impl Interest {
    /// Makes `client` want messages of `venues` of these symbols, `None` for all of them. Nothing
    /// changes when that makes more than `names_max` names.
    ///
    /// # Errors
    /// With the number of names that it would be.
    pub(super) fn subscribe(
        &mut self,
        client: u32,
        symbols: Option<&[String]>,
        venues: Venues,
        interval_ms: u32,
        names_max: usize,
    ) -> Result<(), usize> {
        self.set(client, symbols, venues, Some(interval_ms), names_max)
    }

    /// Ends the subscriptions of `client` to `venues` of these symbols, `None` for all of them.
    ///
    /// # Errors
    /// When it has subscribed to all symbols and would except more than `names_max` of them, with
    /// the number of names that it would be.
    pub(super) fn unsubscribe(
        &mut self,
        client: u32,
        symbols: Option<&[String]>,
        venues: Venues,
        names_max: usize,
    ) -> Result<(), usize> {
        self.known.clear();
        let Some(symbols) = symbols else {
            let mut lost = 0;
            self.by_symbol.retain(|_, entries| {
                lost += usize::from(set(entries, client, venues, None));
                !entries.is_empty()
            });
            lost += usize::from(set(&mut self.to_all, client, venues, None));
            self.lose(client, lost);
            return Ok(());
        };
        // Those that are covered by a subscription to all become exceptions of it.
        let of_all = of(&self.to_all, client);
        let excepted = of_all.iter().map(|it| it.venues).fold(Venues::NONE, Venues::or).and(venues);
        if !excepted.is_empty() {
            self.set(client, Some(symbols), excepted, None, names_max)?;
        }
        let others = venues.without(excepted);
        for symbol in symbols {
            self.forget(symbol, client, others);
        }
        Ok(())
    }

    /// Ends all that `client` wants.
    pub(super) fn leave(&mut self, client: u32) {
        if self.names.contains_key(&client) {
            let _ = self.unsubscribe(client, None, Venues::ALL, 0);
        }
    }

    /// Whether anybody wants anything.
    #[must_use]
    pub(super) fn is_any(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether `client` wants anything.
    #[must_use]
    pub(super) fn has(&self, client: u32) -> bool {
        self.names.contains_key(&client)
    }

    /// The symbols that somebody names; `None` when somebody wants all.
    #[must_use]
    pub(super) fn symbols(&self) -> Option<impl Iterator<Item = &str>> {
        self.to_all.is_empty().then(|| self.by_symbol.keys().map(AsRef::as_ref))
    }

    /// The clients that want messages of `instrument`, whose symbol and venue `what` says.
    pub(super) fn of<'a>(
        &mut self,
        instrument: InstrumentId,
        what: impl FnOnce() -> (&'a str, Venues),
    ) -> &[Wanting] {
        let at = instrument.0 as usize;
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        if self.known[at].is_none() {
            let (symbol, venues) = what();
            let mut wanting = Vec::new();
            self.find([symbol; 2], venues, &mut wanting);
            self.known[at] = Some(wanting.into());
        }
        self.known[at].as_deref().expect("it has been found out")
    }

    /// Puts into `wanting` the clients that want messages of either symbol, each once: one asset may
    /// have two names, and a client both of them.
    pub(super) fn find(&self, symbols: [&str; 2], venues: Venues, wanting: &mut Vec<Wanting>) {
        wanting.clear();
        self.each(symbols[0], venues, |client, interval_ms| wanting.push((client, interval_ms)));
        if symbols[0] != symbols[1] {
            let first = wanting.len();
            self.each(symbols[1], venues, |client, interval_ms| {
                if !wanting[..first].iter().any(|it| it.0 == client) {
                    wanting.push((client, interval_ms));
                }
            });
        }
    }

    /// Calls `with` for each client that wants messages of any of `venues` of `symbol`, once, with
    /// the interval.
    fn each(&self, symbol: &str, venues: Venues, mut with: impl FnMut(u32, u32)) {
        let named = self.by_symbol.get(symbol).map_or(&[][..], Vec::as_slice);
        let mut served = None;
        for it in named.iter().filter(|it| it.venues.meets(venues)) {
            if let Some(interval_ms) = it.interval_ms
                && served != Some(it.client)
            {
                served = Some(it.client);
                with(it.client, interval_ms);
            }
        }
        served = None;
        for it in self.to_all.iter().filter(|it| it.venues.meets(venues)) {
            let own = of(named, it.client);
            let was_served =
                own.iter().any(|it| it.interval_ms.is_some() && it.venues.meets(venues));
            let rest = own.iter().fold(venues, |rest, it| rest.without(it.venues));
            if let Some(interval_ms) = it.interval_ms
                && it.venues.meets(rest)
                && served != Some(it.client)
                && !was_served
            {
                served = Some(it.client);
                with(it.client, interval_ms);
            }
        }
    }

    fn set(
        &mut self,
        client: u32,
        symbols: Option<&[String]>,
        venues: Venues,
        interval_ms: Option<u32>,
        names_max: usize,
    ) -> Result<(), usize> {
        self.known.clear();
        let mut names = self.names.get(&client).copied().unwrap_or_default();
        let is_new =
            |entries: Option<&Vec<Entry>>| entries.is_none_or(|it| of(it, client).is_empty());
        names += match symbols {
            Some(symbols) => {
                symbols.iter().filter(|it| is_new(self.by_symbol.get(it.as_str()))).count()
            }
            None => usize::from(is_new(Some(&self.to_all))),
        };
        if names_max < names {
            return Err(names);
        }
        let entry = Entry { client, venues, interval_ms };
        match symbols {
            None => {
                // What was said of single symbols before is overruled.
                let mut lost = 0;
                self.by_symbol.retain(|_, entries| {
                    lost += usize::from(set(entries, client, venues, None));
                    !entries.is_empty()
                });
                set(&mut self.to_all, client, venues, Some(entry));
                names -= lost;
            }
            Some(symbols) => {
                for symbol in symbols {
                    let entries = self.by_symbol.entry(symbol.as_str().into()).or_default();
                    set(entries, client, venues, Some(entry));
                }
            }
        }
        self.names.insert(client, names);
        Ok(())
    }

    fn forget(&mut self, symbol: &str, client: u32, venues: Venues) {
        let Some(entries) = self.by_symbol.get_mut(symbol) else { return };
        let lost = set(entries, client, venues, None);
        if entries.is_empty() {
            self.by_symbol.remove(symbol);
        }
        self.lose(client, usize::from(lost));
    }

    fn lose(&mut self, client: u32, lost: usize) {
        let Some(names) = self.names.get_mut(&client) else { return };
        *names -= lost;
        if *names == 0 {
            self.names.remove(&client);
        }
    }
}

/// The entries of one client.
fn of(entries: &[Entry], client: u32) -> &[Entry] {
    let start = entries.partition_point(|it| it.client < client);
    let len = entries[start..].iter().take_while(|it| it.client == client).count();
    &entries[start..start + len]
}

/// Takes `venues` from all entries of `client` and puts `entry` in; says whether the client had an
/// entry and has none any more.
fn set(entries: &mut Vec<Entry>, client: u32, venues: Venues, entry: Option<Entry>) -> bool {
    let had = !of(entries, client).is_empty();
    if had {
        for it in entries.iter_mut().filter(|it| it.client == client) {
            it.venues = it.venues.without(venues);
        }
        entries.retain(|it| it.client != client || !it.venues.is_empty());
    }
    if let Some(entry) = entry {
        entries.insert(entries.partition_point(|it| it.client <= client), entry);
    }
    had && of(entries, client).is_empty()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::market::{Exchange, Market, Venue};

    const NAMES_MAX: usize = 5;
    const SYMBOLS: [&str; 4] = ["A-U", "B-U", "C-U", "D-U"];

    fn venue(n: usize) -> Venues {
        Venues::one(Venue::new(Exchange::ALL[n / 2], Market::ALL[n % 2]))
    }

    fn wanting(interest: &Interest, symbol: &str, venues: Venues) -> BTreeMap<u32, u32> {
        let mut found = Vec::new();
        interest.find([symbol; 2], venues, &mut found);
        once(&found)
    }

    fn once(found: &[Wanting]) -> BTreeMap<u32, u32> {
        let by_client: BTreeMap<_, _> = found.iter().copied().collect();
        assert_eq!(by_client.len(), found.len(), "somebody is told twice: {found:?}");
        by_client
    }

    /// Of whichever instrument was looked at before.
    fn check_what_is_known(interest: &mut Interest) {
        for (n, symbol) in SYMBOLS.iter().enumerate() {
            for venue_at in 0..4 {
                let id = InstrumentId(u32::try_from(n * 4 + venue_at).expect("few"));
                let expected = wanting(interest, symbol, venue(venue_at));
                let found = interest.of(id, || (symbol, venue(venue_at)));
                assert_eq!(once(found), expected, "{symbol} {venue_at}");
            }
        }
    }

    fn names(symbols: &[&str]) -> Vec<String> {
        symbols.iter().map(|&it| it.to_owned()).collect()
    }

    #[test]
    fn what_is_said_of_a_symbol_goes_before_what_is_said_of_all() {
        let mut it = Interest::default();
        it.subscribe(1, None, Venues::ALL, 100, 9).expect("room");
        it.subscribe(1, Some(&names(&["A-U"])), Venues::ALL, 0, 9).expect("room");
        it.unsubscribe(1, Some(&names(&["B-U"])), Venues::ALL, 9).expect("room");
        assert_eq!(wanting(&it, "A-U", venue(0)), BTreeMap::from([(1, 0)]));
        assert_eq!(wanting(&it, "B-U", venue(0)), BTreeMap::new());
        assert_eq!(wanting(&it, "C-U", venue(0)), BTreeMap::from([(1, 100)]));
        it.unsubscribe(1, None, Venues::ALL, 9).expect("less");
        assert!(!it.is_any());
        assert!(it.by_symbol.is_empty() && it.to_all.is_empty(), "{it:?}");
    }

    #[test]
    fn a_message_of_two_venues_is_for_those_who_want_either_and_once() {
        let mut it = Interest::default();
        let symbols = names(&["A-U"]);
        it.subscribe(1, Some(&symbols), venue(0), 0, 9).expect("room");
        it.subscribe(1, Some(&symbols), venue(1), 50, 9).expect("room");
        it.subscribe(2, Some(&symbols), venue(2), 0, 9).expect("room");
        assert_eq!(wanting(&it, "A-U", venue(0).or(venue(1))), BTreeMap::from([(1, 0)]));
        assert_eq!(wanting(&it, "A-U", venue(1).or(venue(2))), BTreeMap::from([(1, 50), (2, 0)]));
    }

    #[test]
    fn whoever_wants_both_names_of_an_asset_is_told_once() {
        let mut it = Interest::default();
        it.subscribe(1, Some(&names(&["A-U", "B-U"])), venue(0), 0, 9).expect("room");
        it.subscribe(2, Some(&names(&["B-U"])), venue(0), 50, 9).expect("room");
        let mut found = vec![(7, 7)];
        it.find(["A-U", "B-U"], venue(0), &mut found);
        assert_eq!(found, [(1, 0), (2, 50)]);
    }

    /// What one client wants, by symbol and venue, said in full.
    type Model = BTreeMap<(usize, usize), Option<u32>>;

    #[derive(Clone, Debug)]
    enum Step {
        Subscribe(u32, Option<Vec<usize>>, u32, u32),
        Unsubscribe(u32, Option<Vec<usize>>, u32),
        Leave(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let symbols = || prop::option::of(prop::collection::vec(0..SYMBOLS.len(), 1..3));
        prop_oneof![
            4 => (0..3u32, symbols(), 1..16u32, 0..4u32)
                .prop_map(|(client, symbols, venues, ms)| Step::Subscribe(client, symbols, venues, ms)),
            3 => (0..3u32, symbols(), 1..16u32)
                .prop_map(|(client, symbols, venues)| Step::Unsubscribe(client, symbols, venues)),
            1 => (0..3u32).prop_map(Step::Leave),
        ]
    }

    fn some(symbols: Option<Vec<usize>>) -> Option<Vec<String>> {
        symbols.map(|it| {
            let mut it: Vec<_> = it.into_iter().map(|it| SYMBOLS[it].to_owned()).collect();
            it.sort();
            it.dedup();
            it
        })
    }

    fn mask(bits: u32) -> Venues {
        (0..4).filter(|it| bits & (1 << it) != 0).map(venue).fold(Venues::NONE, Venues::or)
    }

    proptest! {
        /// The index against a table of every client, symbol and venue.
        #[test]
        fn it_is_as_if_every_wish_were_written_down(steps in prop::collection::vec(step(), 0..40)) {
            let mut it = Interest::default();
            let mut model = vec![Model::new(); 3];
            for step in steps {
                let (client, symbols, bits, wish) = match step {
                    Step::Subscribe(client, symbols, bits, ms) => (client, symbols, bits, Some(ms)),
                    Step::Unsubscribe(client, symbols, bits) => (client, symbols, bits, None),
                    Step::Leave(client) => {
                        it.leave(client);
                        check_what_is_known(&mut it);
                        model[client as usize].clear();
                        continue;
                    }
                };
                let of = symbols.clone().unwrap_or_else(|| (0..SYMBOLS.len()).collect());
                let named = some(symbols);
                let (named, venues) = (named.as_deref(), mask(bits));
                let done = match wish {
                    Some(ms) => it.subscribe(client, named, venues, ms, NAMES_MAX),
                    None => it.unsubscribe(client, named, venues, NAMES_MAX),
                };
                check_what_is_known(&mut it);
                if done.is_ok() {
                    for symbol in of {
                        for n in (0..4).filter(|it| bits & (1 << it) != 0) {
                            model[client as usize].insert((symbol, n), wish);
                        }
                    }
                }
            }
            for (at, symbol) in SYMBOLS.iter().enumerate() {
                for n in 0..4 {
                    let expected: BTreeMap<_, _> = (0..3)
                        .filter_map(|client| {
                            Some((client, (*model[client as usize].get(&(at, n))?)?))
                        })
                        .collect();
                    prop_assert_eq!(wanting(&it, symbol, venue(n)), expected, "{} {}", symbol, n);
                }
                for (one, other) in [(0, 1), (1, 2), (0, 3)] {
                    let wants = |client: u32, n| {
                        let wish = model[client as usize].get(&(at, n));
                        wish.is_some_and(Option::is_some)
                    };
                    let expected = (0..3).filter(|&it| wants(it, one) || wants(it, other));
                    let found = wanting(&it, symbol, venue(one).or(venue(other)));
                    prop_assert!(expected.eq(found.into_keys()), "{} {} {}", symbol, one, other);
                }
            }
            for client in 0..3 {
                it.leave(client);
            }
            prop_assert!(!it.is_any() && it.by_symbol.is_empty() && it.to_all.is_empty());
        }
    }
}
