//! Who is let in over HTTP, and how answers look.

use std::{
    fs,
    io::{Read, Write},
    process::Command,
};

use spread_aggregator::live::Token;

use super::{
    super::support::{child::Process, world::eventually},
    client::{Client, ask, connect, get, get_with, read_answer},
    served::{addr, serve, settings},
};

/// The fields that upgrade to a WebSocket.
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn every_answer_has_the_fields_that_keep_pages_apart() {
    serve(&settings(), |served| {
        for (path, status, kind) in [
            ("/", 200, "text/html; charset=utf-8"),
            ("/?token=x", 200, "text/html; charset=utf-8"),
            ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
            ("/healthz", 503, "application/json"),
            ("/api/v1/instruments", 200, "application/json"),
            ("/nowhere", 404, "application/json"),
            ("/../etc/passwd", 404, "application/json"),
            ("/ws", 426, "application/json"),
        ] {
            let answer = get(served.addr, path);
            assert_eq!(answer.status, status, "{path}: {answer:?}");
            for field in [
                &format!("Content-Type: {kind}"),
                "Content-Security-Policy: default-src 'none'; script-src 'self'",
                "X-Content-Type-Options: nosniff",
                "X-Frame-Options: DENY",
                "Referrer-Policy: no-referrer",
                "Cross-Origin-Resource-Policy: same-origin",
                &format!("Content-Length: {}", answer.body.len()),
            ] {
                assert!(answer.head.contains(field), "{path}: {field} is not in {}", answer.head);
            }
        }
    });
}

#[test]
fn other_methods_are_refused_and_head_has_no_body() {
    serve(&settings(), |served| {
        let addr = served.addr;
        let request = |method: &str, path: &str| {
            let body = "Content-Length: 5\r\n\r\nhello";
            ask(addr, format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\n{body}").as_bytes())
        };
        for (method, path) in
            [("POST", "/"), ("DELETE", "/api/v1/quotes"), ("OPTIONS", "/ws"), ("HEAD", "/ws")]
        {
            let answer = request(method, path);
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.head.contains("Allow: GET"), "{answer:?}");
        }
        let head = request("HEAD", "/");
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert!(!head.head.contains("Content-Length: 0"), "{head:?}");
        let old = ask(addr, b"GET / HTTP/1.0\r\n\r\n");
        assert_eq!(old.status, 200);
    });
}

#[test]
fn a_page_of_another_host_may_not_look() {
    let mut settings = settings();
    settings.origins = vec!["https://dash.example.com".parse().unwrap()];
    serve(&settings, |served| {
        let addr = served.addr;
        for path in ["/", "/metrics", "/api/v1/instruments", "/ws"] {
            let ok = if path == "/ws" { 101 } else { 200 };
            let of = |origin: &str| {
                let mut tcp = connect(addr);
                let head = format!(
                    "GET {path} HTTP/1.1\r\nHost: {addr}\r\nOrigin: {origin}\r\n{UPGRADE}\r\n"
                );
                tcp.write_all(head.as_bytes()).unwrap();
                if path == "/ws" {
                    // It stays open when it is accepted.
                    let mut status = [0; 12];
                    tcp.read_exact(&mut status).unwrap();
                    return std::str::from_utf8(&status[9..]).unwrap().parse().unwrap();
                }
                read_answer(&mut tcp).status
            };
            assert_eq!(of(&format!("http://{addr}")), ok, "{path}");
            assert_eq!(of("https://dash.example.com"), ok, "{path}");
            assert_eq!(of("https://evil.example.com"), 403, "{path}");
            assert_eq!(of("null"), 403, "{path}");
        }
        let listed = get_with(addr, "/metrics", "Origin: https://dash.example.com\r\n");
        assert!(
            listed.head.contains("Access-Control-Allow-Origin: https://dash.example.com"),
            "{listed:?}"
        );
        let rebound = ask(addr, b"GET /metrics HTTP/1.1\r\nHost: evil.example.com\r\n\r\n");
        assert_eq!(rebound.status, 403);
        let nameless = ask(addr, b"GET /metrics HTTP/1.1\r\n\r\n");
        assert_eq!(nameless.status, 400);
    });
}

#[test]
fn without_the_token_nobody_sees_data() {
    let mut settings = settings();
    settings.token = Token::new("a-secret+token");
    serve(&settings, |served| {
        let addr = served.addr;
        for path in ["/metrics", "/healthz", "/api/v1/instruments", "/api/v1/quotes?symbol=A-B"] {
            assert_eq!(get(addr, path).status, 401, "{path}");
            let wrong = "Authorization: Bearer a-secret+tokem\r\n";
            assert_eq!(get_with(addr, path, wrong).status, 401, "{path}");
            let right = "Authorization: Bearer a-secret+token\r\n";
            assert_ne!(get_with(addr, path, right).status, 401, "{path}");
            let joint = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{joint}token=a-secret+token");
            assert_ne!(get(addr, &path).status, 401, "{path}");
        }
        assert_eq!(get(addr, "/").status, 200, "the page has no data in it");
        assert_eq!(Client::try_connect(addr, "").err(), Some(401));
        assert_eq!(Client::try_connect(addr, "?token=").err(), Some(401));
        assert_eq!(Client::try_connect(addr, "?token=a-secret+toke").err(), Some(401));
        let mut client = Client::try_connect(addr, "?token=a-secret%2Btoken").ok().unwrap();
        assert_eq!(client.next()["type"], "hello");
    });
}

#[test]
fn no_more_clients_than_allowed_and_a_place_is_free_again() {
    let mut settings = settings();
    settings.max_clients = 2;
    serve(&settings, |served| {
        let first = Client::connect(served.addr);
        let _second = Client::connect(served.addr);
        assert_eq!(Client::try_connect(served.addr, "").err(), Some(503));
        assert_eq!(get(served.addr, "/").status, 200, "others are served");
        first.close();
        eventually("a place is free", || Client::try_connect(served.addr, "").is_ok());
    });
}

#[test]
fn more_connections_than_can_be_attended_to_are_turned_away() {
    let mut settings = settings();
    settings.max_clients = 1;
    serve(&settings, |served| {
        let mut silent: Vec<_> = (0..129).map(|_| connect(served.addr)).collect();
        let mut refused = connect(served.addr);
        let answer = read_answer(&mut refused);
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.head.contains("Retry-After"), "{answer:?}");
        silent.clear();
        eventually("there is room", || {
            // One that is turned away may be reset before it has asked.
            let mut tcp = connect(served.addr);
            let asked = write!(tcp, "GET / HTTP/1.1\r\nHost: {}\r\n\r\n", served.addr);
            let mut text = String::new();
            asked.is_ok()
                && tcp.read_to_string(&mut text).is_ok()
                && text.starts_with("HTTP/1.1 200")
        });
    });
}

/// A configuration that collects from nowhere, served at `listen`.
fn config(dir: &std::path::Path, live: &str) -> String {
    let text = format!(
        "[storage]\ndir = {:?}\n[live]\n{live}\n[[exchange]]\nname = \"okx\"\n\
         ws_url = \"ws://127.0.0.1:9\"\nrest_url = \"http://127.0.0.1:9\"\n",
        dir.join("data").display().to_string()
    );
    let file = dir.join("config.toml");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn a_port_that_is_taken_is_exit_code_1_with_the_address() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let config = config(dir.path(), &format!("listen = \"{addr}\""));
    let out = Command::new(env!("CARGO_BIN_EXE_spread-aggregator"))
        .args(["run", "-c", &config])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(message.contains(&format!("failed to listen on {addr}")), "{message}");
}

#[test]
fn other_machines_are_let_in_with_a_token_or_on_purpose_only() {
    let dir = tempfile::tempdir().unwrap();
    for (live, code) in [
        ("listen = \"0.0.0.0:0\"", 2),
        ("listen = \"[::]:0\"", 2),
        ("listen = \"0.0.0.0:0\"\ntoken = \"\"", 2),
        ("listen = \"0.0.0.0:0\"\ntoken = \"a secret\"", 2),
        ("listen = \"0.0.0.0:0\"\ntoken = \"secret\"", 0),
        ("listen = \"0.0.0.0:0\"\ninsecure = true", 0),
        ("listen = \"[::1]:0\"", 0),
    ] {
        let config = config(dir.path(), live);
        let out = Command::new(env!("CARGO_BIN_EXE_spread-aggregator"))
            .args(["validate", "-c", &config])
            .output()
            .unwrap();
        let message = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{live}: {message}");
        if code == 2 {
            assert!(message.contains("config.toml"), "{message}");
            assert!(message.contains("token"), "{message}");
            assert!(!message.contains("a secret"), "{message}");
        }
    }
}

#[test]
fn a_token_is_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in ["token = \"hush-hush", "token = [\"hush-hush\"]", "tokn = \"hush-hush\""] {
        let config = config(dir.path(), wrong);
        let out = Command::new(env!("CARGO_BIN_EXE_spread-aggregator"))
            .args(["run", "-c", &config])
            .output()
            .unwrap();
        let message = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{message}");
        assert!(message.contains("line 4") && !message.contains("hush"), "{message}");
    }
    let config = config(dir.path(), "listen = \"127.0.0.1:0\"\ntoken = \"hush-hush\"");
    let collector = Process::start(&["-vv", "run", "-c", &config]);
    collector.until_says("dashboard");
    let log = collector.stderr();
    let line = log.lines().find(|it| it.contains("dashboard")).unwrap();
    let addr = addr(line.split_whitespace().find(|it| it.starts_with("http://")).unwrap());
    assert_eq!(get(addr, "/metrics?token=hush-hush").status, 200);
    assert_eq!(get(addr, "/nowhere?token=hush-hush").status, 404);
    assert!(Client::try_connect(addr, "?token=hush-hush").is_ok());
    assert!(Client::try_connect(addr, "?token=hush").is_err());
    collector.signal("TERM");
    let log = collector.stderr();
    let (status, out) = collector.end();
    assert_eq!(status.code(), Some(0), "{out}");
    assert!(!log.contains("hush-hush") && !out.contains("hush-hush"), "{log}");
}
