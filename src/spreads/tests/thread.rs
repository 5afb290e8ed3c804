//! The thread, its queues and its counters.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
};

use parking_lot::Mutex;

use super::*;
use crate::{
    channel::{Received, fair, newest},
    market::{Event, Record},
    metrics::Metrics,
    registry::Registry,
};

/// Sends `events`, of which three are to be taken in at 500 ms and none more at 700 ms, then one
/// that is late, and ends the queue; returns episodes, crosses and the metrics' page.
fn run_on(events: &[Quote], listening: bool) -> (Vec<Episode>, Vec<Cross>, String) {
    let (metrics, registry) = (Metrics::new(), Registry::default());
    for exchange in [A, B] {
        let it = Instrument::clone(&instrument(exchange, Market::Spot, "X-USDT"));
        registry.intern(it).expect("room");
    }
    let (events_in, events_out) = fair::queue(1, 100);
    let (records, recorded) = newest(100);
    let (queue, crossed) = fair::queue(1, 4);
    let records = Outlet { queue: records, metrics: metrics.queue("ledger") };
    let open = Arc::new(AtomicBool::new(listening));
    let tap = Tap { queue, metrics: metrics.queue("crosses"), open };
    let queue = metrics.queue("spreads");
    let ends = Ends {
        events: &events_out,
        queue: &queue,
        registry: &registry,
        records: &records,
        crosses: Some(&tap),
        metrics: metrics.spreads(),
    };
    let state = Mutex::new(Spreads::new(&settings()));
    let clock = AtomicI64::new(time(0).0);
    thread::scope(|scope| {
        // Quotes of another connection may have to go first, for as long as a second.
        let running = scope.spawn(|| {
            run(&ends, &state, Duration::from_secs(1), |_| Nanos(clock.load(Ordering::Relaxed)));
        });
        let mut batch = events.iter().copied().map(Event::Quote).collect();
        assert_eq!(events_in.send(0, &mut batch, &mut Vec::new()), Ok(0));
        let eventually = |reached: &dyn Fn(&Spreads) -> bool| {
            let mut looks = 0..60_000;
            while !reached(&state.lock()) && !running.is_finished() && looks.next().is_some() {
                thread::park_timeout(Duration::from_millis(1));
            }
            assert!(reached(&state.lock()));
        };
        clock.store(time(1_500).0, Ordering::Relaxed);
        eventually(&|it| it.counts().updates == 3);
        clock.store(time(1_700).0, Ordering::Relaxed);
        eventually(&|it| it.now() == time(700));
        let history = |it: &Spreads| it.history("X-USDT", Market::Spot, Exchange::ALL[A]);
        eventually(&|it| history(it).is_some_and(|it| !it.samples.is_empty()));
        let late = quote(A, time(650), level(99.0), level(99.6));
        assert_eq!(events_in.send(0, &mut vec![Event::Quote(late)], &mut Vec::new()), Ok(0));
        drop(events_in);
        running.join().expect("no panic");
    });
    let (mut episodes, mut shown) = (Vec::new(), Vec::new());
    let _ = recorded.drain(&mut episodes, usize::MAX);
    assert_ne!(crossed.drain(&mut shown, usize::MAX), Received::Closed);
    let episode = |it| match it {
        Record::Episode(it) => it,
        Record::Gap(_) => unreachable!("nothing is lost"),
    };
    (episodes.into_iter().map(episode).collect(), shown, metrics.page())
}

#[expect(clippy::unnecessary_wraps, reason = "a quote may lack a side")]
fn level(price: f64) -> Option<Level> {
    Some(Level { price, size: 1.0 })
}

/// Received in another order than they arrive in.
fn events() -> Vec<Quote> {
    let rows = [
        (B, 110, 101.0, 102.0),
        (A, 100, 99.0, 100.0),
        (A, 120, 99.0, 99.5),
        (A, 900, 99.0, 100.5),
    ];
    let row = |(it, at, bid, ask)| quote(it, time(at), level(bid), level(ask));
    rows.map(row).to_vec()
}

#[test]
fn quotes_are_compared_in_the_order_of_their_receipt_and_the_rest_at_the_end() {
    let (episodes, shown, page) = run_on(&events(), true);
    let [episode] = &episodes[..] else { panic!("{episodes:?}") };
    assert_eq!((episode.open, episode.close), (time(110), time(900)));
    assert_eq!((episode.peak.ts_recv, episode.updates), (time(120), 4));
    assert_eq!(shown.len(), 4, "the newest of eight");
    for line in [
        "spread_updates_total 5",
        "spread_late_total 1",
        "episodes_total 1",
        "episodes_open 0",
        "queue_dropped_total{queue=\"crosses\"} 4",
        "queue_dropped_total{queue=\"ledger\"} 0",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}

#[test]
fn crosses_are_not_queued_while_nobody_listens() {
    let (episodes, shown, page) = run_on(&events(), false);
    assert_eq!(episodes.len(), 1);
    assert_eq!(shown, []);
    assert!(page.contains("queue_dropped_total{queue=\"crosses\"} 0"), "{page}");
}

#[test]
fn all_that_is_open_at_the_end_is_recorded_though_the_ledger_has_less_room() {
    const SYMBOLS: usize = 1_500;
    let (metrics, registry) = (Metrics::new(), Registry::default());
    let (events_in, events) = fair::queue(1, 2 * SYMBOLS);
    for n in 0..2 * SYMBOLS {
        let it = instrument(n % 2, Market::Spot, &format!("S{}-USDT", n / 2));
        registry.intern(Instrument::clone(&it)).expect("room");
        // Each second one of a symbol can be sold for more than the first costs.
        let bid = if n % 2 == 0 { 99.0 } else { 101.0 };
        let quote = quote(n, time(0), level(bid), level(bid + 1.0));
        assert_eq!(events_in.send(0, &mut vec![Event::Quote(quote)], &mut Vec::new()), Ok(0));
    }
    drop(events_in);
    let (records, recorded) = newest(1_000);
    let records = Outlet { queue: records, metrics: metrics.queue("ledger") };
    let ends = Ends {
        events: &events,
        queue: &metrics.queue("spreads"),
        registry: &registry,
        records: &records,
        crosses: None,
        metrics: metrics.spreads(),
    };
    let state = Mutex::new(Spreads::new(&settings()));
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let running = scope.spawn(|| run(&ends, &state, Duration::ZERO, |_| time(1)));
        while !running.is_finished() {
            let _ = recorded.drain(&mut seen, usize::MAX);
            thread::park_timeout(Duration::from_micros(100));
        }
    });
    let _ = recorded.drain(&mut seen, usize::MAX);
    assert_eq!((seen.len(), metrics.queue("ledger").dropped.get()), (SYMBOLS, 0));
}
