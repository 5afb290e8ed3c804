use super::*;
use crate::simulator::prices;

fn bench(market: Market, channel: &str) -> Bench {
    let (path, prefix) = match market {
        Market::Spot => ("/ws/v4/", "spot"),
        Market::Perp => ("/v4/ws/usdt", "futures"),
    };
    let time = prices::now() / 1000;
    let subscribe = format!(
        r#"{{"time":{time},"channel":"{prefix}.{channel}","event":"subscribe","payload":["BTC_USDT"]}}"#
    );
    Bench::new(Exchange::Gateio, market, path, &subscribe)
}

fn decimal(bench: Bench) -> Bench {
    Bench { headers: vec![("X-Gate-Size-Decimal".to_owned(), "1".to_owned())], ..bench }
}

#[test]
fn spot_frames() {
    assert_eq!(
        bench(Market::Spot, "book_ticker").quote(0, None, BOOK),
        r#"{"time":1790000000,"time_ms":1790000000125,"channel":"spot.book_ticker","event":"update","result":{"t":1790000000123,"u":72501234567,"s":"BTC_USDT","b":"91234.5","B":"3.1204","a":"91234.6","A":"1.0021"}}"#
    );
    let frame = bench(Market::Spot, "trades").trades(&[PRINT]);
    let (head, tail) = frame.split_once("1790000000122.").unwrap();
    assert_eq!(
        head,
        r#"{"time":1790000000,"time_ms":1790000000125,"channel":"spot.trades","event":"update","result":{"id":5123456789,"id_market":3123456789,"create_time":1790000000,"create_time_ms":""#
    );
    assert_eq!(
        &tail[4..],
        r#"","side":"sell","currency_pair":"BTC_USDT","amount":"0.0015","price":"91234.6","range":"5123456789-5123456789"}}"#
    );
}

#[test]
fn sizes_of_futures_are_integers_unless_asked_for_otherwise() {
    let bench = bench(Market::Perp, "book_ticker");
    let empty = Book { bid: 0, bid_size: 0, ..BOOK };
    assert_eq!(
        bench.quote(1, None, empty),
        r#"{"time":1790000000,"time_ms":1790000000125,"channel":"futures.book_ticker","event":"update","result":{"t":1790000000123,"u":72501234567,"s":"ETH_USDT","b":"","B":0,"a":"9123.46","A":10021}}"#
    );
    let book = Book { ask_size: 100_217, ..empty };
    assert!(bench.quote(1, None, book).contains(r#""A":10021}"#), "cut, not rounded");
    let frame = decimal(bench).quote(1, None, book);
    assert!(frame.contains(r#""b":"","B":"0","a":"9123.46","A":"10021.7"}"#), "{frame}");
}

#[test]
fn futures_trades() {
    let bench = bench(Market::Perp, "trades");
    let bought = Print { buy: true, id: 7, ..PRINT };
    let frame = |sell: &str, buy: &str| {
        let rest = r#""create_time":1790000000,"create_time_ms":1790000000122,"price":"91234.6","contract":"BTC_USDT"}"#;
        format!(
            r#"{{"time":1790000000,"time_ms":1790000000125,"channel":"futures.trades","event":"update","result":[{{"size":{sell},"id":5123456789,{rest},{{"size":{buy},"id":7,{rest}]}}"#
        )
    };
    assert_eq!(bench.trades(&[PRINT, bought]), frame("-150", "150"));
    assert_eq!(decimal(bench).trades(&[PRINT, bought]), frame("\"-150\"", "\"150\""));
}

#[test]
fn a_thin_instrument_has_no_book_now_and_then() {
    let mut bench = bench(Market::Perp, "book_ticker");
    bench.row_mut(0).thin = true;
    let (frame, load) = bench.raw_quote(0, None, Book { update: 40, ..BOOK });
    assert_eq!(load, Load::NO_QUOTE);
    let frame = String::from_utf8(frame).unwrap();
    assert!(
        frame.ends_with(r#"{"t":0,"u":0,"s":"BTC_USDT","b":"","B":0,"a":"","A":0}}"#),
        "{frame}"
    );
}

#[test]
fn liquidations_taken_over_are_trades_that_say_so() {
    let bench = bench(Market::Perp, "trades");
    let told = bench.run(|session, served, topics| {
        let topic = &topics.of(Channel::Trades)[0];
        let update = Update { row: &served.rows[0], topic, now: NOW, last: None };
        let mut rng = Rng::with_seed(1);
        let mut told = 0;
        for _ in 0..500 {
            let mut out = vec![];
            let load = session.trades(&update, &[PRINT, PRINT], &mut rng, &mut out);
            assert_eq!(load, Load::trades(2));
            told += checked(out).matches(r#""is_internal":true"#).count();
        }
        told
    });
    assert!((20..80).contains(&told), "{told} of 1000");
}
