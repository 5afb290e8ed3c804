//! Whatever is asked of the port, it is answered with one whole answer, as soon as it is known to be no
//! request, and the same one whether it comes at once or in pieces.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use spread_aggregator::{
    live::{
        offline::{Offline, settings},
        request::parse,
    },
    registry::Registry,
};
use spread_aggregator_fuzz::{instrument, venue};

static PORT: LazyLock<Offline> = LazyLock::new(|| {
    let registry = Registry::default();
    for (id, symbol) in (0..).zip(["BTC-USDT", "ETH-USDT", "A&B-USDT"]) {
        let (_, it) = instrument(venue(0), id, symbol);
        registry.intern((*it).clone()).expect("room");
    }
    Offline::new(settings(), registry)
});

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    if let Ok(Some(head)) = &whole {
        assert!(head.len <= bytes.len() && head.path.starts_with('/') || head.path.is_empty());
        assert_eq!(parse(&bytes[..head.len]), whole, "what follows it changes nothing");
    }
    for at in [bytes.len() / 2, bytes.len().saturating_sub(1)] {
        match parse(&bytes[..at]) {
            Ok(None) => {}
            Ok(early) => assert_eq!(Ok(early), whole, "at {at}"),
            Err(_) => assert!(whole.is_err(), "{whole:?}, refused at {at}"),
        }
    }
    let Some(answer) = PORT.http(bytes) else { return };
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(&answer).expect("an answer of HTTP");
    let body = answer.len() - parsed.unwrap();
    let status = response.code.expect("a status");
    let known = [101, 200, 400, 401, 403, 404, 405, 426, 431, 503];
    assert!(known.contains(&status), "{status}");
    let field = |name: &str| {
        let mut named = response.headers.iter().filter(|it| it.name.eq_ignore_ascii_case(name));
        let first = named.next().map(|it| it.value);
        assert!(named.next().is_none(), "{name} twice");
        first
    };
    let says = field("content-length").map(|it| std::str::from_utf8(it).unwrap().parse().unwrap());
    if status != 101 {
        // Empty lines may come before it.
        let bodiless = matches!(&whole, Ok(Some(it)) if it.method == "HEAD");
        assert!(says == Some(body) || bodiless && body == 0, "{says:?} {body}");
    }
    let origin = field("access-control-allow-origin").map(<[u8]>::to_ascii_lowercase);
    assert!(origin.is_none_or(|it| it == b"https://dash.example.com"));
});
