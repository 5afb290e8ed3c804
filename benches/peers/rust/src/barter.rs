//! barter-data, as its streams call it: the parser of the stream, then the transformer, which makes market events
//! of instruments that are looked up by their subscription.

use std::{collections::HashMap, hint::black_box};

use barter_data::{
    Identifier,
    event::{MarketEvent, MarketIter},
    exchange::{
        Connector,
        binance::{
            book::l1::BinanceOrderBookL1, futures::BinanceFuturesUsd, spot::BinanceSpot,
            trade::BinanceTrade,
        },
        bybit::{
            book::BybitOrderBookMessage, futures::BybitPerpetualsUsd, spot::BybitSpot,
            trade::BybitTrade,
        },
        gateio::{
            perpetual::{GateioPerpetualsUsd, trade::GateioFuturesTrades},
            spot::{GateioSpot, trade::GateioSpotTrade},
        },
        okx::{Okx, trade::OkxTrades},
    },
    subscription::{
        Map, SubscriptionKind,
        book::{OrderBookL1, OrderBooksL1},
        trade::{PublicTrade, PublicTrades},
    },
    transformer::{ExchangeTransformer, stateless::StatelessTransformer},
};
use barter_instrument::{exchange::ExchangeId, instrument::InstrumentIndex};
use barter_integration::{
    Transformer,
    protocol::{
        StreamParser,
        websocket::{WebSocketSerdeParser, WsMessage},
    },
    subscription::SubscriptionId,
};
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::{Body, Frame, Library, Seen};

pub struct Barter {
    messages: Vec<WsMessage>,
    /// By line: which of the streams, if there is one.
    stream: Vec<Option<usize>>,
    streams: Vec<Box<dyn Stream>>,
}

impl Barter {
    pub fn new(frames: &[Frame]) -> Self {
        let messages: Vec<_> = frames.iter().map(message).collect();
        let mut it = Self { messages, stream: Vec::new(), streams: Vec::new() };
        let mut places = HashMap::new();
        let mut lines: Vec<Vec<usize>> = Vec::new();
        for (line, frame) in frames.iter().enumerate() {
            let of = (frame.venue.as_str(), frame.is_quote);
            let place = *places.entry(of).or_insert_with(|| {
                it.streams.push(stream(of.0, of.1)?);
                lines.push(Vec::new());
                Some(it.streams.len() - 1)
            });
            it.stream.push(place);
            place.into_iter().for_each(|it| lines[it].push(line));
        }
        for (stream, lines) in it.streams.iter_mut().zip(lines) {
            stream.subscribe(&mut lines.iter().map(|&line| it.messages[line].clone()));
        }
        it
    }
}

/// It subscribes at addresses of Binance where data come without an envelope.
fn message(frame: &Frame) -> WsMessage {
    let text = match &frame.body {
        Body::Binary(bytes) => return WsMessage::binary(bytes.clone()),
        Body::Text(text) => text.as_str(),
    };
    let data = text.starts_with("{\"stream\":").then(|| text.split_once("\"data\":")).flatten();
    WsMessage::text(data.map_or(text, |(_, data)| &data[..data.len() - 1]))
}

fn stream(venue: &str, is_quote: bool) -> Option<Box<dyn Stream>> {
    Some(match (venue, is_quote) {
        ("binance-spot", true) => boxed::<BinanceSpot, OrderBooksL1, BinanceOrderBookL1>(),
        ("binance-spot", false) => boxed::<BinanceSpot, PublicTrades, BinanceTrade>(),
        ("binance-perp", true) => boxed::<BinanceFuturesUsd, OrderBooksL1, BinanceOrderBookL1>(),
        ("binance-perp", false) => boxed::<BinanceFuturesUsd, PublicTrades, BinanceTrade>(),
        ("bybit-spot", true) => boxed::<BybitSpot, OrderBooksL1, BybitOrderBookMessage>(),
        ("bybit-spot", false) => boxed::<BybitSpot, PublicTrades, BybitTrade>(),
        ("bybit-perp", true) => boxed::<BybitPerpetualsUsd, OrderBooksL1, BybitOrderBookMessage>(),
        ("bybit-perp", false) => boxed::<BybitPerpetualsUsd, PublicTrades, BybitTrade>(),
        ("gateio-spot", false) => boxed::<GateioSpot, PublicTrades, GateioSpotTrade>(),
        ("gateio-perp", false) => boxed::<GateioPerpetualsUsd, PublicTrades, GateioFuturesTrades>(),
        ("okx-spot" | "okx-perp", false) => boxed::<Okx, PublicTrades, OkxTrades>(),
        _ => return None,
    })
}

impl Library for Barter {
    fn read(&mut self, line: usize) -> Option<Seen> {
        // What is counted: another reference to the bytes, not a copy of them.
        self.streams[self.stream[line]?].read(black_box(&self.messages[line]).clone())
    }
}

trait Stream {
    fn subscribe(&mut self, messages: &mut dyn Iterator<Item = WsMessage>);
    fn read(&mut self, message: WsMessage) -> Option<Seen>;
}

/// The transformer of one stream, whose instruments are numbers: the cheapest key there is.
struct Of<Exchange, Kind, Input>(
    Option<StatelessTransformer<Exchange, InstrumentIndex, Kind, Input>>,
);

fn boxed<Exchange, Kind, Input>() -> Box<dyn Stream>
where
    Of<Exchange, Kind, Input>: Stream + 'static,
{
    Box::new(Of::<Exchange, Kind, Input>(None))
}

impl<Exchange, Kind, Input> Stream for Of<Exchange, Kind, Input>
where
    Exchange: Connector + Send,
    Kind: SubscriptionKind + Send,
    Kind::Event: Price,
    Input: Identifier<Option<SubscriptionId>> + for<'de> Deserialize<'de>,
    MarketIter<InstrumentIndex, Kind::Event>: From<(ExchangeId, InstrumentIndex, Input)>,
    StatelessTransformer<Exchange, InstrumentIndex, Kind, Input>: ExchangeTransformer<Exchange, InstrumentIndex, Kind>
        + Transformer<
            Input = Input,
            Output = MarketEvent<InstrumentIndex, Kind::Event>,
            OutputIter = Vec<
                Result<MarketEvent<InstrumentIndex, Kind::Event>, barter_data::error::DataError>,
            >,
        >,
{
    fn subscribe(&mut self, messages: &mut dyn Iterator<Item = WsMessage>) {
        let mut map = HashMap::new();
        for message in messages {
            if let Some(id) = parse::<Input>(message).and_then(|it| it.id()) {
                let next = InstrumentIndex(map.len());
                map.entry(id).or_insert(next);
            }
        }
        let (send, _) = mpsc::unbounded_channel();
        let made = StatelessTransformer::<Exchange, InstrumentIndex, Kind, Input>::init(
            Map::from_iter(map),
            &[],
            send,
        );
        self.0 = futures::executor::block_on(made).ok();
    }

    fn read(&mut self, message: WsMessage) -> Option<Seen> {
        let input = parse::<Input>(message)?;
        let events = self.0.as_mut()?.transform(input);
        let first = events.first()?.as_ref().ok()?;
        let price = first.kind.price();
        Some(Seen { events: black_box(&events).iter().filter(|it| it.is_ok()).count(), price })
    }
}

fn parse<Input: for<'de> Deserialize<'de>>(message: WsMessage) -> Option<Input> {
    <WebSocketSerdeParser as StreamParser<Input>>::parse(Ok(message))?.ok()
}

trait Price {
    fn price(&self) -> f64;
}

impl Price for PublicTrade {
    fn price(&self) -> f64 {
        self.price
    }
}

impl Price for OrderBookL1 {
    fn price(&self) -> f64 {
        self.best_bid.and_then(|it| it.price.to_f64()).unwrap_or(f64::NAN)
    }
}
