//! MEXC: spot, which pushes protocol buffers, and contracts.
//! <https://www.mexc.com/api-docs/spot-v3/websocket-market-streams>

mod perp;
mod proto;
mod rest;
mod spot;

use std::time::Duration;

use super::{
    dialect::{Dialect, Echo, Proof, Rules},
    frame::Wire,
    listing::{self, Kind, Trap},
};
use crate::market::Market;

pub(super) const DIALECT: Dialect = Dialect {
    rules,
    native: |market, base, quote| match market {
        Market::Spot => format!("{base}{quote}"),
        Market::Perp => format!("{base}_{quote}"),
    },
    traps,
    price_places_max: 10,
    thousands: |market| market == Market::Perp,
    usdc: |market| market == Market::Spot,
    contract: |market, kind, price| match (market, kind) {
        (Market::Spot, _) => None,
        (_, Kind::Inverse) => Some(if 10_000.0 < price { 100.0 } else { 10.0 }),
        _ => Some(listing::tiny_contract(price)),
    },
    posts: &[],
    rest: rest::answer,
    open: |served, request, _| match served.venue.market {
        Market::Spot => spot::open(request),
        Market::Perp => perp::open(request),
    },
    refusal: rest::refusal,
};

fn rules(market: Market) -> Rules {
    match market {
        Market::Spot => Rules {
            idle_max: Some(Duration::from_mins(1)),
            unsubscribed_max: Some(Duration::from_secs(30)),
            frames: Some((100, Duration::from_secs(1))),
            connects: (100, Duration::from_secs(1)),
            data: Wire::Binary,
            prints_max: 5,
            ..Rules::NONE
        },
        Market::Perp => Rules {
            // Whatever flows.
            idle_max: Some(Duration::from_mins(1)),
            proof: Proof::Pings,
            snapshot: true,
            echo: Echo::Same,
            prints_max: 4,
            ..Rules::NONE
        },
    }
}

fn traps(market: Market) -> Vec<Trap> {
    let trap = |native, base, quote, kind, price| Trap { native, base, quote, kind, price };
    match market {
        Market::Spot => vec![
            trap("LUNAUSDT", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("ETHBTC", "ETH", "BTC", Kind::Regular, 0.0339),
            trap("XMRUSDT", "XMR", "USDT", Kind::Barred, 331.0),
            trap("BTCEUR", "BTC", "EUR", Kind::Regular, 78_800.0),
            trap("SOONUSDT", "SOON", "USDT", Kind::Pending, 1.3),
        ],
        Market::Perp => vec![
            trap("BTC_USD", "BTC", "USD", Kind::Inverse, 91_250.0),
            trap("TSLASTOCK_USDT", "TSLASTOCK", "USDT", Kind::Stock, 412.0),
            trap("LUNA_USDT", "LUNA", "USDT", Kind::Halted, 0.61),
            trap("ETH_USD", "ETH", "USD", Kind::Inverse, 3_098.0),
            trap("SOON_USDT", "SOON", "USDT", Kind::Pending, 1.3),
        ],
    }
}
