//! Reads frames with one of the libraries, and says what it made of them or how long it took.
//!
//! `peers LIBRARY FRAMES take` prints for each frame that the library reads its line, the number of events and
//! the first price. `peers LIBRARY FRAMES time SETS SECONDS` reads a set of lines again and again; SETS has one a
//! line, `name TAB line line ...`, and for each it prints `name TAB frames TAB events TAB CPU seconds`.

#[cfg(feature = "barter-data")]
mod barter;
mod ours;
#[cfg(feature = "crypto-msg-parser")]
mod parser;

use std::{env, fs, panic, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::time::{ClockId, clock_gettime};

/// A frame, and where it is from.
pub struct Frame {
    /// As in `binance-spot`.
    pub venue: String,
    pub is_quote: bool,
    pub body: Body,
}

pub enum Body {
    Text(String),
    Binary(Vec<u8>),
}

/// What a frame said: how many quotes or trades, and the bid or price of the first.
#[derive(Clone, Copy)]
pub struct Seen {
    pub events: usize,
    pub price: f64,
}

/// A library that knows the symbols of `frames`, by line.
pub trait Library {
    /// `None` if it cannot read the frame.
    fn read(&mut self, line: usize) -> Option<Seen>;
}

/// Least number of frames that are read between two looks at the clock.
const BETWEEN_LOOKS: usize = 1_000;

fn main() {
    let args: Vec<_> = env::args().skip(1).collect();
    let [library, frames, what, more @ ..] = args.as_slice() else {
        panic!("see the top of main.rs")
    };
    let frames = frames_of(frames);
    let mut library: Box<dyn Library + '_> = match library.as_str() {
        "ours" => Box::new(ours::Ours::new(&frames)),
        #[cfg(feature = "barter-data")]
        "barter-data" => Box::new(barter::Barter::new(&frames)),
        #[cfg(feature = "crypto-msg-parser")]
        "crypto-msg-parser" => Box::new(parser::Parser::new(&frames)),
        other => panic!("no library {other}"),
    };
    match (what.as_str(), more) {
        ("take", []) => take(library.as_mut(), frames.len()),
        ("time", [sets, seconds]) => {
            let seconds: f64 = seconds.parse().expect("a number of seconds");
            time(library.as_mut(), sets, Duration::from_secs_f64(seconds));
        }
        _ => panic!("see the top of main.rs"),
    }
}

/// `source TAB venue TAB channel TAB text or base64 TAB frame` a line.
fn frames_of(path: &str) -> Vec<Frame> {
    let text = fs::read_to_string(path).expect("frames");
    let frame = |line: &str| {
        let parts: Vec<_> = line.splitn(5, '\t').collect();
        let [_, venue, channel, form, body] = parts[..] else { panic!("a line of {path}") };
        let body = match form {
            "base64" => Body::Binary(BASE64_STANDARD.decode(body).expect("base64")),
            _ => Body::Text(body.to_owned()),
        };
        Frame { venue: venue.to_owned(), is_quote: channel == "quote", body }
    };
    text.lines().map(frame).collect()
}

fn take(library: &mut dyn Library, frames: usize) {
    // Some panic on what they do not know.
    panic::set_hook(Box::new(|_| ()));
    for line in 0..frames {
        let read = panic::catch_unwind(panic::AssertUnwindSafe(|| library.read(line)));
        if let Ok(Some(seen)) = read
            && 0 < seen.events
        {
            println!("{line} {} {}", seen.events, seen.price);
        }
    }
}

fn time(library: &mut dyn Library, sets: &str, least: Duration) {
    for set in fs::read_to_string(sets).expect("sets").lines() {
        let (name, lines) = set.split_once('\t').expect("name TAB lines");
        let lines: Vec<usize> = lines.split(' ').map(|it| it.parse().expect("a line")).collect();
        let passes = BETWEEN_LOOKS.div_ceil(lines.len());
        let mut pass = |events: &mut usize| {
            for _ in 0..passes {
                for &line in &lines {
                    *events += library.read(line).expect("it was read before").events;
                }
            }
            passes * lines.len()
        };
        // Caches and branch predictors see it once first.
        pass(&mut 0);
        let (mut frames, mut events) = (0, 0);
        let began = cpu();
        let taken = loop {
            frames += pass(&mut events);
            let taken = cpu() - began;
            if least <= taken {
                break taken;
            }
        };
        println!("{name}\t{frames}\t{events}\t{}", taken.as_secs_f64());
    }
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
