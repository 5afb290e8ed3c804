//! Connections that are replaced before they end: no row is missing, and none is there twice.

use spread_aggregator::{
    exchange,
    market::{Exchange, Market, Venue},
    metrics::ReconnectReason,
    simulator::{Fault, Options},
};

use super::support::{
    account::{end, stored_is_sent},
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
    let mut sent = Vec::new();
    let summary = Setting { options, top: "", each }.run(dir.path(), |world| {
        world.until_all_deliver(100);
        bring_about(world);
        for &venue in venues {
            let replaced = || REPLACEMENTS <= world.venue(venue).reconnects(reason);
            eventually(&format!("{venue} is replaced"), replaced);
        }
        sent = end(world);
        for &venue in venues {
            let expected = [reason, ReconnectReason::Closed, ReconnectReason::Connect];
            for other in ReconnectReason::ALL.iter().filter(|it| !expected.contains(it)) {
                let n = world.venue(venue).reconnects(*other);
                assert_eq!(n, 0, "{venue}: {}", other.name());
            }
        }
    });
    assert_eq!(summary.unwrap().dropped, 0);
    stored_is_sent(dir.path(), &sent);
}
