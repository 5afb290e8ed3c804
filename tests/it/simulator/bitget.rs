use super::{
    tongue::{BITGET_PERP, BITGET_SPOT},
    *,
};

fn arg(product: &str, channel: &str, native: &str) -> Value {
    json!({"instType": product, "channel": channel, "instId": native})
}

fn subscribe(args: &[Value]) -> Value {
    json!({"op": "subscribe", "args": args})
}

#[test]
fn each_argument_is_answered_and_the_wrong_product_is_silent() {
    for (venue, here, there, code) in [
        (BITGET_SPOT, "SPOT", "USDT-FUTURES", json!(30001)),
        (BITGET_PERP, "USDT-FUTURES", "SPOT", json!("30001")),
    ] {
        with(of(venue), |simulator| {
            let mut client = Client::connect(simulator, venue);
            let silent = arg(there, "books1", "BTCUSDT");
            let nope = arg(here, "books1", "NOPEUSDT");
            let good = arg(here, "books1", "ETHUSDT");
            client.send(subscribe(&[silent.clone(), nope.clone(), good.clone()]));
            assert_eq!(client.reply(), json!({"event": "subscribe", "arg": silent}));
            let problem = format!(
                "instType:{here},channel:books1,instId:NOPEUSDT,precision:null doesn't exist"
            );
            assert_eq!(
                client.reply(),
                json!({"event": "error", "arg": nope, "code": code, "msg": problem, "op": "subscribe"})
            );
            assert_eq!(client.reply(), json!({"event": "subscribe", "arg": good}));
            for _ in 0..50 {
                assert_eq!(client.data()["arg"], good);
            }
            client.send(json!({"op": "unsubscribe", "args": [good]}));
            assert_eq!(client.reply()["event"], "unsubscribe");
            client.send(json!({"op": "fly", "args": [good]}));
            assert_eq!(client.reply()["event"], "error");
        });
    }
}

#[test]
fn trades_begin_with_those_of_before() {
    with(Options { rate: 0.0, ..of(BITGET_SPOT) }, |simulator| {
        let topic = [topics(BITGET_SPOT, "BTCUSDT").remove(1)];
        let ids = |frame: &Value| -> Vec<u64> {
            let rows = frame["data"].as_array().unwrap();
            rows.iter().map(|it| it["tradeId"].as_str().unwrap().parse().unwrap()).collect()
        };
        let history = |client: &mut Client| {
            client.subscribe(&topic);
            let first = client.data();
            assert_eq!(first["action"], "snapshot");
            let ids = ids(&first);
            assert!(ids.is_sorted_by(|a, b| b < a), "the newest comes first: {ids:?}");
            ids
        };
        let mut client = Client::connect(simulator, BITGET_SPOT);
        assert_eq!(history(&mut client).len(), 10);
        let mut told = vec![];
        simulator.set_rate(2_000.0);
        while told.len() < 50 {
            let frame = client.data();
            assert_eq!(frame["action"], "update");
            told.extend(ids(&frame));
        }
        simulator.set_rate(0.0);
        client.ping();
        while let Got::Data(frame) = client.next() {
            told.extend(ids(&frame));
        }
        let last: Vec<_> = told.into_iter().rev().take(10).collect();
        assert_eq!(history(&mut Client::connect(simulator, BITGET_SPOT)), last);
    });
}

#[test]
fn contracts_in_another_currency_are_another_product() {
    with(of(BITGET_PERP), |simulator| {
        let path = "/bitget-perp/api/v2/mix/market/contracts";
        assert_eq!(
            rows(&get_json(simulator, &format!("{path}?productType=USDC-FUTURES"))).len(),
            0
        );
        let (status, _, body) = get(simulator, path);
        assert_eq!((status, body.contains("40019")), (400, true));
        let path = "/bitget-perp/api/v2/mix/market/tickers?productType=USDT-FUTURES&symbol=NOPE";
        let (status, _, body) = get(simulator, path);
        assert_eq!((status, body.contains("Parameter NOPE does not exist")), (400, true));
    });
}

#[test]
fn too_large_and_too_many_messages_end_it_without_a_goodbye() {
    with(of(BITGET_SPOT), |simulator| {
        let mut client = Client::connect(simulator, BITGET_SPOT);
        client.send("x".repeat(4097));
        assert_eq!(ended(&client.end()), None);
        let mut client = Client::connect(simulator, BITGET_SPOT);
        for _ in 0..11 {
            client.send("ping");
        }
        assert_eq!(ended(&client.end()), None);
    });
}

#[test]
fn nothing_can_be_borrowed() {
    with(of(BITGET_SPOT), |simulator| {
        let body = get_json(simulator, "/bitget-spot/api/v2/margin/currencies");
        assert_eq!((&body["code"], &body["data"]), (&json!("00000"), &json!([])));
    });
}
