//! The founding promises, on the running pipeline: bounded queues, one registry, connections that
//! leave nothing behind, no thread on its own, heartbeats.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use spread_aggregator::{
    channel::{Received, fair},
    config::Plan,
    exchange::{self, Inbox, Protocol, Quirks},
    feed,
    feed::{
        drops::{Dropped, Drops},
        sinks::{Lane, Scratch, Sinks},
    },
    market::{Channel, Exchange, GapReason, Market, Venue},
    metrics::{Metrics, ReconnectReason, SubscriptionState},
    pipeline::{self, PipelineError},
    simulator::{Fault, Options},
    store,
};

use parking_lot::Mutex;

use super::support::{
    decoded::{events_by_stream, stored_or_dropped},
    events::{NOON, events, registry},
    gaps::{assert_all_are_counted, gaps},
    rows::rows,
    world::{PATIENCE, Setting, eventually},
};

const BINANCE: Venue = Venue::new(Exchange::Binance, Market::Perp);
const BYBIT: Venue = Venue::new(Exchange::Bybit, Market::Spot);
const OKX: Venue = Venue::new(Exchange::Okx, Market::Perp);
/// All of them.
const VENUES: [Venue; 3] = [BINANCE, BYBIT, OKX];

fn setting(venues: &[Venue]) -> Setting<'static> {
    let options =
        Options { venues: venues.to_vec(), symbols: 20, rate: 3000.0, ..Options::default() };
    Setting { options, top: "", each: "" }
}

#[test]
fn promise_1_a_stopped_consumer_costs_the_oldest_events_and_no_memory() {
    const CAPACITY: usize = 1_000;
    let metrics = Metrics::new();
    let (queue, consumer) = fair::queue(Venue::COUNT, CAPACITY);
    let registry = registry();
    let drops = Drops::new(&registry);
    let lane = Lane { queue, metrics: metrics.queue("writer-0") };
    let sinks = Sinks::new(vec![lane], Vec::new(), &drops);
    let mut scratch = Scratch::default();
    let venue = Venue::new(Exchange::Binance, Market::Spot);
    let sent = events(Channel::Quotes, NOON, 10 * CAPACITY);
    for event in &sent {
        sinks.send(venue, &mut vec![event.clone()], &mut scratch);
        assert!(consumer.len() <= CAPACITY);
    }
    assert!(scratch.capacity() <= 8, "room for {} evicted events", scratch.capacity());
    assert_eq!(metrics.queue("writer-0").dropped.get(), 9 * CAPACITY as u64);
    let mut kept = Vec::new();
    assert_eq!(consumer.drain(&mut kept, usize::MAX), Received::Items);
    assert_eq!(kept, sent[9 * CAPACITY..], "the newest survive");
    let lost = drops.take(venue, Channel::Quotes);
    assert_eq!(lost, Dropped { count: 9 * CAPACITY as u64, first: NOON, last: NOON });
}

#[test]
fn promise_1_what_is_decoded_is_stored_or_declared_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let asleep = AtomicBool::new(true);
    let setting = Setting { top: "[queues]\ncapacity = 500", ..setting(&[BINANCE, BYBIT, OKX]) };
    let decoded = Mutex::new(BTreeMap::new());
    let summary = setting
        .run_with(
            dir.path(),
            |plan, metrics, stop| {
                let summary = pipeline::run_with(&plan, metrics, stop, |events, writer, queue| {
                    // A consumer that does not consume, for a while.
                    while asleep.load(Ordering::Relaxed) && !stop.requested() {
                        std::thread::park_timeout(Duration::from_millis(1));
                    }
                    store::run(events, writer, queue, feed::now)
                });
                *decoded.lock() = events_by_stream(metrics, &VENUES);
                assert_all_are_counted(&gaps(dir.path()), metrics);
                summary
            },
            |world| {
                let queue = world.metrics.queue("writer-0");
                eventually("the queue drops", || 2_000 < queue.dropped.get());
                asleep.store(false, Ordering::Relaxed);
                world.until_all_deliver(500);
            },
        )
        .unwrap();
    assert!(2_000 < summary.dropped);
    assert_eq!(rows(dir.path(), Channel::Quotes).len() as u64, summary.written.rows_quotes);
    assert_eq!(rows(dir.path(), Channel::Trades).len() as u64, summary.written.rows_trades);
    assert_eq!(summary.written.rows_lost, 0);
    assert_eq!(stored_or_dropped(dir.path(), summary.dropped), decoded.into_inner());
}

#[test]
fn promise_2_reconnects_do_not_grow_the_registry() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = setting(&[BINANCE, BYBIT]).run(dir.path(), |world| {
        world.until_all_deliver(100);
        eventually("the registry is looked at", || 0 < world.metrics.instruments.get());
        let before = world.metrics.instruments.get();
        for _ in 0..5 {
            for venue in [BINANCE, BYBIT] {
                world.simulator.inject(venue, Fault::Drop);
            }
            world.until_all_deliver(100);
        }
        let reconnects: u64 =
            ReconnectReason::ALL.iter().map(|&it| world.venue(BYBIT).reconnects(it)).sum();
        assert!(5 <= reconnects, "{reconnects}");
        assert_eq!(world.metrics.instruments.get(), before);
    });
    metrics.unwrap();
}

/// A protocol like that of `venue`, whose decoder is another.
fn with_decoder(
    venue: Venue,
    decode: fn(&str, &mut Inbox) -> Result<(), exchange::DecodeError>,
) -> &'static Protocol {
    let protocol = exchange::find(venue).unwrap();
    let quirks = Quirks { hot: |_, _| None, ..protocol.quirks };
    Box::leak(Box::new(Protocol { decode, quirks, ..*protocol }))
}

fn with_protocol(mut plan: Plan, protocol: &'static Protocol) -> Plan {
    for venue in plan.venues.iter_mut().filter(|it| it.protocol.venue == protocol.venue) {
        venue.protocol = protocol;
    }
    plan
}

#[test]
fn promise_4_a_panic_in_a_feed_is_counted_and_the_others_never_notice() {
    static FRAMES: AtomicU64 = AtomicU64::new(0);
    let panicking = with_decoder(BYBIT, |text, inbox| {
        assert!(FRAMES.fetch_add(1, Ordering::Relaxed) != 200, "made to panic");
        (exchange::find(BYBIT).unwrap().decode)(text, inbox)
    });
    let dir = tempfile::tempdir().unwrap();
    let decoded = Mutex::new(BTreeMap::new());
    let run = |plan, metrics: &_, stop: &_| {
        let result = pipeline::run(&with_protocol(plan, panicking), metrics, stop);
        *decoded.lock() = events_by_stream(metrics, &VENUES);
        result
    };
    let look = |world: &super::support::world::World<'_>| {
        let panics = || world.venue(BYBIT).reconnects(ReconnectReason::Panic);
        eventually("the feed panics", || 0 < panics());
        world.until_all_deliver(300);
        let trades = world.venue(BINANCE).trades;
        eventually("all connections are up", || 0 < trades.get());
        assert_eq!(panics(), 1);
        for venue in [BINANCE, OKX] {
            for &reason in ReconnectReason::ALL {
                assert_eq!(world.venue(venue).reconnects(reason), 0, "{venue}: {}", reason.name());
            }
        }
        assert_eq!(world.venue(BYBIT).connections.get(), 1, "the dead one is not counted");
    };
    setting(&[BINANCE, BYBIT, OKX]).run_with(dir.path(), run, look).unwrap();
    let gaps = gaps(dir.path());
    let [gap] = &gaps[..] else { panic!("{gaps:#?}") };
    assert!(gap.is(GapReason::Disconnect) && gap.venue == BYBIT.to_string(), "{gap:?}");
    let of = |channel| rows(dir.path(), channel).into_iter().filter(|it| it.venue() == gap.venue);
    let times: Vec<_> =
        Channel::ALL.into_iter().flat_map(of).map(|it| (it.conn_id, it.ts_recv)).collect();
    let lost = |it: &&(i32, i64)| Some(it.0) == gap.conn_id;
    assert_eq!(times.iter().filter(lost).map(|it| it.1).max(), Some(gap.from));
    let next = times.iter().filter(|it| !lost(it)).map(|it| it.1).min();
    assert_eq!(next, Some(gap.to));
    // What the same read had brought before the frame that made it panic is not lost with it.
    let stored = stored_or_dropped(dir.path(), 0);
    for (stream, decoded) in decoded.into_inner() {
        assert_eq!(stored.get(&stream).copied().unwrap_or(0), decoded, "{stream:?}");
    }
}

#[test]
fn promise_4_a_panic_in_a_writer_stops_everything_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let top = "[queues]\ncapacity = 1000";
    let each = "";
    let setting = Setting { top, each, ..setting(&[BINANCE, OKX]) };
    let result = setting.run_with(
        dir.path(),
        |mut plan, metrics, stop| {
            plan.writers = 2;
            let first = AtomicBool::new(true);
            let result = pipeline::run_with(&plan, metrics, stop, |events, writer, queue| {
                if first.swap(false, Ordering::Relaxed) {
                    eventually("events wait", || 500 < events.len());
                    panic!("made to panic");
                }
                store::run(events, writer, queue, feed::now)
            });
            // What waited for the dead one is lost, and the ledger says so.
            let queues = ["writer-0", "writer-1"].map(|it| metrics.queue(it).dropped.get());
            let dropped = queues.iter().sum();
            assert!(500 < dropped, "{queues:?}");
            let accounted = stored_or_dropped(dir.path(), dropped);
            for (stream, decoded) in events_by_stream(metrics, &VENUES) {
                assert_eq!(accounted.get(&stream).copied().unwrap_or(0), decoded, "{stream:?}");
            }
            result
        },
        |world| eventually("the pipeline stops", || world.stop.requested()),
    );
    match result {
        Err(PipelineError::Panicked { name, message }) => {
            assert!(name.starts_with("writer-"), "{name}");
            assert!(message.contains("made to panic"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // The other writer closed its files.
    let left = std::fs::read_dir(dir.path().join("journal")).unwrap().count();
    assert_eq!(left, 0, "files left in the journal");
}

/// Times short enough to test.
const SHORT: &str = "heartbeat_timeout = \"1s\"\nstale_after = \"2s\"";

fn fault_is_found(fault: &Fault, reason: ReconnectReason) {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting { each: SHORT, ..setting(&[BINANCE, BYBIT, OKX]) };
    let summary = setting.run(dir.path(), |world| {
        world.until_all_deliver(100);
        world.simulator.inject(OKX, fault.clone());
        let found = || world.venue(OKX).reconnects(reason);
        eventually(&format!("{fault} is found"), || 0 < found());
        world.simulator.clear(OKX);
        world.until_all_deliver(300);
        for venue in [BINANCE, BYBIT] {
            for &reason in ReconnectReason::ALL {
                assert_eq!(world.venue(venue).reconnects(reason), 0, "{venue}: {}", reason.name());
            }
        }
    });
    assert_eq!(summary.unwrap().dropped, 0);
}

#[test]
fn promise_5_a_mute_peer_is_found_and_replaced() {
    fault_is_found(&Fault::Mute, ReconnectReason::Mute);
}

#[test]
fn promise_5_a_half_open_peer_is_found_and_replaced() {
    fault_is_found(&Fault::HalfOpen, ReconnectReason::Silent);
}

#[test]
fn a_clean_close_is_a_failure_too() {
    fault_is_found(&Fault::Close, ReconnectReason::Closed);
}

#[test]
fn a_frame_beyond_all_bounds_is_not_read() {
    fault_is_found(&Fault::Oversized, ReconnectReason::Protocol);
}

#[test]
fn garbage_between_good_frames_is_counted_and_costs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let summary = setting(&[BYBIT]).run(dir.path(), |world| {
        world.simulator.inject(BYBIT, Fault::Garbage);
        eventually("garbage is met", || 20 < world.venue(BYBIT).decode_errors.get());
        world.until_all_deliver(300);
        for &reason in ReconnectReason::ALL {
            assert_eq!(world.venue(BYBIT).reconnects(reason), 0, "{}", reason.name());
        }
    });
    assert_eq!(summary.unwrap().dropped, 0);
}

#[test]
fn a_refused_symbol_does_not_take_its_batch_along() {
    let dir = tempfile::tempdir().unwrap();
    let venues = [BYBIT, OKX];
    let summary = setting(&venues).run(dir.path(), |world| {
        let count = |state| venues.map(|it| world.venue(it).subscriptions(state).get());
        for venue in venues {
            world.simulator.inject(venue, Fault::RefuseSymbol("BTC-USDT".into()));
            world.simulator.inject(venue, Fault::Close);
        }
        eventually("one symbol's quotes and trades are refused", || {
            count(SubscriptionState::Refused) == [2, 2]
        });
        eventually("all others deliver", || {
            count(SubscriptionState::Requested) == [0, 0]
                && count(SubscriptionState::Acknowledged) == [0, 0]
        });
        let delivering = count(SubscriptionState::Delivering);
        assert!(delivering.iter().all(|&it| 20 <= it), "{delivering:?}");
    });
    summary.unwrap();
}

#[test]
fn a_peer_that_accepts_and_drops_meets_no_storm() {
    let dir = tempfile::tempdir().unwrap();
    let summary = setting(&[BINANCE, OKX]).run(dir.path(), |world| {
        world.until_all_deliver(100);
        world.simulator.inject(OKX, Fault::Refuse);
        world.simulator.inject(OKX, Fault::Drop);
        let attempts = || world.venue(OKX).reconnects(ReconnectReason::Connect);
        eventually("it is tried again", || 3 <= attempts());
        world.simulator.clear(OKX);
        world.until_all_deliver(100);
    });
    assert!(summary.unwrap().elapsed < PATIENCE);
}

#[test]
fn a_list_that_cannot_be_had_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut setting = setting(&[BINANCE, OKX]);
    setting.options.faults = vec!["http=429@okx-perp:for=2s".parse().unwrap()];
    let summary = setting.run(dir.path(), |world| world.until_all_deliver(100)).unwrap();
    assert!(summary.venues.iter().all(|it| 0 < it.instruments), "{:?}", summary.venues);
}

#[test]
fn lists_that_change_are_followed_on_the_running_connections() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting { each: "rediscover = \"500ms\"", ..setting(&[BINANCE, OKX]) };
    let summary = setting.run(dir.path(), |world| {
        let subscribed = || -> i64 {
            let states = SubscriptionState::ALL.iter();
            states.map(|&it| world.venue(OKX).subscriptions(it).get()).sum()
        };
        world.until_all_deliver(100);
        eventually("all are counted", || 20 <= subscribed());
        eventually("the registry is looked at", || 0 < world.metrics.instruments.get());
        let (all, known) = (subscribed(), world.metrics.instruments.get());
        for _ in 0..3 {
            assert!(world.simulator.set_listed(OKX, "ETH-USDT-SWAP", false));
            eventually("it is dropped", || subscribed() == all - 2);
            world.until_all_deliver(50);
            assert!(world.simulator.set_listed(OKX, "ETH-USDT-SWAP", true));
            eventually("it is back", || subscribed() == all);
            let delivering = world.venue(OKX).subscriptions(SubscriptionState::Delivering);
            eventually("it delivers again", || delivering.get() == all);
        }
        assert_eq!(world.metrics.instruments.get(), known, "the registry has grown");
        for &reason in ReconnectReason::ALL {
            assert_eq!(world.venue(OKX).reconnects(reason), 0, "{}", reason.name());
        }
    });
    assert_eq!(summary.unwrap().dropped, 0);
}

#[test]
fn all_that_every_venue_has_sent_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let venues: Vec<_> = exchange::ALL.iter().map(|it| it.venue).collect();
    let mut all = setting(&venues);
    // One connection each, or the pacing of connects would be what is tested.
    all.options.limits = false;
    let summary = all.run(dir.path(), |world| {
        world.until_all_deliver(200);
        for &venue in &venues {
            // All that is sent before a connection ends without a goodbye arrives.
            world.simulator.inject(venue, Fault::Http(503));
            world.simulator.inject(venue, Fault::Eof);
        }
        for &venue in &venues {
            let over = || world.simulator.sent(venue).open == 0;
            eventually(&format!("{venue} has closed"), over);
            let over = || world.venue(venue).connections.get() == 0;
            eventually(&format!("{venue} is given up"), over);
            let (sent, got) = (world.simulator.sent(venue), world.venue(venue));
            assert_eq!(got.quotes.get(), sent.quotes, "quotes of {venue}");
            // Trades of before, and those that are no trades of the book, come on top.
            let most = sent.trades + sent.repeated_trades + sent.withheld;
            let trades = got.trades.get();
            assert!((sent.trades..=most).contains(&trades), "{trades} trades of {venue}: {sent:?}");
            assert_eq!(got.decode_errors.get(), 0, "{venue}");
            assert_eq!(got.unknown_frames.get(), 0, "{venue}");
        }
    });
    let summary = summary.unwrap();
    assert_eq!((summary.dropped, summary.written.rows_lost), (0, 0));
    assert_eq!(rows(dir.path(), Channel::Quotes).len() as u64, summary.written.rows_quotes);
    assert_eq!(rows(dir.path(), Channel::Trades).len() as u64, summary.written.rows_trades);
}
