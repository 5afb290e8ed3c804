//! WebSocket frames made and read by hand.

use std::{
    io::{BufReader, Read},
    net::{SocketAddr, TcpStream},
};

use super::client::Client;

/// A WebSocket of which the frames are made by hand; `hello` has been read.
pub(super) fn raw(addr: SocketAddr) -> TcpStream {
    Client::connect(addr).into_tcp()
}

/// A frame: its first byte, and what it carries, masked with zeroes.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, payload, [0; 4])
}

/// The same, masked.
pub(super) fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..65_536 => {
            frame.push(0xfe);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(0xff);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.into_iter().cycle()).map(|(it, mask)| it ^ mask));
    frame
}

/// What a server sends until it closes: the opcode and the payload of each frame.
pub(super) struct Frames(BufReader<TcpStream>);

impl Frames {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self(BufReader::new(tcp))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        // A reset is an end as well.
        self.0.read_exact(&mut bytes).is_ok().then_some(bytes)
    }
}

impl Iterator for Frames {
    type Item = (u8, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let [first, second] = self.take()?;
        assert_eq!(first & 0xf0, 0x80, "a whole frame without extensions");
        let len = match second {
            0..126 => usize::from(second),
            126 => usize::from(u16::from_be_bytes(self.take()?)),
            _ => panic!("a long frame, or a masked one"),
        };
        let mut payload = vec![0; len];
        self.0.read_exact(&mut payload).ok()?;
        Some((first & 0x0f, payload))
    }
}
