//! Clients that do not read, do not answer, or are no more.

use std::{io::Read, thread, time::Duration};

use super::{
    super::support::world::eventually,
    client::Client,
    served::{Served, serve, settings},
    subscriptions::quote,
};
use spread_aggregator::market::InstrumentId;

const BTC: InstrumentId = InstrumentId(0);
const QUOTES: &str = r#"{"op":"subscribe","channel":"quotes"}"#;

/// Tells one quote after the other until that many have been dropped; returns how many it told.
pub(super) fn tell_until_dropped(served: &Served<'_>, drops: u64) -> u32 {
    let mut told = 0;
    while served.metrics.live.dropped.get() < drops {
        told += 1;
        served.tell(quote(BTC, f64::from(told)));
        if told % 1_000 == 0 {
            // So that nothing is lost before the hub sees it, however slow it is.
            eventually("the hub keeps up", || served.metrics.queue("live").depth.get() < 1_000);
            thread::yield_now();
        }
    }
    told
}

#[test]
fn a_slow_client_misses_the_oldest_is_told_how_many_and_nobody_else_notices() {
    let mut settings = settings();
    settings.client_queue = 500;
    serve(&settings, |served| {
        let mut slow = Client::connect(served.addr);
        slow.subscribe(QUOTES);
        let mut told = tell_until_dropped(served, 10_000);
        // All others are served meanwhile.
        let mut other = Client::connect(served.addr);
        other.subscribe(QUOTES);
        for _ in 0..100 {
            told += 1;
            served.tell(quote(BTC, f64::from(told)));
            assert_eq!(other.next()["bid_price"], f64::from(told));
        }
        // What it was sent and what it was told that it missed is all there was, in order, and the
        // newest is not among what is missing.
        let (mut received, mut missed, mut latest) = (0, 0, 0.0);
        while latest < f64::from(told) {
            let message = slow.next();
            match message["type"].as_str() {
                Some("quote") => {
                    let price = message["bid_price"].as_f64().unwrap();
                    assert!(latest < price, "{latest} before {message}");
                    (latest, received) = (price, received + 1);
                }
                Some("lag") => {
                    missed += message["dropped"].as_u64().unwrap();
                    assert_eq!(message["upstream"], 0);
                }
                _ => panic!("{message}"),
            }
        }
        assert_eq!(received + missed, u64::from(told));
        assert_eq!(missed, served.metrics.live.dropped.get());
    });
}

#[test]
fn what_is_lost_before_the_hub_sees_it_is_told_to_those_whom_it_may_concern() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        client.subscribe(QUOTES);
        let mut other = Client::connect(served.addr);
        other.subscribe(r#"{"op":"subscribe","channel":"spreads"}"#);
        served.metrics.queue("live").dropped.inc_by(7);
        let lag = client.next();
        assert_eq!(lag, serde_json::json!({ "type": "lag", "dropped": 0, "upstream": 7 }));
        served.metrics.queue("live-spreads").dropped.inc_by(5);
        assert_eq!(other.next()["upstream"], 5, "and not 12");
    });
}

#[test]
fn a_client_that_does_not_read_is_closed_while_others_go_on() {
    let mut settings = settings();
    settings.client_queue = 500;
    settings.ping_interval = Duration::from_secs(2);
    serve(&settings, |served| {
        let mut deaf = Client::connect(served.addr);
        deaf.subscribe(QUOTES);
        let mut other = Client::connect(served.addr);
        other.subscribe(r#"{"op":"subscribe","channel":"quotes","interval_ms":50}"#);
        thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut seen = 0.0;
                while seen < 1e9 {
                    // A heartbeat has none.
                    seen = other.next()["bid_price"].as_f64().unwrap_or(seen);
                }
            });
            tell_until_dropped(served, 1_000);
            eventually("it is found", || served.metrics.live.dead.get() == 1);
            served.until_clients(1);
            served.tell(quote(BTC, 1e9));
            reading.join().unwrap();
        });
        // Whatever was in the sockets; then the end, without a goodbye.
        let mut tcp = deaf.into_tcp();
        let mut sink = vec![0; 1 << 16];
        while tcp.read(&mut sink).is_ok_and(|n| 0 < n) {}
        served.until_clients(0);
    });
}

#[test]
fn a_client_that_is_silent_is_found_and_freed() {
    let mut settings = settings();
    settings.ping_interval = Duration::from_millis(500);
    serve(&settings, |served| {
        // It is there, and says nothing any more: as one whose machine has lost its network.
        let silent = Client::connect(served.addr).into_tcp();
        served.until_clients(1);
        eventually("it is found", || served.metrics.live.dead.get() == 1);
        served.until_clients(0);
        drop(silent);
    });
}

#[test]
fn a_client_that_vanishes_is_freed_at_once() {
    serve(&settings(), |served| {
        for _ in 0..10 {
            let mut client = Client::connect(served.addr);
            client.subscribe(QUOTES);
            drop(client.into_tcp());
        }
        served.until_clients(0);
        eventually("nobody listens", || !served.is_listening());
        assert_eq!(served.metrics.live.dead.get(), 0);
    });
}
