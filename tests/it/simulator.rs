//! The simulated exchanges, seen by a client that knows the protocols only from their pages.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod binance;
mod bingx;
mod bitget;
mod bybit;
mod client;
mod count;
mod faults;
mod gateio;
mod kucoin;
mod lists;
mod mexc;
mod okx;
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

/// Longer than a busy machine keeps a client waiting.
const KEEPALIVE: Option<Duration> = Some(Duration::from_millis(400));

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
