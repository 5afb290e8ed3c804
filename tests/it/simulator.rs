//! The simulated exchanges, seen by a client that knows the protocols only from their pages.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use spread_aggregator::{
    market::{Exchange, Market, Venue},
    simulator::{Fault, Options, Sent, Simulator},
    stop::Stop,
};
use tungstenite::{Message, WebSocket, protocol::frame::CloseFrame};

const BINANCE_SPOT: Venue = Venue::new(Exchange::Binance, Market::Spot);
const BINANCE_PERP: Venue = Venue::new(Exchange::Binance, Market::Perp);
const BYBIT_SPOT: Venue = Venue::new(Exchange::Bybit, Market::Spot);
const BYBIT_PERP: Venue = Venue::new(Exchange::Bybit, Market::Perp);
const OKX_SPOT: Venue = Venue::new(Exchange::Okx, Market::Spot);
const OKX_PERP: Venue = Venue::new(Exchange::Okx, Market::Perp);
const ALL: [Venue; 6] = [BINANCE_SPOT, BINANCE_PERP, BYBIT_SPOT, BYBIT_PERP, OKX_SPOT, OKX_PERP];

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

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

fn get(simulator: &Simulator, path: &str) -> (u16, String, String) {
    let mut socket = TcpStream::connect(simulator.addr()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
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

struct Client {
    venue: Venue,
    socket: WebSocket<TcpStream>,
    got: Sent,
    requests: u64,
}

/// What comes out of a connection.
#[derive(Debug)]
enum Got {
    Data(Value),
    Reply(Value),
    Pong,
    Ping,
    Closed(Option<CloseFrame>),
    Failed(tungstenite::Error),
}

impl Client {
    fn connect(simulator: &Simulator, venue: Venue) -> Self {
        let path = match (venue.exchange, venue.market) {
            (Exchange::Binance, Market::Spot) => "/stream",
            (Exchange::Binance, Market::Perp) => "/public/stream",
            (Exchange::Bybit, Market::Spot) => "/v5/public/spot",
            (Exchange::Bybit, Market::Perp) => "/v5/public/linear",
            (Exchange::Okx, _) => "/ws/v5/public",
            _ => unreachable!("it is not simulated"),
        };
        Self::connect_to(simulator, venue, path).unwrap()
    }

    fn connect_to(
        simulator: &Simulator,
        venue: Venue,
        path: &str,
    ) -> Result<Self, Box<tungstenite::Error>> {
        let url = simulator.ws_url(venue) + path;
        let stream = TcpStream::connect(simulator.addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        match tungstenite::client(url, stream) {
            Ok((socket, _)) => Ok(Self { venue, socket, got: Sent::default(), requests: 0 }),
            Err(tungstenite::HandshakeError::Failure(e)) => Err(Box::new(e)),
            Err(e) => panic!("{e}"),
        }
    }

    fn send(&mut self, text: impl std::fmt::Display) {
        self.socket.send(Message::text(text.to_string())).unwrap();
    }

    fn request(&mut self, verb: &str, topics: &[String]) {
        self.requests += 1;
        let id = self.requests;
        match self.venue.exchange {
            Exchange::Binance => {
                self.send(json!({"method": verb.to_uppercase(), "params": topics, "id": id}));
            }
            Exchange::Bybit => {
                self.send(json!({"req_id": id.to_string(), "op": verb, "args": topics}));
            }
            Exchange::Okx => {
                let arg = |it: &String| {
                    let (channel, native) = it.split_once(':').unwrap();
                    json!({"channel": channel, "instId": native})
                };
                let args: Vec<_> = topics.iter().map(arg).collect();
                self.send(json!({"id": id.to_string(), "op": verb, "args": args}));
            }
            _ => unreachable!("it is not simulated"),
        }
    }

    fn next(&mut self) -> Got {
        let text = match self.socket.read() {
            Ok(Message::Text(text)) => text,
            Ok(Message::Close(frame)) => return Got::Closed(frame),
            Ok(Message::Ping(_)) => return Got::Ping,
            Ok(Message::Pong(_)) => return Got::Pong,
            Ok(other) => panic!("{other:?}"),
            Err(e) => return Got::Failed(e),
        };
        if text.as_str() == "pong" {
            return Got::Pong;
        }
        let Ok(value) = serde_json::from_str::<Value>(text.as_str()) else {
            self.got.garbage += 1;
            return self.next();
        };
        self.take(value, text.len())
    }

    fn take(&mut self, value: Value, len: usize) -> Got {
        if value["ret_msg"] == "pong" {
            return Got::Pong;
        }
        let control = ["id", "op", "event", "code", "error"];
        if control.iter().any(|it| !value[*it].is_null()) || value.get("result").is_some() {
            return Got::Reply(value);
        }
        let Some((quotes, trades)) = count(&value) else {
            self.got.garbage += 1;
            return self.next();
        };
        self.got.quotes += quotes;
        self.got.trades += trades;
        self.got.frames += 1;
        self.got.bytes += (len + if len < 126 { 2 } else { 4 }) as u64;
        Got::Data(value)
    }

    fn reply(&mut self) -> Value {
        loop {
            match self.next() {
                Got::Reply(reply) => return reply,
                Got::Data(_) | Got::Ping | Got::Pong => {}
                other => panic!("{other:?} instead of a reply"),
            }
        }
    }

    fn data(&mut self) -> Value {
        loop {
            match self.next() {
                Got::Data(data) => return data,
                Got::Reply(_) | Got::Ping | Got::Pong => {}
                other => panic!("{other:?} instead of data"),
            }
        }
    }

    /// Reads on until the connection ends.
    fn end(&mut self) -> Got {
        loop {
            match self.next() {
                Got::Closed(frame) => {
                    // The server waits for the answer, which goes out with the next read.
                    let _ = self.socket.read();
                    return Got::Closed(frame);
                }
                Got::Failed(e) => return Got::Failed(e),
                _ => {}
            }
        }
    }

    fn ping(&mut self) {
        match self.venue.exchange {
            Exchange::Binance => self.socket.send(Message::Ping("x".into())).unwrap(),
            Exchange::Bybit => self.send(json!({"req_id": "p", "op": "ping"})),
            Exchange::Okx => self.send("ping"),
            _ => unreachable!("it is not simulated"),
        }
    }

    /// Takes everything sent before the answer to a ping.
    fn catch_up(&mut self) {
        self.ping();
        loop {
            match self.next() {
                Got::Pong => return,
                Got::Data(_) | Got::Reply(_) | Got::Ping => {}
                other => panic!("{other:?} instead of a pong"),
            }
        }
    }

    fn subscribe(&mut self, topics: &[String]) {
        self.request("subscribe", topics);
        let replies = if self.venue.exchange == Exchange::Okx { topics.len() } else { 1 };
        for _ in 0..replies {
            let reply = self.reply();
            assert!(is_ack(&reply), "{reply}");
        }
    }

    fn subscribe_all(&mut self, simulator: &Simulator) {
        for chunk in tradable(simulator, self.venue).chunks(5) {
            let topics: Vec<_> = chunk.iter().flat_map(|it| topics(self.venue, it)).collect();
            self.subscribe(&topics);
        }
    }
}

/// Quotes and trades of a good frame.
fn count(frame: &Value) -> Option<(u64, u64)> {
    let data = if frame["stream"].is_string() { &frame["data"] } else { frame };
    if data["e"] == "aggTrade" || data["e"] == "trade" {
        let real = data["X"].is_null() || data["X"] == "MARKET";
        return data["p"].is_string().then_some((0, real.into()));
    }
    if data["u"].is_u64() {
        return data["b"].is_string().then_some((1, 0));
    }
    let topic = frame["topic"].as_str().or(frame["arg"]["channel"].as_str())?;
    let is_book = topic.starts_with("orderbook") || topic == "bbo-tbt";
    if is_book {
        let update = frame["data"]["u"].is_u64() || frame["data"][0]["seqId"].is_u64();
        return update.then_some((1, 0));
    }
    let rows = frame["data"].as_array()?;
    rows.iter()
        .all(|it| it["seq"].is_u64() || it["seqId"].is_u64())
        .then_some((0, rows.len() as u64))
}

fn is_ack(reply: &Value) -> bool {
    reply.get("result").is_some_and(Value::is_null)
        || reply["success"] == true
        || reply["event"] == "subscribe"
}

/// The topics of an instrument that one connection of a venue carries.
fn topics(venue: Venue, native: &str) -> Vec<String> {
    let lower = native.to_lowercase();
    match (venue.exchange, venue.market) {
        (Exchange::Binance, _) => vec![format!("{lower}@bookTicker"), format!("{lower}@trade")],
        (Exchange::Bybit, _) => {
            vec![format!("orderbook.1.{native}"), format!("publicTrade.{native}")]
        }
        (Exchange::Okx, _) => vec![format!("bbo-tbt:{native}"), format!("trades:{native}")],
        _ => unreachable!("it is not simulated"),
    }
}

fn native(venue: Venue, base: &str) -> String {
    match (venue.exchange, venue.market) {
        (Exchange::Okx, Market::Spot) => format!("{base}-USDT"),
        (Exchange::Okx, Market::Perp) => format!("{base}-USDT-SWAP"),
        _ => format!("{base}USDT"),
    }
}

fn lists(venue: Venue) -> [String; 2] {
    let [list, tickers] = match (venue.exchange, venue.market) {
        (Exchange::Binance, Market::Spot) => ["api/v3/exchangeInfo", "api/v3/ticker/24hr"],
        (Exchange::Binance, Market::Perp) => ["fapi/v1/exchangeInfo", "fapi/v1/ticker/24hr"],
        (Exchange::Bybit, Market::Spot) => {
            ["v5/market/instruments-info?category=spot", "v5/market/tickers?category=spot"]
        }
        (Exchange::Bybit, Market::Perp) => [
            "v5/market/instruments-info?category=linear&limit=1000",
            "v5/market/tickers?category=linear",
        ],
        (Exchange::Okx, Market::Spot) => {
            ["api/v5/public/instruments?instType=SPOT", "api/v5/market/tickers?instType=SPOT"]
        }
        (Exchange::Okx, Market::Perp) => {
            ["api/v5/public/instruments?instType=SWAP", "api/v5/market/tickers?instType=SWAP"]
        }
        _ => unreachable!("it is not simulated"),
    };
    [list, tickers].map(|it| format!("/{venue}/{it}"))
}

fn rows(reply: &Value) -> Vec<Value> {
    let places = [&reply["symbols"], &reply["result"]["list"], &reply["data"], reply];
    places.iter().find_map(|it| it.as_array()).unwrap().clone()
}

fn tradable(simulator: &Simulator, venue: Venue) -> Vec<String> {
    let rows = rows(&get_json(simulator, &lists(venue)[0]));
    let open = |it: &&Value| match venue.exchange {
        Exchange::Binance => it["status"] == "TRADING" && it["isSpotTradingAllowed"] != false,
        Exchange::Bybit => it["status"] == "Trading",
        Exchange::Okx => it["state"] == "live",
        _ => unreachable!("it is not simulated"),
    };
    let name = |it: &Value| it["symbol"].as_str().or(it["instId"].as_str()).unwrap().to_owned();
    rows.iter().filter(open).map(name).collect()
}

#[test]
fn every_list_parses_and_has_the_rows_asked_for() {
    with(Options { symbols: 120, ..Options::default() }, |simulator| {
        for venue in ALL {
            let [list, tickers] = lists(venue);
            let list = rows(&get_json(simulator, &list));
            assert_eq!(list.len(), 120, "{venue}");
            assert_eq!(simulator.symbols(venue).len(), 120);
            let open = tradable(simulator, venue).len();
            assert!((110..=120).contains(&open), "{venue}: {open}");
            let tickers = rows(&get_json(simulator, &tickers));
            assert_eq!(tickers.len(), 120, "{venue}");
            for key in ["quoteVolume", "turnover24h", "volCcy24h"] {
                let volumes = tickers.iter().filter_map(|it| it[key].as_str());
                assert!(volumes.clone().all(|it| it.parse::<f64>().is_ok_and(|it| 0.0 < it)));
            }
        }
    });
}

#[test]
fn few_instruments_are_plain_ones() {
    with(Options { symbols: 3, ..Options::default() }, |simulator| {
        for venue in ALL {
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
    for venue in ALL {
        with(Options { rate: 5_000.0, ..of(venue) }, |simulator| {
            let mut client = Client::connect(simulator, venue);
            if venue.exchange == Exchange::Binance {
                let all = tradable(simulator, venue);
                let all: Vec<_> = all.iter().flat_map(|it| topics(venue, it)).collect();
                client.subscribe(&all);
            } else {
                client.subscribe_all(simulator);
            }
            while client.got.quotes < 1000 || client.got.trades < 100 {
                client.data();
            }
            simulator.set_rate(0.0);
            client.catch_up();
            eventually("all is counted", || {
                let sent = simulator.sent(venue);
                let sent = Sent { connections: 0, open: 0, repeats: 0, withheld: 0, ..sent };
                sent == client.got
            });
            let stats = get_json(simulator, "/stats");
            assert_eq!(stats[venue.to_string()]["trades"], client.got.trades);
            assert_eq!(client.got.garbage, 0);
            assert_eq!((simulator.sent(venue).connections, simulator.sent(venue).open), (1, 1));
            drop(client);
            eventually("the connection is gone", || simulator.sent(venue).open == 0);
        });
    }
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
            let row =
                rows.iter().find(|it| it["symbol"] == *name || it["instId"] == *name).unwrap();
            let last = row["lastPrice"].as_str().or(row["last"].as_str()).unwrap();
            last.parse::<f64>().unwrap()
        };
        let all = ALL.map(mid);
        let (low, high) =
            all.iter().fold((f64::MAX, 0.0_f64), |(l, h), &it| (l.min(it), h.max(it)));
        assert!(high / low < 1.006, "{all:?}");
        let pepe = simulator.symbols(BINANCE_PERP);
        assert!(pepe.contains(&"1000PEPEUSDT".to_owned()), "{pepe:?}");
        assert!(simulator.symbols(OKX_PERP).contains(&"PEPE-USDT-SWAP".to_owned()));
    });
}

fn close_code(end: &Got) -> Option<u16> {
    match end {
        Got::Closed(Some(frame)) => Some(frame.code.into()),
        _ => None,
    }
}

#[test]
fn binance_closes_on_the_sixth_message_of_a_second() {
    with(of(BINANCE_SPOT), |simulator| {
        let mut client = Client::connect(simulator, BINANCE_SPOT);
        for _ in 0..6 {
            client.request("subscribe", &["btcusdt@trade".to_owned()]);
        }
        assert_eq!(close_code(&client.end()), Some(1008));
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
        assert_eq!(close_code(&client.end()), Some(1008));
    });
}

const KEEPALIVE: Option<Duration> = Some(Duration::from_millis(100));

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
fn bybit_and_okx_cut_who_does_not_ping() {
    for (venue, code) in [(BYBIT_SPOT, 1000), (OKX_SPOT, 4004), (OKX_PERP, 4004)] {
        with(Options { keepalive: KEEPALIVE, ..of(venue) }, |simulator| {
            let mut quiet = Client::connect(simulator, venue);
            quiet.subscribe(&topics(venue, &native(venue, "BTC")));
            let mut alive = Client::connect(simulator, venue);
            alive.subscribe(&topics(venue, &native(venue, "BTC")));
            let end = Instant::now() + Duration::from_secs(1);
            while Instant::now() < end {
                alive.catch_up();
            }
            assert_eq!(close_code(&quiet.end()), Some(code), "{venue}");
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
        assert_eq!(close_code(&client.end()), Some(1001));
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
    for venue in ALL {
        with(of(venue), |simulator| {
            simulator.inject(venue, Fault::RefuseSymbol("ETH-USDT".to_owned()));
            assert!(simulator.symbols(venue).contains(&native(venue, "ETH")));
            let mut client = Client::connect(simulator, venue);
            client.request("subscribe", &topics(venue, &native(venue, "ETH"))[..1]);
            assert_eq!(is_ack(&client.reply()), venue.exchange == Exchange::Binance);
            client.subscribe(&topics(venue, &native(venue, "BTC"))[..1]);
            for _ in 0..20 {
                let data = client.data().to_string();
                assert!(data.contains("BTC") && !data.contains("ETH"), "{data}");
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
fn serving_ends_when_it_is_told_to() {
    let simulator = Simulator::bind(Options { rate: 50_000.0, ..Options::default() }).unwrap();
    let stop = Stop::default();
    let clients = thread::scope(|scope| {
        let serving = scope.spawn(|| simulator.serve(&stop));
        let mut clients = vec![];
        for venue in ALL {
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
