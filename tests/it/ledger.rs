//! The loss ledger of the running pipeline: each way to lose data leaves its row, and only its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use spread_aggregator::{
    feed,
    market::{Channel, Exchange, GapReason, Market, Venue},
    metrics::{ReconnectReason, SubscriptionState},
    pipeline,
    simulator::{Fault, Options},
};

use super::support::{
    gaps::{Gap, assert_all_are_counted, gaps},
    log,
    rows::{Row, rows},
    world::{Setting, World, eventually},
};

const BINANCE: Venue = Venue::new(Exchange::Binance, Market::Spot);
const BINANCE_PERP: Venue = Venue::new(Exchange::Binance, Market::Perp);
const BYBIT: Venue = Venue::new(Exchange::Bybit, Market::Spot);
const OKX: Venue = Venue::new(Exchange::Okx, Market::Perp);

fn setting(venues: &[Venue]) -> Setting<'static> {
    let options =
        Options { venues: venues.to_vec(), symbols: 20, rate: 3000.0, ..Options::default() };
    // Rows of spreads would be counted among the records.
    Setting { options, top: "[spreads]\nenabled = false", each: "" }
}

/// The ledger of a run that `test` looks on, each row of which has been counted.
fn ledger(setting: Setting<'_>, dir: &Path, test: impl FnOnce(&World<'_>)) -> Vec<Gap> {
    let run = |plan, metrics: &_, stop: &_| {
        let summary = pipeline::run(&plan, metrics, stop);
        assert_all_are_counted(&gaps(dir), metrics);
        summary
    };
    let summary = setting.run_with(dir, run, test).unwrap();
    let gaps = gaps(dir);
    assert_eq!(summary.written.records, gaps.len() as u64);
    assert_eq!((summary.dropped, summary.written.rows_lost), (0, 0));
    gaps
}

fn micros() -> i64 {
    feed::now().0 / 1_000
}

/// When the rows of a venue were received, and over which connections, in order.
fn received(dir: &Path, venue: Venue) -> Vec<(i64, i32)> {
    let is = |it: &Row| it.venue() == venue.to_string();
    let all = Channel::ALL.into_iter().flat_map(|it| rows(dir, it)).filter(is);
    let mut received: Vec<_> = all.map(|it| (it.ts_recv, it.conn_id)).collect();
    received.sort_unstable();
    received
}

/// The one row there is, which is of an outage of OKX: it lies between two rows of the venue.
fn assert_is_the_outage(gaps: &[Gap], dir: &Path) {
    let [gap] = gaps else { panic!("{gaps:#?}") };
    let received = received(dir, OKX);
    let (_, first) = received[0];
    let before = received.iter().filter(|it| it.1 == first).map(|it| it.0).max().unwrap();
    let after = received.iter().filter(|it| it.1 != first).map(|it| it.0).min().unwrap();
    let expected = Gap {
        from: before,
        to: after,
        venue: OKX.to_string(),
        symbol: None,
        stream: None,
        reason: GapReason::Disconnect.name().to_owned(),
        dropped: None,
        conn_id: Some(first),
    };
    assert_eq!(*gap, expected);
}

#[test]
fn a_venue_that_is_killed_leaves_one_row_from_its_last_data_to_its_next() {
    let dir = tempfile::tempdir().unwrap();
    let (mut before, mut cleared) = (0, 0);
    let gaps = ledger(setting(&[BINANCE, BYBIT, OKX]), dir.path(), |world| {
        world.until_all_deliver(100);
        before = micros();
        world.until_all_deliver(100);
        world.simulator.inject(OKX, Fault::Http(503));
        world.simulator.inject(OKX, Fault::Drop);
        let tried = || world.venue(OKX).reconnects(ReconnectReason::Connect);
        eventually("it is tried again", || 2 <= tried());
        cleared = micros();
        world.simulator.clear(OKX);
        world.until_all_deliver(300);
    });
    assert_is_the_outage(&gaps, dir.path());
    assert!(before <= gaps[0].from && cleared <= gaps[0].to, "{before} {cleared}");
}

#[test]
fn a_venue_that_goes_mute_is_missing_since_its_last_data_and_not_since_that_was_noticed() {
    let dir = tempfile::tempdir().unwrap();
    // Long enough that a machine that is busy is not taken for a venue that is mute.
    let each = "stale_after = \"5s\"";
    let gaps = ledger(Setting { each, ..setting(&[OKX]) }, dir.path(), |world| {
        world.until_all_deliver(100);
        world.simulator.inject(OKX, Fault::Mute);
        eventually("it is found", || 0 < world.venue(OKX).reconnects(ReconnectReason::Mute));
        world.simulator.clear(OKX);
        world.until_all_deliver(300);
    });
    // A symbol that was silent a little longer may have been asked for anew before.
    let gaps: Vec<_> = gaps.into_iter().filter(|it| !it.is(GapReason::Stale)).collect();
    assert_is_the_outage(&gaps, dir.path());
    assert!(5_000_000 <= gaps[0].to - gaps[0].from, "{gaps:?}");
}

#[test]
fn what_is_down_when_the_program_stops_is_missing_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut stopped = 0;
    let gaps = ledger(setting(&[BINANCE, OKX]), dir.path(), |world| {
        world.until_all_deliver(100);
        world.simulator.inject(OKX, Fault::Refuse);
        world.simulator.inject(OKX, Fault::Close);
        let tried = || world.venue(OKX).reconnects(ReconnectReason::Connect);
        eventually("it is tried again", || 1 <= tried());
        stopped = micros();
    });
    let [gap] = &gaps[..] else { panic!("{gaps:#?}") };
    let (last, conn) = *received(dir.path(), OKX).last().unwrap();
    assert!(gap.is(GapReason::Disconnect));
    assert_eq!((gap.from, gap.conn_id), (last, Some(conn)));
    assert!(stopped <= gap.to && gap.to <= micros(), "{gap:?} {stopped}");
}

#[test]
fn a_venue_that_comes_up_late_has_been_missing_since_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut setting = setting(&[BINANCE, BYBIT, OKX]);
    setting.options.faults =
        vec!["http=503@okx-perp".parse().unwrap(), "http=503@bybit-spot".parse().unwrap()];
    let (before, mut cleared, mut stopped) = (micros(), 0, 0);
    let gaps = ledger(setting, dir.path(), |world| {
        eventually("the others come", || 1_000 < world.decoded(BINANCE));
        cleared = micros();
        world.simulator.clear(OKX);
        eventually("it comes", || 100 < world.decoded(OKX));
        stopped = micros();
    });
    let [one, other] = &gaps[..] else { panic!("{gaps:#?}") };
    let of = |venue: Venue| gaps.iter().find(|it| it.venue == venue.to_string()).unwrap();
    for gap in [one, other] {
        assert!(gap.is(GapReason::Disconnect) && gap.conn_id.is_none(), "{gap:?}");
        assert!(before <= gap.from && gap.from < cleared, "{gap:?}");
    }
    assert_eq!(of(OKX).to, received(dir.path(), OKX)[0].0);
    assert!(stopped <= of(BYBIT).to, "until the end");
}

/// Missing trades by symbol and venue: those whose numbers are between numbers that are there.
fn missing(dir: &Path) -> BTreeMap<(String, String), i64> {
    let mut ids = BTreeMap::<_, BTreeSet<i64>>::new();
    for row in rows(dir, Channel::Trades) {
        let id = row.trade_id.as_ref().unwrap().parse().unwrap();
        let new = ids.entry((row.venue(), row.symbol().to_owned())).or_default().insert(id);
        assert!(new, "twice: {row:?}");
    }
    let count = |it: &BTreeSet<i64>| {
        it.last().unwrap() - it.first().unwrap() + 1 - i64::try_from(it.len()).unwrap()
    };
    ids.iter().map(|(key, ids)| (key.clone(), count(ids))).filter(|it| 0 < it.1).collect()
}

#[test]
fn trades_that_a_venue_has_numbered_and_not_sent_are_counted_to_the_last_one() {
    let dir = tempfile::tempdir().unwrap();
    let venues = [BINANCE, BINANCE_PERP];
    let mut setting = setting(&venues);
    setting.options.trade_share = 0.5;
    let gaps = ledger(setting, dir.path(), |world| {
        world.until_all_deliver(500);
        for venue in venues {
            world.simulator.inject(venue, Fault::LoseTrades);
        }
        let lost = || venues.map(|it| world.simulator.sent(it).lost_trades);
        eventually("trades are lost", || lost().iter().all(|&it| 50 < it));
        for venue in venues {
            world.simulator.clear(venue);
            world.simulator.inject(venue, Fault::Drop);
        }
        let reconnects = |venue| -> u64 {
            let reasons = ReconnectReason::ALL.iter();
            reasons.map(|&it| world.venue(venue).reconnects(it)).sum()
        };
        eventually("it has ended", || venues.iter().all(|&it| 0 < reconnects(it)));
        // A number that is missing shows with the next trade of its symbol.
        for venue in venues {
            let trades = world.venue(venue).trades;
            let before = trades.get();
            eventually("trades come again", || before + 1_000 < trades.get());
        }
    });
    let mut declared = BTreeMap::new();
    for gap in gaps.iter().filter(|it| it.is(GapReason::SequenceGap)) {
        let key = (gap.venue.clone(), gap.symbol.clone().expect("an instrument"));
        assert_eq!(gap.stream.as_deref(), Some("trades"), "{gap:?}");
        *declared.entry(key).or_default() += gap.dropped.expect("a number");
    }
    assert_eq!(declared, missing(dir.path()));
    for venue in venues {
        let of = |it: &(&(String, String), &i64)| it.0.0 == venue.to_string();
        assert!(50 < declared.iter().filter(of).map(|it| it.1).sum::<i64>(), "{venue}");
    }
    // A number that is known is declared once: the outage says nothing of it.
    let outages: Vec<_> = gaps.iter().filter(|it| it.is(GapReason::Disconnect)).collect();
    assert_eq!(outages.len(), 3, "{outages:#?}");
    assert!(outages.iter().all(|it| it.dropped.is_none()));
    let all: i64 = declared.values().sum();
    assert_eq!(gaps.iter().filter_map(|it| it.dropped).sum::<i64>(), all);
}

#[test]
fn a_symbol_that_goes_mute_is_missing_from_its_last_data_to_its_next() {
    log::keep();
    let dir = tempfile::tempdir().unwrap();
    let each = "stale_after = \"1s\"";
    let mut setting = Setting { each, ..setting(&[OKX]) };
    setting.options.trade_share = 0.5;
    let gaps = ledger(setting, dir.path(), |world| {
        world.until_all_deliver(500);
        world.simulator.inject(OKX, Fault::MuteSymbol("LTC-USDT".into()));
        let said = ["feed-okx-perp-0", "LTC-USDT-SWAP has gone mute; asked for again"];
        eventually("it is asked for again", || log::has(&said));
        world.until_all_deliver(500);
        world.simulator.clear(OKX);
        let stale = world.venue(OKX).subscriptions(SubscriptionState::Stale);
        eventually("it delivers again", || stale.get() == 0);
        world.until_all_deliver(500);
    });
    assert!(!gaps.is_empty());
    for gap in &gaps {
        assert!(gap.is(GapReason::Stale), "{gap:?}");
        assert_eq!((gap.symbol.as_deref(), gap.dropped), (Some("LTC-USDT"), None));
        let channel = Channel::ALL.into_iter().find(|it| Some(it.name()) == gap.stream.as_deref());
        let rows = rows(dir.path(), channel.expect("a stream"));
        let times = rows.iter().filter(|it| it.symbol() == "LTC-USDT").map(|it| it.ts_recv);
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        assert!(times.contains(&gap.from), "{gap:?}");
        assert_eq!(times.iter().find(|it| gap.from < **it), Some(&gap.to));
        assert!(1_000_000 < gap.to - gap.from, "{gap:?}");
    }
}

#[test]
fn frames_that_cannot_be_read_are_an_episode_of_their_connection() {
    let dir = tempfile::tempdir().unwrap();
    let mut injected = 0;
    let gaps = ledger(setting(&[BYBIT, OKX]), dir.path(), |world| {
        world.until_all_deliver(100);
        injected = micros();
        world.simulator.inject(BYBIT, Fault::Garbage);
        eventually("garbage is met", || 20 < world.venue(BYBIT).decode_errors.get());
        world.simulator.clear(BYBIT);
        world.until_all_deliver(100);
    });
    let over = micros();
    let conn = received(dir.path(), BYBIT)[0].1;
    // Long ones are cut at a minute.
    let most = 1 + (over - injected) / 60_000_000;
    assert!((1..=most).contains(&i64::try_from(gaps.len()).unwrap()), "{gaps:#?}");
    for gap in &gaps {
        assert!(gap.is(GapReason::DecodeError) && gap.venue == BYBIT.to_string(), "{gap:?}");
        assert_eq!((gap.dropped, gap.conn_id), (None, Some(conn)));
        assert!(injected <= gap.from && gap.to <= over, "{gap:?}");
    }
    assert!(gaps[0].from < gaps[0].to, "more than one frame");
}

#[test]
fn a_run_without_a_fault_leaves_an_empty_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let mut setting = setting(&[BINANCE, BINANCE_PERP, BYBIT, OKX]);
    setting.options.trade_share = 0.5;
    let gaps = ledger(setting, dir.path(), |world| {
        world.until_all_deliver(1_000);
        let trades = world.venue(BINANCE_PERP).trades;
        eventually("the second connection delivers", || 100 < trades.get());
    });
    assert_eq!(gaps, []);
}
