//! Two assets under one ticker.

use super::*;

/// B at one and a half times the price of A, for a while.
fn apart(world: &mut World, from: i64, to: i64) {
    for at in (from..to).step_by(1_000) {
        world.quote(A, at, 99.9, 100.1);
        world.quote(B, at, 149.9, 150.1);
    }
}

fn agreeing(world: &mut World, from: i64, to: i64) {
    for at in (from..to).step_by(1_000) {
        world.quote(A, at, 99.9, 100.1);
        world.quote(B, at, 100.9, 101.0);
    }
}

fn judged(world: &World) -> Vec<bool> {
    world.engine.quarantined().map(|it| it.is_judged).collect()
}

#[test]
fn what_is_too_good_is_held_back_and_then_quarantined() {
    let mut world = World::new(&settings());
    apart(&mut world, 0, 60_000);
    assert_eq!(judged(&world), [false], "59 seconds are not a minute");
    apart(&mut world, 60_000, 62_000);
    assert_eq!(judged(&world), [true]);
    assert_eq!(world.engine.counts().quarantined, 1);
    let it = world.engine.quarantined().next().expect("one");
    assert_eq!(it.since, time(0));
    assert!((it.ratio - 1.5).abs() < 1e-9, "{}", it.ratio);
    let exchanges = it.instruments.map(|it| it.venue.exchange);
    assert_eq!(exchanges, [Exchange::ALL[A], Exchange::ALL[B]]);
    assert_eq!(world.crosses(), []);
    assert!(world.engine.crosses(9, |_, _| true).is_empty());
    assert_eq!(world.episodes(), []);
}

#[test]
fn the_others_of_a_quarantined_exchange_go_on() {
    let mut world = World::new(&settings());
    apart(&mut world, 0, 90_000);
    world.quote(C, 90_000, 102.0, 102.1);
    assert_eq!(world.episodes(), [(0, 2, 90_000, 90_000)]);
    assert_eq!(judged(&world), [true, false], "C and B are suspected now");
}

#[test]
fn a_passing_suspicion_is_forgotten_at_once() {
    let mut world = World::new(&settings());
    apart(&mut world, 0, 30_000);
    agreeing(&mut world, 30_000, 31_000);
    assert_eq!(judged(&world), [false; 0]);
    assert_eq!(world.episodes(), [(0, 1, 30_000, 30_000)]);
    apart(&mut world, 31_000, 90_000);
    assert_eq!(judged(&world), [false], "a minute begins anew");
}

#[test]
fn an_episode_ends_when_its_pair_is_suspected() {
    let mut world = World::new(&settings());
    agreeing(&mut world, 0, 2_000);
    apart(&mut world, 2_000, 3_000);
    let [episode] = &world.out.episodes[..] else { panic!("{:?}", world.out.episodes) };
    assert_eq!((episode.open, episode.close), (time(0), time(2_000)));
    assert!(episode.peak.gross_bps < 100.0, "the peak is not that of another asset");
}

#[test]
fn a_quarantined_pair_is_let_go_after_a_minute_of_agreement() {
    let mut world = World::new(&settings());
    apart(&mut world, 0, 62_000);
    agreeing(&mut world, 62_000, 100_000);
    // Within the guard, but so little that it could be out of it again in a moment.
    world.quote(B, 100_000, 117.9, 118.1);
    agreeing(&mut world, 101_000, 161_000);
    assert_eq!(judged(&world), [true]);
    assert!(world.out.crosses.is_empty());
    agreeing(&mut world, 161_000, 163_000);
    assert_eq!(judged(&world), [false; 0]);
    assert_eq!(world.engine.counts().quarantined, 0);
    assert_eq!(world.episodes(), [(0, 1, 161_000, 162_000)]);
}

#[test]
fn an_empty_book_is_no_evidence() {
    let mut world = World::new(&settings());
    apart(&mut world, 0, 30_000);
    world.quote(B, 30_000, 0.0, 0.0);
    apart(&mut world, 31_000, 62_000);
    assert_eq!(judged(&world), [true]);
}

#[test]
fn one_side_is_evidence_enough() {
    let mut world = World::new(&settings());
    world.quote(A, 0, 0.0, 100.0);
    world.quote(B, 1, 150.0, 0.0);
    assert_eq!(judged(&world), [false]);
    assert_eq!(world.crosses(), []);
}

#[test]
fn what_is_known_to_be_one_asset_is_never_suspected() {
    for (known, crosses) in [("X-USDT", 2), ("X-USDT:binance:bybit", 2), ("X-USDT:binance:okx", 0)]
    {
        let same_asset = vec![known.parse().expect("valid")];
        let mut world = World::new(&Settings { same_asset, ..settings() });
        apart(&mut world, 0, 1_000);
        assert_eq!(world.crosses().len(), crosses, "{known}");
        assert_eq!(judged(&world).is_empty(), crosses != 0, "{known}");
    }
}

#[test]
fn a_clock_that_is_set_back_acquits() {
    let mut world = World::new(&settings());
    apart(&mut world, 100_000, 162_000);
    assert_eq!(world.engine.counts().quarantined, 1);
    world.tick(0);
    assert_eq!(world.engine.counts().quarantined, 0);
    agreeing(&mut world, 1_000, 2_000);
    assert_eq!(world.episodes(), [(0, 1, 1_000, 1_000)]);
}

#[test]
fn an_instrument_that_is_listed_anew_is_not_suspected_for_the_old_one() {
    let mut world = World::new(&settings());
    apart(&mut world, 0, 62_000);
    let anew = world.list(B, Market::Spot, "X-USDT");
    assert_eq!(world.engine.counts().quarantined, 0);
    world.quote(A, 62_000, 99.9, 100.1);
    world.quote(anew, 62_000, 100.9, 101.0);
    assert_eq!(world.episodes(), [(0, 3, 62_000, 62_000)]);
}
