//! The engine, told quotes and the time.

mod episodes;
mod identity;
mod model;
mod thread;
mod views;

use std::{sync::Arc, time::Duration};

use super::*;
use crate::market::{ConnId, Exchange, Level, Venue};

/// Exchanges by number, which is all that there is to know of them here.
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// Far from any edge of the numbers, in milliseconds.
const START: i64 = 1_790_000_000_000;

fn settings() -> Settings {
    let venue = |n: usize, market| Venue::new(Exchange::ALL[n], market);
    let fees = (0..4).flat_map(|n| Market::ALL.map(|it| (venue(n, it), 5.0)));
    Settings {
        max_quote_age: Duration::from_secs(2),
        min_net_bps: 0.0,
        hysteresis_bps: 0.0,
        identity_guard: 0.2,
        identity_after: Duration::from_mins(1),
        same_asset: Vec::new(),
        taker_fee_bps: fees.collect(),
        window: Duration::from_mins(15),
        sample_every: Duration::from_secs(5),
        reorder: Duration::ZERO,
    }
}

fn instrument(exchange: usize, market: Market, symbol: &str) -> Arc<Instrument> {
    Arc::new(Instrument {
        venue: Venue::new(Exchange::ALL[exchange], market),
        symbol: symbol.to_owned(),
        symbol_native: symbol.replace('-', ""),
        contract_size: 1.0,
    })
}

/// An engine, and what it has said.
struct World {
    engine: Spreads,
    instruments: Vec<Arc<Instrument>>,
    out: Out,
}

impl World {
    /// `X-USDT`, spot, at three exchanges.
    fn new(settings: &Settings) -> Self {
        let mut world = Self {
            engine: Spreads::new(settings),
            instruments: Vec::new(),
            out: Out { wanted: true, ..Out::default() },
        };
        for exchange in [A, B, C] {
            world.list(exchange, Market::Spot, "X-USDT");
        }
        world
    }

    fn list(&mut self, exchange: usize, market: Market, symbol: &str) -> usize {
        let id = InstrumentId(u32::try_from(self.instruments.len()).expect("few"));
        let instrument = instrument(exchange, market, symbol);
        self.engine.list(id, &instrument, &mut self.out);
        self.instruments.push(instrument);
        self.instruments.len() - 1
    }

    /// A quote of an instrument, `at` milliseconds after the start; 0 stands for an empty side.
    fn quote(&mut self, instrument: usize, at: i64, bid: f64, ask: f64) {
        self.sized(instrument, at, (bid, 1.0), (ask, 1.0));
    }

    fn sized(&mut self, instrument: usize, at: i64, bid: (f64, f64), ask: (f64, f64)) {
        let level = |(price, size): (f64, f64)| (0.0 < price).then_some(Level { price, size });
        let quote = quote(instrument, time(at), level(bid), level(ask));
        self.engine.on_quote(&quote, &mut self.out);
    }

    fn tick(&mut self, at: i64) {
        self.engine.tick(time(at), &mut self.out);
    }

    /// All episodes so far, with those that were open; times in milliseconds after the start.
    fn episodes(&mut self) -> Vec<(u32, u32, i64, i64)> {
        self.engine.finish(&mut self.out);
        let since = |it: Nanos| (it.0 - START * 1_000_000) / 1_000_000;
        let row = |it: &Episode| (it.buy.0, it.sell.0, since(it.open), since(it.close));
        self.out.episodes.iter().map(row).collect()
    }

    fn crosses(&mut self) -> Vec<(u32, u32)> {
        self.out.crosses.drain(..).map(|it| (it.buy.0, it.sell.0)).collect()
    }
}

fn time(at: i64) -> Nanos {
    Nanos((START + at) * 1_000_000)
}

fn quote(instrument: usize, ts_recv: Nanos, bid: Option<Level>, ask: Option<Level>) -> Quote {
    let instrument = InstrumentId(u32::try_from(instrument).expect("few"));
    let (conn, ts_event, sequence) = (ConnId(0), None, None);
    Quote { instrument, conn, ts_event, ts_recv, bid, ask, sequence }
}
