//! Connections that are replaced before they end: no row is missing, and none is there twice.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    path::Path,
};

use spread_aggregator::{
    exchange,
    market::{Channel, Exchange, Market, Venue},
    metrics::ReconnectReason,
    simulator::{Fault, Options, Sent, Simulator},
};

use super::support::{
    rows::rows,
    world::{Setting, World, eventually},
};

/// How often each connection is replaced.
const REPLACEMENTS: u64 = 3;

#[test]
fn a_connection_is_replaced_before_its_end_without_a_gap_and_without_a_row_twice() {
    let all: Vec<_> = exchange::ALL.iter().map(|it| it.venue).collect();
    replaced(&all, "lifetime = \"5s\"", ReconnectReason::Lifetime, |_| {});
}

#[test]
fn a_notice_of_closing_is_heeded_before_the_exchange_closes() {
    let announcing = Market::ALL.map(|it| Venue::new(Exchange::Gateio, it));
    replaced(&announcing, "", ReconnectReason::Notice, |world| {
        for n in 1..=REPLACEMENTS {
            for venue in announcing {
                world.simulator.inject(venue, Fault::Notice);
            }
            for venue in announcing {
                let replaced = || n <= world.venue(venue).reconnects(ReconnectReason::Notice);
                eventually(&format!("{venue} is replaced"), replaced);
            }
        }
    });
}

/// Collects from `venues` until each connection has been replaced often enough for `reason`, which
/// `bring_about` may bring about, and compares what is stored with what was sent.
fn replaced(
    venues: &[Venue],
    each: &str,
    reason: ReconnectReason,
    bring_about: impl FnOnce(&World<'_>),
) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        venues: venues.to_vec(),
        symbols: 20,
        rate: 200.0 * f64::from(u32::try_from(venues.len()).unwrap()),
        // One connection to each would not be enough.
        limits: false,
        ..Options::default()
    };
    let mut sent = BTreeMap::new();
    let summary = Setting { options, top: "", each }.run(dir.path(), |world| {
        world.until_all_deliver(100);
        bring_about(world);
        for &venue in venues {
            let replaced = || REPLACEMENTS <= world.venue(venue).reconnects(reason);
            eventually(&format!("{venue} is replaced"), replaced);
        }
        end(world);
        for &venue in venues {
            let expected = [reason, ReconnectReason::Closed, ReconnectReason::Connect];
            for other in ReconnectReason::ALL.iter().filter(|it| !expected.contains(it)) {
                let n = world.venue(venue).reconnects(*other);
                assert_eq!(n, 0, "{venue}: {}", other.name());
            }
            sent.insert(venue.to_string(), world.simulator.sent(venue));
        }
    });
    assert_eq!(summary.unwrap().dropped, 0);
    stored_is_sent(dir.path(), &sent);
}

/// Has the venues send no more, and end the connections when all has arrived.
fn end(world: &World<'_>) {
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
}

fn frames(simulator: &Simulator, venues: &[Venue]) -> u64 {
    venues.iter().map(|it| simulator.sent(*it).frames).sum()
}

/// Each event that there was is there, and only once: a state that a venue has told again and again
/// is that of one connection.
fn stored_is_sent(dir: &Path, sent: &BTreeMap<String, Sent>) {
    for (channel, distinct) in [
        (Channel::Quotes, (|it: &Sent| it.distinct_quotes) as fn(&Sent) -> u64),
        (Channel::Trades, |it| it.distinct_trades),
    ] {
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
        let sent: BTreeMap<_, _> =
            sent.iter().map(|(venue, it)| (venue.clone(), distinct(it))).collect();
        assert_eq!(stored, sent, "{channel}");
        assert!(stored.values().all(|it| 100 < *it), "{channel}: {stored:?}");
    }
}
