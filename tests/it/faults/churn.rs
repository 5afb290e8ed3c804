//! Lists that change all the time.

use std::collections::HashSet;

use super::super::support::{
    account::accounted_for,
    stage::{Scene, Stage, from_env},
    world::eventually,
};

/// Instruments of each venue that come and go; a list that loses half of them is not believed.
const CHANGING: usize = 4;

const RATE: f64 = 2_000.0;

#[test]
fn instruments_that_come_and_go_cost_nothing_and_leave_nothing() {
    let rounds = from_env("FAULT_ROUNDS").unwrap_or(2);
    let dir = tempfile::tempdir().unwrap();
    let mut sent = Vec::new();
    let scene =
        Scene { symbols: 12, rate: RATE, each: "rediscover = \"500ms\"", ..Scene::default() };
    scene.play(dir.path(), |stage| {
        stage.until_all_deliver();
        let all = instruments(&stage);
        let known = stage.number("instruments");
        let before = stage.program.usage();
        for round in 0..rounds {
            let first = usize::try_from(round).unwrap() * CHANGING;
            let changing: Vec<_> = stage
                .venues
                .iter()
                .map(|it| {
                    let symbols = stage.simulator.symbols(*it);
                    symbols.into_iter().cycle().skip(first).take(CHANGING).collect::<Vec<_>>()
                })
                .collect();
            for listed in [false, true] {
                // What is sent of an instrument while the program does not know that it is back, or has
                // taken it off already, is nothing that it should have.
                stage.hush();
                for (venue, symbols) in stage.venues.iter().zip(&changing) {
                    for it in symbols {
                        assert!(stage.simulator.set_listed(*venue, it, listed));
                    }
                }
                eventually("all are followed", || {
                    let now = instruments(&stage);
                    if listed {
                        now == all
                    } else {
                        now.iter().zip(&all).all(|(now, all)| now < all)
                    }
                });
                stage.simulator.set_rate(RATE);
                stage.until_all_deliver();
            }
        }
        let after = stage.program.until_given_back(before);
        println!("{before:?} before, {after:?} after");
        assert_eq!(stage.number("instruments"), known, "the registry has grown");
        assert!(stage.metric("reconnects_total").values().all(|it| *it == 0));
        sent = stage.end();
    });
    let account = accounted_for(&dir.path().join("data"), &sent, &HashSet::new());
    println!("{rounds} rounds: {account:?}");
}

/// How many instruments are carried of each venue, once the venue has answered for all their topics.
fn instruments(stage: &Stage<'_>) -> Vec<u64> {
    let mut counts = Vec::new();
    eventually("all topics are asked for", || {
        let health = stage.health();
        let exchanges = health["exchanges"].as_array().unwrap();
        counts = exchanges.iter().map(|it| it["instruments"].as_u64().unwrap()).collect();
        exchanges.iter().zip(&counts).all(|(it, count)| {
            let states = it["subscriptions"].as_object().unwrap();
            if states["requested"] != 0 {
                return false;
            }
            let states = states.values();
            // Quotes and trades.
            states.map(|it| it.as_u64().unwrap()).sum::<u64>() == 2 * count
        })
    });
    counts
}
