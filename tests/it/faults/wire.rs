//! What a venue's connections do to the frames on them.

use std::{collections::HashSet, time::Instant};

use spread_aggregator::simulator::Fault;

use super::{
    super::support::{
        account::accounted_for,
        stage::{Scene, from_env, of},
    },
    hold,
};

/// Has every other venue suffer from `fault`, several times. Those that are `hurt` end connections, and
/// may lack rows if they say so.
fn suffer(fault: &Fault, hurt: bool) {
    let rounds = from_env("FAULT_ROUNDS").unwrap_or(1);
    let millis = from_env("FAULT_SECONDS").map_or(700, |it| it * 1_000);
    let dir = tempfile::tempdir().unwrap();
    let (mut sent, mut hit, mut back) = (Vec::new(), HashSet::new(), Vec::new());
    let each = "heartbeat_timeout = \"2s\"\nstale_after = \"3s\"\n";
    Scene { rate: 2_000.0, each, ..Scene::default() }.play(dir.path(), |stage| {
        stage.until_all_deliver();
        let before = stage.program.usage();
        for round in 0..rounds {
            let (these, others): (Vec<_>, Vec<_>) = (0..)
                .zip(stage.venues.clone())
                .partition(|(n, _)| (n + round / 2 * 2).is_multiple_of(2) == (round % 2 == 0));
            let [these, others] =
                [these, others].map(|it| it.into_iter().map(|it| it.1).collect::<Vec<_>>());
            let reconnects = stage.metric("reconnects_total");
            for &venue in &these {
                stage.simulator.inject(venue, fault.clone());
                if *fault == Fault::BadToken
                    || *fault == Fault::Refuse
                    || matches!(fault, Fault::Http(_))
                {
                    stage.simulator.inject(venue, Fault::Eof);
                }
            }
            stage.until_deliver(&others);
            hold(millis);
            for it in &these {
                stage.simulator.clear(*it);
            }
            let cleared = Instant::now();
            stage.until_deliver(&these);
            back.push(cleared.elapsed().as_secs_f64());
            let now = stage.metric("reconnects_total");
            for venue in &others {
                assert_eq!(
                    of(&now, *venue),
                    of(&reconnects, *venue),
                    "{venue} has nothing to do with it"
                );
            }
            hit.extend(these);
        }
        stage.until_all_deliver();
        let after = stage.program.until_given_back(before);
        let more = after.resident.saturating_sub(before.resident) >> 20;
        println!("{before:?} before, {after:?} after: {more} MiB more");
        assert!(more < 64, "{more} MiB more");
        sent = stage.end();
    });
    let lossy = if hurt { hit.clone() } else { HashSet::new() };
    let account = accounted_for(&dir.path().join("data"), &sent, &lossy);
    println!("{fault}: {rounds} rounds of {} venues, back in {back:.1?} s: {account:?}", hit.len());
}

#[test]
fn bytes_that_come_one_by_one_are_frames_all_the_same() {
    suffer(&Fault::Trickle, false);
}

#[test]
fn an_encoding_that_is_not_the_venues_ends_a_connection_at_most() {
    suffer(&Fault::WrongEncoding, true);
}

#[test]
fn frames_that_come_twice_are_stored_once_or_as_what_one_connection_said() {
    suffer(&Fault::Twice, false);
}

#[test]
fn frames_that_change_places_are_all_stored() {
    suffer(&Fault::Swap, false);
}

#[test]
fn a_token_that_is_refused_is_not_used_again() {
    suffer(&Fault::BadToken, true);
}

/// The kinds that other tests have, one by one, for those who want to know what each costs.
#[test]
fn any_other_kind_by_itself() {
    if from_env("FAULT_KINDS").is_none() {
        return println!("skipped: FAULT_KINDS=1 runs the kinds that chaos mixes, one by one");
    }
    for (kind, hurt) in [
        ("drop", true),
        ("eof", false),
        ("close", false),
        ("mute", false),
        ("half-open", true),
        ("garbage", true),
        ("lose-trades", false),
        ("torn", false),
        ("oversized", true),
        ("refuse", false),
        ("http=503", false),
        ("http=429", false),
    ] {
        suffer(&kind.parse().unwrap(), hurt);
    }
}
