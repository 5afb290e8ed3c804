use super::*;

fn bench(market: Market, stream: &str) -> Bench {
    let path = if market == Market::Spot { "/market" } else { "/swap-market" };
    let subscribe = format!(r#"{{"id":"a","reqType":"sub","dataType":"BTC-USDT@{stream}"}}"#);
    Bench::new(Exchange::Bingx, market, path, &subscribe)
}

#[test]
fn swap_books_begin_with_a_stale_one() {
    let bench = bench(Market::Perp, "bookTicker");
    let frame = |time: &str| {
        format!(
            r#"{{"code":0,"dataType":"BTC-USDT@bookTicker","data":{{"e":"bookTicker","u":72501234567,"E":1790000000125,"T":{time},"s":"BTC-USDT","b":"91234.5","B":"3.12040","a":"91234.6","A":"1.00210"}}}}"#
        )
    };
    assert_eq!(bench.quote(0, Some(&BOOK), BOOK), frame("1790000000123"));
    let (stale, load) = bench.raw_quote(0, None, BOOK);
    assert_eq!(checked(stale), frame("1789998680123"));
    assert_eq!(load, Load::NO_QUOTE);
}

#[test]
fn the_worst_ask_of_a_depth_comes_first() {
    assert_eq!(
        bench(Market::Perp, "depth5@200ms").quote(0, None, BOOK),
        r#"{"code":0,"dataType":"BTC-USDT@depth5@200ms","ts":1790000000125,"data":{"bids":[["91234.5","3.12040"],["91234.4","0.03589"],["91234.3","0.00126"]],"asks":[["91234.8","0.03917"],["91234.7","0.00126"],["91234.6","1.00210"]]}}"#
    );
}

#[test]
fn swap_trades_have_no_ids_and_the_newest_comes_first() {
    let bought = Print { buy: true, time: PRINT.time + 1, ..PRINT };
    assert_eq!(
        bench(Market::Perp, "trade").trades(&[PRINT, bought]),
        r#"{"code":0,"dataType":"BTC-USDT@trade","data":[{"q":"0.00150","p":"91234.6","T":1790000000123,"m":false,"s":"BTC-USDT"},{"q":"0.00150","p":"91234.6","T":1790000000122,"m":true,"s":"BTC-USDT"}]}"#
    );
}

#[test]
fn spot_frames() {
    assert_eq!(
        bench(Market::Spot, "bookTicker").quote(0, None, BOOK),
        r#"{"code":0,"data":{"A":"1.00210","B":"3.12040","E":1790000000125,"a":"91234.6","b":"91234.5","e":"bookTicker","s":"BTC-USDT"},"dataType":"BTC-USDT@bookTicker","success":true}"#
    );
    let mut bench = bench(Market::Spot, "trade");
    assert_eq!(
        bench.trades(&[PRINT]),
        r#"{"code":0,"data":{"E":1790000000125,"T":1790000000122,"e":"trade","m":true,"p":"91234.6","q":"0.00150","s":"BTC-USDT","t":"5123456789"},"dataType":"BTC-USDT@trade","success":true,"timestamp":1790000000125}"#
    );
    bench.row_mut(0).index = 2;
    assert_eq!(
        bench.trades(&[PRINT]),
        r#"{"code":0,"data":{"E":"1790000000125","T":"1790000000122","e":"trade","m":"true","p":"91234.6","q":"0.00150","s":"BTC-USDT","t":"5123456789"},"dataType":"BTC-USDT@trade","Success":true}"#
    );
}

#[test]
fn spot_pings_are_to_be_echoed() {
    bench(Market::Spot, "trade").run(|session, served, _| {
        let ping: Value = serde_json::from_str(&session.ping(NOW).unwrap()).unwrap();
        assert_eq!(ping["time"], "2026-09-21T22:13:20.125+0800");
        let mut ponged = |text: &str| {
            let (mut pinged, mut ponged, mut close) = (false, false, None);
            session.text(
                text,
                &mut Desk {
                    served,
                    topics: &mut Topics::default(),
                    replies: &mut vec![],
                    limits: true,
                    now: Instant::now(),
                    pinged: &mut pinged,
                    ponged: &mut ponged,
                    close: &mut close,
                },
            );
            ponged
        };
        let pong = serde_json::json!({"pong": ping["ping"], "time": ping["time"]});
        assert!(ponged(&pong.to_string()));
        assert!(!ponged("Pong") && !ponged(r#"{"pong":"x","time":"y"}"#));
    });
}

#[test]
fn requests_and_topics_are_limited() {
    let world = World::new(
        &Options {
            venues: vec![Venue::new(Exchange::Bingx, Market::Perp)],
            symbols: 250,
            ..Options::default()
        },
        None,
    );
    let open = world.venues[0].rows.iter().filter(|it| it.moves());
    let subscribe =
        |it: &Row| format!(r#"{{"id":"a","reqType":"sub","dataType":"{}@trade"}}"#, it.native);
    let all: Vec<_> = open.map(subscribe).collect();
    let bench = Bench { world, ..bench(Market::Perp, "trade") };
    let said = bench.talk(all.clone(), Duration::from_millis(111));
    assert!(said[..200].iter().all(|it| it.contains(r#""code":0,"#)));
    assert!(said[200..].iter().all(|it| it.contains("your topic num over max 200")));
    let said = bench.talk(all, Duration::from_millis(90));
    assert!(said[9].contains(r#""code":0,"#) && said[11].contains("100410"), "{said:?}");
}
