//! From the exchange's socket to the client's: the whole program with ten clients, on simulated
//! exchanges in the same process. Run with `cargo bench --bench live`.

use std::{
    fmt::Write as _,
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
        "[live]\nlisten = \"127.0.0.1:0\"\n[storage]\ndir = {:?}\n",
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

/// Subscribes, and takes down how old each message is when it is read, in nanoseconds, until `stop`.
fn client(addr: SocketAddr, requests: &[&str], stop: &Stop) -> Vec<i64> {
    const MARK: &[u8] = b"\"ts_recv\":";
    let mut tcp = TcpStream::connect(addr).expect("it listens");
    tcp.set_read_timeout(Some(Duration::from_millis(100))).expect("a valid time");
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    tcp.write_all(upgrade.as_bytes()).expect("it reads");
    for request in requests {
        let len = u8::try_from(request.len()).expect("short");
        let mut frame = vec![0x81, 0x80 | len, 0, 0, 0, 0];
        frame.extend(request.as_bytes());
        tcp.write_all(&frame).expect("it reads");
    }
    let mut ages = Vec::new();
    let begun = feed::now().0;
    let (mut buf, mut kept) = (vec![0; 256 << 10], 0);
    while !stop.requested() {
        let Ok(n) = tcp.read(&mut buf[kept..]) else { continue };
        let now = feed::now().0;
        let mut rest = &buf[..kept + n];
        while let Some(at) = rest.windows(MARK.len()).position(|it| it == MARK) {
            let from = at + MARK.len();
            let Some(digits) = rest.get(from..from + 19) else { break };
            let ts = std::str::from_utf8(digits).ok().and_then(|it| it.parse::<i64>().ok());
            // What was known before is told first.
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

fn measure(case: &Case, rate: f64, length: Duration) {
    let dir = tempfile::tempdir().expect("a folder");
    let venues = ALL.iter().map(|it| it.venue).collect();
    let options = Options { venues, rate, symbols: 100, limits: false, ..Options::default() };
    let simulator = Simulator::bind(options).expect("a port");
    let plan = plan(&simulator, dir.path());
    let door = Door::open(plan.live.as_ref().expect("enabled").listen).expect("a port");
    let addr = door.url().trim_start_matches("http://").trim_end_matches('/').parse();
    let addr: SocketAddr = addr.expect("an address");
    let (metrics, stop, closing_time) = (Metrics::new(), Stop::default(), Stop::default());
    let over = Stop::default();
    let decoded = || -> u64 {
        let venues = ALL.iter().map(|it| metrics.venue(it.venue));
        venues.map(|it| it.quotes.get() + it.trades.get()).sum()
    };
    thread::scope(|scope| {
        scope.spawn(|| simulator.serve(&closing_time));
        let running = scope.spawn(|| {
            pipeline::run_at(Some(door), &plan, &metrics, &stop, &pipeline::Reload::default())
        });
        // All are connected, and what connecting cost is over.
        assert!(!over.wait(Duration::from_secs(4)));
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| client(addr, case.requests, &over))).collect();
        let (start, before) = (Instant::now(), decoded());
        assert!(!over.wait(length));
        let seconds = start.elapsed().as_secs_f64();
        let events = decoded() - before;
        over.request();
        let mut ages: Vec<_> =
            clients.into_iter().flat_map(|it| it.join().expect("no panic")).collect();
        stop.request();
        let summary = running.join().expect("no panic").expect("no failure");
        closing_time.request();
        assert!(100 < ages.len(), "{} messages", ages.len());
        ages.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let at = |part: usize| ages[ages.len() * part / 1000] as f64 / 1e6;
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let per_second = |n: u64| n as f64 / seconds / 1e3;
        println!(
            "{:<28}{:>7.0}k events/s{:>7.0}k messages/s  p50 {:>7.2}  p99 {:>7.2}  p99.9 {:>7.2} ms  \
             {} of clients' messages, {} of the hub's events and {} of the writer's dropped",
            case.name,
            per_second(events),
            per_second(ages.len() as u64),
            at(500),
            at(990),
            at(999),
            metrics.live.dropped.get(),
            metrics.queue("live").dropped.get(),
            summary.dropped
        );
    });
}

fn main() {
    // As a test, it only shows that it works.
    let measured = std::env::args().any(|it| it == "--bench");
    let (rate, length) = if measured {
        (100_000.0, Duration::from_secs(10))
    } else {
        (2_000.0, Duration::from_secs(1))
    };
    for case in &CASES {
        measure(case, rate, length);
    }
}
