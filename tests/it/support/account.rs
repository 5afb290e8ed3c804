//! What was sent against what is stored.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use spread_aggregator::{
    market::{Channel, Venue},
    simulator::Sent,
};

use super::{
    gaps::gaps,
    rows::rows,
    world::{World, eventually, hang_up, hush},
};

/// Has the venues send no more, and end the connections when all has arrived; returns what they
/// have sent.
pub(crate) fn end(world: &World<'_>) -> Vec<(Venue, Sent)> {
    hush(world.simulator, world.venues);
    hang_up(world.simulator, world.venues);
    for &venue in world.venues {
        let connections = || world.venue(venue).connections.get();
        eventually(&format!("{venue} has ended"), || connections() == 0);
    }
    world.venues.iter().map(|it| (*it, world.simulator.sent(*it))).collect()
}

/// Fails unless each event that somebody was sent is stored, and only once: a state that a venue has
/// told again and again is that of one connection.
pub(crate) fn stored_is_sent(dir: &Path, sent: &[(Venue, Sent)]) {
    for channel in Channel::ALL {
        let stored = stored(dir, channel, 0);
        let distinct = |it: &Sent| match channel {
            Channel::Quotes => it.distinct_quotes,
            Channel::Trades => it.distinct_trades,
        };
        let sent = sent.iter().map(|(venue, it)| (venue.to_string(), distinct(it)));
        assert_eq!(stored, sent.collect(), "{channel}");
        assert!(stored.values().all(|it| 100 < *it), "{channel}: {stored:?}");
    }
}

/// How many different events of each venue are stored; none is there twice, but for a state that a
/// venue has told again and again on one connection. A program that was killed so many times has not
/// known what it had stored before.
fn stored(dir: &Path, channel: Channel, kills: usize) -> BTreeMap<String, u64> {
    let mut seen = HashMap::<_, HashSet<_>>::new();
    let mut counts = BTreeMap::new();
    for row in rows(dir, channel) {
        let connections = seen.entry((row.venue(), row.identity())).or_default();
        if connections.is_empty() {
            *counts.entry(row.venue()).or_default() += 1;
        }
        connections.insert(row.conn_id);
        assert!(connections.len() <= kills + 1, "{channel}: twice: {}", row.identity());
    }
    counts
}

/// What became of all that was sent.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) sent: u64,
    /// Of events that are not stored, all at venues that the ledger names.
    pub(crate) missing: u64,
    /// Rows of the ledger, by reason.
    pub(crate) declared: BTreeMap<String, u64>,
}

/// Fails unless each event that somebody was sent is stored, once. `lossy` venues may lack some, if
/// the ledger says so.
pub(crate) fn accounted_for(dir: &Path, sent: &[(Venue, Sent)], lossy: &HashSet<Venue>) -> Account {
    accounted_for_after(dir, sent, lossy, 0)
}

/// The same for a program that was killed so many times.
pub(crate) fn accounted_for_after(
    dir: &Path,
    sent: &[(Venue, Sent)],
    lossy: &HashSet<Venue>,
    kills: usize,
) -> Account {
    let gaps = gaps(dir);
    let mut account = Account::default();
    for gap in &gaps {
        *account.declared.entry(gap.reason.clone()).or_default() += 1;
    }
    let [quotes, trades] = [Channel::Quotes, Channel::Trades].map(|it| stored(dir, it, kills));
    for (venue, sent) in sent {
        let name = venue.to_string();
        let of = |it: &BTreeMap<String, u64>| it.get(&name).copied().unwrap_or_default();
        let (stored, all) =
            ([of(&quotes), of(&trades)], [sent.distinct_quotes, sent.distinct_trades]);
        let [stored_all, sent_all] = [stored, all].map(|it| it.iter().sum::<u64>());
        account.sent += sent_all;
        account.missing += sent_all.saturating_sub(stored_all);
        let no_more = (0..2).all(|it| stored[it] <= all[it]);
        assert!(no_more, "{venue}: {stored:?} of {all:?}");
        if !lossy.contains(venue) || !gaps.iter().any(|it| it.venue == name) {
            let no_less = (0..2).all(|it| all[it] <= stored[it]);
            assert!(no_less, "{venue}: lost in silence: {stored:?} of {all:?}");
        }
    }
    account
}
