use super::{
    client::bullet,
    tongue::{KUCOIN_PERP, KUCOIN_SPOT},
    *,
};

#[test]
fn the_endpoint_of_a_token_leads_back_here_however_it_is_used() {
    for venue in [KUCOIN_SPOT, KUCOIN_PERP] {
        with(of(venue), |simulator| {
            for base in [None, Some(simulator.ws_url(venue))] {
                let (endpoint, token) = bullet(simulator, venue);
                let path = endpoint.strip_prefix(&format!("ws://{}", simulator.addr())).unwrap();
                let endpoint = base.map_or(endpoint.clone(), |it| it + path);
                let url = format!("{endpoint}?token={token}&connectId=abc");
                let mut client = Client::connect_url(simulator, venue, &url).unwrap();
                assert_eq!(client.reply(), json!({"id": "abc", "type": "welcome"}));
                client.subscribe(&topics(venue, &native(venue, "BTC")));
                client.data();
            }
        });
    }
}

#[test]
fn a_token_is_good_for_one_connection_of_its_market() {
    let venues = vec![KUCOIN_SPOT, KUCOIN_PERP];
    with(Options { venues, ..Options::default() }, |simulator| {
        let (_, used) = bullet(simulator, KUCOIN_SPOT);
        let (_, other) = bullet(simulator, KUCOIN_PERP);
        assert_ne!(used, other);
        let connect = |token: &str| {
            let path = format!("?token={token}&connectId=c-1");
            Client::connect_to(simulator, KUCOIN_SPOT, &path).unwrap()
        };
        assert_eq!(connect(&used).reply()["type"], "welcome");
        for bad in [&*used, &other, "nonsense", ""] {
            let mut client = connect(bad);
            assert_eq!(
                client.reply(),
                json!({"id": "c-1", "type": "error", "code": 401, "data": "token is expired"})
            );
            assert_eq!(ended(&client.end()), Some(1000));
        }
        assert_eq!(get(simulator, "/kucoin-spot/api/v1/bullet-public").0, 405);
        assert_eq!(ask(simulator, "POST", "/kucoin-spot/api/v2/symbols", "").0, 405);
    });
}

#[test]
fn what_is_said_before_the_welcome_is_lost() {
    with(of(KUCOIN_SPOT), |simulator| {
        let (endpoint, token) = bullet(simulator, KUCOIN_SPOT);
        let url = format!("{endpoint}?token={token}&connectId=c-1");
        let mut client = Client::connect_url(simulator, KUCOIN_SPOT, &url).unwrap();
        client.request("subscribe", &topics(KUCOIN_SPOT, "BTC-USDT"));
        assert_eq!(client.reply()["type"], "welcome");
        client.subscribe(&topics(KUCOIN_SPOT, "ETH-USDT"));
        for _ in 0..20 {
            let data = client.data().to_string();
            assert!(data.contains("ETH-USDT"), "{data}");
        }
    });
}

#[test]
fn an_unknown_symbol_is_an_error_on_spot_and_silent_on_futures() {
    for venue in [KUCOIN_SPOT, KUCOIN_PERP] {
        with(of(venue), |simulator| {
            let mut client = Client::connect(simulator, venue);
            let topic = |base: &str| topics(venue, &native(venue, base)).remove(0);
            client.request("subscribe", &[topic("BTC"), topic("NOPE")]);
            let reply = client.reply();
            if venue == KUCOIN_SPOT {
                let problem = "topic /spotMarket/level1:NOPE-USDT is not found";
                assert_eq!(
                    reply,
                    json!({"id": "1", "type": "error", "code": 404, "data": problem})
                );
            } else {
                assert_eq!(reply, json!({"id": "1", "type": "ack"}));
            }
            client.subscribe(&[topic("ETH")]);
            client.data();
            client.send(json!({"id": 7, "type": "subscribe", "topic": "/nowhere:X"}));
            let reply = client.reply();
            assert_eq!((&reply["id"], &reply["code"]), (&json!("7"), &json!(404)));
            client.send("{");
            assert_eq!(client.reply()["code"], 400);
            client.send(
                json!({"id": "9", "type": "subscribe", "topic": topic("SOL"), "response": false}),
            );
            client.send(json!({"id": "10", "type": "fly"}));
            assert_eq!(client.reply()["code"], 415, "nobody asked for an acknowledgement");
        });
    }
}

#[test]
fn pings_of_the_protocol_below_do_not_count() {
    with(Options { keepalive: KEEPALIVE, ..of(KUCOIN_SPOT) }, |simulator| {
        let mut client = Client::connect(simulator, KUCOIN_SPOT);
        client.subscribe(&topics(KUCOIN_SPOT, "BTC-USDT"));
        let mut words = None;
        let end = loop {
            let _ = client.socket.send(Message::Ping("x".into()));
            match client.next() {
                Got::Reply(it) => words = Some(it),
                end @ (Got::Closed(_) | Got::Failed(_)) => break end,
                _ => {}
            }
        };
        assert_eq!(ended(&end), Some(1000));
        assert!(words.is_none_or(|it| it["code"] == 400 && it["data"] == "ping timeout"));
    });
}

#[test]
fn contracts_without_a_next_funding_are_the_dated_ones() {
    with(of(KUCOIN_PERP), |simulator| {
        let body = get_json(simulator, "/kucoin-perp/api/v1/contracts/active");
        let rows = body["data"].as_array().unwrap();
        for it in rows {
            let until = it["nextFundingRateTime"].as_u64();
            let dated = it["type"] == "FFICSX";
            assert!(until.map_or(dated, |it| !dated && it <= 8 * 3_600_000), "{it}");
            assert_eq!(it["expireDate"].is_u64(), dated);
        }
        assert!(rows.iter().any(|it| it["type"] == "FFICSX"));
    });
}
