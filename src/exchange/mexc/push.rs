//! What the spot socket pushes: protocol buffers.
//!
//! <https://github.com/mexcdevelop/websocket-proto>

use crate::{
    exchange::{
        prelude::*,
        wire::{Field, Fields},
    },
    market::Nanos,
};

/// `PushDataV3ApiWrapper`, as far as we use it.
#[derive(Default)]
struct Wrapper<'a> {
    channel: &'a str,
    symbol: Option<&'a str>,
    /// Unix milliseconds.
    send_time: i64,
    /// `PublicAggreDealsV3Api`.
    deals: Option<&'a [u8]>,
    /// `PublicAggreBookTickerV3Api`.
    book: Option<&'a [u8]>,
}

pub(super) fn decode(frame: &[u8], inbox: &mut Inbox) -> Result<(), DecodeError> {
    let it = Wrapper::read(frame)?;
    let symbol = it.symbol.or(it.channel.rsplit('@').next()).unwrap_or_default();
    if let Some(message) = it.book {
        book(symbol, Millis::of(it.send_time)?.0, message, inbox)?;
    }
    if let Some(message) = it.deals {
        let mut deals = Fields::of(message);
        while let Some(field) = deals.read()? {
            if let (1, message) = field {
                deal(symbol, message.message()?, inbox)?;
            }
        }
    }
    if it.book.is_none() && it.deals.is_none() {
        inbox.ignore(it.channel);
    }
    Ok(())
}

impl<'a> Wrapper<'a> {
    fn read(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(frame);
        let mut it = Self::default();
        while let Some((tag, field)) = fields.read()? {
            match tag {
                1 => it.channel = field.text()?,
                3 => it.symbol = Some(field.text()?),
                6 => it.send_time = field.int()?,
                314 => it.deals = Some(field.message()?),
                315 => it.book = Some(field.message()?),
                _ => {}
            }
        }
        Ok(it)
    }
}

fn book(
    symbol: &str,
    ts_event: Option<Nanos>,
    message: &[u8],
    inbox: &mut Inbox,
) -> Result<(), DecodeError> {
    let mut fields = Fields::of(message);
    let [mut bid, mut bid_size, mut ask, mut ask_size] = [Num::default(); 4];
    let mut version = None;
    while let Some((tag, field)) = fields.read()? {
        match tag {
            1 => bid = number(field)?,
            2 => bid_size = number(field)?,
            3 => ask = number(field)?,
            4 => ask_size = number(field)?,
            5 => version = field.text()?.parse().ok(),
            _ => {}
        }
    }
    inbox.quote(symbol, ts_event, version, level(bid, bid_size), level(ask, ask_size))
}

fn deal(symbol: &str, message: &[u8], inbox: &mut Inbox) -> Result<(), DecodeError> {
    let mut fields = Fields::of(message);
    let [mut price, mut quantity] = [Num::default(); 2];
    let (mut trade_type, mut time, mut id) = (0, 0, TradeId::None);
    while let Some((tag, field)) = fields.read()? {
        match tag {
            1 => price = number(field)?,
            2 => quantity = number(field)?,
            3 => trade_type = field.int()?,
            4 => time = field.int()?,
            5 => id = TradeId::parse(field.text()?),
            _ => {}
        }
    }
    let (level, side) = (level(price, quantity), super::side(trade_type));
    inbox.trade(symbol, Millis::of(time)?.0, level, side, id)
}

fn number(field: Field<'_>) -> Result<Num, DecodeError> {
    Num::parse(field.text()?)
}
