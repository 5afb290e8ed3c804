use super::{
    tongue::{MEXC_PERP, MEXC_SPOT},
    *,
};

#[test]
fn a_refusal_looks_like_an_acknowledgement() {
    with(of(MEXC_SPOT), |simulator| {
        let mut client = Client::connect(simulator, MEXC_SPOT);
        let good = topics(MEXC_SPOT, "BTCUSDT");
        for bad in [
            "spot@public.aggre.bookTicker.v3.api.pb@100ms@NOPEUSDT",
            "spot@public.aggre.bookTicker.v3.api.pb@100ms@btcusdt",
            "spot@public.aggre.bookTicker.v3.api.pb@BTCUSDT",
            "spot@public.deals.v3.api@BTCUSDT",
        ] {
            let id = client.got.frames + 7;
            client.send(json!({"method": "SUBSCRIPTION", "params": [good[0], bad], "id": id}));
            let problem = format!("Not Subscribed successfully! [{bad}].  Reason： Blocked! ");
            assert_eq!(client.reply(), json!({"id": id, "code": 0, "msg": problem}));
        }
        client.subscribe(&good);
        let data = client.data();
        assert_eq!((&data["3"], client.got.frames), (&json!("BTCUSDT"), 1));
        client.request("unsubscribe", &good);
        assert_eq!(client.reply()["msg"], good.join(","));
        client.send("nonsense");
        client.catch_up();
    });
}

#[test]
fn a_connection_has_thirty_topics() {
    with(of(MEXC_SPOT), |simulator| {
        let all = tradable(simulator, MEXC_SPOT);
        let all: Vec<_> = all.iter().flat_map(|it| topics(MEXC_SPOT, it)).collect();
        let mut client = Client::connect(simulator, MEXC_SPOT);
        client.subscribe(&all[..15]);
        client.subscribe(&all[..30]);
        client.request("subscribe", &all[30..31]);
        assert!(!is_ack(MEXC_SPOT, &client.reply()));
        client.request("unsubscribe", &all[..1]);
        client.reply();
        client.subscribe(&all[30..31]);
    });
}

#[test]
fn contracts_are_subscribed_to_one_by_one() {
    with(Options { rate: 0.0, ..of(MEXC_PERP) }, |simulator| {
        let mut client = Client::connect(simulator, MEXC_PERP);
        client.request("subscribe", &["depth.full:NOPE_USDT".to_owned()]);
        let reply = client.reply();
        assert_eq!(
            (&reply["channel"], &reply["data"]),
            (&json!("rs.error"), &json!("Contract [NOPE_USDT] not exists"))
        );
        client.send(json!({"method": "fly"}));
        client.send("[]");
        client.subscribe(&["depth.full:BTC_USDT".to_owned()]);
        let data = if client.got.frames == 0 { client.data() } else { Value::Null };
        assert!(data.is_null() || data["channel"] == "push.depth.full", "the book is sent at once");
        simulator.set_rate(1000.0);
        let (mut best, mut asks) = (0.0, 0);
        for _ in 0..50 {
            let data = client.data();
            for (side, sign) in [("asks", 1.0), ("bids", -1.0)] {
                let prices: Vec<_> = data["data"][side].as_array().unwrap().iter().collect();
                let price = |it: &&Value| sign * it[0].as_f64().unwrap();
                assert!(prices.is_sorted_by_key(price), "the best is first: {data}");
                asks += prices.len();
            }
            best = data["data"]["asks"][0][0].as_f64().unwrap_or(best);
        }
        assert!(0.0 < best && 200 < asks);
        client.request("unsubscribe", &["depth.full:BTC_USDT".to_owned()]);
        assert_eq!(client.reply()["channel"], "rs.unsub.depth.full");
    });
}

#[test]
fn lists_have_what_is_not_to_be_traded() {
    let venues = vec![MEXC_SPOT, MEXC_PERP];
    with(Options { venues, ..Options::default() }, |simulator| {
        let all = get_json(simulator, "/mexc-spot/api/v3/defaultSymbols");
        assert_eq!(rows(&all).len(), tradable(simulator, MEXC_SPOT).len());
        let (status, _, body) = get(simulator, "/mexc-spot/api/v3/ticker/24hr?symbol=NOPE");
        assert_eq!((status, &*body), (400, r#"{"code":-1121,"msg":"Invalid symbol."}"#));
        let nope = get_json(simulator, "/mexc-perp/api/v1/contract/detail?symbol=NOPE");
        assert_eq!((&nope["success"], &nope["code"]), (&json!(false), &json!(1001)));
        let inverse = get_json(simulator, "/mexc-perp/api/v1/contract/detail?symbol=BTC_USD");
        assert_eq!(inverse["data"]["settleCoin"], "BTC");
    });
}
