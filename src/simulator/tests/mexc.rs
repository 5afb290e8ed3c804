use super::*;

const TICKER: &str = "spot@public.aggre.bookTicker.v3.api.pb@100ms@BTCUSDT";
const DEALS: &str = "spot@public.aggre.deals.v3.api.pb@100ms@BTCUSDT";

/// Those that the page gives, made by the library of protocol buffers.
const VERIFIED_TICKER: &str = "0a3473706f74407075626c69632e61676772652e626f6f6b5469636b65722e76332e6170692e7062403130306d7340425443555344541a074254435553445430e287809fef33da133d0a0836323338332e3536120a302e30373935363635311a0836323338332e35372207302e30393535362a0b323834313539333036363730d987809fef33";
const VERIFIED_EMPTY_BID: &str = "0a3473706f74407075626c69632e61676772652e626f6f6b5469636b65722e76332e6170692e7062403130306d7340425443555344541a074254435553445430e287809fef33da13131a0836323338332e35372207302e3039353536";
const VERIFIED_DEALS_HEAD: &str = "0a2f73706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d7340425443555344541a074254435553445430fc8e809fef33d213";
const VERIFIED_DEAL: &str = "0a1b0a0836323338332e35361206302e30313435180220e68e809fef33";
const VERIFIED_EVENT: &str =
    "122773706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d73";
const VERIFIED_NO_BODY: &str = "0a3473706f74407075626c69632e61676772652e626f6f6b5469636b65722e76332e6170692e7062403130306d734058454e555344541a0758454e5553445430b890809fef33";

fn spot(topic: &str) -> Bench {
    let subscribe = format!(r#"{{"method":"SUBSCRIPTION","params":["{topic}"],"id":1}}"#);
    let mut bench = Bench::new(Exchange::Mexc, Market::Spot, "/ws", &subscribe);
    for i in 0..2 {
        let row = bench.row_mut(i);
        row.native = "BTCUSDT".to_owned();
        (row.price_places, row.size_places) = (2, 8);
    }
    bench
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, it| {
        let _ = write!(text, "{it:02x}");
        text
    })
}

/// A frame of which all is as in the page but the time.
fn sent_at(verified: &str, time: u64, frame: &[u8]) {
    let varint = |n: u64| {
        let mut bytes = vec![0x30];
        bytes.extend((0..6).map(|i| {
            let [seven, ..] = (n >> (7 * i) & 0x7f).to_le_bytes();
            if i < 5 { seven | 0x80 } else { seven }
        }));
        hex(&bytes)
    };
    assert_eq!(hex(frame), verified.replace(&varint(time), &varint(NOW)));
}

#[test]
fn books_are_the_bytes_that_the_page_gives() {
    let book = Book {
        bid: 6_238_356,
        bid_size: 7_956_651,
        ask: 6_238_357,
        ask_size: 9_556_000,
        update: 28_415_930_667,
        time: 1_782_208_005_081,
    };
    let bench = spot(TICKER);
    let (frame, load) = bench.raw_quote(0, None, book);
    assert_eq!(load, Load::QUOTE);
    sent_at(VERIFIED_TICKER, 1_782_208_005_090, &frame);
    let (frame, _) = bench.raw_quote(1, None, Book { bid: 0, bid_size: 0, ..book });
    sent_at(VERIFIED_EMPTY_BID, 1_782_208_005_090, &frame);
}

#[test]
fn deals_are_the_bytes_that_the_page_gives() {
    let print =
        Print { price: 6_238_356, size: 1_450_000, buy: false, time: 1_782_208_005_990, ..PRINT };
    spot(DEALS).run(|session, served, topics| {
        let topic = &topics.of(Channel::Trades)[0];
        let update = Update { row: &served.rows[1], topic, now: NOW, last: None };
        let mut out = vec![];
        let load = session.trades(&update, &[print, print], &mut Rng::with_seed(1), &mut out);
        assert_eq!(load, Load::trades(2));
        // Two digits are a byte.
        let length = format!("{:02x}", VERIFIED_DEAL.len() + VERIFIED_EVENT.len() / 2);
        let verified =
            [VERIFIED_DEALS_HEAD, &length, VERIFIED_DEAL, VERIFIED_DEAL, VERIFIED_EVENT].concat();
        sent_at(&verified, 1_782_208_006_012, &out);
    });
}

#[test]
fn a_wrapper_may_have_nothing_in_it() {
    let mut bench = spot(&TICKER.replace("BTC", "ETH"));
    bench.row_mut(1).native = "ETHUSDT".to_owned();
    let (frame, load) = bench.raw_quote(1, None, Book { update: 97, ..BOOK });
    assert_eq!(load, Load::NO_QUOTE);
    let verified = VERIFIED_NO_BODY.replace(&hex(b"XENUSDT"), &hex(b"ETHUSDT"));
    sent_at(&verified, 1_782_208_006_200, &frame);
}

#[test]
fn contract_frames() {
    let request = |stream: &str| {
        format!(r#"{{"method":"sub.{stream}","param":{{"symbol":"BTC_USDT","limit":5}}}}"#)
    };
    let bench = |stream: &str| Bench::new(Exchange::Mexc, Market::Perp, "/edge", &request(stream));
    let book = Book { bid_size: 30_111, ask_size: 48_310, ..BOOK };
    assert_eq!(
        bench("depth.full").quote(0, None, book),
        r#"{"symbol":"BTC_USDT","data":{"cts":1790000000123,"asks":[[91234.6,48310,11],[91234.7,126,12],[91234.8,3917,13]],"bids":[[91234.5,30111,5],[91234.4,3287,6],[91234.3,3965,7]],"version":72501234567},"channel":"push.depth.full","ts":1790000000125}"#
    );
    let frame = bench("depth.full").quote(1, None, Book { bid: 0, bid_size: 0, ..book });
    assert!(frame.contains(r#""asks":[[9123.46,4.831E+4,11],"#), "{frame}");
    assert!(frame.contains(r#""bids":[],"#), "{frame}");
    assert_eq!(
        bench("deal").trades(&[PRINT]),
        r#"{"symbol":"BTC_USDT","data":[{"p":91234.6,"v":150,"T":2,"O":2,"M":2,"t":1790000000122,"i":"5123456789"}],"channel":"push.deal","ts":1790000000125}"#
    );
}
