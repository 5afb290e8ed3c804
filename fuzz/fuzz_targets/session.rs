//! Frames and time, in any order, through the session of a connection: its verdict comes or it goes
//! on, what comes out is possible, and what it says of its topics adds up.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::{
    arbitrary::{Arbitrary, Result, Unstructured},
    fuzz_target,
};
use spread_aggregator::{
    exchange::Protocol,
    feed::session::{Outgoing, Patience, Session},
    market::{ConnId, Gap, Nanos},
};
use spread_aggregator_fuzz::{Known, NOON, check, inbox, piece, venue};

const PATIENCE: Patience =
    Patience { heartbeat_timeout: Duration::from_secs(30), stale_after: Duration::from_mins(2) };
const CONN: ConnId = ConnId(7);
const TICK: Duration = Duration::from_millis(500);
/// The limit of a connection's frames is larger, and so is that of requests at every venue.
const REQUEST_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
struct Case<'a> {
    protocol: &'static Protocol,
    steps: Vec<Step<'a>>,
}

#[derive(Debug)]
enum Step<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A ping or a pong.
    Alive,
    /// So many ticks pass.
    Pass(u8),
    /// The last frame comes again.
    Again,
    /// Those of the symbols that are carried from now on.
    Carry(u64),
    Patience(u8, u8),
}

impl<'a> Arbitrary<'a> for Case<'a> {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let protocol = venue(input.arbitrary()?);
        let mut steps = Vec::new();
        while !input.is_empty() {
            steps.push(match input.arbitrary::<u8>()? % 7 {
                0 => Step::Text(std::str::from_utf8(piece(input)?).unwrap_or_default()),
                1 => Step::Binary(piece(input)?),
                2 => Step::Alive,
                3 => Step::Pass(input.arbitrary()?),
                4 => Step::Again,
                5 => Step::Carry(input.arbitrary()?),
                _ => Step::Patience(input.arbitrary()?, input.arbitrary()?),
            });
        }
        Ok(Case { protocol, steps })
    }
}

/// The session, and what is known of it from outside.
struct Bench {
    protocol: &'static Protocol,
    session: Session,
    known: Vec<Known>,
    carried: Vec<Known>,
    start: Instant,
    now: Instant,
    frames: u64,
    ticks: u64,
    sent: u64,
}

impl Bench {
    fn new(case: &Case<'_>) -> Self {
        let protocol = case.protocol;
        let mut known = Vec::new();
        for step in &case.steps {
            match step {
                Step::Text(text) => _ = inbox(protocol, &mut known, |it| _ = protocol.read(text, it)),
                Step::Binary(frame) => {
                    let read = protocol.quirks.decode_binary;
                    inbox(protocol, &mut known, |it| _ = read(frame, it));
                }
                _ => {}
            }
        }
        let now = Instant::now();
        let channels = protocol.endpoints[0].channels;
        let session = Session::new(protocol, PATIENCE, CONN, &known, channels, now);
        let carried = known.clone();
        let (frames, ticks, sent) = (0, 0, 0);
        Self { protocol, session, known, carried, start: now, now, frames, ticks, sent }
    }

    fn time(&self) -> Nanos {
        Nanos(NOON.0 + (self.now - self.start).as_nanos() as i64)
    }

    fn hear(&mut self, frame: &Step<'_>) {
        let (time, now) = (self.time(), self.now);
        match frame {
            Step::Text(text) => self.session.on_text(text, time, now),
            Step::Binary(frame) => self.session.on_binary(frame, time, now),
            _ => return,
        }
        self.frames += 1;
        for it in std::mem::take(self.session.events()) {
            check(&it);
            assert_eq!(it.ts_recv(), time);
            let id = it.instrument();
            assert!(self.carried.iter().any(|it| it.0 == id), "{it:?} is not carried");
        }
    }

    /// Says whether it goes on.
    fn tick(&mut self) -> bool {
        self.now += TICK;
        self.ticks += 1;
        let goes_on = self.session.tick(self.now, self.time()).is_ok();
        while let Some(it) = self.session.outgoing() {
            self.sent += 1;
            if let Outgoing::Text(text) = it {
                assert!(text.len() < REQUEST_BYTES_MAX, "{} bytes", text.len());
            }
        }
        goes_on
    }

    fn carry(&mut self, which: u64) {
        let wanted = |it: &&Known| which >> (it.0.0 % 64) & 1 == 1;
        self.carried = self.known.iter().filter(wanted).cloned().collect();
        self.session.assign(&self.carried, self.protocol.endpoints[0].channels);
    }

    fn check_sums(&mut self) {
        let topics = self.carried.len() * self.protocol.endpoints[0].channels.len();
        let states = self.session.states(self.time());
        assert_eq!(states.iter().sum::<i64>(), topics as i64, "{states:?}");
        assert!(states.iter().all(|it| 0 <= *it), "{states:?}");
        assert!(self.session.decode_errors <= self.frames);
        // Each tick may bring a ping and a request, each frame an answer.
        assert!(self.sent <= 2 * self.ticks + self.frames, "{} frames sent", self.sent);
        let _ = self.session.reports();
        let _ = self.session.idle(self.now);
        let (gaps, time) = (std::mem::take(self.session.gaps()), self.time());
        gaps.iter().for_each(|it| self.check_gap(it, time));
        for quote in self.session.latest() {
            check(&spread_aggregator::market::Event::Quote(quote));
        }
    }

    fn check_gap(&self, gap: &Gap, now: Nanos) {
        assert_eq!(gap.venue, self.protocol.venue);
        assert!(gap.from <= gap.to && gap.to <= now && NOON <= gap.from, "{gap:?}");
        assert!(gap.dropped != Some(0), "{gap:?}");
    }
}

fuzz_target!(|case: Case<'_>| {
    let mut it = Bench::new(&case);
    let mut last = None;
    for step in &case.steps {
        match step {
            Step::Text(_) | Step::Binary(_) => {
                it.hear(step);
                last = Some(step);
            }
            Step::Again => last.iter().for_each(|last| it.hear(last)),
            Step::Alive => it.session.on_alive(it.now),
            Step::Pass(ticks) => {
                if !(0..*ticks).all(|_| it.tick()) {
                    break;
                }
            }
            Step::Carry(which) => it.carry(*which),
            Step::Patience(heartbeat, stale) => {
                let seconds = |it: u8| Duration::from_secs(it.max(1).into());
                let patience = Patience {
                    heartbeat_timeout: seconds(*heartbeat),
                    stale_after: seconds(*stale),
                };
                it.session.set_patience(patience, it.now);
            }
        }
        it.check_sums();
    }
    it.session.end(Some(it.time()));
    it.check_sums();
});
