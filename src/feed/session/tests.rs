//! The rules of a session, in made-up time.

use std::{collections::BTreeSet, sync::Arc};

use super::*;
use crate::{
    exchange::{self, ALL, Address, Endpoint, Ping},
    market::{Exchange, GapReason, Instrument, InstrumentId, Market, Venue},
};

const PATIENCE: Patience =
    Patience { heartbeat_timeout: Duration::from_secs(30), stale_after: Duration::from_mins(2) };

/// When each test begins: 2026-11-23T12:00:00Z.
const NOON: Nanos = Nanos(1_795_435_200_000_000_000);

/// A session and its clock.
struct Bench {
    session: Session,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(exchange: Exchange, market: Market, symbols: &[&str]) -> Self {
        let protocol = exchange::find(Venue::new(exchange, market));
        Self::of(protocol.expect("there is code for it"), symbols)
    }

    fn of(protocol: &'static Protocol, symbols: &[&str]) -> Self {
        let now = Instant::now();
        let instruments: Vec<_> = (0..)
            .zip(symbols)
            .map(|(id, symbol)| {
                let instrument = Instrument {
                    venue: protocol.venue,
                    symbol: (*symbol).to_owned(),
                    symbol_native: (*symbol).to_owned(),
                    contract_size: 1.0,
                };
                (InstrumentId(id), Arc::new(instrument))
            })
            .collect();
        let channels = &protocol.endpoints[0].channels;
        let session = Session::new(protocol, PATIENCE, ConnId(7), &instruments, channels, now);
        Self { session, start: now, now }
    }

    /// Lets seconds pass, tick by tick, and returns what was sent.
    fn pass(&mut self, seconds: f64) -> Result<Vec<Outgoing>, Verdict> {
        let end = self.now + Duration::from_secs_f64(seconds);
        let mut sent = Vec::new();
        while self.now < end {
            self.now += Duration::from_millis(50);
            self.session.tick(self.now, self.time())?;
            sent.extend(std::iter::from_fn(|| self.session.outgoing()));
        }
        Ok(sent)
    }

    fn hear(&mut self, text: &str) {
        self.session.on_text(text, self.time(), self.now);
    }

    fn requests(&mut self, seconds: f64) -> Vec<String> {
        let sent = self.pass(seconds).expect("nothing ends the session");
        let text = |it| match it {
            Outgoing::Text(text) if text.contains("ubscribe") || text.contains("SUBSCRIBE") => {
                Some(text)
            }
            _ => None,
        };
        sent.into_iter().filter_map(text).collect()
    }

    /// The wall clock, which goes as the other one does.
    fn time(&self) -> Nanos {
        let elapsed = i64::try_from((self.now - self.start).as_nanos()).expect("a short test");
        Nanos(NOON.0 + elapsed)
    }

    /// Topics requested, acknowledged, delivering and refused.
    fn states(&self) -> [i64; 4] {
        use SubscriptionState::{Acknowledged, Delivering, Refused, Requested};
        let all = self.session.states(self.time());
        [Requested, Acknowledged, Delivering, Refused].map(|it| all[it as usize])
    }

    fn count(&self, state: SubscriptionState) -> i64 {
        self.session.states(self.time())[state as usize]
    }

    fn elapsed(&self) -> f64 {
        (self.now - self.start).as_secs_f64()
    }
}

/// A venue that differs from a real one.
fn like(exchange: Exchange, change: impl Fn(&mut Protocol)) -> &'static Protocol {
    let venue = Venue::new(exchange, Market::Spot);
    let mut protocol = *exchange::find(venue).expect("there is code for it");
    change(&mut protocol);
    Box::leak(Box::new(protocol))
}

const BYBIT_QUOTE: &str = r#"{"topic":"orderbook.1.AUSDT","ts":1,"type":"snapshot","data":{"s":"AUSDT","b":[["1","2"]],"a":[["3","4"]],"u":1,"seq":1}}"#;

#[test]
fn another_patience_is_judged_by_from_when_it_was_given() {
    let protocol = like(Exchange::Bybit, |_| {});
    let mut it = Bench::of(protocol, &["AUSDT"]);
    it.pass(9.0).expect("silent for less than it may be");
    let patience =
        Patience { heartbeat_timeout: Duration::from_secs(3), stale_after: Duration::from_mins(2) };
    it.session.set_patience(patience, it.now);
    let sent = it.pass(2.0).expect("silent for two seconds of three");
    assert!(!sent.is_empty(), "it is asked for proof of life at once");
    let verdict = it.pass(5.0).expect_err("nobody is there");
    assert!(matches!(verdict, Verdict::Silent(_)), "{verdict}");
    assert!((11.5..13.0).contains(&it.elapsed()), "{}", it.elapsed());
}

#[test]
fn a_peer_that_vanishes_is_found_within_the_heartbeat_timeout() {
    for protocol in ALL {
        let mut it = Bench::of(protocol, &["AUSDT"]);
        let verdict = it.pass(100.0).expect_err("nobody is there");
        assert!(matches!(verdict, Verdict::Silent(_) | Verdict::Unwelcome), "{verdict}");
        assert!(it.elapsed() < 30.2, "{} s", it.elapsed());
    }
}

#[test]
fn answered_pings_alone_do_not_hide_a_mute_peer() {
    let mut it = Bench::new(Exchange::Okx, Market::Spot, &["A-USDT"]);
    let verdict = loop {
        it.hear("pong");
        match it.pass(5.0) {
            Ok(_) => assert!(it.elapsed() < 200.0, "the mute peer was not noticed"),
            Err(verdict) => break verdict,
        }
    };
    assert!(matches!(verdict, Verdict::Mute(_)), "{verdict}");
    assert!((119.0..121.0).contains(&it.elapsed()), "{} s", it.elapsed());
}

#[test]
fn a_market_that_has_always_been_quiet_is_no_fault() {
    let mut it = Bench::new(Exchange::Bybit, Market::Spot, &["AUSDT"]);
    for second in 0..600 {
        it.hear(if second % 60 == 0 { BYBIT_QUOTE } else { r#"{"op":"pong"}"# });
        it.pass(1.0).expect("quiet, not mute");
    }
}

#[test]
fn a_keepalive_goes_out_by_the_clock_even_while_data_flows() {
    let mut it = Bench::new(Exchange::Okx, Market::Perp, &["A-USDT-SWAP"]);
    let mut pings = 0;
    for _ in 0..60 {
        it.hear(r#"{"arg":{"channel":"bbo-tbt","instId":"A-USDT-SWAP"},"data":[{"asks":[],"bids":[["1","1","0","1"]],"ts":"5"}]}"#);
        let sent = it.pass(1.0).expect("alive");
        pings += sent.iter().filter(|it| **it == Outgoing::Text("ping".into())).count();
    }
    assert_eq!(pings, 6, "one each third of the heartbeat timeout");
}

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
fn a_text_ping_is_answered_and_a_notice_of_closing_heeded() {
    let mut it = Bench::new(Exchange::Okx, Market::Spot, &["A-USDT"]);
    it.pass(0.1).expect("alive");
    it.hear("ping");
    assert_eq!(it.session.outgoing(), Some(Outgoing::Text("pong".into())));
    it.hear(r#"{"event":"notice","code":"64008","msg":"service upgrade","connId":"x"}"#);
    it.pass(1.0).expect("it lasts until it is closed");
    assert_eq!(it.session.closing(), Some("service upgrade"));
}

#[test]
fn a_peer_that_talks_nonsense_is_replaced_but_one_bad_frame_is_only_counted() {
    let mut it = Bench::new(Exchange::Bybit, Market::Spot, &["AUSDT"]);
    it.hear("{nonsense");
    it.hear(BYBIT_QUOTE);
    it.pass(0.1).expect("one bad frame");
    assert_eq!(it.session.decode_errors, 1);
    for _ in 0..100 {
        it.hear("{nonsense");
    }
    assert!(matches!(it.pass(0.1), Err(Verdict::Nonsense(_))));
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

/// A quote of another symbol than [`BYBIT_QUOTE`]'s.
const OTHER_QUOTE: &str = r#"{"topic":"orderbook.1.BUSDT","ts":1,"type":"snapshot","data":{"s":"BUSDT","b":[["1","2"]],"a":[["3","4"]],"u":1,"seq":1}}"#;

/// A session with two symbols whose quotes alone are subscribed to, both acknowledged.
fn two_quotes() -> Bench {
    let quotes = like(Exchange::Bybit, |it| {
        it.endpoints =
            &[Endpoint { address: Address::Fixed("wss://unused"), channels: &[Channel::Quotes] }];
    });
    let mut it = Bench::of(quotes, &["AUSDT", "BUSDT"]);
    assert_eq!(it.requests(0.1).len(), 1);
    it.hear(r#"{"success":true,"ret_msg":"subscribe","req_id":"1","op":"subscribe"}"#);
    it
}

#[test]
fn a_symbol_that_goes_mute_among_others_is_asked_for_anew_alone() {
    let mut it = two_quotes();
    let (mut sent, mut last) = (Vec::new(), it.time());
    for second in 0..300 {
        it.hear(OTHER_QUOTE);
        if second < 60 {
            it.hear(BYBIT_QUOTE);
            last = it.time();
        }
        sent.extend(it.requests(1.0));
    }
    assert_eq!(it.count(SubscriptionState::Stale), 1);
    assert_eq!(it.count(SubscriptionState::Delivering), 1);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].contains("unsubscribe") && sent[0].contains(r#"["orderbook.1.AUSDT"]"#));
    assert!(sent[1].contains(r#""subscribe""#) && sent[1].contains(r#"["orderbook.1.AUSDT"]"#));
    let reports = it.session.reports();
    assert_eq!(reports[0].topic, "orderbook.1.AUSDT");
    assert!(reports[0].what.contains("mute"), "{reports:?}");
    it.hear(r#"{"success":true,"ret_msg":"subscribe","req_id":"3","op":"subscribe"}"#);
    assert_eq!(*it.session.gaps(), [], "it is still missing");
    it.hear(BYBIT_QUOTE);
    assert_eq!(it.count(SubscriptionState::Delivering), 2);
    let [gap] = it.session.gaps()[..] else { panic!("{:?}", it.session.gaps()) };
    let of = (gap.reason, gap.instrument, gap.channel, gap.conn);
    let expected =
        (GapReason::Stale, Some(InstrumentId(0)), Some(Channel::Quotes), Some(ConnId(7)));
    assert_eq!(of, expected);
    assert_eq!((gap.from, gap.to), (last, it.time()), "from its last quote to its next");
}

#[test]
fn what_is_mute_or_unreadable_when_a_connection_ends_is_missing_until_then() {
    let mut it = two_quotes();
    for second in 0..300 {
        it.hear(OTHER_QUOTE);
        if second < 60 {
            it.hear(BYBIT_QUOTE);
        }
        it.pass(1.0).expect("nothing ends the session");
    }
    it.hear("nonsense");
    let now = it.time();
    it.session.end(None);
    let gaps = it.session.gaps();
    let reasons: Vec<_> = gaps.iter().map(|it| it.reason).collect();
    assert_eq!(reasons, [GapReason::DecodeError, GapReason::Stale]);
    assert!(gaps.iter().all(|it| it.to == now), "{gaps:?}");
}

#[test]
fn a_symbol_that_pauses_as_it_always_has_is_quiet() {
    let mut it = two_quotes();
    for second in 0..900 {
        it.hear(OTHER_QUOTE);
        if second % 100 == 0 && second < 300 {
            it.hear(BYBIT_QUOTE);
        }
        assert!(it.requests(1.0).is_empty(), "nothing is asked for anew");
    }
    assert_eq!(it.count(SubscriptionState::Quiet), 1);
    assert_eq!(it.count(SubscriptionState::Stale), 0);
}

#[test]
fn an_assignment_that_changes_is_followed_by_requests_for_the_difference() {
    let known = |id, symbol: &str| {
        let venue = Venue::new(Exchange::Bybit, Market::Spot);
        let (symbol, symbol_native) = (symbol.to_owned(), symbol.to_owned());
        let instrument = Instrument { venue, symbol, symbol_native, contract_size: 1.0 };
        (InstrumentId(id), Arc::new(instrument))
    };
    let mut it = two_quotes();
    it.session.assign(&[known(0, "AUSDT"), known(2, "CUSDT")], &[Channel::Quotes]);
    let sent = it.requests(1.0);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].contains(r#""subscribe""#) && sent[0].contains(r#"["orderbook.1.CUSDT"]"#));
    assert!(sent[1].contains("unsubscribe") && sent[1].contains(r#"["orderbook.1.BUSDT"]"#));
    it.hear(OTHER_QUOTE);
    assert!(it.session.events().is_empty(), "what was dropped is not passed on");
    it.hear(BYBIT_QUOTE);
    assert_eq!(it.session.events().len(), 1);
    assert_eq!(it.states(), [1, 0, 1, 0]);
    // Another contract size makes another instrument of the same symbol, on the same subscription.
    it.session.assign(&[known(7, "AUSDT"), known(2, "CUSDT")], &[Channel::Quotes]);
    assert!(it.requests(1.0).is_empty());
    it.session.events().clear();
    it.hear(BYBIT_QUOTE);
    assert_eq!(it.session.events()[0].instrument(), InstrumentId(7));
}
