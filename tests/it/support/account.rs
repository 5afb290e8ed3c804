//! What was sent against what is stored.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    path::Path,
};

use spread_aggregator::{
    market::{Channel, Venue},
    simulator::{Fault, Sent, Simulator},
};

use super::{
    rows::rows,
    world::{World, eventually},
};

/// Has the venues send no more, and end the connections when all has arrived; returns what they
/// have sent.
pub(crate) fn end(world: &World<'_>) -> Vec<(Venue, Sent)> {
    world.simulator.set_rate(0.0);
    let mut before = (0, 0);
    eventually("nothing is under way", || {
        let sent = frames(world.simulator, world.venues);
        before = if before.0 == sent { (sent, before.1 + 1) } else { (sent, 0) };
        20 <= before.1
    });
    for &venue in world.venues {
        world.simulator.inject(venue, Fault::Http(503));
        world.simulator.inject(venue, Fault::Eof);
    }
    for &venue in world.venues {
        let connections = || world.venue(venue).connections.get();
        eventually(&format!("{venue} has ended"), || connections() == 0);
    }
    world.venues.iter().map(|it| (*it, world.simulator.sent(*it))).collect()
}

fn frames(simulator: &Simulator, venues: &[Venue]) -> u64 {
    venues.iter().map(|it| simulator.sent(*it).frames).sum()
}

/// Fails unless each event that somebody was sent is stored, and only once: a state that a venue has
/// told again and again is that of one connection.
pub(crate) fn stored_is_sent(dir: &Path, sent: &[(Venue, Sent)]) {
    for channel in Channel::ALL {
        let mut stored = BTreeMap::<String, HashMap<String, i32>>::new();
        for row in rows(dir, channel) {
            match stored.entry(row.venue()).or_default().entry(row.identity()) {
                Entry::Vacant(it) => drop(it.insert(row.conn_id)),
                Entry::Occupied(it) => {
                    assert_eq!(*it.get(), row.conn_id, "{channel}: twice: {}", it.key());
                }
            }
        }
        let stored: BTreeMap<_, _> =
            stored.into_iter().map(|(venue, rows)| (venue, rows.len() as u64)).collect();
        let distinct = |it: &Sent| match channel {
            Channel::Quotes => it.distinct_quotes,
            Channel::Trades => it.distinct_trades,
        };
        let sent = sent.iter().map(|(venue, it)| (venue.to_string(), distinct(it)));
        assert_eq!(stored, sent.collect(), "{channel}");
        assert!(stored.values().all(|it| 100 < *it), "{channel}: {stored:?}");
    }
}
