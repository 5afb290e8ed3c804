//! Venues that cannot be reached for a while, all of them in turn.
//!
//! `OUTAGE=10 cargo test --test it outage -- --nocapture` makes it 10 s each, and says what it has
//! measured.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use spread_aggregator::{
    exchange, feed,
    market::{Channel, Venue},
    metrics::ReconnectReason,
    simulator::{Fault, Options},
};

use super::support::{
    account::{end, stored_is_sent},
    rows::rows,
    world::{Setting, World, eventually},
};

/// Venues that are gone at the same time: one after the other would take too long.
const AT_ONCE: usize = 4;
/// What a loaded machine may add to a pause, and to a wait.
const PAUSE: Duration = Duration::from_secs(5);
const WAIT: Duration = Duration::from_secs(30);

/// How long a venue is gone.
fn length() -> Duration {
    let seconds = std::env::var("OUTAGE").map(|it| it.parse().expect("OUTAGE is in seconds"));
    Duration::from_secs(seconds.unwrap_or(1))
}

/// A time without some venues, in microseconds of the system's clock.
struct Outage {
    /// How often each had failed when it could be reached again.
    failures: BTreeMap<String, u64>,
    /// No connection was left, and nobody could connect.
    gone: i64,
    /// They could be reached again.
    cleared: i64,
}

#[test]
fn a_venue_that_is_gone_costs_its_own_rows_only_and_the_others_never_pause() {
    let venues: Vec<_> = exchange::ALL.iter().map(|it| it.venue).collect();
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        venues: venues.clone(),
        symbols: 20,
        rate: 3_000.0,
        limits: false,
        ..Options::default()
    };
    let (mut outages, mut sent) = (Vec::new(), Vec::new());
    let summary = Setting { options, top: "", each: "" }.run(dir.path(), |world| {
        world.until_all_deliver(100);
        let start = Instant::now();
        // As long as an outage, to compare with.
        eventually("there is a time before", || length() <= start.elapsed());
        outages = venues.chunks(AT_ONCE).map(|it| interrupt(world, it)).collect();
        sent = end(world);
    });
    assert_eq!(summary.unwrap().dropped, 0);
    stored_is_sent(dir.path(), &sent);
    let times = times(dir.path());
    for outage in &outages {
        for (venue, times) in &times {
            match outage.failures.get(venue) {
                Some(failures) => check_gone(venue, times, outage, *failures),
                None => check_other(venue, times, outage, outages[0].gone),
            }
        }
    }
}

/// Makes some venues go away and come back, while the others are looked at.
fn interrupt(world: &World<'_>, venues: &[Venue]) -> Outage {
    let reconnects = |venue| -> u64 {
        ReconnectReason::ALL.iter().map(|&it| world.venue(venue).reconnects(it)).sum()
    };
    let others: Vec<_> = world.venues.iter().filter(|it| !venues.contains(it)).collect();
    let before: Vec<_> = others.iter().map(|it| reconnects(**it)).collect();
    for (i, &venue) in venues.iter().enumerate() {
        // All that is sent before either end of a connection arrives.
        let (absence, end) = match i % 2 {
            0 => (Fault::Refuse, Fault::Eof),
            _ => (Fault::Http(503), Fault::Close),
        };
        world.simulator.inject(venue, absence);
        world.simulator.inject(venue, end);
    }
    for &venue in venues {
        let connections = || world.venue(venue).connections.get();
        eventually(&format!("{venue} is gone"), || connections() == 0);
    }
    let (gone, start) = (micros(), Instant::now());
    eventually("the outage is over", || length() <= start.elapsed());
    let cleared = micros();
    for &venue in venues {
        world.simulator.clear(venue);
    }
    let failures = venues.iter().map(|it| (it.to_string(), reconnects(*it))).collect();
    for &venue in venues {
        let before = world.decoded(venue);
        eventually(&format!("{venue} is back"), || before + 50 < world.decoded(venue));
    }
    let after: Vec<_> = others.iter().map(|it| reconnects(**it)).collect();
    assert_eq!(before, after, "reconnects of {others:?}");
    Outage { failures, gone, cleared }
}

fn micros() -> i64 {
    feed::now().0 / 1_000
}

/// When rows of each venue came, in order.
fn times(dir: &Path) -> BTreeMap<String, Vec<i64>> {
    let mut times = BTreeMap::<String, Vec<i64>>::new();
    for row in Channel::ALL.iter().flat_map(|it| rows(dir, *it)) {
        times.entry(row.venue()).or_default().push(row.ts_recv);
    }
    for it in times.values_mut() {
        it.sort_unstable();
    }
    times
}

/// Looks at the rows of a venue that was gone.
fn check_gone(venue: &str, times: &[i64], outage: &Outage, failures: u64) {
    let first = times.iter().find(|it| outage.gone <= **it).expect("it has come back");
    assert!(outage.cleared <= *first, "{venue} has rows of a time when it was gone");
    let back = Duration::from_micros(first.abs_diff(outage.cleared));
    // After so many failures no wait is longer; those of several connections are more.
    let longest = Duration::from_secs(1 << (failures - 1).min(6));
    println!("{venue}: back after {back:?}, {failures} failures");
    assert!(back <= longest + WAIT, "{venue}: back after {back:?}, {failures} failures");
}

/// Looks at the rows of a venue during an outage of others. Before the `first` all had been well.
fn check_other(venue: &str, times: &[i64], outage: &Outage, first: i64) {
    let usual = pause(times, first - (outage.cleared - outage.gone), first);
    let longest = pause(times, outage.gone, outage.cleared);
    let rows = times.iter().filter(|it| (outage.gone..outage.cleared).contains(it)).count();
    println!("{venue}: {rows} rows; longest pause {longest:?}, before {usual:?}");
    assert!(0 < rows, "{venue} has no rows");
    assert!(longest <= usual + PAUSE, "{venue} pauses for {longest:?}, as a rule {usual:?}");
}

/// The longest time without a row between two times.
fn pause(times: &[i64], from: i64, to: i64) -> Duration {
    let within = times.iter().copied().filter(|it| (from..to).contains(it));
    let marks: Vec<_> = std::iter::once(from).chain(within).chain([to]).collect();
    let longest = marks.windows(2).map(|it| it[1] - it[0]).max().unwrap_or_default();
    Duration::from_micros(longest.unsigned_abs())
}
