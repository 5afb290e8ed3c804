//! Ten times what the writer takes, for `OVERLOAD` seconds: what is lost is counted to the message, the
//! queue and the memory stay as they are, and all is well a moment after.

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use spread_aggregator::{
    feed,
    live::process::usage,
    market::{Exchange, Market, Venue},
    pipeline,
    simulator::Options,
    stop::Stop,
    store,
};

use super::support::{
    decoded::{events_by_stream, stored_or_dropped},
    gaps::{assert_all_are_counted, gaps},
    world::{Setting, World, eventually},
};

const VENUES: [Venue; 3] = [
    Venue::new(Exchange::Binance, Market::Perp),
    Venue::new(Exchange::Bybit, Market::Spot),
    Venue::new(Exchange::Okx, Market::Perp),
];

/// How long the writer takes for what it finds in the queue, which is 500 events at most.
const TURN: Duration = Duration::from_millis(500);
const TOP: &str = "rotate = \"1m\"\n[queues]\ncapacity = 500\n[spreads]\nenabled = false";
/// Ten times as many as that a second.
const RATE: f64 = 10_000.0;

/// Events between two looks, and how many looks there are at least.
const DROPPED: u64 = 1_000;
const TURNS_MIN: usize = 20;

#[test]
fn what_is_too_much_is_dropped_and_declared_to_the_message() {
    let options =
        Options { venues: VENUES.to_vec(), symbols: 20, rate: RATE, ..Options::default() };
    let dir = tempfile::tempdir().unwrap();
    let slow = AtomicBool::new(true);
    let decoded = Mutex::default();
    let run = |plan, metrics: &_, stop: &Stop| {
        let clock = || {
            if slow.load(Ordering::Relaxed) {
                _ = stop.wait(TURN);
            }
            feed::now()
        };
        let summary = pipeline::run_with(&plan, metrics, stop, |events, writer, queue| {
            store::run(events, writer, queue, clock)
        });
        *decoded.lock() = events_by_stream(metrics, &VENUES);
        assert_all_are_counted(&gaps(dir.path()), metrics);
        summary
    };
    let look = |world: &World<'_>| {
        overload(world);
        let queue = world.metrics.queue("writer-0");
        let ended = Instant::now();
        slow.store(false, Ordering::Relaxed);
        let mut dropped = 0;
        eventually("nothing is dropped any more", || {
            let before = std::mem::replace(&mut dropped, queue.dropped.get());
            world.until_all_deliver(300);
            before == queue.dropped.get()
        });
        eprintln!("overload: {:.1} s later nothing is dropped", ended.elapsed().as_secs_f64());
    };
    let setting = Setting { options, top: TOP, each: "" };
    let summary = setting.run_with(dir.path(), run, look).unwrap();
    assert_eq!(summary.written.rows_lost, 0);
    assert_eq!(stored_or_dropped(dir.path(), summary.dropped), decoded.into_inner());
    let stored = summary.written.rows_quotes + summary.written.rows_trades;
    eprintln!("overload: {} dropped, all in the ledger; {stored} stored", summary.dropped);
}

/// Looks on until enough was dropped; with `OVERLOAD` for so many seconds, and at the memory too, which
/// other tests beside this one would change.
fn overload(world: &World<'_>) {
    let length = env::var("OVERLOAD").map_or(0, |it| it.parse().expect("OVERLOAD is in seconds"));
    let queue = world.metrics.queue("writer-0");
    let (started, mut oldest, mut resident) = (Instant::now(), 0.0_f64, Vec::new());
    while resident.len() < TURNS_MIN || started.elapsed().as_secs() < length {
        let before = queue.dropped.get();
        eventually("more is dropped", || before + DROPPED < queue.dropped.get());
        // What was taken is in the writer's hands while as much comes.
        assert!(queue.depth.get() <= 2 * queue.capacity.get());
        oldest = oldest.max(queue.age.get());
        resident.push(usage().expect("/proc").resident);
    }
    // Of each tenth of the time: row groups fill and go.
    let peaks: Vec<_> =
        resident.chunks(resident.len().div_ceil(10)).filter_map(|it| it.iter().max()).collect();
    let most = |of: &[&u64]| **of.iter().max().expect("some");
    let (early, late) = (most(&peaks[1..6]), most(&peaks[6..]));
    eprintln!(
        "overload: {:.0} s, the oldest event taken was {oldest:.2} s old; resident, in KiB: {:?}",
        started.elapsed().as_secs_f64(),
        peaks.iter().map(|it| **it >> 10).collect::<Vec<_>>()
    );
    assert!(length == 0 || late <= early + early / 10, "{early} bytes, then {late}");
}
