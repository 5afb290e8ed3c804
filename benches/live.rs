//! From the exchange's socket to the client's: the whole program with ten clients, on simulated
//! exchanges in the same process; then ten clients with and without a crowd of five hundred. Run with
//! `cargo bench --bench live`.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use spread_aggregator::{
    config::{self, Plan},
    exchange::ALL,
    feed,
    live::Door,
    metrics::Metrics,
    pipeline,
    simulator::{Options, Simulator},
    stop::Stop,
};

const CLIENTS: usize = 10;

/// Those who come later, read and answer, and are not measured.
const CROWD: usize = 500;

/// What each client subscribes to where there is a crowd.
const SYMBOLS_EACH: usize = 100;

/// Events a second where there is a crowd, each of which about 50 of it want.
const CROWD_RATES: [f64; 2] = [500.0, 3_000.0];

const PING_INTERVAL: Duration = Duration::from_secs(2);

/// A pong that nobody asked for, which is allowed, and spares looking for pings.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// What every client asks for.
struct Case {
    name: &'static str,
    requests: &'static [&'static str],
}

const CASES: [Case; 4] = [
    Case {
        name: "BTC-USDT everywhere",
        requests: &[
            r#"{"op":"subscribe","channel":"quotes","symbols":["BTC-USDT"]}"#,
            r#"{"op":"subscribe","channel":"trades","symbols":["BTC-USDT"]}"#,
        ],
    },
    Case {
        name: "all of one venue",
        requests: &[
            r#"{"op":"subscribe","channel":"quotes","exchanges":["okx"],"market":"spot"}"#,
            r#"{"op":"subscribe","channel":"trades","exchanges":["okx"],"market":"spot"}"#,
        ],
    },
    Case {
        name: "all there is",
        requests: &[
            r#"{"op":"subscribe","channel":"quotes"}"#,
            r#"{"op":"subscribe","channel":"trades"}"#,
        ],
    },
    Case {
        name: "all there is, every 100 ms",
        requests: &[r#"{"op":"subscribe","channel":"quotes","interval_ms":100}"#],
    },
];

fn plan(simulator: &Simulator, dir: &Path) -> Plan {
    let mut text = format!(
        "[live]\nlisten = \"127.0.0.1:0\"\nping_interval = \"{}s\"\n[storage]\ndir = {:?}\n",
        PING_INTERVAL.as_secs(),
        dir.display().to_string()
    );
    for venue in ALL.iter().map(|it| it.venue) {
        let (ws, rest) = (simulator.ws_url(venue), simulator.rest_url(venue));
        write!(
            text,
            "[[exchange]]\nname = \"{}\"\nmarket = \"{}\"\nws_url = \"{ws}\"\n\
             rest_url = \"{rest}\"\nmin_quote_volume = 0\n",
            venue.exchange, venue.market
        )
        .expect("writing to a String does not fail");
    }
    config::parse(&text, Path::new("bench.toml")).expect("valid")
}

/// A client's socket, with `requests` sent.
fn subscribe(addr: SocketAddr, requests: &[impl AsRef<str>]) -> TcpStream {
    let mut tcp = TcpStream::connect(addr).expect("it listens");
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    tcp.write_all(upgrade.as_bytes()).expect("it reads");
    for request in requests {
        let request = request.as_ref();
        let len = u16::try_from(request.len()).expect("short").to_be_bytes();
        // Masked with zeros, which changes nothing.
        let mut frame = match len {
            [0, len @ ..126] => vec![0x81, 0x80 | len, 0, 0, 0, 0],
            [high, low] => vec![0x81, 0xfe, high, low, 0, 0, 0, 0],
        };
        frame.extend(request.as_bytes());
        tcp.write_all(&frame).expect("it reads");
    }
    tcp
}

/// Takes down how old each message is when it is read, in nanoseconds, until `stop`.
fn client(addr: SocketAddr, requests: &[impl AsRef<str>], stop: &Stop) -> Vec<i64> {
    const MARK: &[u8] = b"\"ts_recv\":";
    let mut tcp = subscribe(addr, requests);
    tcp.set_read_timeout(Some(Duration::from_millis(100))).expect("a valid time");
    let mut answered = Instant::now();
    let mut ages = Vec::new();
    // What was known when it subscribed is told first, and is older.
    let begun = feed::now().0 + 1_000_000_000;
    let (mut buf, mut kept) = (vec![0; 256 << 10], 0);
    while !stop.requested() {
        if PING_INTERVAL / 2 < answered.elapsed() {
            answered = Instant::now();
            tcp.write_all(&PONG).expect("it reads");
        }
        let Ok(n) = tcp.read(&mut buf[kept..]) else { continue };
        let now = feed::now().0;
        let mut rest = &buf[..kept + n];
        while let Some(at) = rest.windows(MARK.len()).position(|it| it == MARK) {
            let from = at + MARK.len();
            let Some(digits) = rest.get(from..from + 19) else { break };
            let ts = std::str::from_utf8(digits).ok().and_then(|it| it.parse::<i64>().ok());
            ages.extend(ts.filter(|it| begun < *it).map(|it| now - it));
            rest = &rest[from + 19..];
        }
        // A mark may be in two reads.
        let tail = rest.len().min(MARK.len() + 19);
        let from = kept + n - tail;
        buf.copy_within(from..kept + n, 0);
        kept = tail;
    }
    ages
}

/// Reads what comes for `peers` and answers for them, on one thread, until `stop`; then they leave.
fn crowd(peers: &[TcpStream], stop: &Stop) {
    for it in peers {
        it.set_nonblocking(true).expect("a socket");
    }
    let mut buf = vec![0; 256 << 10];
    let mut answered = Instant::now();
    while !stop.wait(Duration::from_millis(20)) {
        let answers = PING_INTERVAL / 2 < answered.elapsed();
        for mut it in peers {
            // What comes is of no interest, but none of them may be closed.
            assert!(
                !matches!(it.read(&mut buf), Ok(0)),
                "a client that reads and answers was closed"
            );
            if answers {
                it.write_all(&PONG).expect("there is room for six bytes");
            }
        }
        if answers {
            answered = Instant::now();
        }
    }
}

/// Who is served, at which load.
struct Setup {
    rate: f64,
    symbols: usize,
    length: Duration,
    crowd: usize,
}

/// What a client sees of the whole program.
struct Scene<'a> {
    addr: SocketAddr,
    metrics: &'a Metrics,
    length: Duration,
    crowd: usize,
}

impl Scene<'_> {
    fn decoded(&self) -> u64 {
        let venues = ALL.iter().map(|it| self.metrics.venue(it.venue));
        venues.map(|it| it.quotes.get() + it.trades.get()).sum()
    }

    /// Ten clients for a while, each with the requests of its number, and how old what they read was.
    fn measure<T: AsRef<str> + Sync>(&self, name: &str, requests: impl Fn(usize) -> Vec<T>) {
        let over = &Stop::default();
        let requests: Vec<_> = (0..CLIENTS).map(requests).collect();
        let (start, before) = (Instant::now(), self.decoded());
        let mut ages: Vec<_> = thread::scope(|scope| {
            let ask = |it| scope.spawn(move || client(self.addr, it, over));
            let clients: Vec<_> = requests.iter().map(|it| ask(it)).collect();
            assert!(!over.wait(self.length));
            over.request();
            clients.into_iter().flat_map(|it| it.join().expect("no panic")).collect()
        });
        let (seconds, events) = (start.elapsed().as_secs_f64(), self.decoded() - before);
        assert!(100 < ages.len(), "{} messages", ages.len());
        ages.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let at = |part: usize| ages[ages.len() * part / 1000] as f64 / 1e6;
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let per_second = |n: u64| n as f64 / seconds / 1e3;
        println!(
            "{name:<28}{:>7.0}k events/s{:>7.0}k messages/s  p50 {:>7.2}  p99 {:>7.2}  p99.9 {:>7.2} ms  \
             {} of clients' messages, {} of the hub's events dropped so far",
            per_second(events),
            per_second(ages.len() as u64),
            at(500),
            at(990),
            at(999),
            self.metrics.live.dropped.get(),
            self.metrics.queue("live").dropped.get(),
        );
    }

    /// The ten without a crowd, with it and without it again.
    fn crowded(&self) {
        let symbols = self.symbols();
        let requests = |n: usize| {
            let range = n * SYMBOLS_EACH..(n + 1) * SYMBOLS_EACH;
            let some: Vec<_> = range.map(|it| &symbols[it % symbols.len()]).collect();
            vec![
                serde_json::json!({ "op": "subscribe", "channel": "quotes", "symbols": some })
                    .to_string(),
            ]
        };
        self.measure("ten clients", requests);
        let usual = resources();
        let (over, live) = (&Stop::default(), &self.metrics.live);
        let mut peers: Vec<_> =
            (0..self.crowd).map(|n| subscribe(self.addr, &requests(n))).collect();
        let all = [r#"{"op":"subscribe","channel":"quotes"}"#];
        // One never reads; the other falls silent, as one does whose cable was pulled.
        let [mute, silent] = [subscribe(self.addr, &all), subscribe(self.addr, &requests(0))];
        thread::scope(|scope| {
            scope.spawn(|| crowd(&peers, over));
            self.measure(&format!("and a crowd of {}", self.crowd), requests);
            until("the two that do not answer are closed", || 2 <= live.dead.get());
            println!("{:<28}{}", "", resources());
            over.request();
        });
        peers.clear();
        until("the crowd has gone", || live.clients.get() == 0);
        drop((mute, silent));
        self.measure("ten clients again", requests);
        println!("{:<28}before the crowd {usual}, after it {}", "", resources());
    }

    fn symbols(&self) -> Vec<String> {
        let mut tcp = TcpStream::connect(self.addr).expect("it listens");
        let ask = format!(
            "GET /api/v1/instruments HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.addr
        );
        tcp.write_all(ask.as_bytes()).expect("it reads");
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let of = |it: &serde_json::Value| it["symbol"].as_str().map(str::to_owned);
        let mut symbols: Vec<_> =
            body["instruments"].as_array().into_iter().flatten().filter_map(of).collect();
        symbols.sort();
        symbols.dedup();
        symbols
    }
}

/// Threads, descriptors and memory of this process.
fn resources() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let of = |name: &str| {
        status.lines().find_map(|it| it.strip_prefix(name)).map_or("?", str::trim).to_owned()
    };
    let descriptors = fs::read_dir("/proc/self/fd").expect("Linux").count();
    format!("{} threads, {descriptors} descriptors, {}", of("Threads:"), of("VmRSS:"))
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::park_timeout(Duration::from_millis(50));
    }
}

/// Runs the whole program on simulated exchanges, and `look` once it collects.
fn stage(setup: &Setup, look: impl FnOnce(&Scene<'_>)) {
    let dir = tempfile::tempdir().expect("a folder");
    let venues = ALL.iter().map(|it| it.venue).collect();
    let &Setup { rate, symbols, length, crowd } = setup;
    let options = Options { venues, rate, symbols, limits: false, ..Options::default() };
    let simulator = Simulator::bind(options).expect("a port");
    let plan = plan(&simulator, dir.path());
    let door = Door::open(plan.live.as_ref().expect("enabled").listen).expect("a port");
    let addr = door.url().trim_start_matches("http://").trim_end_matches('/').parse();
    let addr: SocketAddr = addr.expect("an address");
    let (metrics, stop, closing_time) = (Metrics::new(), Stop::default(), Stop::default());
    thread::scope(|scope| {
        scope.spawn(|| simulator.serve(&closing_time));
        let running = scope.spawn(|| {
            pipeline::run_at(Some(door), &plan, &metrics, &stop, &pipeline::Reload::default())
        });
        // All are connected, and what connecting cost is over.
        thread::park_timeout(Duration::from_secs(4));
        look(&Scene { addr, metrics: &metrics, length, crowd });
        stop.request();
        let summary = running.join().expect("no panic").expect("no failure");
        closing_time.request();
        println!("{:<28}{} of the writer's events dropped", "", summary.dropped);
    });
}

fn main() {
    // As a test, it only shows that it works.
    let measured = std::env::args().any(|it| it == "--bench");
    let setup = |rate: f64, symbols: usize| {
        let (rate, symbols, seconds, crowd) =
            if measured { (rate, symbols, 11, CROWD) } else { (rate / 50.0, 100, 3, 20) };
        Setup { rate, symbols, length: Duration::from_secs(seconds), crowd }
    };
    stage(&setup(100_000.0, 100), |scene| {
        for case in &CASES {
            scene.measure(case.name, |_| case.requests.to_vec());
        }
    });
    // As a test, one is enough.
    for rate in CROWD_RATES.into_iter().skip(usize::from(!measured)) {
        stage(&setup(rate, 1_000), |scene| {
            scene.crowded();
        });
    }
}
