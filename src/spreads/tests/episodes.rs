//! When an episode opens and closes, and what of it is kept.

use super::*;

#[test]
fn an_episode_is_opened_exceeded_and_closed_by_quotes() {
    let mut world = World::new(&settings());
    world.sized(A, 0, (99.9, 1.0), (100.0, 3.0));
    world.sized(B, 10, (100.2, 2.0), (100.3, 1.0));
    world.sized(A, 300, (99.8, 1.0), (99.9, 1.5));
    world.sized(B, 400, (100.1, 9.0), (100.3, 1.0));
    world.sized(B, 500, (99.9, 9.0), (100.1, 1.0));
    world.sized(B, 600, (99.9, 9.0), (100.0, 1.0));
    let [episode] = &world.out.episodes[..] else { panic!("{:?}", world.out.episodes) };
    let Episode { buy, sell, open, close, peak, leg_age_max, updates } = *episode;
    assert_eq!((buy, sell), (InstrumentId(0), InstrumentId(1)));
    assert_eq!((open, close), (time(10), time(500)));
    assert_eq!(updates, 3, "the one that closes it is not counted");
    assert_eq!(leg_age_max, 290_000_000, "of B when A came");
    let gross = (100.2 - 99.9) / 99.9 * 10_000.0;
    assert_eq!((peak.gross_bps, peak.net_bps), (gross, gross - 10.0));
    assert_eq!(peak.ask, Level { price: 99.9, size: 1.5 });
    assert_eq!(peak.bid, Level { price: 100.2, size: 2.0 });
    assert!((peak.size() - 1.5).abs() < f64::EPSILON);
    assert_eq!((peak.ts_recv, peak.leg_age), (time(300), 290_000_000));
}

#[test]
fn a_cross_that_only_pays_the_fees_is_no_episode() {
    let mut world = World::new(&settings());
    world.quote(A, 0, 999.0, 1000.0);
    // Exactly 10 basis points, and exact in binary.
    world.quote(B, 1, 1001.0, 1002.0);
    assert_eq!(world.out.crosses[1].net_bps.to_bits(), 0.0_f64.to_bits());
    assert_eq!(world.episodes(), []);
}

#[test]
fn an_episode_closes_some_way_below_where_it_opens() {
    let mut world = World::new(&Settings { hysteresis_bps: 5.0, min_net_bps: 1.0, ..settings() });
    world.quote(A, 0, 999.0, 1000.0);
    for (at, bid) in [(1, 1001.0), (2, 1001.2), (3, 1000.7), (4, 1000.5), (5, 1001.0)] {
        world.quote(B, at, bid, 1002.0);
    }
    assert_eq!(world.episodes(), [(0, 1, 2, 4)]);
}

#[test]
fn other_thresholds_go_from_the_next_quote_on() {
    let mut world = World::new(&Settings { min_net_bps: 500.0, ..settings() });
    world.quote(A, 0, 99.0, 100.0);
    world.quote(B, 1, 101.0, 102.0);
    let mut changed = settings();
    changed.take_thresholds(&Settings { min_net_bps: 50.0, ..settings() });
    world.engine.set_rules(&changed);
    world.quote(B, 2, 101.0, 102.0);
    world.engine.set_rules(&Settings { min_net_bps: 95.0, ..settings() });
    world.quote(B, 3, 101.0, 102.0);
    assert_eq!(world.episodes(), [(0, 1, 2, 3)]);
}

#[test]
fn an_empty_or_crossed_book_closes_an_episode() {
    for (bid, ask) in [(0.0, 101.0), (0.0, 0.0), (102.0, 101.0), (101.0, 101.0)] {
        let mut world = World::new(&settings());
        world.quote(A, 0, 99.0, 100.0);
        world.quote(B, 1, 101.0, 102.0);
        world.quote(B, 2, bid, ask);
        assert_eq!(world.episodes(), [(0, 1, 1, 2)], "{bid} {ask}");
    }
}

#[test]
fn a_leg_that_becomes_too_old_closes_an_episode_at_that_time_however_late_it_is_noticed() {
    let open = || {
        let mut world = World::new(&settings());
        world.quote(A, 0, 99.0, 100.0);
        world.quote(B, 500, 101.0, 102.0);
        world
    };
    let closed = [(0, 1, 500, 2_000)];
    let mut by_tick = open();
    by_tick.tick(2_000);
    assert!(by_tick.out.episodes.is_empty(), "an age of exactly the maximum is not above it");
    by_tick.tick(2_100);
    assert_eq!(by_tick.out.episodes.len(), 1);
    assert_eq!(by_tick.episodes(), closed);

    let mut by_its_own_quote = open();
    by_its_own_quote.quote(A, 2_400, 99.0, 100.0);
    assert_eq!(by_its_own_quote.episodes(), [(0, 1, 500, 2_000), (0, 1, 2_400, 2_400)]);

    let mut by_the_others = open();
    by_the_others.quote(B, 2_400, 101.0, 102.0);
    assert_eq!(by_the_others.episodes(), closed);

    let mut by_the_end = open();
    by_the_end.quote(C, 9_000, 1.0, 2.0);
    assert_eq!(by_the_end.episodes(), closed);
}

#[test]
fn what_is_open_when_the_program_stops_is_closed() {
    let mut world = World::new(&settings());
    world.quote(A, 0, 99.0, 100.0);
    world.quote(B, 500, 101.0, 102.0);
    world.tick(700);
    assert_eq!(world.engine.open_count(), 1);
    assert_eq!(world.episodes(), [(0, 1, 500, 700)]);
    assert_eq!(world.engine.open_count(), 0);
}

#[test]
fn quote_assets_and_markets_are_never_mixed() {
    let mut world = World::new(&settings());
    let other_quote = world.list(B, Market::Spot, "X-USDC");
    let other_market = world.list(B, Market::Perp, "X-USDT");
    let same_exchange = world.list(A, Market::Spot, "1000X-USDT");
    world.quote(A, 0, 99.0, 100.0);
    world.quote(other_quote, 1, 103.0, 104.0);
    world.quote(other_market, 2, 103.0, 104.0);
    world.quote(same_exchange, 3, 103_000.0, 104_000.0);
    assert_eq!(world.crosses(), []);
    assert_eq!(world.episodes(), []);
}

#[test]
fn a_multiple_is_compared_with_the_asset_itself_in_units_of_what_is_bought() {
    let mut world = World::new(&settings());
    let thousands = world.list(B, Market::Perp, "1000PEPE-USDT");
    let units = world.list(A, Market::Perp, "PEPE-USDT");
    world.sized(thousands, 0, (0.0125, 10.0), (0.013, 7.0));
    world.sized(units, 1, (0.000_012, 5_000.0), (0.000_012_25, 4_000.0));
    let [to, back] = world.out.crosses[..] else { panic!("{:?}", world.out.crosses) };
    assert_eq!((to.buy.0, to.sell.0), (4, 3));
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-12;
    assert_eq!(to.ask, Level { price: 0.000_012_25, size: 4_000.0 });
    assert!(close(to.bid.price, 0.000_012_5) && close(to.bid.size, 10_000.0), "{:?}", to.bid);
    assert!(close(to.gross_bps, (0.012_5 / 0.012_25 - 1.0) * 10_000.0), "{}", to.gross_bps);
    assert_eq!(back.ask, Level { price: 0.013, size: 7.0 });
    assert!(close(back.bid.price, 0.012) && close(back.bid.size, 5.0), "{:?}", back.bid);
    assert_eq!(world.episodes(), [(4, 3, 1, 1)]);
}

#[test]
fn quotes_that_come_too_late_are_counted_and_left_out_where_they_are_older() {
    let mut world = World::new(&settings());
    world.quote(A, 1_000, 99.0, 100.0);
    world.quote(B, 900, 101.0, 102.0);
    world.quote(B, 800, 99.0, 100.0);
    assert_eq!(world.engine.counts().late, 2);
    let crosses = world.crosses();
    assert_eq!(crosses, [(1, 0), (0, 1)], "of the first that is late, but not the second");
    world.quote(A, 4_000, 99.0, 100.0);
    world.quote(C, 1_900, 101.0, 102.0);
    assert_eq!(world.crosses(), [], "it is too old already");
    assert_eq!(world.episodes(), [(0, 1, 1_000, 2_900)]);
}

#[test]
fn an_instrument_that_is_listed_anew_begins_anew() {
    let mut world = World::new(&settings());
    world.quote(A, 0, 99.0, 100.0);
    world.quote(B, 1, 101.0, 102.0);
    let anew = world.list(B, Market::Spot, "X-USDT");
    assert_eq!(world.out.episodes.len(), 1);
    world.quote(A, 2, 99.0, 100.0);
    world.quote(B, 3, 101.0, 102.0);
    assert_eq!(world.engine.open_count(), 0, "its old number is nobody's any more");
    world.quote(anew, 4, 101.0, 102.0);
    assert_eq!(world.episodes(), [(0, 1, 1, 1), (0, 3, 4, 4)]);
    assert_eq!(world.engine.symbols().count(), 1);
}

#[test]
fn a_clock_that_is_set_back_begins_anew() {
    let mut world = World::new(&settings());
    world.quote(A, 3_600_000, 99.0, 100.0);
    world.quote(B, 3_600_001, 101.0, 102.0);
    world.quote(C, 3_600_001, 501.0, 502.0);
    world.tick(0);
    assert_eq!(world.engine.quarantined().count(), 0);
    world.quote(A, 1, 99.0, 100.0);
    world.quote(B, 2, 101.0, 102.0);
    assert_eq!(world.episodes(), [(0, 1, 3_600_001, 3_600_001), (0, 1, 2, 2)]);
}

#[test]
fn any_time_of_receipt_is_taken() {
    let mut world = World::new(&settings());
    for at in [i64::MIN, i64::MAX, i64::MIN, 0] {
        for it in [A, B] {
            let level = Some(Level { price: 1.0, size: 1.0 });
            world.engine.on_quote(&quote(it, Nanos(at), level, None), &mut world.out);
        }
        world.engine.tick(Nanos(at), &mut world.out);
    }
    assert_eq!(world.engine.counts().updates, 8);
}

#[test]
fn a_symbol_has_room_for_so_many_instruments_and_no_more() {
    let mut world = World::new(&settings());
    for n in 0..20 {
        world.list(A, Market::Spot, &format!("1{}X-USDT", "0".repeat(3 + n % 6)));
        let mut other = Instrument::clone(&world.instruments[0]);
        other.symbol_native = format!("X{n}");
        let id = InstrumentId(1_000 + u32::try_from(n).expect("few"));
        world.engine.list(id, &Arc::new(other), &mut world.out);
        assert!(world.engine.knows(id));
    }
    let symbol = world.engine.symbols().next().expect("one");
    assert_eq!(symbol.instruments.len(), group::SLOTS_MAX);
    let level = Some(Level { price: 1.0, size: 1.0 });
    world.engine.on_quote(&quote(1_019, time(0), level, None), &mut world.out);
    assert_eq!(world.engine.counts().updates, 0, "it has no place");
}

#[test]
fn nothing_is_allocated_for_quotes_once_all_has_been_seen() {
    let mut world = World::new(&settings());
    let footprint = |it: &World| -> usize {
        let groups = it.engine.groups.iter();
        let groups = groups.map(|it| it.open.capacity() + it.suspects.capacity()).sum::<usize>();
        let out = it.out.crosses.capacity() + it.out.episodes.capacity();
        groups + out + it.engine.with_open.capacity()
    };
    let round = |world: &mut World, at: i64| {
        for (n, mid) in [(A, 100.0), (B, 101.0), (C, 100.5), (B, 150.0), (B, 99.0)] {
            world.quote(n, at, mid - 0.1, mid + 0.1);
        }
        world.tick(at);
        world.out.crosses.clear();
        world.out.episodes.clear();
    };
    round(&mut world, 0);
    let before = footprint(&world);
    assert!(0 < before);
    (1..1_000).for_each(|n| round(&mut world, n * 50));
    assert_eq!(footprint(&world), before);
    assert!(1_000 < world.engine.counts().episodes);
}
