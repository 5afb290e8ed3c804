use super::*;

#[test]
fn it_serves_every_form_of_its_paths() {
    with(of(BINANCE_SPOT), |simulator| {
        for path in ["/ws/btcusdt@trade/btcusdt@bookTicker", "/stream?streams=btcusdt@bookTicker"] {
            let mut client = Client::connect_to(simulator, BINANCE_SPOT, path).unwrap();
            let data = client.data();
            assert_eq!(data["stream"].is_string(), path.contains("stream"), "{data}");
        }
        let mut client = Client::connect_to(simulator, BINANCE_SPOT, "/ws").unwrap();
        client.subscribe(&["币安人生usdt@bookTicker".to_owned()]);
        assert_eq!(client.data()["s"], "币安人生USDT");
        client.request("list_subscriptions", &[]);
        assert_eq!(client.reply()["result"], json!(["币安人生usdt@bookTicker"]));
        client.request("unsubscribe", &["币安人生usdt@bookTicker".to_owned()]);
        assert_eq!(client.reply(), json!({"result": null, "id": 3}));
        client.send("{nonsense");
        assert_eq!(client.reply()["error"]["code"], 3);
    });
}

#[test]
fn it_acknowledges_what_stays_silent() {
    with(of(BINANCE_PERP), |simulator| {
        let silent =
            ["nopeusdt@bookTicker", "BTCUSDT@bookTicker", "btcusdt@aggTrade", "lunausdt@trade"];
        let mut client = Client::connect(simulator, BINANCE_PERP);
        client.subscribe(&silent.map(str::to_owned));
        client.subscribe(&["ethusdt@bookTicker".to_owned()]);
        for _ in 0..50 {
            assert_eq!(client.data()["stream"], "ethusdt@bookTicker");
        }
        let mut market = Client::connect_to(simulator, BINANCE_PERP, "/market/stream").unwrap();
        market.subscribe(&["ethusdt@bookTicker".to_owned(), "btcusdt@aggTrade".to_owned()]);
        for _ in 0..20 {
            assert_eq!(market.data()["data"]["e"], "aggTrade");
        }
        client.request("subscribe", &["no stream".to_owned()]);
        assert_eq!(client.reply()["error"]["msg"], "Invalid request: invalid stream");
    });
}

#[test]
fn it_closes_on_the_sixth_message_of_a_second() {
    with(of(BINANCE_SPOT), |simulator| {
        let mut client = Client::connect(simulator, BINANCE_SPOT);
        for _ in 0..6 {
            client.request("subscribe", &["btcusdt@trade".to_owned()]);
        }
        assert_eq!(ended(&client.end()), Some(1008));
    });
    with(Options { limits: false, ..of(BINANCE_SPOT) }, |simulator| {
        let mut client = Client::connect(simulator, BINANCE_SPOT);
        for _ in 0..20 {
            client.subscribe(&["btcusdt@trade".to_owned()]);
        }
    });
}

#[test]
fn it_has_enough_of_too_many_streams() {
    for (venue, most) in [(BINANCE_SPOT, 1024), (BINANCE_PERP, 200)] {
        with(of(venue), |simulator| {
            let mut client = Client::connect(simulator, venue);
            let mut names: Vec<_> = (0..most).map(|it| format!("x{it}@trade")).collect();
            client.subscribe(&names);
            client.subscribe(&names[..1]);
            names.push("one@trade".to_owned());
            client.request("subscribe", &names);
            assert_eq!(client.reply()["error"]["code"], 4);
        });
    }
}

#[test]
fn it_drops_who_does_not_pong() {
    with(Options { keepalive: KEEPALIVE, ..of(BINANCE_SPOT) }, |simulator| {
        let mut dead = Client::connect(simulator, BINANCE_SPOT);
        let mut raw = vec![];
        dead.socket.get_mut().read_to_end(&mut raw).unwrap();
        let text = String::from_utf8_lossy(&raw);
        assert_eq!(raw[0], 0x89, "a ping comes first: {text}");
        assert!(text.ends_with("Pong timeout"), "{text}");
        let mut alive = Client::connect(simulator, BINANCE_SPOT);
        for _ in 0..10 {
            assert!(matches!(alive.next(), Got::Ping));
        }
    });
}
