//! The program as a process, and exchanges that do what they are told.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
};

use spread_aggregator::{
    exchange,
    market::Venue,
    simulator::{Options, Sent, Simulator},
    stop::Stop,
};

use super::{
    child::Process,
    world::{RequestOnDrop, config, eventually, hang_up, hush},
};

/// A number from the environment, which makes a test longer or repeats it.
pub(crate) fn from_env(name: &str) -> Option<u64> {
    env::var(name).ok().map(|it| it.parse().unwrap_or_else(|_| panic!("{name} is no number: {it}")))
}

/// What is simulated, and how the program is started.
pub(crate) struct Scene<'a> {
    pub(crate) venues: Vec<Venue>,
    pub(crate) symbols: usize,
    pub(crate) rate: f64,
    /// What the configuration says besides, of all and of each exchange.
    pub(crate) top: &'a str,
    pub(crate) each: &'a str,
    /// The program's environment.
    pub(crate) vars: Vec<(&'a str, &'a str)>,
    /// What starts the program, if that is not to be itself: a command that ends with its name.
    pub(crate) launcher: Vec<&'a str>,
    /// Changes the configuration.
    pub(crate) edit: Box<dyn Fn(String) -> String + 'a>,
}

impl Default for Scene<'_> {
    fn default() -> Self {
        Self {
            venues: exchange::ALL.iter().map(|it| it.venue).collect(),
            symbols: 5,
            rate: 1_000.0,
            top: "",
            each: "",
            vars: Vec::new(),
            launcher: Vec::new(),
            edit: Box::new(|it| it),
        }
    }
}

impl Scene<'_> {
    /// Starts all and hands it to `play`. Data goes to `data` in `dir`.
    pub(crate) fn play(self, dir: &Path, play: impl FnOnce(Stage<'_>)) {
        let Self { venues, symbols, rate, .. } = self;
        let options =
            Options { venues: venues.clone(), symbols, rate, limits: false, ..Options::default() };
        let simulator = Simulator::bind(options).unwrap();
        let text = config(&simulator, &venues, &dir.join("data"), self.top, self.each);
        let file = dir.join("config.toml");
        fs::write(&file, (self.edit)(text)).unwrap();
        let closing_time = Stop::default();
        thread::scope(|scope| {
            let _closing = RequestOnDrop(&closing_time);
            scope.spawn(|| simulator.serve(&closing_time));
            let file = file.to_str().unwrap().to_owned();
            let program = Process::launch(&self.launcher, &["run", "-c", &file], &self.vars);
            let served = served_by(&program);
            play(Stage { simulator: &simulator, program, served, venues, file });
        });
    }
}

/// The program while it runs, and what it runs against.
pub(crate) struct Stage<'a> {
    pub(crate) simulator: &'a Simulator,
    pub(crate) program: Process,
    pub(crate) served: SocketAddr,
    pub(crate) venues: Vec<Venue>,
    /// The configuration.
    file: String,
}

/// The address that a program serves its clients at.
fn served_by(program: &Process) -> SocketAddr {
    program.until_says("metrics on http://");
    let said = program.stderr();
    let served = said.split("metrics on http://").nth(1).unwrap();
    served.split('/').next().unwrap().parse().unwrap()
}

/// Of samples by venue, that of one.
pub(crate) fn of(samples: &BTreeMap<String, u64>, venue: Venue) -> u64 {
    samples.get(&venue.to_string()).copied().unwrap_or_default()
}

impl Stage<'_> {
    /// Kills the program, without a warning, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.program.signal("KILL");
        let next = Process::start(&["run", "-c", &self.file]);
        let (status, _) = std::mem::replace(&mut self.program, next).end();
        assert!(!status.success());
        self.served = served_by(&self.program);
    }

    /// What `GET path` answers, its head included.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.served).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// A metric without labels.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let page = self.get("/metrics");
        let name = format!("spread_aggregator_{name} ");
        page.lines().find_map(|it| it.strip_prefix(&name)).unwrap().parse().unwrap()
    }

    /// The samples of a metric, by venue, added up over its other labels.
    pub(crate) fn metric(&self, name: &str) -> BTreeMap<String, u64> {
        let page = self.get("/metrics");
        let name = format!("spread_aggregator_{name}{{");
        let mut samples = BTreeMap::new();
        for line in page.lines().filter_map(|it| it.strip_prefix(&name)) {
            let (labels, value) = line.rsplit_once(' ').unwrap();
            let label = |key: &str| {
                let at = labels.find(&format!("{key}=\"")).unwrap() + key.len() + 2;
                labels[at..].split('"').next().unwrap()
            };
            let venue = format!("{}-{}", label("exchange"), label("market"));
            *samples.entry(venue).or_default() += value.parse::<u64>().unwrap_or_default();
        }
        samples
    }

    /// Waits until all connections that there should be are up, and each venue delivers.
    pub(crate) fn until_all_deliver(&self) {
        eventually("all are connected", || {
            let health = self.health();
            health["exchanges"].as_array().unwrap().iter().all(|it| {
                let connections = &it["connections"];
                0 < connections["wanted"].as_u64().unwrap()
                    && connections["up"] == connections["wanted"]
            })
        });
        self.until_deliver(&self.venues);
    }

    /// What `/healthz` says, whatever its status.
    pub(crate) fn health(&self) -> serde_json::Value {
        let page = self.get("/api/v1/health");
        serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    pub(crate) fn until_deliver(&self, venues: &[Venue]) {
        let before = self.metric("events_total");
        eventually(&format!("{venues:?} deliver"), || {
            let now = self.metric("events_total");
            venues.iter().all(|it| of(&before, *it) + 20 < of(&now, *it))
        });
    }

    pub(crate) fn until_connections(&self, what: &str, holds: impl Fn(u64) -> bool) {
        eventually(what, || {
            let up = self.metric("connections_up");
            self.venues.iter().all(|it| holds(of(&up, *it)))
        });
    }

    /// Ends the flow, and waits until nothing is under way.
    pub(crate) fn hush(&self) {
        hush(self.simulator, &self.venues);
    }

    /// Ends the flow and the program, and says what was sent; what is on its way arrives before.
    pub(crate) fn end(self) -> Vec<(Venue, Sent)> {
        self.hush();
        hang_up(self.simulator, &self.venues);
        self.until_connections("all connections have ended", |it| it == 0);
        self.program.signal("TERM");
        let (status, _) = self.program.end();
        assert!(status.success(), "{status}");
        self.venues.iter().map(|it| (*it, self.simulator.sent(*it))).collect()
    }
}

/// A client that subscribes to everything and reads nothing.
pub(crate) fn slow_client(served: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(served).unwrap();
    let ask = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let request = br#"{"op":"subscribe","channel":"quotes"}"#;
    // Masked with zeros, which changes nothing.
    let mut frame = vec![0x81, 0x80 | u8::try_from(request.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(request);
    stream.write_all(&frame).unwrap();
    stream
}
