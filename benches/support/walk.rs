//! Quotes and trades as exchanges might send them.

use std::ops::Range;

use fastrand::Rng;
use spread_aggregator::{
    market::{
        Channel, ConnId, Event, Exchange, Instrument, InstrumentId, Level, Market, Nanos, Quote,
        Side, Trade, TradeId, Venue,
    },
    registry::Registry,
};

const INSTRUMENTS: usize = 1_000;
/// An instrument and its random walk.
struct Walk {
    id: InstrumentId,
    tick: f64,
    lot: f64,
    /// In ticks.
    bid: f64,
    spread: f64,
    /// In lots.
    sizes: [f64; 2],
    sequence: i64,
    trade: u64,
}

impl Walk {
    fn new(registry: &Registry, exchange: Exchange, n: usize, rng: &mut Rng) -> Self {
        let market = Market::ALL[n / Exchange::ALL.len() % Market::ALL.len()];
        let instrument = Instrument {
            venue: Venue::new(exchange, market),
            symbol: format!("COIN{n}-USDT"),
            symbol_native: format!("COIN{n}USDT"),
            contract_size: 1.0,
        };
        let price = 10_f64.powf(rng.f64() * 8.0 - 3.0);
        let tick = 10_f64.powf(price.log10().floor() - 4.0);
        Self {
            id: registry.intern(instrument).expect("room"),
            tick,
            lot: 10_f64.powf((-price.log10()).floor()),
            bid: (price / tick).round(),
            spread: 1.0,
            sizes: [100.0, 100.0],
            sequence: rng.i64(1_000_000_000..100_000_000_000),
            trade: rng.u64(1_000_000..10_000_000_000),
        }
    }

    fn step(&mut self, rng: &mut Rng) {
        self.sequence += rng.i64(1..40);
        match rng.u8(..10) {
            0 | 1 => {
                self.bid += [-1.0, 1.0][rng.usize(..2)];
                self.spread = f64::from(1 + rng.u8(..100) / 90);
                self.sizes = [size(rng), size(rng)];
            }
            n => self.sizes[usize::from(n % 2)] = size(rng),
        }
    }

    fn level(&self, ticks: f64, lots: f64) -> Level {
        let decimal = |value: f64| format!("{value:.9}").parse().expect("a number");
        Level { price: decimal(ticks * self.tick), size: decimal(lots * self.lot) }
    }

    fn quote(&self, ts_recv: i64, ts_event: i64) -> Event {
        Event::Quote(Quote {
            instrument: self.id,
            conn: ConnId(self.id.0 / 50),
            ts_event: Some(Nanos(ts_event)),
            ts_recv: Nanos(ts_recv),
            bid: Some(self.level(self.bid, self.sizes[0])),
            ask: Some(self.level(self.bid + self.spread, self.sizes[1])),
            sequence: Some(self.sequence),
        })
    }

    fn trade(&mut self, ts_recv: i64, ts_event: i64, rng: &mut Rng) -> Event {
        self.trade += 1;
        let Level { price, size } = self.level(self.bid, size(rng));
        // Every other Bybit instrument here is a perpetual, whose trades have UUIDs.
        let id = match self.id.0 % 6 {
            4 => TradeId::Uuid(rng.u128(..).to_be_bytes()),
            _ => TradeId::Number(self.trade),
        };
        Event::Trade(Trade {
            instrument: self.id,
            conn: ConnId(self.id.0 / 50),
            ts_event: Some(Nanos(ts_event)),
            ts_recv: Nanos(ts_recv),
            price,
            size,
            side: [Side::Buy, Side::Sell][rng.usize(..2)],
            id,
        })
    }
}

/// In lots: half of the orders are round, the rest is anything.
fn size(rng: &mut Rng) -> f64 {
    let any = (10_f64.powf(1.0 + rng.f64() * 4.0)).round();
    if rng.bool() { (any / 100.0).ceil() * 100.0 } else { any }
}

/// Few instruments make most of the events.
fn busy(rng: &mut Rng) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 999")]
    let n = (rng.f64().powi(3) * 1_000.0) as usize;
    n
}

/// A stream of events that does not end, the same each time.
pub(crate) struct Stream {
    channel: Channel,
    walks: Vec<Walk>,
    rng: Rng,
    now: i64,
    pause: Range<i64>,
}

impl Stream {
    /// Of all exchanges or of one, from `start` on, with a `pause` before each event; both in
    /// nanoseconds.
    pub(crate) fn new(
        registry: &Registry,
        channel: Channel,
        exchange: Option<Exchange>,
        start: i64,
        pause: Range<i64>,
    ) -> Self {
        let mut rng = Rng::with_seed(7);
        let walks = (0..INSTRUMENTS).map(|n| {
            let exchange = exchange.unwrap_or(Exchange::ALL[n % Exchange::ALL.len()]);
            Walk::new(registry, exchange, n, &mut rng)
        });
        Self { channel, walks: walks.collect(), now: start, pause, rng }
    }
}

impl Iterator for Stream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let rng = &mut self.rng;
        self.now += rng.i64(self.pause.clone());
        let ts_event = (self.now - rng.i64(2_000_000..60_000_000)) / 1_000_000 * 1_000_000;
        let walk = &mut self.walks[busy(rng)];
        walk.step(rng);
        Some(match self.channel {
            Channel::Quotes => walk.quote(self.now, ts_event),
            Channel::Trades => walk.trade(self.now, ts_event, rng),
        })
    }
}
