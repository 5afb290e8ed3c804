//! A connection that was accepted: asked what it wants, and answered or handed on.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    client,
    listener::{Shared, busy},
    request::{self, BadHead, HEAD_BYTES_MAX, Head},
    response::Response,
    routes::{Route, route},
    writer::is_patience,
};
use crate::stop::Stop;

/// How long a connection may say nothing.
const FIRST_BYTE_MAX: Duration = Duration::from_secs(5);
/// How long a head may take, from the beginning of the connection.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a client may take to read an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a client may take to close after it was answered.
const LINGER_MAX: Duration = Duration::from_millis(500);

/// Reads what a connection wants, and does it.
pub(super) fn attend(n: u32, tcp: &Arc<TcpStream>, shared: &Shared<'_>) {
    let (head, rest) = match read_head(tcp, shared.stop) {
        Ok(Some(read)) => read,
        Ok(None) => return,
        Err(refusal) => return answer(tcp, &refusal, true, shared.stop),
    };
    shared.metrics.live.requests.inc();
    match route(&head, shared) {
        Route::Response(response) => answer(tcp, &response, head.method != "HEAD", shared.stop),
        Route::Upgrade(accepted) => {
            let Some(_client) = shared.admit() else {
                let refusal = busy("as many clients as max_clients in [live] are connected");
                return answer(tcp, &refusal, true, shared.stop);
            };
            // A client that has gone meanwhile is one of the ordinary.
            let _ = put(tcp, accepted.as_bytes(), shared.stop)
                .and_then(|()| client::serve(n, tcp, rest, shared));
        }
    }
}

/// The head of a request, and what came with it; `None` from one who says nothing.
fn read_head(mut tcp: &TcpStream, stop: &Stop) -> Result<Option<(Head, Vec<u8>)>, Response> {
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut chunk = [0; 2048];
    loop {
        match tcp.read(&mut chunk) {
            Ok(0) => return Ok(None),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(err) if is_patience(&err) => {}
            Err(_) => return Ok(None),
        }
        match request::parse(&bytes) {
            Ok(Some(head)) => {
                let rest = bytes.split_off(head.len);
                return Ok(Some((head, rest)));
            }
            Ok(None) => {}
            Err(bad) => return Err(refusal(bad)),
        }
        let elapsed = start.elapsed();
        if stop.requested() || bytes.is_empty() && FIRST_BYTE_MAX < elapsed {
            return Ok(None);
        }
        if HEAD_MAX < elapsed {
            return Err(Response::refusal(408, "the request took too long"));
        }
    }
}

/// What is answered to bytes that are no head.
pub(super) fn refusal(bad: BadHead) -> Response {
    match bad {
        BadHead::Malformed => Response::refusal(400, "this is no request of HTTP/1.1"),
        BadHead::TooLarge => {
            let why = format!("the head of a request may have {HEAD_BYTES_MAX} bytes");
            Response::refusal(431, &why)
        }
    }
}

/// Sends an answer and waits a little until the client has closed: a socket closed with something
/// unread is reset, which can cost the client the answer.
fn answer(mut tcp: &TcpStream, response: &Response, with_body: bool, stop: &Stop) {
    if put(tcp, &response.to_bytes(with_body), stop).is_err() {
        return;
    }
    let _ = tcp.shutdown(Shutdown::Write);
    let start = Instant::now();
    let mut unread = [0; 4096];
    while start.elapsed() < LINGER_MAX && !stop.requested() {
        match tcp.read(&mut unread) {
            Ok(0) => return,
            Ok(_) => {}
            Err(err) if is_patience(&err) => {}
            Err(_) => return,
        }
    }
}

/// Writes all of `bytes` within [`ANSWER_MAX`].
fn put(mut tcp: &TcpStream, mut bytes: &[u8], stop: &Stop) -> io::Result<()> {
    let start = Instant::now();
    while !bytes.is_empty() {
        match tcp.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(err) if is_patience(&err) => {}
            Err(err) => return Err(err),
        }
        if !bytes.is_empty() && (stop.requested() || ANSWER_MAX < start.elapsed()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}
