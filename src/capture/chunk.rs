//! Frames on their way from a feed to the file.

use std::sync::Arc;

use super::line::Mark;
use crate::market::{Channel, ConnId, Instrument, InstrumentId, Nanos, Venue};

/// An instrument by its number.
pub type Known = (InstrumentId, Arc<Instrument>);

/// What a connection carries: without it, its frames cannot be read.
#[derive(Clone, Debug)]
pub struct Carries {
    /// The connection.
    pub conn: ConnId,
    /// Since when.
    pub since: Nanos,
    /// What of its instruments.
    pub channels: Vec<Channel>,
    /// Its instruments.
    pub instruments: Vec<Known>,
}

/// Who a chunk is of.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) name: String,
    pub(super) venue: Venue,
}

/// Some of a feed's frames, in their order. Each stands for itself, for others may be dropped.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) feed: Arc<Feed>,
    /// What each of the feed's connections carries, all through the chunk.
    pub(super) carries: Vec<Arc<Carries>>,
    /// Frames of the feed before these.
    pub(super) before: u64,
    /// Frames in here.
    pub(super) frames: u64,
    pub(super) records: Vec<u8>,
}

/// One entry of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) conn: ConnId,
    pub(super) time: Nanos,
    pub(super) what: What<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What<'a> {
    Text(&'a [u8]),
    Binary(&'a [u8]),
    Mark(Mark),
}

/// Kind, connection, time and length.
const HEAD_BYTES: usize = 1 + 4 + 8 + 4;
const TEXT: u8 = 0;
const BINARY: u8 = 1;
/// Marks follow, in their order.
const MARKS: u8 = 2;

impl Record<'_> {
    pub(super) fn append(&self, to: &mut Vec<u8>) {
        let (kind, body) = match self.what {
            What::Text(body) => (TEXT, body),
            What::Binary(body) => (BINARY, body),
            What::Mark(mark) => (MARKS + mark as u8, &[][..]),
        };
        to.push(kind);
        to.extend(self.conn.0.to_le_bytes());
        to.extend(self.time.0.to_le_bytes());
        // A frame has 4 MiB at most: the socket sees to it.
        to.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        to.extend(body);
    }
}

/// The entries of what [`Record::append`] has made.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let conn = ConnId(u32::from_le_bytes(head[1..5].try_into().ok()?));
        let time = Nanos(i64::from_le_bytes(head[5..13].try_into().ok()?));
        let len = u32::from_le_bytes(head[13..17].try_into().ok()?) as usize;
        let (body, rest) = rest.split_at_checked(len)?;
        bytes = rest;
        let what = match head[0] {
            TEXT => What::Text(body),
            BINARY => What::Binary(body),
            mark => What::Mark(*Mark::ALL.get(usize::from(mark - MARKS))?),
        };
        Some(Record { conn, time, what })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back() {
        let all = [
            What::Text(b"{}"),
            What::Mark(Mark::Overlap),
            What::Binary(&[0, 255]),
            What::Text(b""),
            What::Mark(Mark::Calm),
        ];
        let mut bytes = Vec::new();
        for (n, what) in (0..).zip(all) {
            Record { conn: ConnId(n), time: Nanos(-i64::from(n)), what }.append(&mut bytes);
        }
        let read: Vec<_> = records(&bytes).collect();
        assert_eq!(read.len(), 5);
        assert_eq!(read[2].what, What::Binary(&[0, 255]));
        assert_eq!((read[4].conn, read[4].time), (ConnId(4), Nanos(-4)));
        assert_eq!(read[4].what, What::Mark(Mark::Calm));
        assert_eq!(records(&bytes[..bytes.len() - 1]).count(), 4, "what is torn is not read");
    }
}
