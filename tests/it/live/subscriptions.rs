//! Who is told what.

use std::thread;

use serde_json::{Value, json};
use spread_aggregator::{
    json::Object,
    market::{Channel, ConnId, Cross, Event, InstrumentId, Level, Nanos, Quote},
    stop::Stop,
};

use super::{
    super::support::{
        events::{NOON, events, mixture},
        world::{RequestOnDrop, eventually},
    },
    client::Client,
    served::{Served, serve, settings},
    slow::tell_until_dropped,
};

/// The numbers of the instruments of `support::events::registry`: Binance spot BTC, ETH, Binance
/// perp BTC, ETH, Bybit spot BTC, ...
const BINANCE_SPOT_BTC: InstrumentId = InstrumentId(0);
const BINANCE_SPOT_ETH: InstrumentId = InstrumentId(1);
const BINANCE_PERP_BTC: InstrumentId = InstrumentId(2);
const BYBIT_SPOT_BTC: InstrumentId = InstrumentId(4);
const BYBIT_SPOT_ETH: InstrumentId = InstrumentId(5);

pub(super) fn quote(instrument: InstrumentId, price: f64) -> Event {
    let level = |price| Some(Level { price, size: 2.0 });
    Event::Quote(Quote {
        instrument,
        conn: ConnId(0),
        ts_event: None,
        ts_recv: NOON,
        bid: level(price),
        ask: level(price + 0.5),
        sequence: None,
    })
}

fn trade(instrument: InstrumentId) -> Event {
    let Event::Trade(mut trade) = events(Channel::Trades, NOON, 1).remove(0) else { panic!() };
    trade.instrument = instrument;
    Event::Trade(trade)
}

fn object(served: &Served<'_>, event: &Event) -> Value {
    let instrument = served.registry.get(event.instrument()).unwrap();
    serde_json::to_value(Object::event(event, &instrument)).unwrap()
}

#[test]
fn a_client_is_sent_what_it_has_asked_for_and_nothing_else() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        client.subscribe(
            r#"{"op":"subscribe","channel":"quotes","symbols":["BTC-USDT"],"exchanges":["binance"]}"#,
        );
        client.subscribe(r#"{"op":"subscribe","channel":"trades","market":"perp"}"#);
        let wanted = [
            quote(BINANCE_SPOT_BTC, 1.0),
            quote(BINANCE_PERP_BTC, 2.0),
            trade(BINANCE_PERP_BTC),
            quote(BINANCE_SPOT_BTC, 3.0),
        ];
        let unwanted = [
            quote(BINANCE_SPOT_ETH, 9.0),
            quote(BYBIT_SPOT_BTC, 9.0),
            trade(BINANCE_SPOT_BTC),
            trade(BYBIT_SPOT_BTC),
        ];
        for (wanted, unwanted) in wanted.iter().zip(unwanted) {
            served.tell(unwanted);
            served.tell(wanted.clone());
        }
        for event in &wanted {
            assert_eq!(client.next(), object(served, event));
        }
    });
}

#[test]
fn every_event_is_sent_as_the_command_line_prints_it_and_in_order() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        client.subscribe(r#"{"op":"subscribe","channel":"quotes"}"#);
        client.subscribe(r#"{"op":"subscribe","channel":"trades"}"#);
        let told = mixture(served.registry, NOON, 2_000);
        thread::scope(|scope| {
            scope.spawn(|| told.iter().for_each(|it| served.tell(it.clone())));
            for event in &told {
                let instrument = served.registry.get(event.instrument()).unwrap();
                let printed = serde_json::to_string(&Object::event(event, &instrument)).unwrap();
                assert_eq!(client.next_text(), printed);
            }
        });
    });
}

#[test]
fn what_has_been_unsubscribed_from_comes_no_more() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        client.subscribe(r#"{"op":"subscribe","channel":"quotes"}"#);
        let answer = client.ask(
            r#"{"op":"unsubscribe","channel":"quotes","symbols":["BTC-USDT"],"market":"spot"}"#,
        );
        let expected = json!({
            "type": "unsubscribed", "channel": "quotes", "symbols": ["BTC-USDT"],
            "exchanges": ["*"], "markets": ["spot"],
        });
        assert_eq!(answer, expected);
        let wanted = [quote(BINANCE_PERP_BTC, 1.0), quote(BINANCE_SPOT_ETH, 2.0)];
        for wanted in &wanted {
            served.tell(quote(BINANCE_SPOT_BTC, 9.0));
            served.tell(wanted.clone());
        }
        for wanted in &wanted {
            assert_eq!(client.next(), object(served, wanted));
        }
        let answer = client.ask(r#"{"op":"unsubscribe","channel":"quotes"}"#);
        assert_eq!(answer["type"], "unsubscribed");
        eventually("nobody listens", || !served.is_listening());
    });
}

#[test]
fn nothing_follows_the_answer_that_says_that_it_will_not() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        let over = Stop::default();
        thread::scope(|scope| {
            let _over = RequestOnDrop(&over);
            scope.spawn(|| {
                while !over.requested() {
                    served.tell(quote(BINANCE_SPOT_BTC, 1.0));
                    thread::yield_now();
                }
            });
            for n in 0..50 {
                let interval = n % 2;
                client.subscribe(&format!(
                    r#"{{"op":"subscribe","channel":"quotes","interval_ms":{interval}}}"#
                ));
                for _ in 0..20 {
                    assert_eq!(client.next()["type"], "quote");
                }
                let answer = client.ask(r#"{"op":"unsubscribe","channel":"quotes"}"#);
                assert_eq!(answer["type"], "unsubscribed");
                // What comes next is the answer to what is asked next.
                client.send("nonsense");
                assert_eq!(client.next()["type"], "error");
            }
        });
    });
}

#[test]
fn nothing_is_made_into_json_that_nobody_wants() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        assert!(!served.is_listening() && !served.is_listening_to_spreads());
        client.subscribe(r#"{"op":"subscribe","channel":"quotes","symbols":["ETH-USDT"]}"#);
        assert!(served.is_listening() && !served.is_listening_to_spreads());
        for _ in 0..1_000 {
            served.tell(quote(BINANCE_SPOT_BTC, 1.0));
            served.tell(trade(BINANCE_SPOT_ETH));
        }
        served.tell(quote(BINANCE_SPOT_ETH, 1.0));
        assert_eq!(client.next()["symbol"], "ETH-USDT");
        assert_eq!(served.metrics.live.serialised.get(), 1);
        client.close();
        eventually("nobody listens", || !served.is_listening());
        served.until_clients(0);
    });
}

#[test]
fn a_message_is_made_into_json_once_however_many_want_it() {
    serve(&settings(), |served| {
        let mut clients: Vec<_> = (0..10).map(|_| Client::connect(served.addr)).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            // Some hold it back for a while.
            let interval = n % 2;
            client.subscribe(&format!(
                r#"{{"op":"subscribe","channel":"quotes","interval_ms":{interval}}}"#
            ));
        }
        for n in 0..50 {
            served.tell(quote(BINANCE_SPOT_BTC, f64::from(n)));
            for client in &mut clients {
                assert_eq!(client.next()["bid_price"], f64::from(n));
            }
        }
        assert_eq!(served.metrics.live.serialised.get(), 50);
        eventually("all is counted", || served.metrics.live.sent.get() == 500);
        assert_eq!(served.metrics.live.latency.count(), 500);
    });
}

#[test]
fn an_interval_sends_the_latest_of_each_instrument_and_only_what_has_changed() {
    const UPDATES: u32 = 20_000;
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        client.subscribe(
            r#"{"op":"subscribe","channel":"quotes","symbols":["BTC-USDT"],"interval_ms":400}"#,
        );
        let venues = [BINANCE_SPOT_BTC, BINANCE_PERP_BTC, BYBIT_SPOT_BTC];
        served.tell(quote(venues[2], 7.0));
        for n in 1..=UPDATES {
            served.tell(quote(venues[0], f64::from(n)));
            served.tell(quote(venues[1], f64::from(n)));
        }
        let mut latest = [0.0; 3];
        let mut received = [0; 3];
        while latest[..2] != [f64::from(UPDATES); 2] {
            let message = client.next();
            let of = match (message["exchange"].as_str(), message["market"].as_str()) {
                (Some("binance"), Some("spot")) => 0,
                (Some("binance"), Some("perp")) => 1,
                _ => 2,
            };
            let price = message["bid_price"].as_f64().unwrap();
            assert!(latest[of] < price, "an older one, or one that has not changed: {message}");
            latest[of] = price;
            received[of] += 1;
        }
        assert_eq!(received[2], 1, "it has not changed");
        assert!(received[0] < UPDATES / 4, "{received:?}");
        assert_eq!(served.metrics.live.dropped.get(), 0);
    });
}

#[test]
fn spreads_are_told_as_the_contract_says() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        client.subscribe(
            r#"{"op":"subscribe","channel":"spreads","symbols":["BTC-USDT"],"exchanges":["bybit"]}"#,
        );
        let cross = |buy, sell, net_bps| Cross {
            buy,
            sell,
            ask: Level { price: 100.0, size: 3.0 },
            bid: Level { price: 101.0, size: 2.0 },
            gross_bps: 100.0,
            net_bps,
            leg_age: 1_500_000,
            ts_recv: NOON,
        };
        served.tell_cross(cross(BINANCE_SPOT_BTC, InstrumentId(8), 70.0));
        served.tell_cross(cross(BINANCE_SPOT_BTC, BYBIT_SPOT_BTC, 80.0));
        served.tell_cross(cross(InstrumentId(5), InstrumentId(1), 90.0));
        served.tell_cross(cross(BYBIT_SPOT_BTC, BINANCE_SPOT_BTC, 60.0));
        assert_eq!(
            client.next(),
            json!({
                "type": "spread", "symbol": "BTC-USDT", "market": "spot",
                "buy_exchange": "binance", "sell_exchange": "bybit",
                "gross_bps": 100.0, "net_bps": 80.0, "ask_price": 100.0, "bid_price": 101.0,
                "size": 2.0, "leg_age_us": 1500, "ts_recv": NOON.0,
            })
        );
        assert_eq!(client.next()["net_bps"], 60.0);
    });
}

#[test]
fn a_new_subscriber_is_told_what_is_known() {
    serve(&settings(), |served| {
        served.compare(&quote(BINANCE_SPOT_BTC, 100.0));
        served.compare(&quote(BYBIT_SPOT_BTC, 101.0));
        served.compare(&quote(BINANCE_SPOT_ETH, 50.0));
        let mut client = Client::connect(served.addr);
        client.subscribe(r#"{"op":"subscribe","channel":"quotes","symbols":["BTC-USDT"]}"#);
        let mut known = [client.next(), client.next()];
        known.sort_by_key(|it| it["exchange"].to_string());
        assert_eq!(known[0], object(served, &quote(BINANCE_SPOT_BTC, 100.0)));
        assert_eq!(known[1], object(served, &quote(BYBIT_SPOT_BTC, 101.0)));
        client.subscribe(r#"{"op":"subscribe","channel":"spreads"}"#);
        let best = client.next();
        assert_eq!(best["buy_exchange"], "binance", "{best}");
        assert_eq!((&best["ask_price"], &best["bid_price"]), (&json!(100.5), &json!(101.0)));
        // What was known is no measure of how fast it was told.
        assert_eq!(served.metrics.live.latency.count(), 0);
    });
}

#[test]
fn the_screener_tells_the_best_cross_of_each_symbol_when_there_is_another() {
    serve(&settings(), |served| {
        served.compare(&quote(BINANCE_SPOT_BTC, 100.0));
        served.compare(&quote(BYBIT_SPOT_BTC, 101.0));
        let mut client = Client::connect(served.addr);
        client.subscribe(r#"{"op":"subscribe","channel":"screener"}"#);
        let known = client.next();
        assert_eq!(
            known,
            json!({
                "type": "best", "symbol": "BTC-USDT", "market": "spot",
                "buy_exchange": "binance", "sell_exchange": "bybit",
                "gross_bps": known["gross_bps"], "net_bps": known["net_bps"],
                "ask_price": 100.5, "bid_price": 101.0, "size": 2.0,
                "buy_age_us": 0, "sell_age_us": 0, "expires_us": known["expires_us"],
                "episodes": 1, "ts_recv": NOON.0,
            })
        );
        // What was known is told once more at most, by the first look at all.
        served.compare(&quote(BYBIT_SPOT_BTC, 102.0));
        let bid = std::iter::repeat_with(|| client.next()["bid_price"].clone())
            .find(|it| *it != json!(101.0));
        assert_eq!(bid, Some(json!(102.0)));
        assert!(!served.is_listening(), "nothing else is asked for");
        let mut client = Client::connect(served.addr);
        client.subscribe(r#"{"op":"subscribe","channel":"screener","symbols":["ETH-USDT"]}"#);
        served.compare(&quote(BYBIT_SPOT_BTC, 103.0));
        served.compare(&quote(BINANCE_SPOT_ETH, 50.0));
        served.compare(&quote(BYBIT_SPOT_ETH, 51.0));
        assert_eq!(client.next()["symbol"], "ETH-USDT");
    });
}

#[test]
fn a_request_that_is_none_is_told_what_would_be_right_and_the_connection_stays() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        for (request, mention) in [
            ("", "\"op\":\"subscribe\""),
            ("{\"op\":\"subscribe\"}", "channel"),
            (r#"{"op":"subscribe","channel":"quotes","symbols":["btcusdt"]}"#, "BTC-USDT"),
            (r#"{"op":"subscribe","channel":"quotes","exchanges":["krakn"]}"#, "binance"),
        ] {
            let answer = client.ask(request);
            assert_eq!(answer["type"], "error");
            let detail = answer["detail"].as_str().unwrap();
            assert!(detail.contains(mention), "{detail}");
        }
        let answer = client
            .ask(r#"{"op":"subscribe","channel":"quotes","symbols":["NOPE-USDT","BTC-USDT"]}"#);
        assert_eq!(answer["type"], "subscribed");
        assert_eq!(answer["unknown"], json!(["NOPE-USDT"]));
        served.tell(quote(BINANCE_SPOT_BTC, 1.0));
        assert_eq!(client.next()["bid_price"], 1.0);
    });
}

#[test]
fn answers_come_in_the_order_of_requests() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        for n in 0..100 {
            client.send(if n % 3 == 0 {
                "nonsense"
            } else {
                r#"{"op":"subscribe","channel":"trades","symbols":["BTC-USDT"]}"#
            });
        }
        for n in 0..100 {
            let expected = if n % 3 == 0 { "error" } else { "subscribed" };
            assert_eq!(client.next()["type"], expected, "{n}");
        }
    });
}

#[test]
fn subscriptions_are_limited_by_the_names_in_them() {
    let mut settings = settings();
    settings.max_subscriptions = 3;
    serve(&settings, |served| {
        let mut client = Client::connect(served.addr);
        let of = |names: &[&str]| {
            json!({ "op": "subscribe", "channel": "quotes", "symbols": names }).to_string()
        };
        client.subscribe(&of(&["BTC-USDT", "A-B", "C-D"]));
        client.subscribe(&of(&["C-D", "A-B"]));
        let answer = client.ask(&of(&["BTC-USDT", "E-F"]));
        assert_eq!(answer["type"], "error");
        assert!(answer["detail"].as_str().unwrap().contains("max_subscriptions"), "{answer}");
        client.ask(r#"{"op":"unsubscribe","channel":"quotes","symbols":["A-B"]}"#);
        client.subscribe(&of(&["BTC-USDT", "E-F"]));
        served.tell(quote(BINANCE_SPOT_BTC, 1.0));
        assert_eq!(client.next()["symbol"], "BTC-USDT");
    });
}

#[test]
fn a_client_that_is_sent_nothing_is_sent_heartbeats() {
    let mut settings = settings();
    settings.ping_interval = std::time::Duration::from_millis(500);
    serve(&settings, |served| {
        let mut client = Client::connect(served.addr);
        let before = spread_aggregator::feed::now();
        for _ in 0..3 {
            let heartbeat = client.next();
            assert_eq!(heartbeat["type"], "heartbeat");
            assert!(before < Nanos(heartbeat["ts"].as_i64().unwrap()), "{heartbeat}");
        }
        assert_eq!(served.metrics.live.dead.get(), 0);
    });
}

#[test]
fn a_stop_says_goodbye_to_all() {
    serve(&settings(), |served| {
        let mut clients: Vec<_> = (0..20).map(|_| Client::connect(served.addr)).collect();
        clients[0].subscribe(r#"{"op":"subscribe","channel":"quotes"}"#);
        // It does not read, and has more waiting for it than the socket holds.
        let mut deaf = Client::connect(served.addr);
        deaf.subscribe(r#"{"op":"subscribe","channel":"quotes","symbols":["BTC-USDT"]}"#);
        clients[0].ask(r#"{"op":"unsubscribe","channel":"quotes"}"#);
        tell_until_dropped(served, 1);
        served.stop.request();
        let asked = std::time::Instant::now();
        for client in &mut clients {
            let frame = client.until_closed().expect("a goodbye");
            assert_eq!(u16::from(frame.code), 1001, "{frame:?}");
        }
        served.until_clients(0);
        // The contract names the bound for the whole program.
        assert!(asked.elapsed().as_secs() < 5);
    });
}
