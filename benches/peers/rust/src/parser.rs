//! crypto-msg-parser: `parse_bbo` and `parse_trade`, told what the message is.

use std::hint::black_box;

use crypto_market_type::MarketType;
use crypto_msg_parser::{parse_bbo, parse_trade};

use crate::{Body, Frame, Library, Seen};

pub struct Parser<'a> {
    frames: &'a [Frame],
}

impl<'a> Parser<'a> {
    pub fn new(frames: &'a [Frame]) -> Self {
        Self { frames }
    }
}

/// When a frame came that does not say when it was sent.
const RECEIVED_MS: i64 = 1_723_161_256_172;

impl Library for Parser<'_> {
    fn read(&mut self, line: usize) -> Option<Seen> {
        let Frame { venue, is_quote, body } = &self.frames[line];
        let Body::Text(text) = black_box(body) else { return None };
        let (exchange, market) = venue.split_once('-')?;
        let exchange = if exchange == "gateio" { "gate" } else { exchange };
        let market = if market == "spot" { MarketType::Spot } else { MarketType::LinearSwap };
        if *is_quote {
            let quotes = parse_bbo(exchange, market, text, Some(RECEIVED_MS)).ok()?;
            let price = quotes.first()?.bid_price;
            Some(Seen { events: black_box(quotes).len(), price })
        } else {
            let trades = parse_trade(exchange, market, text).ok()?;
            let price = trades.first()?.price;
            Some(Seen { events: black_box(trades).len(), price })
        }
    }
}
