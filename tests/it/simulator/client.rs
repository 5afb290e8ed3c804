//! A client of any venue.

use std::{
    collections::HashSet,
    net::TcpStream,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use spread_aggregator::{
    market::{Exchange, Market, Venue},
    simulator::{Sent, Simulator},
};
use tungstenite::{Message, WebSocket, client::IntoClientRequest, protocol::frame::CloseFrame};

use super::{
    PATIENCE,
    count::count,
    post,
    read::{gunzip, wrapper},
    tongue,
};

pub(super) struct Client {
    pub(super) venue: Venue,
    pub(super) socket: WebSocket<TcpStream>,
    pub(super) got: Sent,
    /// Whether pings in the venue's own words are not answered.
    pub(super) deaf: bool,
    requests: u64,
    seen: HashSet<String>,
}

/// What comes out of a connection.
#[derive(Debug)]
pub(super) enum Got {
    Data(Value),
    Reply(Value),
    Pong,
    Ping,
    Closed(Option<CloseFrame>),
    Failed(tungstenite::Error),
}

/// A token, and where to go with it.
pub(super) fn bullet(simulator: &Simulator, venue: Venue) -> (String, String) {
    let reply = post(simulator, &format!("/{venue}/api/v1/bullet-public"));
    assert_eq!(reply["code"], "200000", "{reply}");
    let data = &reply["data"];
    let server = &data["instanceServers"][0];
    assert_eq!(
        (&server["protocol"], &server["pingInterval"]),
        (&"websocket".into(), &18_000.into())
    );
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    (text(&server["endpoint"]), text(&data["token"]))
}

impl Client {
    pub(super) fn connect(simulator: &Simulator, venue: Venue) -> Self {
        let path = tongue::path(venue).to_owned();
        if venue.exchange != Exchange::Kucoin {
            return Self::connect_to(simulator, venue, &path).unwrap();
        }
        let (endpoint, token) = bullet(simulator, venue);
        let url = format!("{endpoint}?token={token}&connectId=c-1");
        let mut client = Self::connect_url(simulator, venue, &url).unwrap();
        let welcome = client.reply();
        assert_eq!((&welcome["type"], &welcome["id"]), (&"welcome".into(), &"c-1".into()));
        client
    }

    pub(super) fn connect_to(
        simulator: &Simulator,
        venue: Venue,
        path: &str,
    ) -> Result<Self, Box<tungstenite::Error>> {
        Self::connect_url(simulator, venue, &(simulator.ws_url(venue) + path))
    }

    pub(super) fn connect_url(
        simulator: &Simulator,
        venue: Venue,
        url: &str,
    ) -> Result<Self, Box<tungstenite::Error>> {
        let mut request = url.into_client_request().unwrap();
        if venue == tongue::GATEIO_PERP {
            request.headers_mut().insert("X-Gate-Size-Decimal", "1".parse().unwrap());
        }
        Self::connect_with(simulator, venue, request)
    }

    pub(super) fn connect_with(
        simulator: &Simulator,
        venue: Venue,
        request: tungstenite::handshake::client::Request,
    ) -> Result<Self, Box<tungstenite::Error>> {
        let stream = TcpStream::connect(simulator.addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self {
                venue,
                socket,
                got: Sent::default(),
                deaf: false,
                requests: 0,
                seen: HashSet::new(),
            }),
            Err(tungstenite::HandshakeError::Failure(e)) => Err(Box::new(e)),
            Err(e) => panic!("{e}"),
        }
    }

    pub(super) fn send(&mut self, text: impl std::fmt::Display) {
        self.socket.send(Message::text(text.to_string())).unwrap();
    }

    /// Sends what it takes; returns how many answers there will be.
    pub(super) fn request(&mut self, verb: &str, topics: &[String]) -> usize {
        self.requests += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (requests, answers) = tongue::requests(self.venue, verb, topics, self.requests, now);
        for it in requests {
            self.send(it);
        }
        answers
    }

    pub(super) fn next(&mut self) -> Got {
        let (binary, bytes) = match self.socket.read() {
            Ok(Message::Text(text)) => (false, text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => (true, bytes.to_vec()),
            Ok(Message::Close(frame)) => return Got::Closed(frame),
            Ok(Message::Ping(_)) => return Got::Ping,
            Ok(Message::Pong(_)) => return Got::Pong,
            Ok(other) => panic!("{other:?}"),
            Err(e) => return Got::Failed(e),
        };
        if let Some(value) = self.understand(binary, &bytes) {
            return self.take(value, bytes.len());
        }
        self.got.garbage += 1;
        self.next()
    }

    /// What a frame says; `None` of garbage.
    fn understand(&self, binary: bool, bytes: &[u8]) -> Option<Value> {
        let text = match (self.venue.exchange, binary) {
            (Exchange::Mexc, true) => {
                assert_eq!(self.venue.market, Market::Spot, "contracts are told in text");
                return wrapper(bytes);
            }
            (Exchange::Bingx, true) => gunzip(bytes)?,
            (Exchange::Bingx, false) | (_, true) => panic!("a frame of the wrong type: {bytes:?}"),
            (_, false) => std::str::from_utf8(bytes).unwrap().to_owned(),
        };
        match text.as_str() {
            "pong" | "Ping" => Some(text.into()),
            _ => serde_json::from_str(&text).ok(),
        }
    }

    fn take(&mut self, value: Value, len: usize) -> Got {
        if tongue::is_pong(&value) {
            return Got::Pong;
        }
        if value == "Ping" || self.venue == tongue::BINGX_SPOT && value["ping"].is_string() {
            if !self.deaf {
                let spot = serde_json::json!({"pong": value["ping"], "time": value["time"]});
                let pong = if value == "Ping" { "Pong".to_owned() } else { spot.to_string() };
                // It may have been closed by now.
                let _ = self.socket.send(Message::text(pong));
            }
            return Got::Ping;
        }
        if tongue::is_reply(self.venue, &value) && value != serde_json::json!({}) {
            return Got::Reply(value);
        }
        let Some(sent) = count(self.venue, &value, &mut self.seen) else {
            self.got.garbage += 1;
            return self.next();
        };
        self.got.quotes += sent.quotes;
        self.got.trades += sent.trades;
        self.got.repeated_trades += sent.repeated_trades;
        self.got.withheld += sent.withheld;
        self.got.frames += 1;
        self.got.bytes += (len + if len < 126 { 2 } else { 4 }) as u64;
        Got::Data(value)
    }

    pub(super) fn reply(&mut self) -> Value {
        loop {
            match self.next() {
                Got::Reply(reply) => return reply,
                Got::Data(_) | Got::Ping | Got::Pong => {}
                other => panic!("{other:?} instead of a reply"),
            }
        }
    }

    pub(super) fn data(&mut self) -> Value {
        loop {
            match self.next() {
                Got::Data(data) => return data,
                Got::Reply(_) | Got::Ping | Got::Pong => {}
                other => panic!("{other:?} instead of data"),
            }
        }
    }

    /// Reads on until the connection ends.
    pub(super) fn end(&mut self) -> Got {
        loop {
            match self.next() {
                Got::Closed(frame) => {
                    // The server waits for the answer, which goes out with the next read.
                    let _ = self.socket.read();
                    return Got::Closed(frame);
                }
                Got::Failed(e) => return Got::Failed(e),
                _ => {}
            }
        }
    }

    pub(super) fn ping(&mut self) {
        match tongue::ping(self.venue) {
            Some(text) => self.send(text),
            None => self.socket.send(Message::Ping("x".into())).unwrap(),
        }
    }

    /// Takes everything sent before the answer to a ping.
    pub(super) fn catch_up(&mut self) {
        self.ping();
        loop {
            match self.next() {
                Got::Pong => return,
                Got::Data(_) | Got::Reply(_) | Got::Ping => {}
                other => panic!("{other:?} instead of a pong"),
            }
        }
    }

    pub(super) fn subscribe(&mut self, topics: &[String]) {
        for _ in 0..self.request("subscribe", topics) {
            let reply = self.reply();
            assert!(tongue::is_ack(self.venue, &reply), "{reply}");
        }
    }

    pub(super) fn subscribe_all(&mut self, simulator: &Simulator) {
        let all = tongue::tradable(simulator, self.venue);
        let at_once = if self.venue.exchange == Exchange::Binance { all.len() } else { 5 };
        for chunk in all.chunks(at_once.max(1)) {
            let topics: Vec<_> =
                chunk.iter().flat_map(|it| tongue::topics(self.venue, it)).collect();
            self.subscribe(&topics);
        }
    }
}

/// How a connection ended: the code of its close frame, or `None` when there was none.
pub(super) fn ended(end: &Got) -> Option<u16> {
    match end {
        Got::Closed(Some(frame)) => Some(frame.code.into()),
        Got::Failed(tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        )) => None,
        other => panic!("{other:?} is no proper end"),
    }
}
