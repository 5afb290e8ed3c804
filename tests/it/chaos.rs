//! Random faults at random venues, one round after the other, against the program as a process.
//!
//! `CHAOS_SEED` repeats a schedule, which is printed; `CHAOS_ROUNDS` makes it longer.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    env,
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use spread_aggregator::{
    exchange,
    market::{Channel, Venue},
    simulator::{Fault, Options, Simulator},
    stop::Stop,
};

use super::support::{
    child::Process,
    gaps::gaps,
    rows::rows,
    world::{RequestOnDrop, config, eventually},
};

/// Short enough for every run of the tests.
const ROUNDS: u64 = 4;
/// Reconnections of each venue in the test for leaks, if `LEAK_ROUNDS` does not say: each waits for a
/// backoff, and .ci/run makes a hundred.
const RECONNECTIONS: u64 = 15;
/// What may be resident after them beyond what was before. 100 leaked sessions of 16 venues would be
/// more; allocators do not give everything back.
const RESIDENT_MORE_MAX: u64 = 64 << 20;

/// The program, and exchanges that do what they are told.
struct Stage<'a> {
    simulator: &'a Simulator,
    program: Process,
    served: SocketAddr,
    venues: Vec<Venue>,
}

fn stage(dir: &Path, each: &str, rate: f64, play: impl FnOnce(Stage<'_>)) {
    let venues: Vec<_> = exchange::ALL.iter().map(|it| it.venue).collect();
    let (symbols, limits) = (5, false);
    let options = Options { venues: venues.clone(), symbols, rate, limits, ..Options::default() };
    let simulator = Simulator::bind(options).unwrap();
    let text = config(&simulator, &venues, &dir.join("data"), "", each);
    let file = dir.join("config.toml");
    fs::write(&file, text).unwrap();
    let closing_time = Stop::default();
    thread::scope(|scope| {
        let _closing = RequestOnDrop(&closing_time);
        scope.spawn(|| simulator.serve(&closing_time));
        let program = Process::start(&["run", "-c", &file.display().to_string()]);
        program.until_says("metrics on http://");
        let said = program.stderr();
        let served = said.split("metrics on http://").nth(1).unwrap();
        let served = served.split('/').next().unwrap().parse().unwrap();
        play(Stage { simulator: &simulator, program, served, venues });
    });
}

impl Stage<'_> {
    fn page(&self) -> String {
        let mut stream = TcpStream::connect(self.served).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// A metric without labels.
    fn count(&self, name: &str) -> u64 {
        let name = format!("spread_aggregator_{name} ");
        let page = self.page();
        let value = page.lines().find_map(|it| it.strip_prefix(&name));
        value.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// The samples of a metric, by venue, added up over its other labels.
    fn metric(&self, name: &str) -> BTreeMap<String, u64> {
        let name = format!("spread_aggregator_{name}{{");
        let mut samples = BTreeMap::new();
        for line in self.page().lines().filter_map(|it| it.strip_prefix(&name)) {
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

    fn until_all_deliver(&self) {
        let before = self.metric("events_total");
        eventually("every venue delivers", || {
            let now = self.metric("events_total");
            self.venues.iter().all(|it| {
                let of = |it: &BTreeMap<String, u64>, venue: &Venue| {
                    it.get(&venue.to_string()).copied().unwrap_or_default()
                };
                of(&before, it) + 20 < of(&now, it)
            })
        });
    }

    fn until_connections(&self, what: &str, holds: impl Fn(u64) -> bool) {
        eventually(what, || {
            let up = self.metric("connections_up");
            self.venues.iter().all(|it| holds(up.get(&it.to_string()).copied().unwrap_or_default()))
        });
    }

    /// Ends the flow and the program; what is on its way arrives before.
    fn end(self) {
        self.simulator.set_rate(0.0);
        let frames = || self.venues.iter().map(|it| self.simulator.sent(*it).frames).sum::<u64>();
        let (mut before, mut same) = (0, 0);
        eventually("nothing is under way", || {
            let now = frames();
            same = if now == before { same + 1 } else { 0 };
            before = now;
            20 < same
        });
        for &venue in &self.venues {
            self.simulator.inject(venue, Fault::Http(503));
            self.simulator.inject(venue, Fault::Eof);
        }
        self.until_connections("all connections have ended", |it| it == 0);
        self.program.signal("TERM");
        let (status, _) = self.program.end();
        assert!(status.success(), "{status}");
    }
}

/// A client that subscribes to everything and reads nothing.
fn slow_client(served: SocketAddr) -> TcpStream {
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

/// Whether what was under way is lost with a fault.
fn loses(fault: &Fault) -> bool {
    matches!(fault, Fault::Drop | Fault::HalfOpen | Fault::Oversized | Fault::Garbage)
}

fn fault(rng: &mut Rng, simulator: &Simulator, venue: Venue) -> Fault {
    let symbols = simulator.symbols(venue);
    let symbol = symbols[rng.usize(..symbols.len())].clone();
    let all = [
        Fault::Drop,
        Fault::Eof,
        Fault::Close,
        Fault::Notice,
        Fault::Mute,
        Fault::HalfOpen,
        Fault::Garbage,
        Fault::LoseTrades,
        Fault::Torn,
        Fault::Oversized,
        Fault::Refuse,
        Fault::Http(503),
        Fault::MuteSymbol(symbol),
    ];
    all[rng.usize(..all.len())].clone()
}

fn from_env(name: &str) -> Option<u64> {
    env::var(name).ok().map(|it| it.parse().unwrap_or_else(|_| panic!("{name} is no number: {it}")))
}

#[test]
fn whatever_goes_wrong_all_is_stored_or_declared_and_everything_comes_back() {
    let seed = from_env("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let rounds = from_env("CHAOS_ROUNDS").unwrap_or(ROUNDS);
    println!("CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}");
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(seed);
    let mut lossy = HashSet::new();
    let mut sent = BTreeMap::new();
    let each = "heartbeat_timeout = \"2s\"\nstale_after = \"3s\"\n";
    stage(dir.path(), each, 2_000.0, |stage| {
        stage.until_all_deliver();
        let _slow = slow_client(stage.served);
        eventually("the client is served", || stage.count("live_clients") == 1);
        let before = stage.program.usage_at_rest();
        for round in 0..rounds {
            let mut said = String::new();
            for &venue in &stage.venues {
                let fault = fault(&mut rng, stage.simulator, venue);
                let _ = write!(said, " {fault}@{venue}");
                if loses(&fault) {
                    lossy.insert(venue);
                }
                stage.simulator.inject(venue, fault.clone());
                if matches!(fault, Fault::Refuse | Fault::Http(_)) {
                    stage.simulator.inject(venue, Fault::Eof);
                }
            }
            thread::park_timeout(Duration::from_millis(rng.u64(200..3_000)));
            stage.venues.iter().for_each(|it| stage.simulator.clear(*it));
            let cleared = Instant::now();
            stage.until_all_deliver();
            println!("round {round}:{said}: back in {:.1} s", cleared.elapsed().as_secs_f64());
        }
        let after = stage.program.until_given_back(before);
        println!("{before:?} before, {after:?} after");
        let simulator = stage.simulator;
        let venues = stage.venues.clone();
        stage.end();
        sent.extend(venues.into_iter().map(|it| (it, simulator.sent(it))));
    });
    let data = dir.path().join("data");
    let declared: HashSet<_> = gaps(&data).into_iter().map(|it| it.venue).collect();
    let all: BTreeMap<_, _> = Channel::ALL.map(|it| (it.name(), distinct(&data, it))).into();
    for (venue, sent) in sent {
        let of =
            |channel: Channel| all[channel.name()].get(&venue.to_string()).copied().unwrap_or(0);
        let stored = (of(Channel::Quotes), of(Channel::Trades));
        let all = (sent.distinct_quotes, sent.distinct_trades);
        if lossy.contains(&venue) {
            assert!(stored.0 <= all.0 && stored.1 <= all.1, "{venue}: {stored:?} of {all:?}");
            let complete = stored == all;
            assert!(complete || declared.contains(&venue.to_string()), "{venue}: lost in silence");
        } else {
            assert_eq!(stored, all, "{venue}: seed {seed}");
        }
    }
}

/// How many different events of each venue are stored; none is there twice.
fn distinct(dir: &Path, channel: Channel) -> BTreeMap<String, u64> {
    let mut seen = HashMap::new();
    let mut counts = BTreeMap::new();
    for row in rows(dir, channel) {
        match seen.entry((row.venue(), row.identity())) {
            Entry::Vacant(it) => {
                *counts.entry(row.venue()).or_default() += 1;
                it.insert(row.conn_id);
            }
            // A state that a venue has told again and again is that of one connection.
            Entry::Occupied(it) => assert_eq!(*it.get(), row.conn_id, "twice: {:?}", it.key()),
        }
    }
    counts
}

#[test]
fn reconnections_of_every_venue_leave_nothing_behind() {
    let rounds = from_env("LEAK_ROUNDS").unwrap_or(RECONNECTIONS);
    let dir = tempfile::tempdir().unwrap();
    stage(dir.path(), "", 1_000.0, |stage| {
        stage.until_all_deliver();
        let reconnects = || stage.metric("reconnects_total");
        let again = |n: u64| {
            stage.venues.iter().for_each(|it| stage.simulator.inject(*it, Fault::Eof));
            eventually(&format!("reconnection {n}"), || {
                let now = reconnects();
                let up = stage.metric("connections_up");
                stage.venues.iter().all(|it| {
                    let of = |it: &BTreeMap<String, u64>, venue: &Venue| {
                        it.get(&venue.to_string()).copied().unwrap_or_default()
                    };
                    n <= of(&now, it) && 0 < of(&up, it)
                })
            });
            stage.until_all_deliver();
        };
        // The allocator has its pools by then.
        (1..=5).for_each(again);
        let before = stage.program.usage();
        let instruments = stage.count("instruments");
        (6..=rounds).for_each(again);
        let after = stage.program.until_given_back(before);
        println!("{before:?} before, {after:?} after {rounds} reconnections of each venue");
        assert_eq!(stage.count("instruments"), instruments);
        assert!(after.descriptors <= before.descriptors + 8, "{before:?} then, {after:?} now");
        let more = after.resident.saturating_sub(before.resident);
        assert!(more < RESIDENT_MORE_MAX, "{more} bytes more");
        stage.end();
    });
}
