//! WebSocket frames as they go over the wire. A server's are not masked, so one serves all clients.

use tungstenite::{
    Bytes,
    protocol::frame::{
        FrameHeader,
        coding::{CloseCode, Control, Data, OpCode},
    },
};

/// What a control frame can carry, with two bytes of it for the code of a close.
const REASON_BYTES_MAX: usize = 123;

/// A text message.
pub(super) fn text(json: &[u8]) -> Bytes {
    frame(OpCode::Data(Data::Text), json)
}

/// Asks the client to show that it lives.
pub(super) fn ping() -> Bytes {
    frame(OpCode::Control(Control::Ping), &[])
}

/// Answers a ping that carried `payload`.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    frame(OpCode::Control(Control::Pong), payload)
}

/// The last frame; a reason that is too long is cut.
pub(super) fn close(code: CloseCode, reason: &str) -> Bytes {
    // A client that gave no code is given none.
    if code == CloseCode::Status {
        return frame(OpCode::Control(Control::Close), &[]);
    }
    let cut =
        (0..=reason.len().min(REASON_BYTES_MAX)).rev().find(|&it| reason.is_char_boundary(it));
    let mut payload = u16::from(code).to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..cut.unwrap_or(0)]);
    frame(OpCode::Control(Control::Close), &payload)
}

fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let len = payload.len() as u64;
    let mut bytes = Vec::with_capacity(header.len(len) + payload.len());
    header.format(len, &mut bytes).expect("writing to a Vec does not fail");
    bytes.extend_from_slice(payload);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_the_rfc_says() {
        assert_eq!(&text(b"Hello")[..], b"\x81\x05Hello");
        assert_eq!(&pong(b"Hello")[..], b"\x8a\x05Hello");
        assert_eq!(&ping()[..], b"\x89\x00");
        assert_eq!(&close(CloseCode::Away, "bye")[..], b"\x88\x05\x03\xe9bye");
        assert_eq!(&close(CloseCode::Status, "")[..], b"\x88\x00");
        assert_eq!(&text(&[b'a'; 256])[..4], b"\x81\x7e\x01\x00");
        assert_eq!(&text(&vec![b'a'; 65536])[..10], b"\x81\x7f\0\0\0\0\0\x01\0\0");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let bytes = close(CloseCode::Policy, &"é".repeat(100));
        assert_eq!((bytes[0], bytes[1]), (0x88, 2 + 122));
        assert!(std::str::from_utf8(&bytes[4..]).is_ok());
    }
}
