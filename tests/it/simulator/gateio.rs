use std::time::{SystemTime, UNIX_EPOCH};

use tungstenite::client::IntoClientRequest;

use super::{
    tongue::{GATEIO_PERP, GATEIO_SPOT},
    *,
};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn one_unknown_symbol_costs_the_whole_payload() {
    for (venue, prefix, problem) in [
        (GATEIO_SPOT, "spot", "unknown currency pair: NOPE_USDT"),
        (GATEIO_PERP, "futures", "unknown contract NOPE_USDT"),
    ] {
        with(of(venue), |simulator| {
            let mut client = Client::connect(simulator, venue);
            let book = |it: &str| format!("book_ticker:{it}");
            client.request("subscribe", &[book("BTC_USDT"), book("NOPE_USDT")]);
            let reply = client.reply();
            assert_eq!(reply["error"], json!({"code": 2, "message": problem}));
            assert_eq!((&reply["id"], &reply["result"]), (&json!(1), &json!({"status": "fail"})));
            assert_eq!(reply["channel"], format!("{prefix}.book_ticker"));
            client.subscribe(&[book("ETH_USDT")]);
            client.subscribe(&["trades:SOL_USDT".to_owned()]);
            for _ in 0..50 {
                let data = client.data().to_string();
                assert!(!data.contains("BTC"), "{data}");
            }
            client.request("unsubscribe", &[book("ETH_USDT")]);
            let reply = client.reply();
            assert_eq!(
                (&reply["event"], &reply["payload"]),
                (&json!("unsubscribe"), &json!(["ETH_USDT"]))
            );
        });
    }
}

#[test]
fn some_of_what_is_listed_is_unknown() {
    for (venue, native) in [(GATEIO_SPOT, "AMPL_USDT"), (GATEIO_PERP, "币安人生_USDT")] {
        with(of(venue), |simulator| {
            assert!(simulator.symbols(venue).contains(&native.to_owned()));
            let mut client = Client::connect(simulator, venue);
            client.request("subscribe", &[format!("trades:{native}")]);
            assert_eq!(client.reply()["error"]["code"], 2);
        });
    }
}

#[test]
fn a_request_has_a_time_and_a_small_id() {
    with(of(GATEIO_SPOT), |simulator| {
        let mut client = Client::connect(simulator, GATEIO_SPOT);
        let request = |time: Value, id: Value| {
            json!({"time": time, "id": id, "channel": "spot.trades", "event": "subscribe",
                "payload": ["BTC_USDT"]})
        };
        for (time, id) in [
            (json!(now() - 70), json!(1)),
            (json!(now() + 70), json!(1)),
            (Value::Null, json!(1)),
            (json!(now()), json!(1_u64 << 31)),
            (json!(now()), json!("1")),
        ] {
            let request = request(time, id);
            client.send(&request);
            assert_eq!(client.reply()["error"]["code"], 1, "{request}");
        }
        client.send("no json");
        assert_eq!(client.reply()["error"]["code"], 1);
        client.send(request(json!(now() - 50), Value::Null));
        let reply = client.reply();
        assert_eq!((&reply["error"], &reply["id"]), (&Value::Null, &Value::Null));
        let channel = json!({"time": now(), "channel": "futures.trades", "event": "subscribe",
            "payload": ["BTC_USDT"]});
        client.send(channel);
        assert_eq!(client.reply()["error"]["code"], 2, "of the other address");
    });
}

#[test]
fn sizes_are_strings_for_those_who_ask() {
    with(of(GATEIO_PERP), |simulator| {
        let url = simulator.ws_url(GATEIO_PERP) + "/v4/ws/usdt";
        let plain = url.into_client_request().unwrap();
        let mut old = Client::connect_with(simulator, GATEIO_PERP, plain).unwrap();
        let mut new = Client::connect(simulator, GATEIO_PERP);
        for client in [&mut old, &mut new] {
            client.subscribe(&["book_ticker:ETH_USDT".to_owned()]);
        }
        for _ in 0..20 {
            assert!(old.data()["result"]["B"].is_u64());
            assert!(new.data()["result"]["B"].is_string());
        }
    });
}

#[test]
fn a_notice_asks_to_reconnect() {
    with(of(GATEIO_SPOT), |simulator| {
        let mut client = Client::connect(simulator, GATEIO_SPOT);
        client.subscribe(&["trades:BTC_USDT".to_owned()]);
        simulator.inject(GATEIO_SPOT, Fault::Notice);
        let notice = client.reply();
        assert_eq!(
            (&notice["channel"], &notice["event"]),
            (&json!("spot.system"), &json!("update"))
        );
        assert_eq!(notice["result"]["type"], "upgrade");
        client.data();
    });
}

#[test]
fn any_frame_makes_up_for_a_subscription() {
    with(Options { keepalive: KEEPALIVE, ..of(GATEIO_SPOT) }, |simulator| {
        let mut quiet = Client::connect(simulator, GATEIO_SPOT);
        assert_eq!(ended(&quiet.end()), None);
        let mut alive = Client::connect(simulator, GATEIO_SPOT);
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            alive.socket.send(Message::Ping("x".into())).unwrap();
            assert!(matches!(alive.next(), Got::Pong));
        }
    });
}

#[test]
fn lists_are_bare_and_errors_have_labels() {
    with(of(GATEIO_PERP), |simulator| {
        let path = "/gateio-perp/api/v4/futures/usdt";
        assert_eq!(
            get(simulator, &format!("{path}/tickers?contract=NOPE")).2,
            r#"{"label":"CONTRACT_NOT_FOUND"}"#
        );
        let contracts = get_json(simulator, &format!("{path}/contracts"));
        for it in contracts.as_array().unwrap() {
            let multiplier = it["quanto_multiplier"].as_str().unwrap();
            assert!(multiplier.len() < 15, "a round number of coins: {it}");
            assert_eq!(it["enable_decimal"] == true, it["order_size_min"].is_string());
        }
    });
}

#[test]
fn nothing_can_be_borrowed() {
    with(of(GATEIO_SPOT), |simulator| {
        let body = get_json(simulator, "/gateio-spot/api/v4/margin/currency_pairs");
        assert_eq!(body, json!([]));
    });
}
