//! The port without sockets and threads: what peers send is a slice, and what they would be sent is
//! returned. For fuzzing, and for what that has found.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    client::Reader,
    connection::refusal,
    frame::Frame,
    hub::{self, Command, Desk},
    listener::{Facts, Shared},
    outbox::{Load, outbox},
    request,
    routes::{Route, route},
    settings::Settings,
    source::Source,
};
use crate::{
    channel::fair,
    market::Event,
    metrics::Metrics,
    registry::Registry,
    spreads::{self, Spreads},
    stop::Stop,
};

/// The shortest frame of a client: two bytes and the mask.
const FRAME_BYTES_MIN: usize = 6;
/// Events that wait for the hub.
const EVENTS_MAX: usize = 64;

/// A port that nobody can connect to.
#[derive(Debug)]
pub struct Offline {
    settings: Settings,
    metrics: Metrics,
    registry: Registry,
    spreads: Mutex<Spreads>,
    stop: Stop,
}

/// What a client has been sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Frames in no particular order, each whole.
    pub frames: Vec<Frame>,
    /// The code it was closed with.
    pub code: u16,
}

impl Offline {
    /// A port of these settings, where the instruments of `registry` are known.
    #[must_use]
    pub fn new(settings: Settings, registry: Registry) -> Self {
        let spreads = Mutex::new(Spreads::new(&comparison()));
        Self { settings, metrics: Metrics::new(), registry, spreads, stop: Stop::default() }
    }

    /// What is answered to the bytes of a connection; `None` when they end within the head.
    #[must_use]
    pub fn http(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let head = match request::parse(bytes) {
            Ok(head) => head?,
            Err(bad) => return Some(refusal(bad).to_bytes(true)),
        };
        let (commands, _) = crossbeam_channel::bounded(1);
        Some(match route(&head, &self.shared(commands)) {
            Route::Response(response) => response.to_bytes(head.method != "HEAD"),
            Route::Upgrade(accepted) => accepted.into_bytes(),
        })
    }

    /// Has a client say each of `said`, all at the same time; tells `events` meanwhile, one for each
    /// request. Returns what each was sent.
    ///
    /// # Panics
    /// When anything is left of a client that has gone.
    #[must_use]
    pub fn clients(&self, said: &[&[u8]], events: &[Event]) -> Vec<Sent> {
        let now = Instant::now();
        let mut asked = Vec::new();
        let mut boxes = Vec::new();
        for (id, &said) in (0..).zip(said) {
            // Nobody obeys before all has been said: its joining, its requests, its leaving.
            let (commands, to_obey) = crossbeam_channel::bounded(said.len() / FRAME_BYTES_MIN + 2);
            let (outbox, mail) = outbox(self.settings.client_queue, now);
            boxes.push(mail);
            Reader::new(id, said, outbox, &self.shared(commands)).run(Vec::new(), now);
            asked.push(to_obey.into_iter());
        }
        let mut sent: Vec<_> = said.iter().map(|_| Sent::default()).collect();
        let (commands, desk, feed) = self.desk();
        serve(asked, &commands, desk, (&feed, events), || {
            for (sent, mail) in sent.iter_mut().zip(&boxes) {
                let mut load = Load::default();
                mail.take(&mut load, usize::MAX, Duration::ZERO);
                sent.frames.extend(load.first);
                sent.frames.extend(load.items.into_iter().map(|it| it.frame));
                sent.code = mail.farewell().map_or(0, |it| it.code.into());
            }
        });
        sent
    }

    fn desk(&self) -> (crossbeam_channel::Sender<Command>, Desk<'_>, fair::Sender<Event>) {
        let (commands, to_obey) = crossbeam_channel::bounded(1);
        let (feed, to_tell) = fair::queue(1, EVENTS_MAX);
        let (_, no_crosses) = fair::queue(1, 1);
        let [events, crosses] = ["live", "live-spreads"].map(|it| self.metrics.queue(it));
        let desk = Desk::new(hub::Ends {
            commands: to_obey,
            events: Source::new(to_tell, events).0,
            crosses: Source::new(no_crosses, crosses).0,
            spreads: Some(&self.spreads),
            registry: &self.registry,
            metrics: &self.metrics.live,
            names_max: self.settings.max_subscriptions,
            stop: &self.stop,
        });
        (commands, desk, feed)
    }

    fn shared(&self, commands: crossbeam_channel::Sender<Command>) -> Shared<'_> {
        let facts = Facts {
            metrics: &self.metrics,
            registry: &self.registry,
            spreads: Some(&self.spreads),
            venues: Vec::new(),
            storage: Path::new("/"),
            stop: &self.stop,
        };
        Shared::new(&self.settings, facts, commands)
    }
}

/// Obeys all that was asked, one request of each client after the other.
fn serve(
    mut asked: Vec<impl Iterator<Item = Command>>,
    commands: &crossbeam_channel::Sender<Command>,
    mut desk: Desk<'_>,
    (feed, events): (&fair::Sender<Event>, &[Event]),
    mut look: impl FnMut(),
) {
    let mut events = events.iter();
    loop {
        let turn: Vec<_> = asked.iter_mut().filter_map(Iterator::next).collect();
        if turn.is_empty() {
            break;
        }
        for command in turn {
            commands.send(command).expect("the desk is here");
            assert!(desk.take_commands(Duration::ZERO), "somebody can ask");
            if let Some(event) = events.next() {
                let _ = feed.send(0, &mut vec![event.clone()], &mut Vec::new());
            }
            desk.turn(Instant::now());
            look();
        }
    }
    assert!(desk.is_deserted(), "something is left: {desk:?}");
}

/// Settings under which little is much.
#[must_use]
pub fn settings() -> Settings {
    Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        client_queue: 8,
        max_clients: 8,
        ping_interval: Duration::from_mins(1),
        max_subscriptions: 4,
        max_requests: 1000,
        max_request_bytes: 1 << 10,
        token: None,
        origins: vec!["https://dash.example.com".parse().expect("an origin")],
    }
}

fn comparison() -> spreads::Settings {
    let second = Duration::from_secs(1);
    spreads::Settings {
        max_quote_age: second,
        min_net_bps: 0.0,
        hysteresis_bps: 0.0,
        identity_guard: 1.0,
        identity_after: second,
        same_asset: Vec::new(),
        taker_fee_bps: Vec::new(),
        window: second,
        sample_every: second,
        reorder: second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{
        ConnId, Exchange, Instrument, InstrumentId, Level, Market, Nanos, Quote, Venue,
    };

    fn offline() -> Offline {
        let registry = Registry::default();
        let instrument = Instrument {
            venue: Venue::new(Exchange::ALL[0], Market::Spot),
            symbol: "BTC-USDT".to_owned(),
            symbol_native: "BTCUSDT".to_owned(),
            contract_size: 1.0,
        };
        registry.intern(instrument).expect("room");
        Offline::new(settings(), registry)
    }

    fn quote() -> Event {
        Event::Quote(Quote {
            instrument: InstrumentId(0),
            conn: ConnId(0),
            ts_event: None,
            ts_recv: Nanos(1),
            bid: Some(Level { price: 1.0, size: 2.0 }),
            ask: None,
            sequence: None,
        })
    }

    /// A text frame, masked with zeroes.
    fn text(text: &str) -> Vec<u8> {
        let len = u8::try_from(text.len()).expect("short");
        [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
    }

    #[test]
    fn it_answers_as_with_a_socket() {
        let offline = offline();
        assert_eq!(offline.http(b"GET / HT"), None);
        for (asked, answered) in [
            (&b"NONSENSE\r\n\r\n"[..], &b"HTTP/1.1 400 "[..]),
            (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 200 "),
            (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 404 "),
            (b"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 426 "),
        ] {
            let answer = offline.http(asked).expect("a whole head");
            assert!(answer.starts_with(answered), "{}", String::from_utf8_lossy(&answer));
        }
    }

    #[test]
    fn clients_are_told_what_they_ask_for_and_nothing_is_left_of_them() {
        let asks = text(r#"{"op":"subscribe","channel":"quotes","symbols":["BTC-USDT"]}"#);
        let idle = text("{}");
        let sent = offline().clients(&[&asks, &idle], &vec![quote(); 9]);
        let told = |n: usize, what: &str| {
            let says = |it: &&Frame| String::from_utf8_lossy(it).contains(what);
            sent[n].frames.iter().filter(says).count()
        };
        assert_eq!((told(0, "\"hello\""), told(1, "\"hello\"")), (1, 1), "{sent:?}");
        assert_eq!((told(0, "subscribed"), told(1, "a request is like")), (1, 1), "{sent:?}");
        assert!(0 < told(0, "\"bid_price\":1.0") && told(1, "bid_price") == 0, "{sent:?}");
    }
}
