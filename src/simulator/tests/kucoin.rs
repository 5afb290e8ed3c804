use super::*;

fn bench(market: Market, topic: &str) -> Bench {
    let subscribe = format!(r#"{{"id":"1","type":"subscribe","topic":"{topic}","response":true}}"#);
    Bench::new(Exchange::Kucoin, market, "/", &subscribe)
}

#[test]
fn spot_frames() {
    assert_eq!(
        bench(Market::Spot, "/spotMarket/level1:BTC-USDT,ETH-USDT").quote(0, None, BOOK),
        r#"{"topic":"/spotMarket/level1:BTC-USDT","type":"message","subject":"level1","data":{"asks":["91234.6","1.0021"],"bids":["91234.5","3.1204"],"timestamp":1790000000123}}"#
    );
    let empty = Book { bid: 0, bid_size: 0, ..BOOK };
    let frame = bench(Market::Spot, "/spotMarket/level1:BTC-USDT").quote(0, None, empty);
    assert!(frame.contains(r#""bids":[],"#), "{frame}");
    assert_eq!(
        bench(Market::Spot, "/market/match:BTC-USDT").trades(&[PRINT]),
        r#"{"topic":"/market/match:BTC-USDT","type":"message","subject":"trade.l3match","data":{"sequence":"70123456801","type":"match","symbol":"BTC-USDT","side":"sell","price":"91234.6","size":"0.0015","tradeId":"20630005123456789","takerOrderId":"69a42f091305","makerOrderId":"68a42f091305","time":"1790000000122456789"}}"#
    );
}

#[test]
fn futures_frames() {
    assert_eq!(
        bench(Market::Perp, "/contractMarket/tickerV2:XBTUSDTM").quote(0, None, BOOK),
        r#"{"topic":"/contractMarket/tickerV2:XBTUSDTM","type":"message","subject":"tickerV2","sn":72501234567,"data":{"symbol":"XBTUSDTM","sequence":72501234567,"bestBidSize":312040,"bestBidPrice":"91234.5","bestAskPrice":"91234.6","bestAskSize":100210,"ts":1790000000123234567}}"#
    );
    assert_eq!(
        bench(Market::Perp, "/contractMarket/execution:XBTUSDTM").trades(&[PRINT]),
        r#"{"topic":"/contractMarket/execution:XBTUSDTM","type":"message","subject":"match","sn":70123456801,"data":{"symbol":"XBTUSDTM","sequence":70123456801,"side":"sell","size":150,"price":"91234.6","takerOrderId":"165123456789","makerOrderId":"155123456789","tradeId":"5123456789","ts":1790000000122456789}}"#
    );
}

#[test]
fn messages_and_topics_are_limited() {
    let subscribe = |names: &[String]| {
        let names = names.join(",");
        format!(
            r#"{{"id":"1","type":"subscribe","topic":"/market/match:{names}","response":true}}"#
        )
    };
    for (market, accepted) in [(Market::Spot, 3), (Market::Perp, 0)] {
        let mut world = World::new(&Options { symbols: 400, ..Options::default() }, None);
        world.venues.retain(|it| it.venue == Venue::new(Exchange::Kucoin, market));
        let names: Vec<_> = world.venues[0].rows.iter().map(|it| it.native.clone()).collect();
        let bench = Bench { world, ..bench(market, "/market/match:BTC-USDT") };
        let texts: Vec<_> = names.chunks(100).map(subscribe).collect();
        let said = bench.talk(texts, Duration::ZERO);
        assert_eq!(said.iter().filter(|it| it.contains("ack")).count(), accepted, "{said:?}");
        let limit = "exceed max subscription count limitation of 300 per session";
        assert_eq!(said[3].contains(limit), market == Market::Spot, "{}", said[3]);
        let said = bench.talk([subscribe(&names[..101])], Duration::ZERO);
        assert!(said[0].contains(if market == Market::Spot { "509" } else { "404" }), "{said:?}");
        let ping = || std::iter::repeat_n(r#"{"id":"1","type":"ping"}"#.to_owned(), 101);
        let said = bench.talk(ping(), Duration::from_millis(90));
        assert!(said[99].contains("pong") && said[100].contains("509") && said[101] == "closed");
        assert_eq!(bench.talk(ping(), Duration::from_millis(101)).len(), 101);
    }
}
