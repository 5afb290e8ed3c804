//! A WebSocket client, and an HTTP one.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;
use tungstenite::{Message, WebSocket, client::IntoClientRequest, protocol::CloseFrame};

use super::super::support::world::PATIENCE;

/// A client that reads when it is told to. Pings are answered while it reads.
pub(super) struct Client {
    ws: WebSocket<TcpStream>,
}

impl Client {
    /// A client that has been welcomed.
    pub(super) fn connect(addr: SocketAddr) -> Self {
        let mut client = Self::try_connect(addr, "").expect("accepted");
        assert_eq!(client.next()["type"], "hello");
        client
    }

    /// A client that asks with `query`; the status when it is refused.
    pub(super) fn try_connect(addr: SocketAddr, query: &str) -> Result<Self, u16> {
        let tcp = connect(addr);
        let request = format!("ws://{addr}/ws{query}").into_client_request().unwrap();
        match tungstenite::client(request, tcp) {
            Ok((ws, _)) => Ok(Self { ws }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn send(&mut self, text: &str) {
        self.ws.send(Message::text(text)).unwrap();
    }

    /// Sends, unless the connection has ended.
    pub(super) fn try_send(&mut self, text: &str) -> bool {
        self.ws.send(Message::text(text)).is_ok()
    }

    /// The next text message, as JSON.
    pub(super) fn next(&mut self) -> Value {
        let text = self.next_text();
        serde_json::from_str(&text).unwrap_or_else(|err| panic!("{err}: {text}"))
    }

    /// The next text message.
    pub(super) fn next_text(&mut self) -> String {
        match self.read() {
            Ok(text) => text,
            Err(closed) => panic!("closed: {closed:?}"),
        }
    }

    /// The next text message, or how the connection was closed.
    pub(super) fn read(&mut self) -> Result<String, Option<CloseFrame>> {
        loop {
            match self.ws.read() {
                Ok(Message::Text(text)) => return Ok(text.to_string()),
                Ok(Message::Close(frame)) => {
                    // The answer to it.
                    let _ = self.ws.flush();
                    return Err(frame);
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(other) => panic!("{other:?}"),
                Err(_) => return Err(None),
            }
        }
    }

    /// Reads until the connection is closed; returns how.
    pub(super) fn until_closed(&mut self) -> Option<CloseFrame> {
        loop {
            if let Err(frame) = self.read() {
                return frame;
            }
        }
    }

    /// Sends a request and reads its answer, past all that comes before it.
    pub(super) fn ask(&mut self, request: &str) -> Value {
        self.send(request);
        loop {
            let message = self.next();
            if matches!(message["type"].as_str(), Some("subscribed" | "unsubscribed" | "error")) {
                return message;
            }
        }
    }

    /// Sends a request that is understood.
    pub(super) fn subscribe(&mut self, request: &str) {
        let answer = self.ask(request);
        assert_eq!(answer["type"], "subscribed", "{answer}");
    }

    pub(super) fn close(mut self) {
        self.ws.close(None).unwrap();
        self.until_closed();
    }

    /// The socket below.
    pub(super) fn into_tcp(self) -> TcpStream {
        self.ws.into_inner()
    }
}

/// A socket whose reads end at some time.
pub(super) fn connect(addr: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(addr).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

/// An HTTP answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|err| panic!("{err}: {self:?}"))
    }
}

/// What is answered to these bytes.
pub(super) fn ask(addr: SocketAddr, request: &[u8]) -> Answer {
    let mut tcp = connect(addr);
    // A server that has seen enough may answer before it has read all.
    let _ = tcp.write_all(request);
    read_answer(&mut tcp)
}

pub(super) fn read_answer(tcp: &mut TcpStream) -> Answer {
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// What is answered to `GET path`.
pub(super) fn get(addr: SocketAddr, path: &str) -> Answer {
    get_with(addr, path, "")
}

/// What is answered to `GET path` with more header fields, each with its line's end.
pub(super) fn get_with(addr: SocketAddr, path: &str, fields: &str) -> Answer {
    ask(addr, format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n{fields}\r\n").as_bytes())
}
