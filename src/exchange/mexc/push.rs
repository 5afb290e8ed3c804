//! What the spot socket pushes: protocol buffers.
//!
//! <https://github.com/mexcdevelop/websocket-proto>

use prost::Message;

use crate::exchange::prelude::*;

/// The largest frame of the streams we use is a few KiB. A message that is written by the rules but
/// made of nothing but empty trades takes 50 times its size to read.
const FRAME_BYTES_MAX: usize = 256 << 10;

pub(super) fn decode(frame: &[u8], inbox: &mut Inbox) -> Result<(), DecodeError> {
    if FRAME_BYTES_MAX < frame.len() {
        return Err(DecodeError::Value("a frame without an end"));
    }
    let it = Wrapper::decode(frame).map_err(|err| DecodeError::Binary(err.to_string()))?;
    let symbol = it.symbol.as_deref().or(it.channel.rsplit('@').next()).unwrap_or_default();
    if let Some(book) = &it.book {
        let side = |price, size| Ok::<_, DecodeError>(level(Num::parse(price)?, Num::parse(size)?));
        let bid = side(&book.bid_price, &book.bid_quantity)?;
        let ask = side(&book.ask_price, &book.ask_quantity)?;
        let sequence = book.version.parse().ok();
        inbox.quote(symbol, Millis::of(it.send_time)?.0, sequence, bid, ask)?;
    }
    for deal in it.deals.iter().flat_map(|it| &it.deals) {
        let level = level(Num::parse(&deal.price)?, Num::parse(&deal.quantity)?);
        let (side, id) = (super::side(deal.trade_type.into()), TradeId::parse(&deal.trade_id));
        inbox.trade(symbol, Millis::of(deal.time)?.0, level, side, id)?;
    }
    if it.book.is_none() && it.deals.is_none() {
        inbox.ignore(&it.channel);
    }
    Ok(())
}

/// What a frame holds, as far as we use it. Its text is copied, which no other venue's is: a reader of
/// our own that borrows was measured to take a tenth less of a quote and a quarter less of trades,
/// which tens of frames a second are not worth.
#[derive(Message)]
struct Wrapper {
    #[prost(string, tag = "1")]
    channel: String,
    #[prost(string, optional, tag = "3")]
    symbol: Option<String>,
    /// Unix milliseconds.
    #[prost(int64, tag = "6")]
    send_time: i64,
    #[prost(message, optional, tag = "314")]
    deals: Option<Deals>,
    #[prost(message, optional, tag = "315")]
    book: Option<BookTicker>,
}

#[derive(Message)]
struct BookTicker {
    #[prost(string, tag = "1")]
    bid_price: String,
    #[prost(string, tag = "2")]
    bid_quantity: String,
    #[prost(string, tag = "3")]
    ask_price: String,
    #[prost(string, tag = "4")]
    ask_quantity: String,
    #[prost(string, tag = "5")]
    version: String,
}

#[derive(Message)]
struct Deals {
    #[prost(message, repeated, tag = "1")]
    deals: Vec<Deal>,
}

#[derive(Message)]
struct Deal {
    #[prost(string, tag = "1")]
    price: String,
    #[prost(string, tag = "2")]
    quantity: String,
    #[prost(int32, tag = "3")]
    trade_type: i32,
    /// Unix milliseconds.
    #[prost(int64, tag = "4")]
    time: i64,
    #[prost(string, tag = "5")]
    trade_id: String,
}
