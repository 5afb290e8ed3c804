//! The frames of every venue, word for word, next to the examples of its documentation.

mod bingx;
mod bitget;
mod gateio;
mod kucoin;
mod mexc;

use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use super::{
    Options,
    dialect::{Desk, Echo, Session, Update},
    frame::Load,
    http::Request,
    listing::Row,
    prices::{Book, Mid, Print, sides},
    topics::Topics,
    world::{Served, World},
};
use crate::market::{Channel, Exchange, Market, Venue};

const BOOK: Book = Book {
    bid: 912_345,
    bid_size: 312_040,
    ask: 912_346,
    ask_size: 100_210,
    update: 72_501_234_567,
    time: 1_790_000_000_123,
};
const PRINT: Print = Print {
    price: 912_346,
    size: 150,
    buy: false,
    id: 5_123_456_789,
    fills: 3,
    aggregate: 3_123_456_789,
    update: 70_123_456_801,
    time: 1_790_000_000_122,
};
const NOW: u64 = 1_790_000_000_125;

/// A session of a venue on a path, subscribed by its own words.
struct Bench {
    world: World,
    path: &'static str,
    request: String,
    headers: Vec<(String, String)>,
}

impl Bench {
    fn new(exchange: Exchange, market: Market, path: &'static str, request: &str) -> Self {
        let venues = vec![Venue::new(exchange, market)];
        let world = World::new(&Options { venues, symbols: 2, ..Options::default() }, None);
        Self { world, path, request: request.to_owned(), headers: vec![] }
    }

    fn row_mut(&mut self, row: usize) -> &mut Row {
        &mut self.world.venues[0].rows[row]
    }

    fn run<T>(&self, frame: impl FnOnce(&mut dyn Session, &Served, &Topics) -> T) -> T {
        let served = &self.world.venues[0];
        let headers = self.headers.clone();
        let request = Request { path: self.path.to_owned(), headers, ..Request::default() };
        let mut session = (served.dialect.open)(served, &request, 1).expect("the path is right");
        let mut topics = Topics::default();
        let (mut replies, mut pinged, mut ponged, mut close) = (vec![], false, false, None);
        let mut desk = Desk {
            served,
            topics: &mut topics,
            replies: &mut replies,
            limits: true,
            now: Instant::now(),
            pinged: &mut pinged,
            ponged: &mut ponged,
            close: &mut close,
        };
        session.text(&self.request, &mut desk);
        frame(&mut *session, served, &topics)
    }

    /// What it says to one text after the other, `apart` from each other, until it has enough.
    fn talk(&self, texts: impl IntoIterator<Item = String>, apart: Duration) -> Vec<String> {
        let served = &self.world.venues[0];
        let request = Request { path: self.path.to_owned(), ..Request::default() };
        let mut session = (served.dialect.open)(served, &request, 1).expect("the path is right");
        let mut topics = Topics::default();
        let (mut said, mut now) = (vec![], Instant::now());
        for text in texts {
            let (mut replies, mut pinged, mut ponged, mut close) = (vec![], false, false, None);
            now += apart;
            let mut desk = Desk {
                served,
                topics: &mut topics,
                replies: &mut replies,
                limits: true,
                now,
                pinged: &mut pinged,
                ponged: &mut ponged,
                close: &mut close,
            };
            session.text(&text, &mut desk);
            said.extend(replies);
            if close.is_some() {
                said.push("closed".to_owned());
                break;
            }
        }
        said
    }

    /// A frame with the state of a book, and what it counts for.
    fn raw_quote(&self, row: usize, last: Option<&Book>, book: Book) -> (Vec<u8>, Load) {
        self.run(|session, served, topics| {
            let topic = topics.of(Channel::Quotes).first().expect("it is subscribed");
            let mut out = vec![];
            let update = Update { row: &served.rows[row], topic, now: NOW, last };
            let load = session.quote(&update, &book, &mut out);
            (out, load)
        })
    }

    /// A frame with trades before the subscription.
    fn history(&self, prints: &[Print]) -> String {
        self.run(|session, served, topics| {
            let topic = topics.of(Channel::Trades).first().expect("it is subscribed");
            let update = Update { row: &served.rows[0], topic, now: NOW, last: None };
            let mut out = vec![];
            session.history(&update, prints, &mut out);
            checked(out)
        })
    }

    fn quote(&self, row: usize, last: Option<&Book>, book: Book) -> String {
        self.run(|session, served, topics| {
            let topic = topics.of(Channel::Quotes).first().expect("it is subscribed");
            let mut out = vec![];
            let update = Update { row: btc(&served.rows[row]), topic, now: NOW, last };
            assert_eq!(session.quote(&update, &book, &mut out), Load::QUOTE);
            checked(out)
        })
    }

    fn trades(&self, prints: &[Print]) -> String {
        self.run(|session, served, topics| {
            let topic = topics.of(Channel::Trades).first().expect("it is subscribed");
            let update = Update { row: btc(&served.rows[0]), topic, now: NOW, last: None };
            let mut out = vec![];
            // A chance for which nothing special happens.
            let mut rng = Rng::with_seed(1);
            let load = session.trades(&update, prints, &mut rng, &mut out);
            assert_eq!(load, Load::trades(prints.len()));
            checked(out)
        })
    }
}

fn btc(row: &Row) -> &Row {
    assert!(["BTC", "ETH"].contains(&&*row.base));
    row
}

fn checked(out: Vec<u8>) -> String {
    serde_json::from_slice::<Value>(&out).expect("a frame is JSON");
    String::from_utf8(out).expect("a frame is text")
}

#[test]
fn binance_spot_frames() {
    let subscribe =
        r#"{"method":"SUBSCRIBE","params":["btcusdt@bookTicker","btcusdt@trade"],"id":1}"#;
    let bench = Bench::new(Exchange::Binance, Market::Spot, "/stream", subscribe);
    assert_eq!(
        bench.quote(0, None, BOOK),
        r#"{"stream":"btcusdt@bookTicker","data":{"u":72501234567,"s":"BTCUSDT","b":"91234.50000000","B":"3.12040000","a":"91234.60000000","A":"1.00210000"}}"#
    );
    assert_eq!(
        bench.trades(&[PRINT]),
        r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1790000000125,"s":"BTCUSDT","t":5123456789,"p":"91234.60000000","q":"0.00150000","T":1790000000122,"m":true,"M":true}}"#
    );
    let bare = Bench { path: "/ws", ..bench };
    let empty = Book { bid: 0, bid_size: 0, ..BOOK };
    assert_eq!(
        bare.quote(0, None, empty),
        r#"{"u":72501234567,"s":"BTCUSDT","b":"0.00000000","B":"0.00000000","a":"91234.60000000","A":"1.00210000"}"#
    );
}

#[test]
fn binance_spot_merges_fills() {
    let subscribe = r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}"#;
    let bench = Bench::new(Exchange::Binance, Market::Spot, "/ws", subscribe);
    assert_eq!(
        bench.trades(&[PRINT]),
        r#"{"e":"aggTrade","E":1790000000125,"a":3123456789,"s":"BTCUSDT","p":"91234.60000000","q":"0.00150000","f":5123456787,"l":5123456789,"T":1790000000122,"m":true,"M":true}"#
    );
}

#[test]
fn binance_perp_frames() {
    let subscribe =
        r#"{"method":"SUBSCRIBE","params":["btcusdt@bookTicker","btcusdt@trade"],"id":1}"#;
    let bench = Bench::new(Exchange::Binance, Market::Perp, "/public/stream", subscribe);
    assert_eq!(
        bench.quote(0, None, BOOK),
        r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":72501234567,"s":"BTCUSDT","ps":"BTCUSDT","b":"91234.50","B":"3.12040","a":"91234.60","A":"1.00210","T":1790000000123,"E":1790000000125,"st":1}}"#
    );
    assert_eq!(
        bench.trades(&[PRINT]),
        r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1790000000125,"T":1790000000122,"s":"BTCUSDT","t":5123456789,"p":"91234.60","q":"0.00150","X":"MARKET","m":true,"st":1}}"#
    );
    let subscribe = r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}"#;
    let bench = Bench::new(Exchange::Binance, Market::Perp, "/market/ws", subscribe);
    assert_eq!(
        bench.trades(&[PRINT]),
        r#"{"e":"aggTrade","E":1790000000125,"a":3123456789,"s":"BTCUSDT","p":"91234.60","q":"0.00150","nq":"0.00150","f":5123456787,"l":5123456789,"T":1790000000122,"m":true,"st":1}"#
    );
}

const BYBIT: &str =
    r#"{"req_id":"1","op":"subscribe","args":["orderbook.1.BTCUSDT","publicTrade.BTCUSDT"]}"#;

#[test]
fn bybit_books() {
    let bench = Bench::new(Exchange::Bybit, Market::Perp, "/v5/public/linear", BYBIT);
    let later = Book { bid: 912_340, ask: 912_350, update: 72_501_234_568, ..BOOK };
    for last in [None, Some(&BOOK)] {
        assert_eq!(
            bench.quote(0, last, later),
            r#"{"topic":"orderbook.1.BTCUSDT","ts":1790000000125,"type":"snapshot","data":{"s":"BTCUSDT","b":[["91234.0","3.12040"]],"a":[["91235.0","1.00210"]],"u":72501234568,"seq":217503703704},"cts":1790000000123}"#,
            "even rows are told as a whole"
        );
    }
    let empty = Book { ask: 0, ask_size: 0, ..BOOK };
    assert!(bench.quote(0, None, empty).contains(r#""a":[],"#));
    assert!(bench.quote(1, Some(&BOOK), empty).contains("snapshot"));
}

#[test]
fn bybit_tells_one_side_of_an_odd_row() {
    let bench = Bench::new(Exchange::Bybit, Market::Perp, "/v5/public/linear", BYBIT);
    let last = Book { bid: 309_790, ask: 309_791, bid_size: 1, ask_size: 2, ..BOOK };
    let bid = Book { bid: 309_780, update: 72_501_234_568, ..last };
    assert_eq!(
        bench.quote(1, Some(&last), bid),
        r#"{"topic":"orderbook.1.BTCUSDT","ts":1790000000125,"type":"delta","data":{"s":"ETHUSDT","b":[["3097.90","0"],["3097.80","0.0001"]],"a":[],"u":72501234568,"seq":217503703704},"cts":1790000000123}"#
    );
    let frame = bench.quote(1, Some(&last), Book { ask: 309_795, update: 9, ..last });
    assert!(frame.contains(r#""b":[],"a":[["3097.91","0"],["3097.95","0.0002"]]"#), "{frame}");
    let frame = bench.quote(1, Some(&last), Book { bid_size: 7, update: 10, ..last });
    assert!(frame.contains(r#""b":[["3097.90","0.0007"]],"a":[]"#), "{frame}");
    let frame = bench.quote(1, Some(&last), Book { bid: 309_780, ask: 309_781, ..last });
    assert!(frame.contains("snapshot"), "{frame}");
}

#[test]
fn bybit_trades() {
    let bench = Bench::new(Exchange::Bybit, Market::Spot, "/v5/public/spot", BYBIT);
    assert_eq!(
        bench.trades(&[PRINT]),
        r#"{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1790000000125,"data":[{"T":1790000000122,"s":"BTCUSDT","S":"Sell","v":"0.00150","p":"91234.6","i":"2290000005123456789","BT":false,"RPI":false,"seq":210370370403}]}"#
    );
    let bench = Bench::new(Exchange::Bybit, Market::Perp, "/v5/public/linear", BYBIT);
    let frame: Value =
        serde_json::from_str(&bench.trades(&[PRINT, Print { buy: true, id: 7, ..PRINT }])).unwrap();
    let [first, second] = frame["data"].as_array().unwrap().as_slice() else { panic!("{frame}") };
    assert_eq!((&first["L"], &second["L"]), (&"ZeroMinusTick".into(), &"PlusTick".into()));
    assert_eq!(first["i"].as_str().map(str::len), Some(36));
    assert_ne!(first["i"], second["i"]);
    assert_eq!(second["S"], "Buy");
}

#[test]
fn okx_frames() {
    for (market, native, bid, size) in [
        (Market::Spot, "BTC-USDT", "3.1204", "0.0015"),
        (Market::Perp, "BTC-USDT-SWAP", "3120.4", "1.5"),
    ] {
        let arg = |channel: &str| format!(r#"{{"channel":"{channel}","instId":"{native}"}}"#);
        let subscribe =
            format!(r#"{{"op":"subscribe","args":[{},{}]}}"#, arg("bbo-tbt"), arg("trades"));
        let bench = Bench::new(Exchange::Okx, market, "/ws/v5/public", &subscribe);
        assert_eq!(
            bench.quote(0, None, Book { ask: 0, ask_size: 0, ..BOOK }),
            format!(
                r#"{{"arg":{},"data":[{{"asks":[],"bids":[["91234.5","{bid}","0","23"]],"ts":"1790000000125","seqId":72501234567}}]}}"#,
                arg("bbo-tbt")
            )
        );
        let row = format!(
            r#"{{"instId":"{native}","tradeId":"5123456789","px":"91234.6","sz":"{size}","side":"sell","ts":"1790000000122","count":"3","source":"0","seqId":70123456801}}"#
        );
        assert_eq!(
            bench.trades(&[PRINT]),
            format!(r#"{{"arg":{},"data":[{row}]}}"#, arg("trades"))
        );
    }
}

/// The states of a book, from the start on.
fn books<'a>(
    world: &'a World,
    served: &'a Served,
    row: &'a Row,
) -> impl Iterator<Item = Book> + 'a {
    let beat = served.stream(row.index, Channel::Quotes).beat;
    (beat.first..).scan(Mid::default(), move |mid, number| {
        Some(served.teller(&world.schedule.read(), row, beat).book(number, mid))
    })
}

#[test]
fn every_row_has_a_sane_book() {
    // At this rate the least of them has a state in a few seconds.
    let world = World::new(&Options { symbols: 400, rate: 1_000.0, ..Options::default() }, None);
    let (mut lowest, mut highest) = (f64::MAX, 0.0_f64);
    for served in &world.venues {
        for row in served.rows.iter().filter(|it| it.kind.moves()) {
            let mut before = None::<Book>;
            for book in books(&world, served, row).take(200) {
                let both = book.bid != 0 && book.ask != 0;
                assert!(both || row.thin, "{} {book:?}", row.native);
                assert!(!both || book.bid < book.ask, "{} {book:?}", row.native);
                let echo = served.rules.echo == Echo::Same && before == Some(book);
                let later = |it: &Book| it.update < book.update && it.time <= book.time;
                assert!(echo || before.as_ref().is_none_or(later), "{before:?} {book:?}");
                before = Some(book);
            }
            lowest = lowest.min(row.reference);
            highest = highest.max(row.reference);
            assert!(0.0 < row.volume && row.reference < row.price_scale * 1e9, "{}", row.native);
        }
    }
    assert!(lowest < 1e-6 && 5e4 < highest, "{lowest} {highest}");
}

#[test]
fn venues_cross_now_and_then() {
    let world = World::new(&Options { symbols: 5, ..Options::default() }, None);
    let [one, other] = [&world.venues[0], &world.venues[4]];
    let crosses = (0..10_000).filter(|step| {
        let now = 1_790_000_000_000 + step * 1_000;
        let sides = |it: &Served| {
            let row = &it.rows[1];
            let (bid, ask) =
                sides(row, world.prices.mid(it.slot, row, now), &mut Rng::with_seed(*step));
            #[expect(clippy::cast_precision_loss, reason = "prices are small")]
            [bid, ask].map(|it| it as f64 / row.price_scale)
        };
        let [[bid, _], [_, ask]] = [sides(one), sides(other)];
        // 20 bps pay two fees.
        ask * 1.002 < bid
    });
    let crosses = crosses.count();
    assert!((10..2_000).contains(&crosses), "{crosses} in 10,000 s");
}
