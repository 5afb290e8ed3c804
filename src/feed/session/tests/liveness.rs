//! When a peer is dead, mute or unwelcome, and what it is told to prove that it is not.

use super::*;

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
