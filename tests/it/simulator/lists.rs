use super::*;

#[test]
fn every_list_parses_and_has_the_rows_asked_for() {
    with(Options { symbols: 120, ..Options::default() }, |simulator| {
        for venue in VENUES {
            let [list, tickers] = lists(venue);
            let list = rows(&get_json(simulator, &list));
            assert_eq!(list.len(), 120, "{venue}");
            let names: Vec<_> = list.iter().map(tongue::name).collect();
            assert_eq!(simulator.symbols(venue), names, "{venue}");
            let open = tradable(simulator, venue);
            assert!((110..=120).contains(&open.len()), "{venue}: {open:?}");
            let tickers = rows(&get_json(simulator, &tickers));
            // Those of the swaps of BingX are of what is open.
            let closed = if venue == BINGX_PERP { 3 } else { 0 };
            assert_eq!(tickers.len(), 120 - closed, "{venue}");
            let traded = |it: &&Value| tongue::volume(it).is_some_and(|it| 0.0 < it);
            let traded: BTreeSet<_> = tickers.iter().filter(traded).map(tongue::name).collect();
            for it in open {
                assert!(traded.contains(&it), "{venue}: {it}");
            }
        }
    });
}

#[test]
fn few_instruments_are_plain_ones() {
    with(Options { symbols: 3, ..Options::default() }, |simulator| {
        for venue in VENUES {
            assert_eq!(simulator.symbols(venue), ["BTC", "ETH", "SOL"].map(|it| native(venue, it)));
        }
    });
}

#[test]
fn the_linear_list_comes_in_pages() {
    with(Options { symbols: 1203, ..of(BYBIT_PERP) }, |simulator| {
        let mut seen = BTreeSet::new();
        let (mut pages, mut cursor) = (0, String::new());
        loop {
            let path = format!(
                "/bybit-perp/v5/market/instruments-info?category=linear&cursor={}",
                // Once as it is, once encoded again.
                if pages == 1 { cursor.clone() } else { cursor.replace('%', "%25") }
            );
            let reply = get_json(simulator, &path);
            let page = rows(&reply);
            assert!(page.len() <= 500);
            pages += 1;
            seen.extend(page.iter().map(|it| it["symbol"].to_string()));
            cursor = reply["result"]["nextPageCursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!((pages, seen.len()), (3, 1203));
    });
}

#[test]
fn rest_errors_have_the_envelope_of_the_venue() {
    with(Options::default(), |simulator| {
        let (status, _, body) = get(simulator, "/binance-spot/api/v3/exchangeInfo?symbol=NOPE");
        assert_eq!((status, body.as_str()), (400, r#"{"code":-1121,"msg":"Invalid symbol."}"#));
        let reply = get_json(simulator, "/bybit-spot/v5/market/tickers?category=linear");
        assert_eq!(reply["retCode"], 10001);
        let (status, _, body) = get(simulator, "/okx-spot/api/v5/market/tickers?instType=X");
        assert_eq!((status, body.contains("51000")), (400, true));
        for path in ["/kraken-spot/x", "/", "/binance-spot/nowhere", "/stats/x"] {
            let wanted = if path == "/stats/x" { 200 } else { 404 };
            assert_eq!(get(simulator, path).0, wanted, "{path}");
        }
        let path = "/binance-spot/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D";
        assert_eq!(rows(&get_json(simulator, path)).len(), 2);
    });
}
