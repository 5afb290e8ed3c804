use super::{
    tongue::{BINGX_PERP, BINGX_SPOT},
    *,
};

#[test]
fn a_request_is_about_one_topic() {
    for venue in [BINGX_SPOT, BINGX_PERP] {
        with(of(venue), |simulator| {
            let mut client = Client::connect(simulator, venue);
            for bad in ["NOPE-USDT@trade", "btc-usdt@trade", "BTC-USDT@fly", "BTC-USDT"] {
                client.send(json!({"id": bad, "reqType": "sub", "dataType": bad}));
                let reply = client.reply();
                assert_eq!(
                    (&reply["id"], &reply["code"], &reply["msg"]),
                    (&json!(bad), &json!(80015), &json!("dataType not support"))
                );
            }
            client.send("nonsense");
            client.send(json!({"id": "x", "reqType": "sub", "dataType": ["BTC-USDT@trade"]}));
            client.subscribe(&["ETH-USDT@trade".to_owned()]);
            assert_eq!(client.data()["dataType"], "ETH-USDT@trade", "the others are not answered");
            client.request("unsubscribe", &["ETH-USDT@trade".to_owned()]);
            assert_eq!(client.reply()["code"], 0);
        });
    }
}

#[test]
fn the_first_quote_of_a_swap_is_old() {
    with(Options { rate: 0.0, ..of(BINGX_PERP) }, |simulator| {
        let mut client = Client::connect(simulator, BINGX_PERP);
        client.request("subscribe", &["BTC-USDT@bookTicker".to_owned()]);
        let first = client.data();
        let [sent, happened] = ["E", "T"].map(|it| first["data"][it].as_u64().unwrap());
        assert!(60_000 < sent - happened, "{first}");
        assert_eq!((client.got.withheld, client.got.quotes), (1, 0));
        simulator.set_rate(1000.0);
        client.data();
        assert_eq!((client.got.withheld, client.got.quotes), (1, 1));
        client.subscribe(&["BTC-USDT@depth5@200ms".to_owned()]);
        let depth = loop {
            let data = client.data();
            if data["ts"].is_u64() {
                break data;
            }
        };
        let asks = depth["data"]["asks"].as_array().unwrap();
        let price = |it: &Value| it[0].as_str().unwrap().parse::<f64>().unwrap();
        assert!(asks.is_sorted_by(|a, b| price(b) < price(a)), "the worst is first: {depth}");
    });
}

#[test]
fn pings_want_an_answer() {
    for venue in [BINGX_SPOT, BINGX_PERP] {
        with(Options { keepalive: KEEPALIVE, ..of(venue) }, |simulator| {
            let mut deaf = Client::connect(simulator, venue);
            deaf.deaf = true;
            assert_eq!(ended(&deaf.end()), None);
            let mut alive = Client::connect(simulator, venue);
            for _ in 0..10 {
                assert!(matches!(alive.next(), Got::Ping), "without any subscription");
            }
        });
    }
}
