//! Made-up events.

use fastrand::Rng;
use spread_aggregator::{
    market::{
        Channel, ConnId, Event, Exchange, Instrument, InstrumentId, Level, Market, Nanos, Quote,
        Side, Trade, TradeId, Venue,
    },
    registry::Registry,
};

/// 2026-11-23T12:00:00Z
pub(crate) const NOON: Nanos = Nanos(1_795_435_200_000_000_000);

pub(crate) const SECOND: i64 = 1_000_000_000;

pub(crate) const HOUR: i64 = 3_600 * SECOND;

/// The exchanges of made-up events: three, however many there are.
const EXCHANGES: [Exchange; 3] = [Exchange::Binance, Exchange::Bybit, Exchange::Okx];

/// Two instruments of each market of each of them, with the ids 0, 1, 2 ...
pub(crate) fn registry() -> Registry {
    let registry = Registry::default();
    for exchange in EXCHANGES {
        for market in Market::ALL {
            for base in ["BTC", "ETH"] {
                let instrument = Instrument {
                    venue: Venue::new(exchange, market),
                    symbol: format!("{base}-USDT"),
                    symbol_native: format!("{base}USDT_{market}"),
                    contract_size: 1.0,
                };
                registry.intern(instrument).expect("room");
            }
        }
    }
    registry
}

/// An event of Binance's BTC-USDT.
pub(crate) fn event(channel: Channel, ts_recv: Nanos) -> Event {
    any(channel, InstrumentId(0), ts_recv, &mut Rng::with_seed(1))
}

/// `n` events of Binance's BTC-USDT.
pub(crate) fn events(channel: Channel, ts_recv: Nanos, n: usize) -> Vec<Event> {
    let mut rng = Rng::with_seed(1);
    (0..n).map(|_| any(channel, InstrumentId(0), ts_recv, &mut rng)).collect()
}

/// `n` events of all instruments, a millisecond apart, with all that can be missing missing now
/// and then.
pub(crate) fn mixture(registry: &Registry, start: Nanos, n: usize) -> Vec<Event> {
    let mut rng = Rng::with_seed(2);
    let mut now = start.0;
    let mut event = |_| {
        now += rng.i64(0..2_000_000);
        let id = InstrumentId(rng.u32(..u32::try_from(registry.len()).expect("a few")));
        any(Channel::ALL[rng.usize(..2)], id, Nanos(now), &mut rng)
    };
    (0..n).map(&mut event).collect()
}

/// A quote at each of `times`, of instruments of which few are busy.
pub(crate) fn quotes_of_many(registry: &Registry, times: &[Nanos]) -> Vec<Event> {
    let mut rng = Rng::with_seed(times[0].0.cast_unsigned());
    let n = u32::try_from(registry.len()).expect("a few");
    let quote = |&time: &Nanos| {
        let busy = rng.u32(..n).min(rng.u32(..n));
        any(Channel::Quotes, InstrumentId(busy), time, &mut rng)
    };
    times.iter().map(quote).collect()
}

fn any(channel: Channel, instrument: InstrumentId, ts_recv: Nanos, rng: &mut Rng) -> Event {
    let conn = ConnId(rng.u32(..9));
    let ts_event = rng.bool().then(|| Nanos(ts_recv.0 - rng.i64(0..SECOND)));
    match channel {
        Channel::Quotes => Event::Quote(Quote {
            instrument,
            conn,
            ts_event,
            ts_recv,
            bid: level(rng),
            ask: level(rng),
            sequence: rng.bool().then(|| rng.i64(..)),
        }),
        Channel::Trades => Event::Trade(Trade {
            instrument,
            conn,
            ts_event,
            ts_recv,
            price: decimal(rng),
            size: decimal(rng),
            side: [Side::Buy, Side::Sell, Side::Unknown][rng.usize(..3)],
            id: id(rng),
        }),
    }
}

fn level(rng: &mut Rng) -> Option<Level> {
    (rng.u8(..4) != 0).then(|| Level { price: decimal(rng), size: decimal(rng) })
}

fn decimal(rng: &mut Rng) -> f64 {
    f64::from(rng.u32(1..)) / 10_f64.powi(rng.i32(0..9))
}

fn id(rng: &mut Rng) -> TradeId {
    match rng.u8(..4) {
        0 => TradeId::None,
        1 => TradeId::Number(rng.u64(..)),
        2 => TradeId::Uuid(rng.u128(..).to_be_bytes()),
        _ => TradeId::parse(&format!("é-{}", rng.u16(..))),
    }
}
