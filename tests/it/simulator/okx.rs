use super::*;

#[test]
fn it_answers_each_argument() {
    with(of(OKX_SPOT), |simulator| {
        let mut client = Client::connect(simulator, OKX_SPOT);
        client.send("ping");
        assert!(matches!(client.next(), Got::Pong));
        client.request("subscribe", &["bbo-tbt:NOPE-USDT".into(), "trades:BTC-USDT".into()]);
        let error = client.reply();
        assert_eq!(
            error["msg"],
            "Subscribe failed, wrong URL or channel:bbo-tbt,instId:NOPE-USDT doesn't exist."
        );
        assert_eq!((&error["code"], &error["id"]), (&json!("60018"), &json!("1")));
        assert!(error.get("arg").is_none());
        let ack = client.reply();
        assert_eq!(ack["arg"], json!({"channel": "trades", "instId": "BTC-USDT"}));
        assert_eq!(client.data()["arg"]["channel"], "trades");
        client.request("subscribe", &["trades:BTC-USDT".into()]);
        assert_eq!(client.reply()["event"], "subscribe", "a second time is acknowledged again");
        client.send(json!({"op": "subscribe", "args": [{"channel": "bbo-tbt"}]}));
        assert_eq!(client.reply()["code"], "60012");
        client.send(json!({"id": "a-b", "op": "subscribe", "args": []}));
        assert_eq!(client.reply()["code"], "60033");
        client.request("unsubscribe", &["trades:BTC-USDT".into()]);
        assert_eq!(client.reply()["event"], "unsubscribe");
    });
}

#[test]
fn it_limits_connections_requests_and_arguments() {
    with(of(OKX_SPOT), |simulator| {
        let mut client = Client::connect(simulator, OKX_SPOT);
        let refused =
            (0..4).find_map(|_| Client::connect_to(simulator, OKX_SPOT, "/ws/v5/public").err());
        let refused = refused.expect("four connections take less than a second");
        assert!(matches!(&*refused, tungstenite::Error::Http(it) if it.status() == 429));

        client.send(json!({"op": "subscribe", "args": [], "x": "x".repeat(65_536)}));
        assert_eq!(client.reply()["code"], "60013");
        for _ in 1..480 {
            client.subscribe(&["trades:BTC-USDT".into()]);
        }
        client.request("subscribe", &["trades:BTC-USDT".into()]);
        assert_eq!(client.reply()["code"], "60014");
        assert_eq!(ended(&client.end()), Some(1008));
    });
}

#[test]
fn it_cuts_who_does_not_subscribe() {
    with(Options { keepalive: KEEPALIVE, ..of(OKX_SPOT) }, |simulator| {
        let mut client = Client::connect(simulator, OKX_SPOT);
        let code = loop {
            let _ = client.socket.send(Message::text("ping"));
            if let Got::Closed(frame) = client.next() {
                break frame.map(|it| u16::from(it.code));
            }
        };
        assert_eq!(code, Some(4004));
    });
}
