//! What waits to be written to a client: WebSocket frames, and what they count for once written.

use std::io::{self, Write};

/// What a frame carries. Control and acknowledgement frames carry nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Data frames: 0 or 1 for a frame.
    pub(super) frames: u64,
    pub(super) quotes: u64,
    /// Quotes that say the same as the one before.
    pub(super) repeats: u64,
    pub(super) trades: u64,
    /// Broken frames, which are no data frames.
    pub(super) garbage: u64,
    /// Bytes of data frames, their headers included.
    pub(super) bytes: u64,
}

impl Load {
    pub(super) fn add(&mut self, other: &Load) {
        self.frames += other.frames;
        self.quotes += other.quotes;
        self.repeats += other.repeats;
        self.trades += other.trades;
        self.garbage += other.garbage;
        self.bytes += other.bytes;
    }
}

/// The header of a frame of 126 to 65,535 bytes, which nearly all are: room is left for it.
const HEADER: usize = 4;
const FINAL_TEXT: u8 = 0x81;

/// Bytes in the order in which the client will see them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// Where each frame that counts for something ends.
    marks: Vec<(usize, Load)>,
    counted: usize,
}

impl Outbox {
    /// Whether all has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How much waits, in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Adds bytes that are frames already.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a text frame that counts for nothing.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.frame(|out| {
            out.extend_from_slice(text);
            Load::default()
        });
    }

    /// Adds a text frame whose payload `write` appends; returns where in the outbox that is.
    pub(super) fn frame(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Load,
    ) -> std::ops::Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[FINAL_TEXT, 126, 0, 0]);
        let mut load = write(&mut self.bytes);
        let header = self.finish_header(start);
        load.bytes = if load.frames == 0 { 0 } else { (self.bytes.len() - start) as u64 };
        if load != Load::default() {
            self.marks.push((self.bytes.len(), load));
        }
        start + header..self.bytes.len()
    }

    /// Writes the length where room was left for it; returns the length of the header.
    fn finish_header(&mut self, start: usize) -> usize {
        let body = start + HEADER;
        let len = self.bytes.len() - body;
        if let (126.., Ok(len)) = (len, u16::try_from(len)) {
            self.bytes[start + 2..body].copy_from_slice(&len.to_be_bytes());
            return HEADER;
        }
        let mut header = vec![FINAL_TEXT];
        if let Ok(len @ ..126) = u8::try_from(len) {
            header.push(len);
        } else {
            header.push(127);
            header.extend_from_slice(&(len as u64).to_be_bytes());
        }
        self.bytes.splice(start..body, header.iter().copied());
        header.len()
    }

    /// The payload of a frame that waits.
    pub(super) fn payload(&self, at: std::ops::Range<usize>) -> &[u8] {
        &self.bytes[at]
    }

    /// Writes what `to` takes, at most `limit` bytes; returns what the frames that went out whole
    /// count for. Not all has been written when the outbox is not empty afterwards.
    pub(super) fn write_to(&mut self, to: &mut impl Write, limit: usize) -> (Load, io::Result<()>) {
        let end = self.bytes.len().min(self.written.saturating_add(limit));
        let mut outcome = Ok(());
        while self.written < end {
            match to.write(&self.bytes[self.written..end]) {
                Ok(0) => outcome = Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.written += n;
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(e) => outcome = Err(e),
            }
            break;
        }
        (self.count(), outcome)
    }

    fn count(&mut self) -> Load {
        let mut load = Load::default();
        for (end, it) in &self.marks[self.counted..] {
            if self.written < *end {
                break;
            }
            load.add(it);
            self.counted += 1;
        }
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.marks.clear();
            (self.written, self.counted) = (0, 0);
        }
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTE: Load = Load { frames: 1, quotes: 1, repeats: 0, trades: 0, garbage: 0, bytes: 0 };

    #[test]
    fn lengths_are_spelled_as_the_rfc_wants() {
        for (len, header) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 255, 255]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut outbox = Outbox::default();
            outbox.text(b"before");
            let body = outbox.frame(|out| {
                out.resize(out.len() + len, b'x');
                QUOTE
            });
            assert_eq!(outbox.bytes[8..body.start], header, "{len}");
            assert_eq!(outbox.payload(body.clone()), vec![b'x'; len]);
            assert_eq!(body.end, outbox.bytes.len());
        }
    }

    #[test]
    fn a_frame_counts_when_its_last_byte_is_out() {
        let mut outbox = Outbox::default();
        for _ in 0..2 {
            outbox.frame(|out| {
                out.extend_from_slice(b"0123456789");
                QUOTE
            });
        }
        let mut wire = Vec::new();
        let mut write = |limit| outbox.write_to(&mut wire, limit).0.quotes;
        assert_eq!([write(11), write(1), write(11), write(1), write(9)], [0, 1, 0, 1, 0]);
        assert!(outbox.is_empty());
        assert_eq!(wire.len(), 24);
    }
}
