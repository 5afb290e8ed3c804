//! Captures as text: one JSON object a line, and those of frames are what `decode` reads.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::chunk::Carries;
use crate::market::{Channel, ConnId, Instrument, Nanos, Venue};

/// The format of files.
const FORMAT: u32 = 1;
/// Until 2100, in nanoseconds: sums and differences of two times fit, whoever wrote them.
const TIME_MAX: i64 = 4_102_444_800_000_000_000;
/// The longest name in a capture; real ones have 40 bytes at most.
const NAME_BYTES_MAX: usize = 256;

/// What decides, besides frames, which events a feed passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// A feed starts from nothing.
    Fresh,
    /// Another connection is about to deliver besides this one.
    Overlap,
    /// One connection is left, this one.
    Over,
    /// What the other one brought is forgotten.
    Calm,
}

impl Mark {
    pub(super) const ALL: [Mark; 4] = [Mark::Fresh, Mark::Overlap, Mark::Over, Mark::Calm];
}

/// Whose a line is, and of when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Of {
    /// The feed's name.
    pub feed: String,
    /// Its venue.
    pub venue: Venue,
    /// The connection.
    pub conn: ConnId,
    /// When it was received, or when it was so.
    pub time: Nanos,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Body {
    Text(String),
    Binary(Vec<u8>),
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A file begins, of the run of this name.
    File(String),
    /// What a connection carries from now on.
    Connection(Of, Vec<Channel>, Vec<Instrument>),
    /// A frame.
    Frame(Of, Body),
    /// Something that decides which events are passed on.
    Mark(Of, Mark),
    /// So many frames of the feed are missing here.
    Lost(Of, u64),
}

impl Line {
    /// Whose it is; `None` for the first of a file.
    #[must_use]
    pub fn of(&self) -> Option<&Of> {
        match self {
            Line::File(_) => None,
            Line::Connection(of, ..)
            | Line::Frame(of, _)
            | Line::Mark(of, _)
            | Line::Lost(of, _) => Some(of),
        }
    }
}

/// A line as it is written. One shape for all, so that frames are read without a detour.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty", borrow)]
    feed: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty", borrow)]
    exchange: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty", borrow)]
    market: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts_recv: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruments: Option<Vec<Listed>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", borrow)]
    raw: Option<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_b64: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    symbol: String,
    symbol_native: String,
    contract_size: f64,
}

/// Whose a line is, as those know it who write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) feed: &'a str,
    pub(super) venue: Venue,
    pub(super) conn: ConnId,
    pub(super) time: Nanos,
}

impl<'a> Head<'a> {
    fn written(self) -> Written<'a> {
        Written {
            feed: self.feed.into(),
            exchange: self.venue.exchange.name().into(),
            market: self.venue.market.name().into(),
            conn: Some(self.conn.0),
            ts_recv: Some(self.time.0),
            ..Written::default()
        }
    }

    pub(super) fn frame(self, frame: &[u8], is_text: bool, to: &mut Vec<u8>) {
        let mut line = self.written();
        match std::str::from_utf8(frame) {
            Ok(text) if is_text => line.raw = Some(text.into()),
            _ => line.raw_b64 = Some(BASE64_STANDARD.encode(frame)),
        }
        append(&line, to);
    }

    pub(super) fn mark(self, mark: Mark, to: &mut Vec<u8>) {
        append(&Written { mark: Some(mark), ..self.written() }, to);
    }

    pub(super) fn lost(self, frames: u64, to: &mut Vec<u8>) {
        append(&Written { lost: Some(frames), ..self.written() }, to);
    }

    pub(super) fn carries(self, carries: &Carries, to: &mut Vec<u8>) {
        let listed = carries.instruments.iter().map(|(_, it)| Listed {
            symbol: it.symbol.clone(),
            symbol_native: it.symbol_native.clone(),
            contract_size: it.contract_size,
        });
        let channels = carries.channels.iter().map(|it| it.name().to_owned());
        let line = Written {
            channels: Some(channels.collect()),
            instruments: Some(listed.collect()),
            ..self.written()
        };
        append(&line, to);
    }
}

/// The first line of a file.
pub(super) fn first(run: &str, to: &mut Vec<u8>) {
    let line = Written { capture: Some(FORMAT), run: Some(run.to_owned()), ..Written::default() };
    append(&line, to);
}

fn append(line: &Written<'_>, to: &mut Vec<u8>) {
    serde_json::to_writer(&mut *to, line).expect("writing to a Vec does not fail");
    to.push(b'\n');
}

impl Line {
    /// Reads a line, whoever wrote it.
    ///
    /// # Errors
    /// When it is none; the text says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let it: Written<'_> = serde_json::from_slice(line).map_err(|it| it.to_string())?;
        if let Some(format) = it.capture {
            return match it.run {
                _ if format != FORMAT => {
                    Err(format!("format {format}: this program reads {FORMAT}"))
                }
                Some(run) if run.len() <= NAME_BYTES_MAX => Ok(Line::File(run)),
                _ => Err("the run must have a name".to_owned()),
            };
        }
        let of = it.of()?;
        match it {
            Written { raw: Some(text), .. } => Ok(Line::Frame(of, Body::Text(text.into_owned()))),
            Written { raw_b64: Some(text), .. } => {
                let frame = BASE64_STANDARD.decode(text).map_err(|it| format!("raw_b64: {it}"))?;
                Ok(Line::Frame(of, Body::Binary(frame)))
            }
            Written { mark: Some(mark), .. } => Ok(Line::Mark(of, mark)),
            Written { lost: Some(frames), .. } => Ok(Line::Lost(of, frames)),
            Written { instruments: Some(listed), channels: Some(channels), .. } => {
                let named = |it: &Channel| channels.iter().any(|name| name == it.name());
                let channels = Channel::ALL.into_iter().filter(named).collect();
                let instruments = listed.into_iter().map(|it| it.instrument(of.venue));
                let instruments = instruments.collect::<Result<_, _>>()?;
                Ok(Line::Connection(of, channels, instruments))
            }
            _ => Err("neither a frame nor a connection, a mark or a loss".to_owned()),
        }
    }
}

impl Written<'_> {
    fn of(&self) -> Result<Of, String> {
        let venue = Venue::new(
            self.exchange.parse().map_err(|it| format!("exchange: {it}"))?,
            self.market.parse().map_err(|it| format!("market: {it}"))?,
        );
        let time = self.ts_recv.filter(|it| (0..TIME_MAX).contains(it));
        let time = time.ok_or("ts_recv must be nanoseconds since 1970, before 2100")?;
        let conn = self.conn.ok_or("conn must be a number")?;
        if self.feed.is_empty() || NAME_BYTES_MAX < self.feed.len() {
            return Err(format!("feed must be a name of at most {NAME_BYTES_MAX} bytes"));
        }
        Ok(Of {
            feed: self.feed.clone().into_owned(),
            venue,
            conn: ConnId(conn),
            time: Nanos(time),
        })
    }
}

impl Listed {
    fn instrument(self, venue: Venue) -> Result<Instrument, String> {
        let named = |it: &str| !it.is_empty() && it.len() <= NAME_BYTES_MAX;
        if !named(&self.symbol) || !named(&self.symbol_native) {
            return Err(format!("symbols must have 1 to {NAME_BYTES_MAX} bytes"));
        }
        if !(self.contract_size.is_finite() && 0.0 < self.contract_size) {
            return Err("contract_size must be a positive number".to_owned());
        }
        let Self { symbol, symbol_native, contract_size } = self;
        Ok(Instrument { venue, symbol, symbol_native, contract_size })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::market::{Exchange, InstrumentId, Market};

    const VENUE: Venue = Venue::new(Exchange::Okx, Market::Perp);

    fn of() -> Of {
        Of { feed: "feed-okx-perp-0".into(), venue: VENUE, conn: ConnId(7), time: Nanos(99) }
    }

    fn head() -> Head<'static> {
        Head { feed: "feed-okx-perp-0", venue: VENUE, conn: ConnId(7), time: Nanos(99) }
    }

    fn back(write: impl FnOnce(&mut Vec<u8>)) -> Line {
        let mut line = Vec::new();
        write(&mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        assert!(!line.contains(&b'\n'));
        Line::parse(&line).unwrap()
    }

    #[test]
    fn lines_read_back() {
        assert_eq!(back(|to| first("r", to)), Line::File("r".into()));
        for text in ["{\"a\":\"b\\n\"}", "", "line\nbreak \u{0} é \u{2028} \\"] {
            let line = back(|to| head().frame(text.as_bytes(), true, to));
            assert_eq!(line, Line::Frame(of(), Body::Text(text.into())));
        }
        let binary = back(|to| head().frame(b"plain", false, to));
        assert_eq!(binary, Line::Frame(of(), Body::Binary(b"plain".to_vec())));
        assert_eq!(back(|to| head().mark(Mark::Over, to)), Line::Mark(of(), Mark::Over));
        assert_eq!(back(|to| head().lost(3, to)), Line::Lost(of(), 3));
        let instrument = Instrument {
            venue: VENUE,
            symbol: "A-B".into(),
            symbol_native: "币-B".into(),
            contract_size: 0.1,
        };
        let carries = Carries {
            conn: ConnId(7),
            since: Nanos(99),
            channels: vec![Channel::Trades],
            instruments: vec![(InstrumentId(1), Arc::new(instrument.clone()))],
        };
        let line = back(|to| head().carries(&carries, to));
        assert_eq!(line, Line::Connection(of(), vec![Channel::Trades], vec![instrument]));
    }

    #[test]
    fn what_is_no_line_is_refused_with_a_reason() {
        let head = r#""feed":"f","exchange":"okx","market":"spot","conn":1"#;
        for (line, says) in [
            ("", "EOF"),
            ("[]", "exchange"),
            (r#"{"capture":2,"run":"x"}"#, "format 2"),
            (r#"{"capture":1}"#, "name"),
            (r#"{"exchange":"krakn"}"#, "krakn"),
            (&format!(r#"{{{head},"raw":"x"}}"#), "ts_recv"),
            (&format!(r#"{{{head},"raw":"x","ts_recv":{}}}"#, i64::MAX), "2100"),
            (&format!(r#"{{{head},"ts_recv":1}}"#), "neither"),
            (&format!(r#"{{{head},"ts_recv":1,"raw_b64":"="}}"#), "raw_b64"),
            (
                &format!(
                    r#"{{{head},"ts_recv":1,"channels":[],"instruments":[{{"symbol":"A","symbol_native":"A","contract_size":0}}]}}"#
                ),
                "contract_size",
            ),
        ] {
            let error = Line::parse(line.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}
