//! What can be made to go wrong, and when.

use std::{fmt, str::FromStr, time::Duration};

use crate::market::Venue;

/// Something that goes wrong at a venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every open connection is reset, once. What it has not read by then is lost to the client.
    Drop,
    /// Every open connection ends without a close frame, once. All that was sent arrives.
    Eof,
    /// Every open connection is closed with a close frame, once.
    Close,
    /// Every open connection is told once that it should be replaced, by venues that announce such
    /// things (Gate.io).
    Notice,
    /// No data, while pings and requests are answered.
    Mute,
    /// Nothing is read or written; the sockets stay open.
    HalfOpen,
    /// Malformed JSON and JSON of wrong types between the good frames.
    Garbage,
    /// One trade in eight is left out, and the numbers of the others show it.
    LoseTrades,
    /// Frames are split over several writes with pauses between them.
    Torn,
    /// The bytes of frames are written one by one, so slowly that little of what there is is sent.
    Trickle,
    /// Good frames are followed by their content in an encoding that is not the venue's: text that
    /// is no UTF-8, the other kind of frame, a compressed member that is cut off.
    WrongEncoding,
    /// Every data frame is sent twice.
    Twice,
    /// Two frames in a row of one instrument and channel change places.
    Swap,
    /// Tokens are not accepted, new ones neither, by venues that hand them out (`KuCoin`).
    BadToken,
    /// A frame of more than 16 MiB is announced, once a connection, and never completed.
    Oversized,
    /// TCP connections are closed without an answer, as soon as their venue is known: when all
    /// venues refuse at once on accept, else after the request line.
    Refuse,
    /// Upgrades and REST requests are answered with this status.
    Http(u16),
    /// An instrument is listed but refused on subscribe, the way the venue refuses an unknown one.
    /// Named natively or `BASE-QUOTE`.
    RefuseSymbol(String),
    /// An instrument has no data, while requests for it are answered. Named like the above.
    MuteSymbol(String),
}

impl Fault {
    /// Whether it hits the open connections at one moment and is over.
    #[must_use]
    pub fn is_one_shot(&self) -> bool {
        matches!(self, Fault::Drop | Fault::Eof | Fault::Close | Fault::Notice)
    }

    fn name(&self) -> &'static str {
        match self {
            Fault::Drop => "drop",
            Fault::Eof => "eof",
            Fault::Close => "close",
            Fault::Notice => "notice",
            Fault::Mute => "mute",
            Fault::HalfOpen => "half-open",
            Fault::Garbage => "garbage",
            Fault::LoseTrades => "lose-trades",
            Fault::Torn => "torn",
            Fault::Trickle => "trickle",
            Fault::WrongEncoding => "wrong-encoding",
            Fault::Twice => "twice",
            Fault::Swap => "swap",
            Fault::BadToken => "bad-token",
            Fault::Oversized => "oversized",
            Fault::Refuse => "refuse",
            Fault::Http(_) => "http",
            Fault::RefuseSymbol(_) => "refuse-symbol",
            Fault::MuteSymbol(_) => "mute-symbol",
        }
    }
}

/// The names of faults that take no argument.
const PLAIN: [Fault; 16] = [
    Fault::Drop,
    Fault::Eof,
    Fault::Close,
    Fault::Notice,
    Fault::Mute,
    Fault::HalfOpen,
    Fault::Garbage,
    Fault::LoseTrades,
    Fault::Torn,
    Fault::Trickle,
    Fault::WrongEncoding,
    Fault::Twice,
    Fault::Swap,
    Fault::BadToken,
    Fault::Oversized,
    Fault::Refuse,
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Http(status) => write!(f, "http={status}"),
            Fault::RefuseSymbol(symbol) | Fault::MuteSymbol(symbol) => {
                write!(f, "{}={symbol}", self.name())
            }
            _ => f.write_str(self.name()),
        }
    }
}

/// A fault's specification that makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("fault {spec:?}: {problem}")]
pub struct BadFault {
    spec: String,
    problem: String,
}

impl FromStr for Fault {
    type Err = BadFault;

    fn from_str(spec: &str) -> Result<Self, BadFault> {
        let (name, argument) = match spec.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (spec, None),
        };
        let bad = |problem: String| BadFault { spec: spec.to_owned(), problem };
        match (name, argument) {
            ("http", Some(status)) => match status.parse() {
                Ok(status @ 400..=599) => Ok(Fault::Http(status)),
                _ => Err(bad(format!("{status:?} is no status between 400 and 599"))),
            },
            ("refuse-symbol", Some(symbol)) if !symbol.is_empty() => {
                Ok(Fault::RefuseSymbol(symbol.to_owned()))
            }
            ("mute-symbol", Some(symbol)) if !symbol.is_empty() => {
                Ok(Fault::MuteSymbol(symbol.to_owned()))
            }
            ("http", None) => Err(bad("say which status: http=429".to_owned())),
            ("refuse-symbol" | "mute-symbol", _) => {
                Err(bad(format!("say which symbol: {name}=BTC-USDT")))
            }
            _ => match (PLAIN.iter().find(|it| it.name() == name), argument) {
                (Some(fault), None) => Ok(fault.clone()),
                (Some(_), Some(_)) => Err(bad(format!("{name} takes no argument"))),
                (None, _) => Err(bad(unknown(name))),
            },
        }
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<_> = PLAIN.iter().map(Fault::name).collect();
    format!(
        "nothing is called {name:?}; there are {}, http=STATUS, refuse-symbol=SYMBOL, \
         mute-symbol=SYMBOL",
        known.join(", ")
    )
}

/// A fault, where and when it happens: `KIND[=ARG][@VENUE][:after=10s][:for=5s]`.
///
/// `drop@okx-spot:after=10s`, `refuse-symbol=BTC-USDT@bybit-spot`, `mute:after=1m:for=30s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// Where; `None` for everywhere.
    pub venue: Option<Venue>,
    /// What.
    pub fault: Fault,
    /// How long after [`serve`](super::Simulator::serve) begins.
    pub after: Duration,
    /// How long it holds; `None` for ever. One-shot faults have no duration.
    pub lasting: Option<Duration>,
}

impl FromStr for FaultPlan {
    type Err = BadFault;

    fn from_str(spec: &str) -> Result<Self, BadFault> {
        let bad = |problem: String| BadFault { spec: spec.to_owned(), problem };
        let mut parts = spec.split(':');
        let what = parts.next().unwrap_or_default();
        let (fault, venue) = match what.rsplit_once('@') {
            Some((fault, venue)) => (fault, Some(parse_venue(venue).map_err(bad)?)),
            None => (what, None),
        };
        let fault: Fault = fault.parse().map_err(|e: BadFault| bad(e.problem))?;
        let mut plan = FaultPlan { venue, fault, after: Duration::ZERO, lasting: None };
        for part in parts {
            plan.set(part).map_err(bad)?;
        }
        if plan.lasting.is_some() && plan.fault.is_one_shot() {
            return Err(bad(format!("{} happens once: it takes no for=", plan.fault)));
        }
        Ok(plan)
    }
}

impl FaultPlan {
    fn set(&mut self, part: &str) -> Result<(), String> {
        let time = |text: &str| {
            let wrong = |_| format!("{part:?} must be a duration such as 10s");
            humantime::parse_duration(text).map_err(wrong)
        };
        match part.split_once('=') {
            Some(("after", text)) => self.after = time(text)?,
            Some(("for", text)) => self.lasting = Some(time(text)?),
            _ => return Err(format!("{part:?} is neither after=TIME nor for=TIME")),
        }
        Ok(())
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)?;
        if let Some(venue) = self.venue {
            write!(f, "@{venue}")?;
        }
        if !self.after.is_zero() {
            write!(f, ":after={}", spelled(self.after))?;
        }
        self.lasting.map_or(Ok(()), |it| write!(f, ":for={}", spelled(it)))
    }
}

/// Without the spaces that `humantime` puts between the units.
fn spelled(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// Reads a venue the way it is displayed: `binance-spot`.
pub(super) fn parse_venue(name: &str) -> Result<Venue, String> {
    let Some((exchange, market)) = name.rsplit_once('-') else {
        return Err(format!("{name:?} is no venue; one is called like binance-spot"));
    };
    let exchange = exchange.parse().map_err(|e| format!("{e}"))?;
    Ok(Venue::new(exchange, market.parse().map_err(|e| format!("{e}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Exchange, Market};

    #[test]
    fn a_plan_reads_back() {
        for spec in [
            "drop",
            "drop@okx-spot:after=10s",
            "refuse-symbol=BTC-USDT@bybit-spot",
            "mute-symbol=BTC-USDT@okx-perp",
            "lose-trades:for=3s",
            "bad-token@kucoin-spot",
            "http=429@binance-perp:after=1m30s:for=500ms",
            "half-open:for=2m",
        ] {
            let plan: FaultPlan = spec.parse().unwrap_or_else(|e| panic!("{spec}: {e}"));
            assert_eq!(plan.to_string(), spec);
        }
        let plan: FaultPlan = "mute@okx-perp:for=5s:after=1s".parse().unwrap();
        assert_eq!(
            plan,
            FaultPlan {
                venue: Some(Venue::new(Exchange::Okx, Market::Perp)),
                fault: Fault::Mute,
                after: Duration::from_secs(1),
                lasting: Some(Duration::from_secs(5)),
            }
        );
    }

    #[test]
    fn a_bad_plan_is_told_what_is_wrong() {
        for (spec, complaint) in [
            ("explode", "there are drop, eof, close"),
            ("drop=3", "drop takes no argument"),
            ("http", "say which status"),
            ("http=200", "no status between 400 and 599"),
            ("refuse-symbol=", "say which symbol"),
            ("mute-symbol", "say which symbol: mute-symbol="),
            ("drop@krakn-spot", "no exchange is called \"krakn\""),
            ("drop@binance", "is no venue"),
            ("drop@binance-future", "no market is called \"future\""),
            ("mute:after=soon", "after=soon"),
            ("mute:before=1s", "is neither after=TIME nor for=TIME"),
            ("drop:for=1s", "it takes no for="),
        ] {
            let error = spec.parse::<FaultPlan>().expect_err(spec).to_string();
            assert!(error.contains(complaint) && error.contains(spec), "{spec}: {error}");
        }
    }
}
