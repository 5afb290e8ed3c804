//! What is asked for, how fast, and which answer settles what.

use std::collections::BTreeSet;

use super::*;
use crate::exchange::Ping;

#[test]
fn requests_are_paced_and_no_larger_than_the_venue_allows() {
    let symbols: Vec<_> = (0..60).map(|n| format!("C{n}USDT")).collect();
    let symbols: Vec<_> = symbols.iter().map(String::as_str).collect();
    let mut it = Bench::new(Exchange::Bybit, Market::Spot, &symbols);
    let mut asked = BTreeSet::new();
    for second in 1.. {
        let requests = it.requests(1.0);
        assert!(requests.len() <= 10, "{} requests in a second", requests.len());
        for request in requests {
            let request: serde_json::Value = serde_json::from_str(&request).unwrap();
            let args = request["args"].as_array().unwrap();
            assert!(args.len() <= 10);
            asked.extend(args.iter().map(|it| it.as_str().unwrap().to_owned()));
        }
        if second == 2 {
            break;
        }
    }
    assert_eq!(asked.len(), 120, "each symbol's quotes and trades");
}

#[test]
fn an_answer_that_names_its_topic_settles_that_one_only() {
    let mut it = Bench::new(Exchange::Okx, Market::Spot, &["A-USDT", "NO-USDT"]);
    assert_eq!(it.requests(0.1).len(), 1);
    it.hear(r#"{"event":"subscribe","id":"1","arg":{"channel":"bbo-tbt","instId":"A-USDT"}}"#);
    assert_eq!(it.states(), [3, 1, 0, 0]);
    it.hear(r#"{"event":"error","id":"1","code":"60018","msg":"Subscribe failed, wrong URL or channel:trades,instId:NO-USDT doesn't exist."}"#);
    let again = it.requests(1.0);
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(again[1].contains("NO-USDT") && !again[1].contains("A-USDT"), "{}", again[1]);
}

#[test]
fn what_nobody_answers_for_is_asked_for_three_times_and_then_late() {
    let mut it = Bench::new(Exchange::Bybit, Market::Perp, &["AUSDT"]);
    let mut requests = Vec::new();
    for _ in 0..40 {
        it.hear(BYBIT_QUOTE);
        requests.extend(it.requests(1.0));
    }
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests[2].contains(r#"["publicTrade.AUSDT"]"#), "{}", requests[2]);
    assert_eq!(it.states(), [1, 0, 1, 0]);
    assert_eq!(it.session.reports()[0].what, "has not been answered for");
    for _ in 0..600 {
        it.hear(BYBIT_QUOTE);
        requests.extend(it.requests(1.0));
    }
    assert_eq!(requests.len(), 4);
}

#[test]
fn data_is_as_good_as_an_answer() {
    let mut it = Bench::new(Exchange::Bybit, Market::Perp, &["AUSDT"]);
    it.pass(0.1).expect("alive");
    for _ in 0..20 {
        it.hear(BYBIT_QUOTE);
        it.hear(r#"{"topic":"publicTrade.AUSDT","ts":1,"type":"snapshot","data":[{"T":1,"s":"AUSDT","S":"Buy","v":"1","p":"2","i":"3"}]}"#);
        assert!(it.requests(1.0).is_empty(), "asked again for what is delivered");
    }
    assert_eq!(it.states(), [0, 0, 2, 0]);
}

#[test]
fn data_for_a_symbol_that_was_not_asked_for_is_counted_and_not_passed_on() {
    let mut it = Bench::new(Exchange::Bybit, Market::Spot, &["BUSDT"]);
    it.hear(BYBIT_QUOTE);
    assert_eq!(it.session.unknown_frames, 1);
    assert!(it.session.events().is_empty());
    assert!(!it.session.has_data());
}

#[test]
fn nothing_is_said_to_a_venue_that_greets_before_it_has() {
    let greets = like(Exchange::Okx, |it| {
        it.quirks.greeting = true;
        it.decode = |text, inbox| {
            inbox.notices.push(if text == "hi" { Notice::Welcome } else { Notice::Pong });
            Ok(())
        };
    });
    let mut it = Bench::of(greets, &["A-USDT"]);
    for _ in 0..19 {
        it.hear("pong");
        assert!(it.pass(0.5).expect("there is time").is_empty());
        assert!(Duration::from_millis(450) < it.session.idle(it.now));
    }
    it.hear("hi");
    assert_eq!(it.requests(0.1).len(), 1);

    let mut it = Bench::of(greets, &["A-USDT"]);
    assert_eq!(it.pass(11.0), Err(Verdict::Unwelcome));
    assert!((9.9..10.2).contains(&it.elapsed()), "{} s", it.elapsed());
}

#[test]
fn a_venue_that_wants_it_is_asked_for_one_channel_at_a_time_also_again() {
    let strict = like(Exchange::Bybit, |it| {
        it.limits.one_channel_per_request = true;
        it.limits.topics_per_request = 2;
    });
    let mut it = Bench::of(strict, &["AUSDT", "BUSDT", "CUSDT"]);
    let mut asked = Vec::new();
    for _ in 0..60 {
        it.hear(r#"{"op":"pong"}"#);
        asked.extend(it.requests(1.0));
    }
    let first: Vec<_> = asked[..4].iter().map(|it| it.matches("USDT").count()).collect();
    assert_eq!(first, [2, 1, 2, 1]);
    assert_eq!(asked.len(), 12, "each three times");
    for it in asked {
        assert!(it.contains("orderbook") != it.contains("publicTrade"), "{it}");
    }
}

#[test]
fn requests_and_keepalives_say_the_time_they_are_told() {
    let punctual = like(Exchange::Okx, |it| {
        it.request = |it| format!("subscribe {} at {}", it.id, it.time);
        it.quirks.ping =
            Some(Ping { every: Duration::from_secs(5), text: |time| format!("ping at {time}") });
    });
    let mut it = Bench::of(punctual, &["A-USDT"]);
    let sent = it.pass(6.0).expect("alive");
    let expected = ["subscribe 1 at 1795435200", "ping at 1795435205"];
    assert_eq!(sent, expected.map(|it| Outgoing::Text(it.into())));
}

#[test]
fn an_answer_by_another_name_than_ours_settles_nothing() {
    let mut it = Bench::new(Exchange::Kucoin, Market::Spot, &["A-USDT", "B-USDT"]);
    it.hear(r#"{"id":"7","type":"welcome"}"#);
    let requests = it.requests(0.5);
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[0].contains(r#""topic":"/spotMarket/level1:A-USDT,B-USDT""#));
    it.hear(r#"{"id":"99","type":"ack"}"#);
    assert_eq!(it.states(), [4, 0, 0, 0]);
    it.hear(r#"{"id":"2","type":"ack"}"#);
    it.hear(r#"{"id":"1","type":"error","code":404,"data":"topic /spotMarket/level1:B-USDT is not found"}"#);
    assert_eq!(it.states(), [2, 2, 0, 0]);
    let again = it.requests(1.0);
    assert!(again[0].contains(r#""/spotMarket/level1:A-USDT""#), "{again:?}");
    assert!(again[1].contains(r#""/spotMarket/level1:B-USDT""#), "{again:?}");
}

#[test]
fn every_request_is_within_the_bytes_that_its_venue_takes() {
    /// The longest of any list is below this.
    const LONG_SYMBOL: &str = "1000000LONGNAMEUSDT";
    for (exchange, most) in [(Exchange::Bitget, 4096), (Exchange::Mexc, 1024)] {
        for protocol in ALL.iter().filter(|it| it.venue.exchange == exchange) {
            let symbols = vec![LONG_SYMBOL; protocol.limits.topics_per_connection / 2];
            let mut it = Bench::of(protocol, &symbols);
            for sent in it.pass(5.0).expect("alive") {
                let Outgoing::Text(text) = sent else { continue };
                assert!(text.len() <= most, "{} bytes: {text}", text.len());
            }
        }
    }
}
