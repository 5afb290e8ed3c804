use super::*;

#[test]
fn it_refuses_a_request_for_one_bad_topic() {
    for venue in [BYBIT_SPOT, BYBIT_PERP] {
        with(of(venue), |simulator| {
            let mut client = Client::connect(simulator, venue);
            let one = |it: &str| it.to_owned();
            client.request("subscribe", &[one("orderbook.1.BTCUSDT"), one("orderbook.1.NOPEUSDT")]);
            let reply = client.reply();
            assert_eq!(reply["ret_msg"], "error:handler not found,topic:orderbook.1.NOPEUSDT");
            assert_eq!((&reply["success"], &reply["req_id"]), (&json!(false), &json!("1")));
            client.subscribe(&[one("orderbook.1.BTCUSDT")]);
            client.request("subscribe", &[one("publicTrade.ETHUSDT"), one("orderbook.1.BTCUSDT")]);
            let reply = client.reply();
            assert_eq!(reply["ret_msg"], "error:already subscribed,topic:orderbook.1.BTCUSDT");
            for _ in 0..50 {
                assert_eq!(client.data()["topic"], "orderbook.1.BTCUSDT");
            }
            client.request("unsubscribe", &[one("orderbook.1.BTCUSDT")]);
            assert_eq!(client.reply()["op"], "unsubscribe");
            client.send("[");
            assert_eq!(client.reply()["success"], false);
        });
    }
}

#[test]
fn books_add_up() {
    with(Options { rate: 5_000.0, ..of(BYBIT_PERP) }, |simulator| {
        let mut client = Client::connect(simulator, BYBIT_PERP);
        let all = tradable(simulator, BYBIT_PERP);
        let all: Vec<_> = all.iter().flat_map(|it| topics(BYBIT_PERP, it)).collect();
        client.request("subscribe", &all);
        let mut books = BTreeMap::<String, [Vec<[String; 2]>; 2]>::new();
        let (mut deltas, mut empty) = (0, 0);
        for _ in 0..5_000 {
            let frame = client.data();
            if !frame["topic"].as_str().unwrap().starts_with("orderbook") {
                continue;
            }
            let data = &frame["data"];
            let book = books.entry(data["s"].as_str().unwrap().to_owned());
            let delta = frame["type"] == "delta";
            assert!(delta || frame["type"] == "snapshot");
            deltas += i32::from(delta);
            let book = book.or_insert_with(|| {
                assert!(!delta, "a snapshot is first");
                [vec![], vec![]]
            });
            for (side, key) in book.iter_mut().zip(["b", "a"]) {
                let rows: Vec<[String; 2]> = serde_json::from_value(data[key].clone()).unwrap();
                if !delta {
                    side.clear();
                }
                for [price, size] in rows {
                    side.retain(|it| it[0] != price);
                    if size != "0" {
                        side.push([price, size]);
                    }
                }
                assert!(side.len() <= 1, "{frame}: {side:?}");
                empty += i32::from(side.is_empty());
            }
            if let [[bid], [ask]] = &book.each_ref().map(Vec::as_slice) {
                let [bid, ask] = [bid, ask].map(|it| it[0].parse::<f64>().unwrap());
                assert!(bid < ask, "{frame}");
            }
        }
        assert!(1000 < deltas && 0 < empty, "{deltas} deltas, {empty} empty sides");
    });
}

#[test]
fn it_limits_its_requests() {
    with(Options { symbols: 1000, ..of(BYBIT_SPOT) }, |simulator| {
        let names: Vec<_> =
            tradable(simulator, BYBIT_SPOT).iter().flat_map(|it| topics(BYBIT_SPOT, it)).collect();
        let mut client = Client::connect(simulator, BYBIT_SPOT);
        client.request("subscribe", &names[..11]);
        assert_eq!(client.reply()["ret_msg"], "args size >10");
        let mut characters = 0;
        for chunk in names.chunks(10) {
            client.request("subscribe", chunk);
            characters += chunk.iter().map(String::len).sum::<usize>();
            let reply = client.reply();
            assert_eq!(reply["success"], characters <= 21_000, "{characters}: {reply}");
            if 21_000 < characters {
                return;
            }
        }
        panic!("the limit is never met: {characters}");
    });
}
