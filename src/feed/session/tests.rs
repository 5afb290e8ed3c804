//! The rules of a session, in made-up time.

mod liveness;
mod refusals;
mod requests;
mod symbols;

use std::sync::Arc;

use super::*;
use crate::{
    exchange::{self, ALL},
    market::{Exchange, Instrument, InstrumentId, Market, Venue},
};

const PATIENCE: Patience =
    Patience { heartbeat_timeout: Duration::from_secs(30), stale_after: Duration::from_mins(2) };

/// When each test begins: 2026-11-23T12:00:00Z.
const NOON: Nanos = Nanos(1_795_435_200_000_000_000);

/// A session and its clock.
struct Bench {
    session: Session,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(exchange: Exchange, market: Market, symbols: &[&str]) -> Self {
        let protocol = exchange::find(Venue::new(exchange, market));
        Self::of(protocol.expect("there is code for it"), symbols)
    }

    fn of(protocol: &'static Protocol, symbols: &[&str]) -> Self {
        let now = Instant::now();
        let instruments: Vec<_> = (0..)
            .zip(symbols)
            .map(|(id, symbol)| {
                let instrument = Instrument {
                    venue: protocol.venue,
                    symbol: (*symbol).to_owned(),
                    symbol_native: (*symbol).to_owned(),
                    contract_size: 1.0,
                };
                (InstrumentId(id), Arc::new(instrument))
            })
            .collect();
        let channels = &protocol.endpoints[0].channels;
        let session = Session::new(protocol, PATIENCE, ConnId(7), &instruments, channels, now);
        Self { session, start: now, now }
    }

    /// Lets seconds pass, tick by tick, and returns what was sent.
    fn pass(&mut self, seconds: f64) -> Result<Vec<Outgoing>, Verdict> {
        let end = self.now + Duration::from_secs_f64(seconds);
        let mut sent = Vec::new();
        while self.now < end {
            self.now += Duration::from_millis(50);
            self.session.tick(self.now, self.time())?;
            sent.extend(std::iter::from_fn(|| self.session.outgoing()));
        }
        Ok(sent)
    }

    fn hear(&mut self, text: &str) {
        self.session.on_text(text, self.time(), self.now);
    }

    fn requests(&mut self, seconds: f64) -> Vec<String> {
        let sent = self.pass(seconds).expect("nothing ends the session");
        let text = |it| match it {
            Outgoing::Text(text) if text.contains("ubscribe") || text.contains("SUBSCRIBE") => {
                Some(text)
            }
            _ => None,
        };
        sent.into_iter().filter_map(text).collect()
    }

    /// The wall clock, which goes as the other one does.
    fn time(&self) -> Nanos {
        let elapsed = i64::try_from((self.now - self.start).as_nanos()).expect("a short test");
        Nanos(NOON.0 + elapsed)
    }

    /// Topics requested, acknowledged, delivering and refused.
    fn states(&self) -> [i64; 4] {
        use SubscriptionState::{Acknowledged, Delivering, Refused, Requested};
        let all = self.session.states(self.time());
        [Requested, Acknowledged, Delivering, Refused].map(|it| all[it as usize])
    }

    fn count(&self, state: SubscriptionState) -> i64 {
        self.session.states(self.time())[state as usize]
    }

    fn elapsed(&self) -> f64 {
        (self.now - self.start).as_secs_f64()
    }
}

/// A venue that differs from a real one.
fn like(exchange: Exchange, change: impl Fn(&mut Protocol)) -> &'static Protocol {
    let venue = Venue::new(exchange, Market::Spot);
    let mut protocol = *exchange::find(venue).expect("there is code for it");
    change(&mut protocol);
    Box::leak(Box::new(protocol))
}

const BYBIT_QUOTE: &str = r#"{"topic":"orderbook.1.AUSDT","ts":1,"type":"snapshot","data":{"s":"AUSDT","b":[["1","2"]],"a":[["3","4"]],"u":1,"seq":1}}"#;
