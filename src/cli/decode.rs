//! `decode`: raw frames in, normalised events out.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use serde::Deserialize;

use super::{Failure, VenueArgs};
use crate::{
    exchange::{self, DecodeError, Inbox, Notice, Protocol},
    json::Object,
    market::{ConnId, Instrument, Nanos, Venue},
    registry::Registry,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    venue: VenueArgs,
    /// The output of `symbols`, for unified symbols and sizes in base units. A symbol that is not
    /// in it keeps its native name.
    #[arg(long, value_name = "FILE")]
    instruments: Option<PathBuf>,
    /// Frames, one a line: text, or an object with "raw" or "`raw_b64`" and "`ts_recv`". Standard
    /// input when left out.
    file: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let venue = Venue::from(options.venue);
    let protocol = exchange::find(venue).context("there is no code for this venue")?;
    let mut decoder = Decoder::new(protocol);
    if let Some(path) = &options.instruments {
        decoder.list(path).map_err(Failure::Usage)?;
    }
    let input: Box<dyn BufRead> = match &options.file {
        None => Box::new(io::stdin().lock()),
        Some(path) => Box::new(open(path).map_err(Failure::Usage)?),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    for line in input.split(b'\n') {
        let line = line.with_context(|| match &options.file {
            None => "failed to read standard input".to_owned(),
            Some(path) => format!("failed to read {}", path.display()),
        })?;
        decoder.line(line.trim_ascii(), &mut out)?;
    }
    out.flush()?;
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    anyhow::ensure!(!path.is_dir(), "failed to read {}: it is a folder", path.display());
    Ok(BufReader::new(file))
}

/// One line of a capture.
#[derive(Deserialize)]
struct Line {
    raw: Option<String>,
    raw_b64: Option<String>,
    ts_recv: Option<serde_json::Value>,
}

/// One line of the output of `symbols`; what else it says is for people.
#[derive(Deserialize)]
struct Listed {
    exchange: String,
    market: String,
    symbol: String,
    symbol_native: String,
    contract_size: f64,
}

struct Decoder {
    protocol: &'static Protocol,
    registry: Registry,
    inbox: Inbox,
}

impl Decoder {
    fn new(protocol: &'static Protocol) -> Self {
        Self { protocol, registry: Registry::default(), inbox: Inbox::new(ConnId(0)) }
    }

    fn list(&mut self, path: &Path) -> anyhow::Result<()> {
        let named = |n: usize| format!("{}, line {}", path.display(), n + 1);
        for (n, line) in open(path)?.lines().enumerate() {
            let line = line.with_context(|| named(n))?;
            let it: Listed = serde_json::from_str(&line)
                .with_context(|| format!("{}: not a line of the output of `symbols`", named(n)))?;
            let venue = Venue::new(
                it.exchange.parse().with_context(|| named(n))?,
                it.market.parse().with_context(|| named(n))?,
            );
            anyhow::ensure!(
                it.contract_size.is_finite() && 0.0 < it.contract_size,
                "{}: contract_size must be a positive number",
                named(n)
            );
            if venue == self.protocol.venue {
                self.add(it.symbol, it.symbol_native, it.contract_size)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, symbol: String, native: String, contract_size: f64) -> anyhow::Result<()> {
        let venue = self.protocol.venue;
        let instrument = Instrument { venue, symbol, symbol_native: native, contract_size };
        let id = self.registry.intern(instrument.clone())?;
        self.inbox.list(id, &Arc::new(instrument));
        Ok(())
    }

    fn line(&mut self, line: &[u8], out: &mut impl Write) -> anyhow::Result<()> {
        if line.is_empty() {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(line);
        match serde_json::from_slice(line) {
            Ok(Line { raw: Some(text), ts_recv, .. }) => {
                self.received(ts_recv.as_ref());
                self.frame(&text, |it, inbox| it.read(&text, inbox), out)
            }
            Ok(Line { raw_b64: Some(text), ts_recv, .. }) => {
                self.received(ts_recv.as_ref());
                match BASE64_STANDARD.decode(&text) {
                    Ok(frame) => {
                        let decode = |it: &Protocol, inbox: &mut Inbox| {
                            (it.quirks.decode_binary)(&frame, inbox)
                        };
                        self.frame(&text, decode, out)
                    }
                    Err(err) => self.refuse(format!("raw_b64 is no base64: {err}"), &text, out),
                }
            }
            _ => match str::from_utf8(line) {
                Ok(text) => {
                    self.received(None);
                    self.frame(text, |it, inbox| it.read(text, inbox), out)
                }
                Err(err) => self.refuse(format!("not UTF-8: {err}"), &shown, out),
            },
        }
    }

    /// A capture's time of receipt: nanoseconds, or decimal seconds as other recorders write them.
    fn received(&mut self, ts: Option<&serde_json::Value>) {
        let seconds = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
            whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos.parse().ok()?)
        };
        let ts = ts.and_then(|ts| match ts {
            serde_json::Value::String(text) if text.contains('.') => seconds(text),
            serde_json::Value::String(text) => text.parse().ok(),
            serde_json::Value::Number(number) => {
                number.as_i64().or_else(|| seconds(&number.to_string()))
            }
            _ => None,
        });
        self.inbox.ts_recv = Nanos(ts.unwrap_or_default());
    }

    fn frame(
        &mut self,
        shown: &str,
        decode: impl Fn(&Protocol, &mut Inbox) -> Result<(), DecodeError>,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut decoded = decode(self.protocol, &mut self.inbox);
        // A symbol that no list has keeps its native name; the frame is read again with it listed.
        while let Some(symbol) = self.unlisted() {
            self.add(symbol.clone(), symbol, 1.0)?;
            self.inbox.events.clear();
            self.inbox.notices.clear();
            decoded = decode(self.protocol, &mut self.inbox);
        }
        let venue = self.protocol.venue;
        let nothing = self.inbox.events.is_empty() && self.inbox.notices.is_empty();
        for event in self.inbox.events.drain(..) {
            let instrument = self.registry.get(event.instrument()).expect("it was listed");
            print(&Object::event(&event, &instrument), out)?;
        }
        for notice in self.inbox.notices.drain(..) {
            print(&Object::control(venue, &notice), out)?;
        }
        match decoded {
            Ok(()) if nothing => {
                let notice = Notice::Ignored("a frame without an event".into());
                print(&Object::control(venue, &notice), out)
            }
            Ok(()) => Ok(()),
            Err(err) => self.refuse(err.to_string(), shown, out),
        }
    }

    fn unlisted(&self) -> Option<String> {
        self.inbox.notices.iter().find_map(|it| match it {
            Notice::Unlisted(symbol) => Some(symbol.clone()),
            _ => None,
        })
    }

    fn refuse(&self, why: String, shown: &str, out: &mut impl Write) -> anyhow::Result<()> {
        print(&Object::error(self.protocol.venue, why, shown), out)
    }
}

fn print(object: &Object<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    // An I/O error keeps its kind, so that a closed pipe is known as one.
    serde_json::to_writer(&mut *out, object).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}
