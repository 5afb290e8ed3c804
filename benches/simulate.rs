//! What the simulated exchanges cost, as the generator of a load: `simulate` as a process of its own,
//! eight venues of 1,000 symbols, and clients that subscribe like the collector and do nothing but
//! read. Times are processor time of that process, in the kernel too, for 1,000 messages.

#[path = "../tests/it/support/tls.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "it is the tests' own")]
mod tls;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use native_tls::TlsConnector;
use spread_aggregator::{
    exchange::{ALL, Address, Op, Protocol, Request, Topic},
    market::{Channel, Market},
};
use tungstenite::Message;

/// Messages that a time is for.
const MESSAGES: u64 = 1_000;
/// How long one measurement takes.
const STRETCH: Duration = Duration::from_millis(500);
/// What a client reads at once.
const READ_BYTES: usize = 256 << 10;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A `simulate` process.
struct Exchanges {
    process: Child,
    /// It has more to say, and ends when nobody would hear it.
    _out: BufReader<ChildStdout>,
    port: u16,
    tls: bool,
}

impl Exchanges {
    fn start(args: &[&str], tls: Option<[&str; 2]>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spread-aggregator"));
        command.args(["simulate", "--listen", "127.0.0.1:0", "--market", "spot", "--no-limits"]);
        command.args(["--symbols", "1000", "--trade-share", "0"]).args(args);
        if let Some(files) = tls {
            command.arg("--tls").args(files);
        }
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().expect("a pipe"));
        out.read_line(&mut line).expect("it says where it listens");
        let port = line.split(':').nth(1).and_then(|it| it.split(';').next()?.parse().ok());
        Self { process, _out: out, port: port.expect("a port"), tls: tls.is_some() }
    }

    fn dial(&self) -> Box<dyn Stream> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        if !self.tls {
            return Box::new(tcp);
        }
        let connector = TlsConnector::builder().danger_accept_invalid_certs(true).build();
        Box::new(connector.expect("a client").connect("localhost", tcp).expect("TLS"))
    }

    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = self.dial();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", self.port)
            .expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    /// Frames sent so far, and the processor time that has taken.
    fn spent(&self) -> (u64, Duration) {
        let stats: serde_json::Value =
            serde_json::from_str(&self.ask("GET", "/stats")).expect("JSON");
        let frames = stats.as_object().expect("venues").values().map(|it| it["frames"].as_u64());
        let tasks = Path::new("/proc").join(self.process.id().to_string()).join("task");
        let nanos = fs::read_dir(tasks).expect("Linux").map(|task| -> u64 {
            let path = task.expect("a thread").path().join("schedstat");
            // A thread may have ended meanwhile.
            let text = fs::read_to_string(path).unwrap_or_default();
            text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0)
        });
        (frames.map(|it| it.expect("a number")).sum(), Duration::from_nanos(nanos.sum()))
    }

    /// Processor time for so many times [`MESSAGES`], by that of what is sent in a while.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn time(&self, times: u64) -> Duration {
        let (frames, spent) = self.spent();
        let start = Instant::now();
        while start.elapsed() < STRETCH {
            thread::park_timeout(STRETCH.saturating_sub(start.elapsed()));
        }
        let (more, after) = self.spent();
        assert!(frames < more, "nothing is sent");
        let part = times as f64 * MESSAGES as f64 / (more - frames) as f64;
        after.saturating_sub(spent).mul_f64(part)
    }

    /// As many connections to a venue as the collector would make, subscribed to all quotes.
    fn connect(&self, protocol: &Protocol) -> Vec<Box<dyn Stream>> {
        let venue = protocol.venue;
        let (mut listings, mut next) = (Vec::new(), Some(protocol.rest.instruments.to_owned()));
        while let Some(path) = next {
            let body = self.ask("GET", &format!("/{venue}{path}"));
            next = (protocol.rest.read_instruments)(&body, &mut listings).expect("a list");
        }
        let topic = |symbol| Topic { channel: Channel::Quotes, symbol };
        let topics: Vec<_> = listings.iter().map(|it| topic(it.symbol_native.as_str())).collect();
        let most = protocol.limits.topics_per_connection;
        topics.chunks(most).map(|it| self.subscribe(protocol, it)).collect()
    }

    fn subscribe(&self, protocol: &Protocol, topics: &[Topic<'_>]) -> Box<dyn Stream> {
        let quotes =
            |it: &&spread_aggregator::exchange::Endpoint| it.channels.contains(&Channel::Quotes);
        let url = match protocol.endpoints.iter().find(quotes).expect("one has quotes").address {
            Address::Fixed(url) => url.to_owned(),
            Address::Fetched { post, read } => {
                let body = self.ask("POST", &format!("/{}{post}", protocol.venue));
                read(&body, 1).expect("an address")
            }
        };
        let (_, rest) = url.split_once("://").expect("a URL");
        let path = rest.find('/').map_or("", |it| &rest[it..]);
        let url = format!("ws://localhost/{}{path}", protocol.venue);
        let (mut socket, _) = tungstenite::client(url, self.dial()).expect("a WebSocket");
        if protocol.quirks.greeting {
            socket.read().expect("a greeting");
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        for (id, topics) in (1..).zip(topics.chunks(protocol.limits.topics_per_request)) {
            let request = Request { id, op: Op::Subscribe, time: now.cast_signed(), topics };
            socket.send(Message::text((protocol.request)(&request))).expect("it reads");
        }
        socket.into_inner()
    }
}

impl Drop for Exchanges {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads until the other side has gone.
fn read_all(mut stream: Box<dyn Stream>) {
    let mut buf = vec![0; READ_BYTES];
    while stream.read(&mut buf).is_ok_and(|n| 0 < n) {}
}

fn simulate(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let certificates = tls::Certificates::for_server("localhost");
    let [chain, key] = ["chain.pem", "key.pem"].map(|it| dir.path().join(it).display().to_string());
    fs::write(&chain, &certificates.server.chain).expect("room");
    fs::write(&key, &certificates.server.key).expect("room");
    let mut group = criterion.benchmark_group("simulate");
    group.throughput(Throughput::Elements(MESSAGES));
    for (name, rate, args, tls) in [
        ("plain, 800,000/s", 800_000, &[][..], false),
        ("plain, 800,000/s, 20 ms", 800_000, &["--tick", "20ms"], false),
        ("TLS, 400,000/s", 400_000, &[], true),
        ("TLS, 200,000/s, a frame a record", 200_000, &["--frames-per-write", "1"], true),
    ] {
        // Tests, which are not optimised, only want to see it work.
        let rate = if cfg!(debug_assertions) { rate / 20 } else { rate }.to_string();
        let args = [&["--rate", &rate], args].concat();
        let exchanges = Exchanges::start(&args, tls.then_some([&*chain, &*key]));
        thread::scope(|scope| {
            for protocol in ALL.iter().filter(|it| it.venue.market == Market::Spot) {
                for stream in exchanges.connect(protocol) {
                    scope.spawn(move || read_all(stream));
                }
            }
            group.bench_function(name, |it| it.iter_custom(|n| exchanges.time(n)));
            // The clients hear it.
            drop(exchanges);
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = simulate
}
criterion_main!(benches);
