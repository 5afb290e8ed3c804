//! The simulated exchanges, seen by a client that knows the protocols only from their pages.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bingx;
mod bitget;
mod client;
mod count;
mod gateio;
mod kucoin;
mod mexc;
mod read;
mod tongue;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use client::{Client, Got, ended};
use serde_json::{Value, json};
use spread_aggregator::{
    market::{Exchange, Venue},
    simulator::{Fault, Options, Sent, Simulator},
    stop::Stop,
};
use tongue::{
    BINANCE_PERP, BINANCE_SPOT, BINGX_PERP, BITGET_PERP, BITGET_SPOT, BYBIT_PERP, BYBIT_SPOT,
    GATEIO_PERP, KUCOIN_PERP, KUCOIN_SPOT, MEXC_PERP, MEXC_SPOT, OKX_PERP, OKX_SPOT, VENUES,
    is_ack, lists, native, rows, topics, tradable,
};
use tungstenite::Message;

/// Longer than anything here takes, however loaded the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

fn with<T>(options: Options, test: impl FnOnce(&Simulator) -> T) -> T {
    struct StopOnDrop<'a>(&'a Stop);
    impl Drop for StopOnDrop<'_> {
        fn drop(&mut self) {
            self.0.request();
        }
    }
    let simulator = Simulator::bind(options).unwrap();
    let stop = Stop::default();
    thread::scope(|scope| {
        scope.spawn(|| simulator.serve(&stop));
        let _stop = StopOnDrop(&stop);
        test(&simulator)
    })
}

fn of(venue: Venue) -> Options {
    Options { venues: vec![venue], symbols: 40, ..Options::default() }
}

/// Without limits, for tests that subscribe faster than a venue wants.
fn lax(venue: Venue) -> Options {
    Options { limits: false, ..of(venue) }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

fn get(simulator: &Simulator, path: &str) -> (u16, String, String) {
    ask(simulator, "GET", path, "")
}

fn ask(simulator: &Simulator, method: &str, path: &str, body: &str) -> (u16, String, String) {
    let mut socket = TcpStream::connect(simulator.addr()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (host, len) = (simulator.addr(), body.len());
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

fn get_json(simulator: &Simulator, path: &str) -> Value {
    let (status, _, body) = get(simulator, path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn post(simulator: &Simulator, path: &str) -> Value {
    let (status, _, body) = ask(simulator, "POST", path, "{}");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn every_list_parses_and_has_the_rows_asked_for() {
    with(Options { symbols: 120, ..Options::default() }, |simulator| {
        for venue in VENUES {
            let [list, tickers] = lists(venue);
            let list = rows(&get_json(simulator, &list));
            assert_eq!(list.len(), 120, "{venue}");
            let names: Vec<_> = list.iter().map(tongue::name).collect();
            assert_eq!(simulator.symbols(venue), names, "{venue}");
            let open = tradable(simulator, venue);
            assert!((110..=120).contains(&open.len()), "{venue}: {open:?}");
            let tickers = rows(&get_json(simulator, &tickers));
            // Those of the swaps of BingX are of what is open.
            let closed = if venue == BINGX_PERP { 3 } else { 0 };
            assert_eq!(tickers.len(), 120 - closed, "{venue}");
            let traded = |it: &&Value| tongue::volume(it).is_some_and(|it| 0.0 < it);
            let traded: BTreeSet<_> = tickers.iter().filter(traded).map(tongue::name).collect();
            for it in open {
                assert!(traded.contains(&it), "{venue}: {it}");
            }
        }
    });
}

#[test]
fn few_instruments_are_plain_ones() {
    with(Options { symbols: 3, ..Options::default() }, |simulator| {
        for venue in VENUES {
            assert_eq!(simulator.symbols(venue), ["BTC", "ETH", "SOL"].map(|it| native(venue, it)));
        }
    });
}

#[test]
fn the_linear_list_comes_in_pages() {
    with(Options { symbols: 1203, ..of(BYBIT_PERP) }, |simulator| {
        let mut seen = BTreeSet::new();
        let (mut pages, mut cursor) = (0, String::new());
        loop {
            let path = format!(
                "/bybit-perp/v5/market/instruments-info?category=linear&cursor={}",
                // Once as it is, once encoded again.
                if pages == 1 { cursor.clone() } else { cursor.replace('%', "%25") }
            );
            let reply = get_json(simulator, &path);
            let page = rows(&reply);
            assert!(page.len() <= 500);
            pages += 1;
            seen.extend(page.iter().map(|it| it["symbol"].to_string()));
            cursor = reply["result"]["nextPageCursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!((pages, seen.len()), (3, 1203));
    });
}

#[test]
fn rest_errors_have_the_envelope_of_the_venue() {
    with(Options::default(), |simulator| {
        let (status, _, body) = get(simulator, "/binance-spot/api/v3/exchangeInfo?symbol=NOPE");
        assert_eq!((status, body.as_str()), (400, r#"{"code":-1121,"msg":"Invalid symbol."}"#));
        let reply = get_json(simulator, "/bybit-spot/v5/market/tickers?category=linear");
        assert_eq!(reply["retCode"], 10001);
        let (status, _, body) = get(simulator, "/okx-spot/api/v5/market/tickers?instType=X");
        assert_eq!((status, body.contains("51000")), (400, true));
        for path in ["/kraken-spot/x", "/", "/binance-spot/nowhere", "/stats/x"] {
            let wanted = if path == "/stats/x" { 200 } else { 404 };
            assert_eq!(get(simulator, path).0, wanted, "{path}");
        }
        let path = "/binance-spot/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D";
        assert_eq!(rows(&get_json(simulator, path)).len(), 2);
    });
}

#[test]
fn every_venue_acknowledges_then_sends_and_counts_what_it_sent() {
    for venue in VENUES {
        with(Options { rate: 5_000.0, ..lax(venue) }, |simulator| {
            let mut client = Client::connect(simulator, venue);
            client.subscribe_all(simulator);
            let special = |got: &Sent| {
                [(withholds(venue), got.withheld), (repeats(venue), got.repeated_trades)]
            };
            let enough = |got: &Sent| {
                let special = special(got).iter().all(|it| !it.0 || 0 < it.1);
                1000 < got.quotes && 100 < got.trades && special
            };
            while !enough(&client.got) {
                client.data();
            }
            assert!(special(&client.got).iter().all(|it| it.0 || it.1 == 0), "{:?}", client.got);
            simulator.set_rate(0.0);
            client.catch_up();
            eventually("all is counted", || {
                let sent = simulator.sent(venue);
                let sent = Sent { connections: 0, open: 0, repeats: 0, ..sent };
                Sent { distinct_quotes: 0, distinct_trades: 0, ..sent } == client.got
            });
            let sent = simulator.sent(venue);
            // One client is told of all that happens, and of nothing twice but for what repeats.
            let least = sent.quotes - sent.repeats;
            assert!((least..=sent.quotes).contains(&sent.distinct_quotes), "{venue}: {sent:?}");
            let history = if venue.exchange == Exchange::Bitget { sent.repeated_trades } else { 0 };
            assert_eq!(sent.distinct_trades, sent.trades + history, "{venue}: {sent:?}");
            assert_eq!(sent.skipped, 0, "{venue}");
            let echoes = [BITGET_SPOT, BITGET_PERP, GATEIO_PERP, KUCOIN_PERP, MEXC_PERP];
            let echoes = echoes.contains(&venue);
            assert!(!echoes || 10 < simulator.sent(venue).repeats, "{venue}");
            let stats = get_json(simulator, "/stats");
            assert_eq!(stats[venue.to_string()]["trades"], client.got.trades);
            assert_eq!(client.got.garbage, 0);
            assert_eq!((simulator.sent(venue).connections, simulator.sent(venue).open), (1, 1));
            drop(client);
            eventually("the connection is gone", || simulator.sent(venue).open == 0);
        });
    }
}

/// The frames with data of each topic, in order, `n` of them more.
fn collect(client: &mut Client, n: usize, frames: &mut BTreeMap<String, Vec<Value>>) {
    for _ in 0..n {
        let frame = client.data();
        frames.entry(tongue::subject(&frame)).or_default().push(frame);
    }
}

#[test]
fn every_connection_to_a_venue_is_told_the_same_and_so_is_that_to_another_of_the_same_start() {
    for venue in VENUES {
        let options = Options { rate: 5_000.0, symbols: 4, ..lax(venue) };
        with(options.clone(), |simulator| {
            with(options, |again| {
                let mut first = Client::connect(simulator, venue);
                first.subscribe_all(simulator);
                let mut told = BTreeMap::new();
                collect(&mut first, 200, &mut told);
                let mut others = [simulator, again].map(|it| {
                    let mut other = Client::connect(it, venue);
                    other.subscribe_all(it);
                    (other, BTreeMap::new())
                });
                // In turn, or what nobody reads would fill the sockets.
                for _ in 0..20 {
                    collect(&mut first, 50, &mut told);
                    for (other, frames) in &mut others {
                        collect(other, 50, frames);
                    }
                }
                for (subject, frames) in others.iter().flat_map(|it| &it.1) {
                    // The first ones may tell what others know already.
                    let Some(frames) = frames.get(3..).filter(|it| !it.is_empty()) else {
                        continue;
                    };
                    let same =
                        |told: &Vec<Value>| told.windows(frames.len()).any(|it| it == frames);
                    eventually(&format!("{venue} tells the first one as well: {subject}"), || {
                        collect(&mut first, 100, &mut told);
                        told.get(subject).is_some_and(same)
                    });
                }
            });
        });
    }
}

/// Whether something of it is no data of the market's, sooner or later.
fn withholds(venue: Venue) -> bool {
    matches!(venue.exchange, Exchange::Gateio)
        || [BINANCE_PERP, MEXC_SPOT, BINGX_PERP].contains(&venue)
}

fn repeats(venue: Venue) -> bool {
    venue.exchange == Exchange::Bitget || venue == BINGX_PERP
}

#[test]
fn binance_serves_every_form_of_its_paths() {
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
fn binance_acknowledges_what_stays_silent() {
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
fn bybit_refuses_a_request_for_one_bad_topic() {
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
fn bybit_books_add_up() {
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
fn bybit_and_okx_send_the_book_on_subscribe_and_bybit_again() {
    for venue in [BYBIT_SPOT, OKX_PERP] {
        with(Options { rate: 0.0, ..of(venue) }, |simulator| {
            let mut client = Client::connect(simulator, venue);
            client.subscribe(&topics(venue, &native(venue, "BTC"))[..1]);
            if client.got.frames == 0 {
                client.data();
            }
            if venue == BYBIT_SPOT {
                let again = client.data();
                assert_eq!(again["type"], "snapshot");
                eventually("it is counted", || simulator.sent(venue).repeats == 1);
            }
        });
    }
}

#[test]
fn okx_answers_each_argument() {
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
fn prices_of_the_venues_are_near_each_other() {
    with(Options { symbols: 30, rate: 20_000.0, ..Options::default() }, |simulator| {
        let mid = |venue: Venue| {
            let path = lists(venue)[1].clone();
            let rows = rows(&get_json(simulator, &path));
            let name = native(venue, "ETH");
            let row = rows.iter().find(|it| tongue::name(it) == name).unwrap();
            let keys = ["lastPrice", "last", "lastPr", "markPrice"];
            let last = keys.iter().map(|it| &row[*it]).find(|it| !it.is_null()).unwrap();
            last.as_f64().unwrap_or_else(|| last.as_str().unwrap().parse().unwrap())
        };
        let all = VENUES.map(mid);
        let (low, high) =
            all.iter().fold((f64::MAX, 0.0_f64), |(l, h), &it| (l.min(it), h.max(it)));
        assert!(high / low < 1.006, "{all:?}");
        let pepe = simulator.symbols(BINANCE_PERP);
        assert!(pepe.contains(&"1000PEPEUSDT".to_owned()), "{pepe:?}");
        assert!(simulator.symbols(OKX_PERP).contains(&"PEPE-USDT-SWAP".to_owned()));
    });
}

#[test]
fn binance_closes_on_the_sixth_message_of_a_second() {
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
fn binance_has_enough_of_too_many_streams() {
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
fn bybit_limits_its_requests() {
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

#[test]
fn okx_limits_connections_requests_and_arguments() {
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

/// Longer than a busy machine keeps a client waiting.
const KEEPALIVE: Option<Duration> = Some(Duration::from_millis(400));

#[test]
fn binance_drops_who_does_not_pong() {
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

#[test]
fn a_venue_cuts_who_does_not_ping() {
    for (venue, code) in [
        (BYBIT_SPOT, Some(1000)),
        (OKX_SPOT, Some(4004)),
        (OKX_PERP, Some(4004)),
        (BITGET_PERP, None),
        (GATEIO_PERP, None),
        (KUCOIN_SPOT, Some(1000)),
        (KUCOIN_PERP, Some(1000)),
        (MEXC_SPOT, None),
        (MEXC_PERP, None),
    ] {
        with(Options { keepalive: KEEPALIVE, rate: 20_000.0, ..lax(venue) }, |simulator| {
            let mut quiet = Client::connect(simulator, venue);
            quiet.subscribe(&topics(venue, &native(venue, "BTC")));
            let mut alive = Client::connect(simulator, venue);
            alive.subscribe(&topics(venue, &native(venue, "BTC")));
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end {
                alive.catch_up();
            }
            assert_eq!(ended(&quiet.end()), code, "{venue}");
            assert!(100 < quiet.got.frames, "data flowed");
            alive.data();
        });
    }
}

#[test]
fn okx_cuts_who_does_not_subscribe() {
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

/// A client of OKX spot that receives data, and one fault.
fn with_fault(fault: &str, test: impl FnOnce(&Simulator, Client)) {
    with(Options { rate: 2_000.0, limits: false, ..of(OKX_SPOT) }, |simulator| {
        let mut client = Client::connect(simulator, OKX_SPOT);
        client.subscribe_all(simulator);
        client.data();
        simulator.inject(OKX_SPOT, fault.parse::<Fault>().unwrap());
        test(simulator, client);
    });
}

#[test]
fn a_drop_resets_once() {
    with_fault("drop", |simulator, mut client| {
        let end = client.end();
        let Got::Failed(tungstenite::Error::Io(e)) = end else { panic!("{end:?}") };
        assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
        let mut next = Client::connect(simulator, OKX_SPOT);
        next.subscribe_all(simulator);
        next.data();
    });
}

#[test]
fn an_eof_loses_nothing() {
    with_fault("eof", |simulator, mut client| {
        let end = client.end();
        let Got::Failed(tungstenite::Error::Protocol(e)) = end else { panic!("{end:?}") };
        assert_eq!(e, tungstenite::error::ProtocolError::ResetWithoutClosingHandshake);
        eventually("all is counted", || simulator.sent(OKX_SPOT).frames == client.got.frames);
    });
}

#[test]
fn a_close_says_goodbye() {
    with_fault("close", |simulator, mut client| {
        assert_eq!(ended(&client.end()), Some(1001));
        eventually("all is counted", || simulator.sent(OKX_SPOT).frames == client.got.frames);
    });
}

#[test]
fn a_mute_venue_answers_pings() {
    with_fault("mute", |simulator, mut client| {
        // What was under way when it fell silent may still come.
        eventually("it is mute", || {
            let before = client.got;
            for _ in 0..20 {
                client.catch_up();
            }
            client.got == before
        });
        simulator.clear(OKX_SPOT);
        client.data();
    });
}

#[test]
fn a_half_open_venue_answers_nothing_and_stays() {
    with_fault("half-open", |simulator, mut client| {
        client.socket.get_mut().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let end = client.end();
        assert!(matches!(&end, Got::Failed(tungstenite::Error::Io(_))), "{end:?}");
        client.ping();
        let end = client.end();
        assert!(matches!(&end, Got::Failed(tungstenite::Error::Io(_))), "{end:?}");
        assert_eq!(simulator.sent(OKX_SPOT).open, 1);
        simulator.clear(OKX_SPOT);
        client.socket.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
        client.catch_up();
    });
}

#[test]
fn garbage_comes_between_good_frames() {
    with_fault("garbage", |simulator, mut client| {
        while client.got.garbage < 200 {
            client.data();
        }
        simulator.set_rate(0.0);
        client.catch_up();
        eventually("good and bad are counted", || {
            let sent = simulator.sent(OKX_SPOT);
            (sent.frames, sent.garbage) == (client.got.frames, client.got.garbage)
        });
    });
}

#[test]
fn garbage_of_every_kind_is_told_from_good_frames() {
    for venue in [BITGET_SPOT, GATEIO_PERP, KUCOIN_SPOT, MEXC_SPOT, MEXC_PERP, BINGX_PERP] {
        with(Options { rate: 5_000.0, ..lax(venue) }, |simulator| {
            let mut client = Client::connect(simulator, venue);
            client.subscribe_all(simulator);
            simulator.inject(venue, Fault::Garbage);
            while client.got.garbage < 200 {
                client.data();
            }
            simulator.set_rate(0.0);
            client.catch_up();
            eventually(&format!("good and bad are counted: {venue} {:?}", client.got), || {
                let sent = simulator.sent(venue);
                let got = client.got;
                (sent.quotes, sent.trades, sent.garbage) == (got.quotes, got.trades, got.garbage)
            });
        });
    }
}

#[test]
fn torn_frames_arrive_whole() {
    with_fault("torn", |simulator, mut client| {
        for _ in 0..500 {
            client.data();
        }
        simulator.set_rate(0.0);
        client.catch_up();
        eventually("all is counted", || {
            let sent = simulator.sent(OKX_SPOT);
            (sent.frames, sent.bytes) == (client.got.frames, client.got.bytes)
        });
    });
}

#[test]
fn an_oversized_frame_is_announced() {
    with_fault("oversized", |simulator, mut client| {
        let end = client.end();
        assert!(matches!(&end, Got::Failed(tungstenite::Error::Capacity(_))), "{end:?}");
        drop(client);
        eventually("the connection is gone", || simulator.sent(OKX_SPOT).open == 0);
    });
}

#[test]
fn a_refusing_venue_answers_nobody() {
    with(Options::default(), |simulator| {
        simulator.inject(OKX_SPOT, Fault::Refuse);
        assert_eq!(get(simulator, &lists(OKX_SPOT)[0]).0, 0);
        assert!(Client::connect_to(simulator, OKX_SPOT, "/ws/v5/public").is_err());
        assert_eq!(get(simulator, &lists(OKX_PERP)[0]).0, 200, "the others do");
        simulator.clear(OKX_SPOT);
        assert_eq!(get(simulator, &lists(OKX_SPOT)[0]).0, 200);
    });
}

#[test]
fn a_status_answers_everything() {
    with(Options::default(), |simulator| {
        for status in [429, 451, 503] {
            simulator.inject(BINANCE_SPOT, Fault::Http(status));
            let (got, head, body) = get(simulator, &lists(BINANCE_SPOT)[0]);
            assert_eq!(got, status);
            assert_eq!(head.contains("Retry-After: 1"), status != 451, "{head}");
            assert!(status != 451 || body.contains("restricted location"), "{body}");
            let refused = Client::connect_to(simulator, BINANCE_SPOT, "/stream").err().unwrap();
            assert!(matches!(&*refused, tungstenite::Error::Http(it) if it.status() == status));
            simulator.clear(BINANCE_SPOT);
        }
        Client::connect(simulator, BINANCE_SPOT);
    });
}

#[test]
fn a_refused_symbol_is_listed_but_unknown() {
    for venue in VENUES {
        with(lax(venue), |simulator| {
            simulator.inject(venue, Fault::RefuseSymbol("ETH-USDT".to_owned()));
            assert!(simulator.symbols(venue).contains(&native(venue, "ETH")));
            let mut client = Client::connect(simulator, venue);
            client.request("subscribe", &topics(venue, &native(venue, "ETH"))[..1]);
            let silent = venue.exchange == Exchange::Binance || venue == tongue::KUCOIN_PERP;
            assert_eq!(is_ack(venue, &client.reply()), silent, "{venue}");
            client.subscribe(&topics(venue, &native(venue, "BTC"))[..1]);
            for _ in 0..20 {
                let data = client.data().to_string();
                let btc = data.contains("BTC") || data.contains("XBT");
                assert!(btc && !data.contains("ETH"), "{data}");
            }
        });
    }
}

#[test]
fn a_plan_begins_and_ends_by_itself() {
    let faults = ["http=503@okx-spot:for=200ms", "http=429@okx-spot:after=400ms"];
    let faults = faults.map(|it| it.parse().unwrap()).to_vec();
    with(Options { faults, ..of(OKX_SPOT) }, |simulator| {
        for wanted in [503, 200, 429] {
            let path = &lists(OKX_SPOT)[0];
            eventually("the status changes", || get(simulator, path).0 == wanted);
        }
    });
}

#[test]
fn a_delisted_instrument_falls_silent() {
    with(Options { symbols: 2, ..of(OKX_SPOT) }, |simulator| {
        let mut client = Client::connect(simulator, OKX_SPOT);
        client.subscribe_all(simulator);
        assert!(simulator.set_listed(OKX_SPOT, "ETH-USDT", false));
        assert!(!simulator.set_listed(OKX_SPOT, "NOPE-USDT", false));
        client.catch_up();
        for _ in 0..20 {
            assert_eq!(client.data()["arg"]["instId"], "BTC-USDT");
        }
        assert_eq!(tradable(simulator, OKX_SPOT), ["BTC-USDT"]);
    });
}

#[test]
fn the_rate_is_kept() {
    with(Options { rate: 20_000.0, ..of(OKX_SPOT) }, |simulator| {
        let mut client = Client::connect(simulator, OKX_SPOT);
        client.subscribe_all(simulator);
        client.catch_up();
        let (before, start) = (client.got, Instant::now());
        while start.elapsed() < Duration::from_secs(2) {
            client.data();
        }
        let (frames, trades) =
            (client.got.frames - before.frames, client.got.trades - before.trades);
        println!("{frames} frames in 2 s, {trades} of them trades");
        assert!((30_000..50_000).contains(&frames), "{frames}");
        assert!((frames / 12..frames / 8).contains(&trades), "{trades} of {frames}");
    });
}

#[test]
fn the_rate_is_changed_over_http() {
    with(Options { rate: 2_000.0, ..lax(OKX_SPOT) }, |simulator| {
        let mut client = Client::connect(simulator, OKX_SPOT);
        client.subscribe_all(simulator);
        client.data();
        assert_eq!(get_json(simulator, "/rate"), json!({"rate": 2000}));
        for nonsense in ["/rate?x", "/rate?-1", "/rate?inf", "/rate?NaN"] {
            assert_eq!(get(simulator, nonsense).0, 400, "{nonsense}");
        }
        assert_eq!(get_json(simulator, "/rate?0"), json!({"rate": 0}));
        client.catch_up();
        eventually("all is counted", || {
            let sent = simulator.sent(OKX_SPOT);
            (sent.frames, sent.quotes) == (client.got.frames, client.got.quotes)
        });
        assert_eq!(get_json(simulator, "/stats")["okx-spot"]["frames"], client.got.frames);
        get_json(simulator, "/rate?2000");
        client.data();
    });
}

#[test]
fn serving_ends_when_it_is_told_to() {
    let simulator = Simulator::bind(Options { rate: 50_000.0, ..Options::default() }).unwrap();
    let stop = Stop::default();
    let clients = thread::scope(|scope| {
        let serving = scope.spawn(|| simulator.serve(&stop));
        let mut clients = vec![];
        for venue in VENUES {
            let mut client = Client::connect(&simulator, venue);
            client.subscribe(&topics(venue, &native(venue, "BTC")));
            clients.push(client);
        }
        let silent = TcpStream::connect(simulator.addr()).unwrap();
        let asked = Instant::now();
        stop.request();
        serving.join().unwrap();
        let took = asked.elapsed();
        println!("stopped within {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        drop(silent);
        clients
    });
    for mut client in clients {
        client.end();
        assert_eq!(simulator.sent(client.venue).open, 0);
    }
}

#[test]
fn nonsense_harms_nobody() {
    with(of(BYBIT_PERP), |simulator| {
        for nonsense in
            [&b"\x16\x03\x01\x02\x00"[..], b"GET", b"GET / HTTP/9\r\n\r\n", &vec![0; 40_000]]
        {
            let mut socket = TcpStream::connect(simulator.addr()).unwrap();
            let _ = socket.write_all(nonsense);
        }
        let mut client = Client::connect(simulator, BYBIT_PERP);
        for nonsense in
            ["", "null", "[]", "1", "{\"op\":1}", "{\"op\":\"subscribe\",\"args\":[1]}", "\u{0}"]
        {
            client.send(nonsense);
            assert_eq!(client.reply()["success"], false, "{nonsense}");
        }
        // An unmasked frame, which no client may send.
        client.socket.get_mut().write_all(b"\x81\x02hi").unwrap();
        assert!(matches!(client.end(), Got::Failed(_) | Got::Closed(_)));
        Client::connect(simulator, BYBIT_PERP).subscribe(&["publicTrade.BTCUSDT".to_owned()]);
    });
}
