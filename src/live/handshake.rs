//! From HTTP to WebSocket, by RFC 6455, section 4.2.

use base64::{Engine, engine::general_purpose::STANDARD};
use tungstenite::handshake::derive_accept_key;

use super::{request::Head, response::Response};

/// A key is so many bytes, in base64.
const KEY_BYTES: usize = 16;

/// The answer that makes a WebSocket of the connection.
///
/// # Errors
/// With a refusal, when the request asks for something else.
pub(super) fn accept(head: &Head) -> Result<String, Response> {
    let upgrades = head.lists("upgrade", "websocket") && head.lists("connection", "upgrade");
    if !upgrades || head.minor == 0 {
        let why = "this is a WebSocket: connect to ws://";
        return Err(Response::refusal(426, why).with("Upgrade", "websocket"));
    }
    if head.field("sec-websocket-version") != Some("13") {
        let refusal = Response::refusal(426, "version 13 of the WebSocket protocol is spoken here");
        return Err(refusal.with("Sec-WebSocket-Version", "13"));
    }
    let key = head.field("sec-websocket-key").unwrap_or_default();
    if STANDARD.decode(key).map(|it| it.len()) != Ok(KEY_BYTES) {
        return Err(Response::refusal(400, "Sec-WebSocket-Key must be 16 bytes in base64"));
    }
    let accept = derive_accept_key(key.as_bytes());
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::request, *};

    const GOOD: [&str; 4] = [
        "Upgrade: WebSocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];

    fn answer(fields: &[&str]) -> Result<String, u16> {
        let text = format!("GET /ws HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"));
        let head = request::parse(text.as_bytes()).expect("a head").expect("a whole one");
        accept(&head).map_err(|it| it.status)
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let answer = answer(&GOOD).expect("accepted");
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused() {
        for (n, expected) in [(0, 426), (1, 426), (2, 426), (3, 400)] {
            let mut fields = GOOD.to_vec();
            fields.remove(n);
            assert_eq!(answer(&fields), Err(expected), "without {}", GOOD[n]);
        }
        for key in ["", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZQ=="] {
            let key = format!("Sec-WebSocket-Key: {key}");
            assert_eq!(answer(&[GOOD[0], GOOD[1], GOOD[2], &key]), Err(400), "{key}");
        }
        let old = "Sec-WebSocket-Version: 8";
        assert_eq!(answer(&[GOOD[0], GOOD[1], old, GOOD[3]]), Err(426));
    }
}
