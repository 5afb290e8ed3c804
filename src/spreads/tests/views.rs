//! What can be asked.

use std::collections::HashSet;

use super::*;

#[test]
fn the_latest_quotes_of_a_symbol_say_how_old_they_are() {
    let mut world = World::new(&settings());
    let thousands = world.list(B, Market::Perp, "1000X-USDT");
    world.quote(A, 0, 99.0, 100.0);
    world.quote(B, 1_500, 0.0, 102.0);
    world.quote(thousands, 1_500, 99_000.0, 102_000.0);
    world.tick(2_500);
    let latest = world.engine.quotes_of("X-USDT");
    let rows: Vec<_> =
        latest.iter().map(|it| (it.quote.instrument.0, it.age, it.is_fresh)).collect();
    assert_eq!(rows, [(0, 2_500_000_000, false), (1, 1_000_000_000, true)]);
    assert_eq!(latest[1].quote.bid, None);
    let latest = world.engine.quotes_of("1000X-USDT");
    assert_eq!(latest[0].quote.ask, Some(Level { price: 102_000.0, size: 1.0 }), "as it was said");
    assert_eq!(latest.len(), 1);
    assert!(world.engine.quotes_of("Y-USDT").is_empty());
}

#[test]
fn the_best_cross_of_each_symbol_says_how_old_it_is_and_for_how_long_it_holds() {
    let mut world = World::new(&settings());
    let lone = world.list(A, Market::Spot, "Y-USDT");
    world.quote(lone, 0, 99.0, 100.0);
    world.quote(A, 0, 99.0, 100.0);
    world.quote(B, 500, 101.0, 102.0);
    world.quote(C, 1_000, 100.5, 103.0);
    world.tick(1_200);
    let [best] = world.engine.best()[..] else { panic!("{:?}", world.engine.best()) };
    assert_eq!((best.cross.buy, best.cross.sell), (InstrumentId(0), InstrumentId(1)));
    assert_eq!(best.received, [time(0), time(500)]);
    assert_eq!(best.leg_ages, [1_200_000_000, 700_000_000]);
    assert_eq!(best.expires, 800_000_000);
    assert_eq!(best.episodes, 2, "A to B and A to C");
    world.tick(2_001);
    let [best] = world.engine.best()[..] else { panic!("{:?}", world.engine.best()) };
    assert!(best.cross.net_bps < 0.0, "A is too old, and the others do not pay");
    world.tick(4_000);
    assert!(world.engine.best().is_empty());
}

#[test]
fn episodes_are_counted_anew_each_day() {
    const DAY: i64 = 86_400_000;
    let mut world = World::new(&settings());
    let midnight = DAY - START % DAY;
    for (at, episodes) in [(midnight - 2_000, 1), (midnight - 1_000, 2), (midnight, 1)] {
        world.quote(A, at, 99.0, 100.0);
        world.quote(B, at, 101.0, 102.0);
        assert_eq!(world.engine.best()[0].episodes, episodes, "{at}");
        world.quote(B, at + 1, 99.0, 102.0);
    }
}

#[test]
fn the_best_crosses_come_first_and_old_legs_make_none() {
    let mut world = World::new(&settings());
    for n in 0..30 {
        let symbol = format!("S{n}-USDT");
        let (a, b) = (world.list(A, Market::Spot, &symbol), world.list(B, Market::Spot, &symbol));
        world.quote(a, 3_000, 99.0, 100.0);
        world.quote(b, 3_000, 100.0 + f64::from(n) / 10.0, 110.0);
    }
    world.quote(A, 0, 99.0, 100.0);
    let crosses = world.engine.crosses(4, |_, _| true);
    let found: Vec<_> = crosses.iter().map(|it| it.bid.price).collect();
    assert_eq!(found, [102.9, 102.8, 102.7, 102.6]);
    assert_eq!(world.engine.crosses(usize::MAX, |_, _| true).len(), 60);
    let of_one = world.engine.crosses(9, |buy, _| buy.symbol == "S3-USDT");
    assert_eq!(of_one.len(), 2);
    assert!(world.engine.crosses(0, |_, _| true).is_empty());
    world.tick(6_000);
    assert!(world.engine.crosses(9, |_, _| true).is_empty());
}

#[test]
fn the_open_episodes_are_there_to_see() {
    let mut world = World::new(&settings());
    world.quote(A, 0, 99.0, 100.0);
    world.quote(B, 10, 101.0, 102.0);
    world.quote(B, 20, 101.5, 102.0);
    let open: Vec<_> = world.engine.open().collect();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].open, open[0].close, open[0].updates), (time(10), time(20), 2));
}

#[test]
fn crosses_are_those_of_the_symbols_that_are_watched() {
    let mut world = World::new(&settings());
    let quotes = |world: &mut World| {
        world.quote(A, 0, 99.0, 100.0);
        world.quote(B, 0, 99.0, 100.0);
        world.crosses().len()
    };
    assert_eq!(quotes(&mut world), 2);
    let only = |it: &str| Watch::Only(HashSet::from([it.to_owned()]));
    world.engine.watch(&only("Y-USDT"));
    assert_eq!(quotes(&mut world), 0);
    world.engine.watch(&only("1000X-USDT"));
    assert_eq!(quotes(&mut world), 4);
    world.out.wanted = false;
    assert_eq!(quotes(&mut world), 0);
    let (y, other_y) =
        (world.list(A, Market::Spot, "Y-USDT"), world.list(B, Market::Spot, "Y-USDT"));
    world.out.wanted = true;
    world.quote(y, 1, 1.0, 2.0);
    world.quote(other_y, 1, 1.0, 2.0);
    assert_eq!(world.crosses(), [], "a symbol that comes later");
}

#[test]
fn a_window_moves_on_and_an_idle_one_runs_empty() {
    let settings = Settings {
        window: Duration::from_mins(1),
        sample_every: Duration::from_secs(5),
        ..settings()
    };
    let mut world = World::new(&settings);
    for second in 0..600 {
        let at = second * 1_000;
        world.quote(A, at, 99.0, 101.0);
        if second < 560 {
            world.quote(B, at, 199.0, 201.0);
        }
        world.tick(at);
    }
    let history = |it: usize| {
        world.engine.history("X-USDT", Market::Spot, Exchange::ALL[it]).expect("listed")
    };
    let a = history(A);
    assert_eq!(a.samples.len(), 12);
    assert_eq!(a.samples.last().expect("some").ts, time(595_000));
    assert_eq!(a.samples[0].ts, time(540_000));
    assert_eq!((a.samples[0].mid, a.samples[0].spread_bps), (100.0, 200.0));
    assert_eq!(a.mid, Some(Bands { low: 100.0, median: 100.0, high: 100.0 }));
    assert_eq!(history(B).samples.len(), 5, "until 2 s after its last quote");
    assert_eq!(history(C).samples, []);
    assert_eq!(history(C).mid, None);
    world.tick(700_000);
    assert!(
        world
            .engine
            .history("X-USDT", Market::Spot, Exchange::ALL[A])
            .expect("listed")
            .samples
            .is_empty()
    );
    assert!(world.engine.history("X-USDT", Market::Perp, Exchange::ALL[A]).is_none());
}

#[test]
fn a_cross_of_the_past_is_that_of_the_quotes_of_the_time() {
    let mut world = World::new(&settings());
    let thousands = world.list(C, Market::Perp, "1000X-USDT");
    let units = world.list(A, Market::Perp, "X-USDT");
    for n in 0_i32..100 {
        let at = i64::from(n) * 5_000;
        world.quote(thousands, at, 99_990.0, 100_010.0);
        world.quote(units, at, 101.0 + f64::from(n) / 100.0, 102.0);
        world.tick(at);
    }
    let histories = world.engine.cross_histories("X-USDT", Market::Perp, None);
    let [out, back] = &histories[..] else { panic!("{} pairs", histories.len()) };
    assert_eq!(out.buy.symbol, "1000X-USDT");
    assert_eq!(back.sell.symbol, "1000X-USDT");
    assert_eq!(out.fees_bps.to_bits(), 10.0_f64.to_bits());
    assert_eq!(out.gross_bps.len(), 100);
    for (n, (ts, gross)) in (0_i32..).zip(&out.gross_bps) {
        let expected = ((101.0 + f64::from(n) / 100.0) / 100.01 - 1.0) * 10_000.0;
        assert!((gross - expected).abs() < 0.02, "{gross} for {expected}");
        assert_eq!(*ts, time(i64::from(n) * 5_000));
    }
    let bands = out.bands.expect("samples");
    for (band, n) in [(bands.low, 2), (bands.median, 49), (bands.high, 96)] {
        assert_eq!(band.to_bits(), out.gross_bps[n].1.to_bits());
    }
    let of_a = world.engine.cross_histories("X-USDT", Market::Perp, Some(Exchange::ALL[A]));
    assert_eq!(of_a.len(), 2);
    assert!(
        world.engine.cross_histories("X-USDT", Market::Perp, Some(Exchange::ALL[B])).is_empty()
    );
}

#[test]
fn quantiles_are_of_the_nearest_rank() {
    let bands = |n: i32| Bands::of((1..=n).rev().map(f64::from));
    assert_eq!(bands(0), None);
    assert_eq!(bands(1), Some(Bands { low: 1.0, median: 1.0, high: 1.0 }));
    assert_eq!(bands(100), Some(Bands { low: 3.0, median: 50.0, high: 97.0 }));
    assert_eq!(bands(5), Some(Bands { low: 1.0, median: 3.0, high: 5.0 }));
}

#[test]
fn a_window_is_as_precise_as_it_says() {
    let mut world = World::new(&settings());
    for (n, (bid, ask)) in
        (0..).zip([(0.000_000_123_4, 0.000_000_123_5), (98_765.43, 98_765.44), (1.0, 1.9)])
    {
        world.quote(A, n * 5_000, bid, ask);
        world.tick(n * 5_000);
        let history = world.engine.history("X-USDT", Market::Spot, Exchange::ALL[A]);
        let sample = *history.expect("listed").samples.last().expect("just now");
        let mid = f64::midpoint(bid, ask);
        assert!((sample.mid / mid - 1.0).abs() * 10_000.0 < 0.001, "{sample:?}");
        let spread = ((ask - bid) / mid * 10_000.0).min(655.35);
        assert!((sample.spread_bps - spread).abs() <= 0.005 + 1e-9, "{sample:?}");
    }
}
