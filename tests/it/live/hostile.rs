//! Peers that mean harm, or do not know better: nothing they send stops the server, and nothing
//! grows with it.

use std::{
    io::{Read, Write},
    net::Shutdown,
    thread,
    time::Duration,
};

use super::{
    super::support::{child::Process, world::eventually},
    client::{Client, ask, connect, get, read_answer},
    frames::{Frames, frame, raw},
    served::{addr, serve, settings},
};

#[test]
fn frames_may_come_in_pieces_and_pings_between_them() {
    serve(&settings(), |served| {
        let mut tcp = raw(served.addr);
        let request = br#"{"op":"subscribe","channel":"trades","symbols":["BTC-USDT"]}"#;
        let (first, second) = request.split_at(20);
        let sent = [
            frame(0x01, first),
            frame(0x89, b"are you there?"),
            frame(0x00, b""),
            frame(0x80, second),
            frame(0x8a, b"a pong that nobody asked for"),
        ];
        // A byte at a time is a way to send them too.
        for byte in sent.concat() {
            tcp.write_all(&[byte]).unwrap();
        }
        // Whoever closes does not wait for an answer.
        eventually("it is understood", || served.is_listening());
        tcp.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
        let frames: Vec<_> = Frames::new(tcp).collect();
        let pong = frames.iter().find(|it| it.0 == 10).expect("a pong");
        assert_eq!(pong.1, b"are you there?");
        let answers = frames.iter().filter(|it| it.0 == 1);
        let text = String::from_utf8(answers.flat_map(|it| it.1.clone()).collect()).unwrap();
        assert!(text.contains(r#""type":"subscribed""#), "{text}");
    });
}

#[test]
fn too_much_of_anything_ends_the_client_that_sends_it() {
    let mut settings = settings();
    settings.max_requests = 50;
    serve(&settings, |served| {
        let flood = |sent: Vec<u8>, times: usize| {
            let mut tcp = raw(served.addr);
            let writing = tcp.try_clone().unwrap();
            thread::scope(|scope| {
                scope.spawn(move || {
                    let mut writing = writing;
                    for _ in 0..times {
                        // It is closed somewhere on the way.
                        if writing.write_all(&sent).is_err() {
                            break;
                        }
                    }
                });
                let mut bytes = Vec::new();
                let _ = tcp.read_to_end(&mut bytes);
                let _ = tcp.shutdown(Shutdown::Both);
                bytes
            })
        };
        let says = |bytes: &[u8], text: &str| {
            assert!(
                bytes.windows(text.len()).any(|it| it == text.as_bytes()),
                "{text} is not in {}",
                String::from_utf8_lossy(bytes)
            );
        };
        let request = frame(0x81, br#"{"op":"unsubscribe","channel":"quotes"}"#);
        says(&flood(request, 1_000), "more than 50 requests a second");
        says(&flood(frame(0x89, b""), 1_000), "more than 50 requests a second");
        // Parts of a message that never ends.
        let endless = [frame(0x01, b""), frame(0x00, b"").repeat(1_000_000)].concat();
        says(&flood(endless, 1), "more bytes a second than requests need");
        served.until_clients(0);
        // Nonsense, at a rate that is allowed.
        let mut client = Client::connect(served.addr);
        let mut errors = 0;
        while client.try_send("nonsense") {
            match client.read() {
                Ok(text) => assert!(text.contains("error"), "{text}"),
                Err(frame) => {
                    assert_eq!(frame.map(|it| u16::from(it.code)), Some(1008));
                    break;
                }
            }
            errors += 1;
            thread::park_timeout(Duration::from_millis(20));
        }
        assert!((90..=100).contains(&errors), "{errors}");
    });
}

#[test]
fn ten_thousand_subscriptions_are_refused_and_nothing_of_them_is_kept() {
    serve(&settings(), |served| {
        let mut client = Client::connect(served.addr);
        for n in 0..10 {
            let symbols: Vec<_> = (0..1_001).map(|it| format!("S{n}X{it}-USDT")).collect();
            let request =
                serde_json::json!({ "op": "subscribe", "channel": "quotes", "symbols": symbols });
            let answer = client.ask(&request.to_string());
            assert_eq!(answer["type"], "error");
        }
        assert!(!served.is_listening());
        let answer = client.ask(r#"{"op":"subscribe","channel":"quotes","symbols":["BTC-USDT"]}"#);
        assert_eq!(answer["type"], "subscribed");
    });
}

#[test]
fn what_is_no_http_is_refused_or_left_alone() {
    serve(&settings(), |served| {
        let addr = served.addr;
        for (sent, status) in [
            (&b"\x16\x03\x01\x02\x00\x01\x00"[..], 400),
            (b"NONSENSE\r\n\r\n", 400),
            (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: localhost\r\n\r\n", 400),
            (b"GET /%00%ff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
            (b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\r\n", 426),
        ] {
            assert_eq!(ask(addr, sent).status, status, "{}", String::from_utf8_lossy(sent));
        }
        let huge = format!("GET / HTTP/1.1\r\nHost: {addr}\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
        assert_eq!(ask(addr, huge.as_bytes()).status, 431);
        let many = format!("GET / HTTP/1.1\r\nHost: {addr}\r\n{}\r\n", "A: b\r\n".repeat(1_000));
        assert_eq!(ask(addr, many.as_bytes()).status, 431);
        // Gone before it has said anything, or in the middle of it.
        drop(connect(addr));
        let mut half = connect(addr);
        half.write_all(b"GET / HT").unwrap();
        drop(half);
        assert_eq!(get(addr, "/").status, 200);
    });
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    serve(&settings(), |served| {
        let mut silent = connect(served.addr);
        let mut slow = connect(served.addr);
        slow.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
        let mut trickling = slow.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                // A byte now and then, for as long as somebody takes it.
                while trickling.write_all(b"a").is_ok() {
                    thread::park_timeout(Duration::from_millis(100));
                }
            });
            let mut nothing = Vec::new();
            silent.read_to_end(&mut nothing).unwrap();
            assert!(nothing.is_empty(), "{nothing:?}");
            assert_eq!(read_answer(&mut slow).status, 408);
            let _ = slow.shutdown(Shutdown::Both);
        });
        assert_eq!(get(served.addr, "/").status, 200);
    });
}

#[test]
fn a_flood_of_all_of_it_leaves_the_process_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("data");
    let mut demo = Process::start(&[
        "demo",
        "--for",
        "10m",
        "--rate",
        "500",
        "--symbols",
        "5",
        "--listen",
        "127.0.0.1:0",
        "--dir",
        dir.to_str().unwrap(),
    ]);
    let line = demo.line();
    let addr = addr(line.trim().trim_start_matches("dashboard: "));
    let round = |n: usize| {
        let huge = vec![b'a'; 100_000];
        let nonsense: Vec<_> = (0..2_000).map(|it| (it * 31 + n * 17).to_le_bytes()[0]).collect();
        let mut open = Vec::new();
        for _ in 0..20 {
            for sent in
                [&huge[..], &nonsense, b"GET /ws HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX: a"]
            {
                let mut tcp = connect(addr);
                let _ = tcp.write_all(sent);
                open.push(tcp);
            }
            let mut tcp = raw(addr);
            let _ = tcp.write_all(&nonsense);
            open.push(tcp);
            let mut tcp = raw(addr);
            let _ = tcp.write_all(&frame(0x01, &huge[..60_000]));
            open.push(tcp);
        }
        drop(open);
    };
    eventually("all are connected", || {
        let health = get(addr, "/api/v1/health").json();
        health["exchanges"].as_array().unwrap().iter().all(|it| {
            let (up, wanted) = (&it["connections"]["up"], &it["connections"]["wanted"]);
            up == wanted && wanted.as_u64().is_some_and(|it| 0 < it)
        })
    });
    round(0);
    let idle = || {
        eventually("all are gone", || {
            get(addr, "/metrics").body.contains("spread_aggregator_live_clients 0\n")
        });
    };
    idle();
    let before = demo.usage_at_rest();
    for n in 1..6 {
        round(n);
    }
    idle();
    let after = demo.until_given_back(before);
    assert!(after.resident <= before.resident + (16 << 20), "{before:?} {after:?}");
    demo.signal("TERM");
    assert_eq!(demo.end().0.code(), Some(0));
}
