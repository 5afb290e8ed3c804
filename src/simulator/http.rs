//! HTTP/1.1, as much as a simulated exchange needs: one request a connection.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use tungstenite::handshake::derive_accept_key;

use super::socket::Socket;
use crate::stop::Stop;

const HEAD_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const BODY_MAX: usize = 64 * 1024;
/// For a whole head to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long a read or write may keep a thread from seeing that it should stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// For an answer to be taken by a client.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A request's head.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// Decoded, without the segment that names the venue, from its first slash.
    pub(super) path: String,
    /// Decoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
}

impl Request {
    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|it| it.0 == name).map(|it| &*it.1)
    }

    /// A header, by its name in any case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| &*it.1)
    }

    /// Takes the first segment off the path.
    pub(super) fn take_segment(&mut self) -> String {
        let rest = self.path.trim_start_matches('/');
        let (first, rest) = rest
            .split_once('/')
            .map_or((rest, String::new()), |(first, rest)| (first, format!("/{rest}")));
        let first = first.to_owned();
        self.path = rest;
        first
    }

    /// Takes the body off the socket, of which `read` bytes have been read with the head: a socket
    /// closed with something unread is reset, which can cost the client the answer.
    pub(super) fn skip_body(
        &self,
        socket: &mut Socket,
        read: usize,
        stop: &Stop,
    ) -> io::Result<()> {
        let len = self.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        if BODY_MAX < len {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let deadline = Instant::now() + HEAD_WITHIN;
        let (mut left, mut chunk) = (len.saturating_sub(read), [0; 4096]);
        while 0 < left && !stop.requested() && Instant::now() < deadline {
            let most = chunk.len().min(left);
            match socket.read(&mut chunk[..most]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => left -= n,
                Err(e) if is_timeout(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    pub(super) fn is_upgrade(&self) -> bool {
        self.header("upgrade").is_some_and(|it| it.eq_ignore_ascii_case("websocket"))
    }

    /// The head that accepts an upgrade; `None` when the request is not complete.
    pub(super) fn accept_upgrade(&self) -> Option<String> {
        let key = self.header("sec-websocket-key").filter(|it| it.len() == 24)?;
        self.header("sec-websocket-version").filter(|it| *it == "13")?;
        Some(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        ))
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Response {
    /// A status with a JSON body.
    pub(super) fn json(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: vec![], body: body.into() }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn write_to(&self, socket: &mut Socket, stop: &Stop) -> io::Result<()> {
        let reason = http_reason(self.status);
        let mut head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            // Writing to a String cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head.push_str(&self.body);
        socket.tcp().set_write_timeout(Some(PATIENCE))?;
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut rest = head.as_bytes();
        while !rest.is_empty() {
            if stop.requested() || deadline <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match socket.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if is_timeout(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn http_reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        451 => "Unavailable For Legal Reasons",
        503 => "Service Unavailable",
        _ => "Unspecified",
    }
}

/// Reads a request's head; returns it with what came after it. An error is a client that is gone,
/// too slow or talks something else.
pub(super) fn read_head(socket: &mut Socket, stop: &Stop) -> io::Result<(Request, Vec<u8>)> {
    let deadline = Instant::now() + HEAD_WITHIN;
    socket.tcp().set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if stop.requested() || deadline <= Instant::now() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match socket.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => head.extend_from_slice(&chunk[..n]),
            Err(e) if is_timeout(&e) => continue,
            Err(e) => return Err(e),
        }
        if let Some((request, len)) = parse(&head)? {
            return Ok((request, head.split_off(len)));
        }
        if HEAD_MAX <= head.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// Whether a read or write ended because of the socket's time limit.
pub(super) fn is_timeout(e: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(e.kind(), WouldBlock | TimedOut | Interrupted)
}

fn parse(head: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(head).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let httparse::Status::Complete(len) = status else { return Ok(None) };
    let target = parsed.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: decoded(path),
        query: query.split('&').filter(|it| !it.is_empty()).map(pair).collect(),
        headers: parsed
            .headers
            .iter()
            .map(|it| (it.name.to_owned(), String::from_utf8_lossy(it.value).trim().to_owned()))
            .collect(),
    };
    Ok(Some((request, len)))
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(name), decoded(value))
}

/// Undoes percent-encoding; what is none stays.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|it| std::str::from_utf8(it).ok());
        if let Some(byte) = code.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            out.push(byte);
            rest = &tail[2..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let head = "GET /okx-spot/a%20b/c?x=%5B%22%E5%B8%81%22%5D&y HTTP/1.1\r\nA: 1\r\n\r\ntail";
        let (mut request, len) = parse(head.as_bytes()).unwrap().unwrap();
        assert_eq!(&head[len..], "tail");
        assert_eq!(request.take_segment(), "okx-spot");
        assert_eq!(request.path, "/a b/c");
        assert_eq!(request.parameter("x"), Some("[\"币\"]"));
        assert_eq!(request.parameter("y"), Some(""));
        assert_eq!(request.header("a"), Some("1"));
        assert!(parse(b"GET / HTTP/1.1\r\n").unwrap().is_none());
        assert!(parse(b"\x16\x03\x01\x02\x00\x01\xfc\x03").is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_decoding(text: String) {
            let _ = decoded(&text);
        }

        #[test]
        fn no_bytes_break_a_head(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
