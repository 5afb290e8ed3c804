use super::*;

fn bench(market: Market) -> Bench {
    let product = if market == Market::Spot { "SPOT" } else { "USDT-FUTURES" };
    let arg =
        |channel| format!(r#"{{"instType":"{product}","channel":"{channel}","instId":"BTCUSDT"}}"#);
    let subscribe = format!(r#"{{"op":"subscribe","args":[{},{}]}}"#, arg("books1"), arg("trade"));
    Bench::new(Exchange::Bitget, market, "/v2/ws/public", &subscribe)
}

#[test]
fn books() {
    assert_eq!(
        bench(Market::Spot).quote(0, None, BOOK),
        r#"{"action":"snapshot","arg":{"instType":"SPOT","channel":"books1","instId":"BTCUSDT"},"data":[{"asks":[["91234.6","1.00210"]],"bids":[["91234.5","3.12040"]],"seq":72501234567,"ts":"1790000000123"}],"ts":1790000000125}"#
    );
    let empty = Book { ask: 0, ask_size: 0, ..BOOK };
    assert_eq!(
        bench(Market::Perp).quote(1, None, empty),
        r#"{"action":"snapshot","arg":{"instType":"USDT-FUTURES","channel":"books1","instId":"ETHUSDT"},"data":[{"asks":[],"bids":[["9123.45","31.2040"]],"checksum":0,"seq":9007271755975559,"pseq":0,"ts":"1790000000123"}],"ts":1790000000125}"#
    );
}

#[test]
fn trades_and_those_before_them() {
    let bench = bench(Market::Spot);
    let later = Print { buy: true, id: PRINT.id + 1, time: PRINT.time + 1, ..PRINT };
    let [one, other] = [
        r#"{"ts":"1790000000122","price":"91234.6","size":"0.00150","side":"sell","tradeId":"1235000005123456789"}"#,
        r#"{"ts":"1790000000123","price":"91234.6","size":"0.00150","side":"buy","tradeId":"1235000005123456790"}"#,
    ];
    let frame = |action, rows: [&str; 2]| {
        let arg = r#"{"instType":"SPOT","channel":"trade","instId":"BTCUSDT"}"#;
        let rows = rows.join(",");
        format!(r#"{{"action":"{action}","arg":{arg},"data":[{rows}],"ts":1790000000125}}"#)
    };
    assert_eq!(bench.trades(&[PRINT, later]), frame("update", [one, other]));
    assert_eq!(bench.history(&[PRINT, later]), frame("snapshot", [other, one]));
}

#[test]
fn requests_and_channels_are_limited() {
    let ten_minutes = Duration::from_mins(10);
    let bench = bench(Market::Spot);
    let requests = |n| std::iter::repeat_n(bench.request.clone(), n);
    let said = bench.talk(requests(241), Duration::from_secs(1));
    assert_eq!(said.len(), 482);
    assert!(said[480].contains("30006") && said[481] == "closed", "{said:?}");
    assert_eq!(bench.talk(requests(500), ten_minutes).len(), 1000, "six an hour are none too many");

    let mut world = World::new(&Options { symbols: 1100, ..Options::default() }, None);
    world.venues.retain(|it| it.venue == Venue::new(Exchange::Bitget, Market::Spot));
    let subscribe = |row: &Row| {
        let native = &row.native;
        format!(
            r#"{{"op":"subscribe","args":[{{"instType":"SPOT","channel":"trade","instId":"{native}"}}]}}"#
        )
    };
    let all: Vec<_> = world.venues[0].rows.iter().map(subscribe).collect();
    let said = Bench { world, ..bench }.talk(all, ten_minutes);
    assert!(said[..1000].iter().all(|it| it.contains(r#""event":"subscribe""#)));
    assert!(said[1000..].iter().all(|it| it.contains("30007")), "{:?}", said[1000]);
}
