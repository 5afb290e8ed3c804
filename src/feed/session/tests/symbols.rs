//! One symbol among others: mute, quiet, or not wanted any more.

use super::*;
use crate::{
    exchange::{Address, Endpoint},
    market::GapReason,
};

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
