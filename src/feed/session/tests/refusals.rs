//! What a venue refuses: it stands alone, is told of once, and is asked for again.

use super::*;

#[test]
fn a_refused_symbol_stands_alone_and_the_others_are_asked_for_again() {
    let mut it = Bench::new(Exchange::Bybit, Market::Spot, &["AUSDT", "NOUSDT", "BUSDT"]);
    let first = it.requests(0.1);
    assert_eq!(first.len(), 1);
    it.hear(r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.1.NOUSDT","req_id":"1","op":"subscribe"}"#);
    let again = it.requests(1.0);
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(!again[0].contains("orderbook.1.NOUSDT") && again[0].contains("orderbook.1.AUSDT"));
    assert!(again[1].contains(r#"["orderbook.1.NOUSDT"]"#), "{}", again[1]);
    it.hear(r#"{"success":true,"ret_msg":"subscribe","req_id":"2","op":"subscribe"}"#);
    it.hear(r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.1.NOUSDT","req_id":"3","op":"subscribe"}"#);
    let refusals = it.session.reports();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].topic, "orderbook.1.NOUSDT");
    assert_eq!(it.states(), [0, 5, 0, 1]);
    it.hear(BYBIT_QUOTE);
    assert_eq!(it.states(), [0, 4, 1, 1]);
}

#[test]
fn a_refusal_that_names_nothing_is_narrowed_down_by_halves() {
    let symbols: Vec<_> = (0..8).map(|n| format!("C{n}USDT")).collect();
    let symbols: Vec<_> = symbols.iter().map(String::as_str).collect();
    let mut it = Bench::new(Exchange::Binance, Market::Spot, &symbols);
    let mut refused = 0;
    for _ in 0..40 {
        for request in it.requests(0.5) {
            let parsed: serde_json::Value = serde_json::from_str(&request).unwrap();
            let id = &parsed["id"];
            if request.contains("c5usdt@trade") {
                refused += 1;
                it.hear(&format!(r#"{{"error":{{"code":2,"msg":"Invalid request"}},"id":{id}}}"#));
            } else {
                it.hear(&format!(r#"{{"result":null,"id":{id}}}"#));
            }
        }
    }
    assert_eq!(it.states(), [0, 15, 0, 1]);
    assert_eq!(refused, 5, "16 topics, 8, 4, 2, 1");
}

#[test]
fn a_connection_whose_topics_are_all_refused_is_kept_for_the_late_retry() {
    let mut it = Bench::new(Exchange::Okx, Market::Spot, &["NO-USDT"]);
    let mut requests = 0;
    for _ in 0..700 {
        it.hear("pong");
        for request in it.requests(1.0) {
            requests += 1;
            let request: serde_json::Value = serde_json::from_str(&request).unwrap();
            let id = request["id"].as_str().unwrap();
            it.hear(&format!(r#"{{"event":"error","id":"{id}","code":"60018","msg":"no such"}}"#));
        }
    }
    assert_eq!(it.states(), [0, 0, 0, 2]);
    assert_eq!(requests, 5, "both, one, the other, and each again after ten minutes");
    assert_eq!(it.session.reports().len(), 2, "each is told of once");
}

#[test]
fn a_refusal_may_name_the_symbol_alone() {
    let mut it = Bench::new(Exchange::Okx, Market::Spot, &["A-USDT", "NO_A-USDT", "NO-USDT"]);
    assert_eq!(it.requests(0.1).len(), 1);
    it.hear(r#"{"event":"error","id":"1","code":"1","msg":"unknown pair: NO_A-USDT"}"#);
    let again = it.requests(1.0);
    assert_eq!(again.len(), 3, "the others, its quotes, its trades: {again:?}");
    assert!(!again[0].contains("NO_A-USDT") && again[0].contains(r#""A-USDT"#), "{}", again[0]);
    assert!(again[1..].iter().all(|it| it.contains("NO_A-USDT")), "{again:?}");
}

#[test]
fn a_request_that_is_refused_as_a_whole_is_asked_for_again_without_the_symbol_it_names() {
    let mut it = Bench::new(Exchange::Gateio, Market::Spot, &["A_USDT", "NO_USDT", "B_USDT"]);
    let first = it.requests(0.5);
    assert_eq!(first.len(), 2, "quotes and trades: {first:?}");
    assert!(first[0].contains(r#""payload":["A_USDT","NO_USDT","B_USDT"],"time":1795435200"#));
    it.hear(r#"{"id":1,"channel":"spot.book_ticker","event":"subscribe","error":{"code":2,"message":"unknown currency pair: NO_USDT"},"result":{"status":"fail"}}"#);
    it.hear(
        r#"{"id":2,"channel":"spot.trades","event":"subscribe","result":{"status":"success"}}"#,
    );
    let again = it.requests(1.0);
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(again[0].contains(r#""payload":["A_USDT","B_USDT"]"#), "{}", again[0]);
    assert!(again[1].contains(r#""payload":["NO_USDT"]"#), "{}", again[1]);
    it.hear(r#"{"id":3,"channel":"spot.book_ticker","event":"subscribe","error":null}"#);
    it.hear(r#"{"id":4,"channel":"spot.book_ticker","event":"subscribe","error":{"code":2,"message":"unknown currency pair: NO_USDT"}}"#);
    assert_eq!(it.states(), [0, 5, 0, 1]);
    assert_eq!(it.session.reports()[0].topic, "spot.book_ticker:NO_USDT");
}

#[test]
fn a_refusal_without_a_request_is_for_the_one_whose_symbol_it_quotes() {
    let mut it = Bench::new(Exchange::Mexc, Market::Perp, &["A_USDT", "NO_USDT"]);
    let asked = it.pass(0.5).expect("alive");
    assert_eq!(asked.len(), 4, "each topic has a request of its own: {asked:?}");
    it.hear(r#"{"channel":"rs.error","data":"Contract [NO_USDT] not exists","ts":1}"#);
    it.hear(r#"{"channel":"rs.sub.depth.full","data":"success","ts":2}"#);
    it.hear(r#"{"channel":"rs.sub.deal","data":"success","ts":2}"#);
    it.hear(r#"{"channel":"rs.error","data":"Contract [NO_USDT] not exists","ts":3}"#);
    assert_eq!(it.states(), [0, 2, 0, 2]);
    let refusals = it.session.reports();
    assert!(refusals.iter().all(|it| it.topic.ends_with(":NO_USDT")), "{refusals:?}");
}
