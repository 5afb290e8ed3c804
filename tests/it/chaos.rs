//! Random faults at random venues, one round after the other, against the program as a process.
//!
//! `CHAOS_SEED` repeats a schedule, which is printed; `CHAOS_ROUNDS` makes it longer.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use spread_aggregator::{
    market::Venue,
    simulator::{Fault, Simulator},
};

use super::support::{
    account::accounted_for,
    stage::{Scene, from_env, slow_client},
    world::eventually,
};

/// Short enough for every run of the tests.
const ROUNDS: u64 = 4;
/// Reconnections of each venue in the test for leaks, if `LEAK_ROUNDS` does not say: each waits for a
/// backoff, and .ci/run makes a hundred.
const RECONNECTIONS: u64 = 15;
/// What may be resident after them beyond what was before. 100 leaked sessions of 16 venues would be
/// more; allocators do not give everything back.
const RESIDENT_MORE_MAX: u64 = 64 << 20;

/// Whether what was under way is lost with a fault.
fn loses(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Drop | Fault::HalfOpen | Fault::Oversized | Fault::Garbage | Fault::WrongEncoding
    )
}

fn fault(rng: &mut Rng, simulator: &Simulator, venue: Venue) -> Fault {
    let symbols = simulator.symbols(venue);
    let symbol = symbols[rng.usize(..symbols.len())].clone();
    let all = [
        Fault::Drop,
        Fault::Eof,
        Fault::Close,
        Fault::Notice,
        Fault::Mute,
        Fault::HalfOpen,
        Fault::Garbage,
        Fault::LoseTrades,
        Fault::Torn,
        Fault::Trickle,
        Fault::WrongEncoding,
        Fault::Twice,
        Fault::Swap,
        Fault::BadToken,
        Fault::Oversized,
        Fault::Refuse,
        // Not 451, after which the program waits for ten minutes on purpose: see `faults::status`.
        Fault::Http(429),
        Fault::Http(503),
        Fault::MuteSymbol(symbol),
    ];
    all[rng.usize(..all.len())].clone()
}

#[test]
fn whatever_goes_wrong_all_is_stored_or_declared_and_everything_comes_back() {
    let seed = from_env("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let rounds = from_env("CHAOS_ROUNDS").unwrap_or(ROUNDS);
    println!("CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}");
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(seed);
    let mut lossy = HashSet::new();
    let mut sent = Vec::new();
    let each = "heartbeat_timeout = \"2s\"\nstale_after = \"3s\"\n";
    Scene { rate: 2_000.0, each, ..Scene::default() }.play(dir.path(), |stage| {
        stage.until_all_deliver();
        let _slow = slow_client(stage.served);
        eventually("the client is served", || stage.number("live_clients") == 1);
        let before = stage.program.usage_at_rest();
        for round in 0..rounds {
            let mut said = String::new();
            for &venue in &stage.venues {
                let fault = fault(&mut rng, stage.simulator, venue);
                let _ = write!(said, " {fault}@{venue}");
                if loses(&fault) {
                    lossy.insert(venue);
                }
                stage.simulator.inject(venue, fault.clone());
                if matches!(fault, Fault::Refuse | Fault::BadToken | Fault::Http(_)) {
                    stage.simulator.inject(venue, Fault::Eof);
                }
            }
            thread::park_timeout(Duration::from_millis(rng.u64(200..3_000)));
            stage.venues.iter().for_each(|it| stage.simulator.clear(*it));
            let cleared = Instant::now();
            stage.until_all_deliver();
            println!("round {round}:{said}: back in {:.1} s", cleared.elapsed().as_secs_f64());
        }
        let after = stage.program.until_given_back(before);
        println!("{before:?} before, {after:?} after");
        sent = stage.end();
    });
    let account = accounted_for(&dir.path().join("data"), &sent, &lossy);
    println!("{account:?}");
}

#[test]
fn reconnections_of_every_venue_leave_nothing_behind() {
    let rounds = from_env("LEAK_ROUNDS").unwrap_or(RECONNECTIONS);
    let dir = tempfile::tempdir().unwrap();
    Scene::default().play(dir.path(), |stage| {
        stage.until_all_deliver();
        let reconnects = || stage.metric("reconnects_total");
        let again = |n: u64| {
            stage.venues.iter().for_each(|it| stage.simulator.inject(*it, Fault::Eof));
            eventually(&format!("reconnection {n}"), || {
                let now = reconnects();
                let up = stage.metric("connections_up");
                stage.venues.iter().all(|it| {
                    let of = |it: &BTreeMap<String, u64>, venue: &Venue| {
                        it.get(&venue.to_string()).copied().unwrap_or_default()
                    };
                    n <= of(&now, it) && 0 < of(&up, it)
                })
            });
            stage.until_all_deliver();
        };
        // The allocator has its pools by then.
        (1..=5).for_each(again);
        let before = stage.program.usage();
        let instruments = stage.number("instruments");
        (6..=rounds).for_each(again);
        let after = stage.program.until_given_back(before);
        println!("{before:?} before, {after:?} after {rounds} reconnections of each venue");
        assert_eq!(stage.number("instruments"), instruments);
        assert!(after.descriptors <= before.descriptors + 8, "{before:?} then, {after:?} now");
        let more = after.resident.saturating_sub(before.resident);
        assert!(more < RESIDENT_MORE_MAX, "{more} bytes more");
        stage.end();
    });
}
