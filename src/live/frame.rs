//! WebSocket frames as they go over the wire. A server's are not masked, so one serves all clients.

use std::sync::Arc;

use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{CloseCode, Control, Data, OpCode},
};

/// A frame, for one client or many.
pub(super) type Frame = Arc<[u8]>;

/// A frame's head: what it is, and how long, in up to eight bytes.
const HEADER_BYTES_MAX: usize = 10;
/// What a control frame can carry, with two bytes of it for the code of a close.
const REASON_BYTES_MAX: usize = 123;

/// A text message.
pub(super) fn text(json: &[u8]) -> Frame {
    frame(OpCode::Data(Data::Text), json)
}

/// Asks the client to show that it lives.
pub(super) fn ping() -> Frame {
    frame(OpCode::Control(Control::Ping), &[])
}

/// Answers a ping that carried `payload`.
pub(super) fn pong(payload: &[u8]) -> Frame {
    frame(OpCode::Control(Control::Pong), payload)
}

/// The last frame; a reason that is too long is cut.
pub(super) fn close(code: CloseCode, reason: &str) -> Frame {
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

/// Where one text message after the other is put together, with room for what goes before it.
#[derive(Debug, Default)]
pub(super) struct Draft(Vec<u8>);

impl Draft {
    /// An empty message, to be appended to.
    pub(super) fn begin(&mut self) -> &mut Vec<u8> {
        self.0.clear();
        self.0.resize(HEADER_BYTES_MAX, 0);
        &mut self.0
    }

    /// What has been appended.
    pub(super) fn text(&mut self) -> Frame {
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
        let len = (self.0.len() - HEADER_BYTES_MAX) as u64;
        let start = HEADER_BYTES_MAX - header.len(len);
        let room = &mut self.0[start..HEADER_BYTES_MAX];
        header.format(len, &mut &mut *room).expect("there is room for a header");
        Arc::from(&self.0[start..])
    }
}

fn frame(opcode: OpCode, payload: &[u8]) -> Frame {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).expect("writing to a Vec does not fail");
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
    fn a_draft_makes_one_message_after_the_other() {
        let mut draft = Draft::default();
        for len in [126, 65_535, 65_536, 125, 0] {
            let json = vec![b'a'; len];
            draft.begin().extend_from_slice(&json);
            assert_eq!(draft.text(), text(&json), "{len} bytes");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let bytes = close(CloseCode::Policy, &"é".repeat(100));
        assert_eq!((bytes[0], bytes[1]), (0x88, 2 + 122));
        assert!(std::str::from_utf8(&bytes[4..]).is_ok());
    }
}
