//! A venue that hands out its address and speaks first, played by a script.

use std::{
    io::{ErrorKind, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use spread_aggregator::{
    config,
    market::{Exchange, Market, Venue},
    metrics::{Metrics, ReconnectReason},
    pipeline,
    stop::Stop,
};
use tungstenite::{
    Error, Message,
    handshake::server::{Request, Response},
};

use super::support::world::{RequestOnDrop, eventually};

const VENUE: Venue = Venue::new(Exchange::Kucoin, Market::Spot);

/// How long the peer keeps a client waiting for its welcome.
const RELUCTANCE: Duration = Duration::from_millis(400);

const SYMBOLS: &str = r#"{"code":"200000","data":[{"symbol":"ADA-USDT","name":"ADA-USDT","baseCurrency":"ADA","quoteCurrency":"USDT","enableTrading":true}]}"#;
const TICKERS: &str =
    r#"{"code":"200000","data":{"time":1,"ticker":[{"symbol":"ADA-USDT","volValue":"9e6"}]}}"#;
const QUOTE: &str = r#"{"topic":"/spotMarket/level1:ADA-USDT","type":"message","subject":"level1","data":{"asks":["0.4124","81.5"],"bids":["0.4122","120.25"],"timestamp":1781111160723}}"#;

/// Answers until `stop`; returns the queries of the WebSocket connections there have been.
fn serve(listener: &TcpListener, stop: &Stop) -> Vec<String> {
    listener.set_nonblocking(true).unwrap();
    let (mut tokens, mut queries) = (0, Vec::new());
    while !stop.wait(Duration::from_millis(5)) {
        let Ok((stream, _)) = listener.accept() else { continue };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(RELUCTANCE)).unwrap();
        let mut head = [0; 32];
        let n = stream.peek(&mut head).unwrap();
        let head = String::from_utf8_lossy(&head[..n]).into_owned();
        if head.starts_with("POST /api/v1/bullet-public") {
            tokens += 1;
            let servers = r#"[{"endpoint":"wss://unreachable.example/","protocol":"websocket"}]"#;
            let data = format!(r#"{{"token":"token-{tokens}","instanceServers":{servers}}}"#);
            answer(stream, &format!(r#"{{"code":"200000","data":{data}}}"#));
        } else if head.starts_with("GET /api/v2/symbols") {
            answer(stream, SYMBOLS);
        } else if head.starts_with("GET /api/v1/market/all") {
            answer(stream, TICKERS);
        } else {
            let quote =
                QUOTE.replace("1781111160723", &(1_781_111_160_723_u64 + tokens).to_string());
            queries.push(speak(stream, &quote));
        }
    }
    queries
}

fn answer(mut stream: TcpStream, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    // The request was only looked at: an end that leaves it unread would look like a reset.
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

/// Greets late, delivers `quote` and hangs up; returns the query. What has been told before is not
/// passed on again.
#[expect(clippy::result_large_err, reason = "the shape of the callback is the library's")]
fn speak(stream: TcpStream, quote: &str) -> String {
    let mut query = String::new();
    let look = |request: &Request, response: Response| {
        request.uri().query().unwrap_or_default().clone_into(&mut query);
        Ok(response)
    };
    let mut socket = tungstenite::accept_hdr(stream, look).unwrap();
    match socket.read() {
        Err(Error::Io(err))
            if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
        other => panic!("{other:?} before the welcome"),
    }
    socket.send(Message::text(r#"{"id":"x","type":"welcome"}"#)).unwrap();
    let subscribe = socket.read().unwrap();
    let subscribe: serde_json::Value = serde_json::from_str(subscribe.to_text().unwrap()).unwrap();
    assert_eq!(subscribe["topic"], "/spotMarket/level1:ADA-USDT");
    let id = &subscribe["id"];
    socket.send(Message::text(format!(r#"{{"id":{id},"type":"ack"}}"#))).unwrap();
    socket.send(Message::text(quote)).unwrap();
    query
}

#[test]
fn every_connect_asks_for_its_address_and_waits_for_the_welcome() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = listener.local_addr().unwrap();
    let text = format!(
        "[live]\nenabled = false\n[storage]\ndir = {:?}\n[[exchange]]\nname = \"kucoin\"\ntrades = false\n\
         ws_url = \"ws://{peer}\"\nrest_url = \"http://{peer}\"",
        dir.path().display().to_string()
    );
    let plan = config::parse(&text, Path::new("test.toml")).unwrap();
    let (metrics, stop, closing_time) = (Metrics::new(), Stop::default(), Stop::default());
    let queries = thread::scope(|scope| {
        let _closing = (RequestOnDrop(&stop), RequestOnDrop(&closing_time));
        let serving = scope.spawn(|| serve(&listener, &closing_time));
        let running = scope.spawn(|| pipeline::run(&plan, &metrics, &stop));
        let venue = metrics.venue(VENUE);
        eventually("two connections deliver", || 2 <= venue.quotes.get());
        stop.request();
        running.join().unwrap().unwrap();
        closing_time.request();
        serving.join().unwrap()
    });
    assert!(queries.len() >= 2, "{queries:?}");
    for (n, query) in (1..).zip(&queries[..2]) {
        assert!(query.starts_with(&format!("token=token-{n}&connectId=")), "{queries:?}");
    }
    let venue = metrics.venue(VENUE);
    assert_eq!(venue.reconnects(ReconnectReason::Connect), 0);
    assert_eq!(venue.decode_errors.get(), 0);
}
