//! What waits to be written to a client: WebSocket frames, and what they count for once written.

use std::io::{self, Write};

use super::gzip::Gzip;

/// How a payload travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// In a text frame.
    Text,
    /// In a binary frame.
    Binary,
    /// In a binary frame, as one gzip member.
    Gzip,
}

/// What a frame carries. Control and acknowledgement frames carry nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Data frames: 0 or 1 for a frame.
    pub(super) frames: u64,
    pub(super) quotes: u64,
    /// Quotes that say the same as the one before.
    pub(super) repeats: u64,
    pub(super) trades: u64,
    /// Trades that have been told before, or are older than the subscription.
    pub(super) repeated_trades: u64,
    /// Quotes and trades that are none of the market's.
    pub(super) withheld: u64,
    /// Trades that are left out.
    pub(super) lost_trades: u64,
    /// Broken frames, which are no data frames.
    pub(super) garbage: u64,
    /// Bytes of data frames, their headers included.
    pub(super) bytes: u64,
}

impl Load {
    const NOTHING: Load = Load {
        frames: 0,
        quotes: 0,
        repeats: 0,
        trades: 0,
        repeated_trades: 0,
        withheld: 0,
        lost_trades: 0,
        garbage: 0,
        bytes: 0,
    };
    /// The state of a book.
    pub(super) const QUOTE: Load = Load { frames: 1, quotes: 1, ..Load::NOTHING };
    /// What looks like one and is none of the market's.
    pub(super) const NO_QUOTE: Load = Load { frames: 1, withheld: 1, ..Load::NOTHING };

    /// So many trades.
    pub(super) fn trades(trades: usize) -> Load {
        Load { frames: 1, trades: trades as u64, ..Load::NOTHING }
    }

    pub(super) fn add(&mut self, other: &Load) {
        self.frames += other.frames;
        self.quotes += other.quotes;
        self.repeats += other.repeats;
        self.trades += other.trades;
        self.repeated_trades += other.repeated_trades;
        self.withheld += other.withheld;
        self.lost_trades += other.lost_trades;
        self.garbage += other.garbage;
        self.bytes += other.bytes;
    }
}

/// The header of a frame of 126 to 65,535 bytes, which nearly all are: room is left for it.
const HEADER: usize = 4;
const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;

/// A whole frame, and what it counts for.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    bytes: Vec<u8>,
    load: Load,
}

impl Frame {
    /// The same frame, of which the client has been told all.
    pub(super) fn again(self) -> Self {
        let it = self.load;
        let (repeats, repeated_trades) = (it.quotes, it.trades + it.repeated_trades);
        Self { load: Load { repeats, trades: 0, repeated_trades, ..it }, ..self }
    }
}

/// Bytes in the order in which the client will see them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// Where each frame that counts for something ends.
    marks: Vec<(usize, Load)>,
    counted: usize,
    /// Up to where it has been tried to write, and no further: TLS wants the same again.
    tried: usize,
    /// Where the last frame begins.
    last: usize,
    gzip: Option<Box<Gzip>>,
    /// What the last frame with a gzip member holds.
    plain: Vec<u8>,
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

    /// Adds a frame that counts for nothing.
    pub(super) fn text(&mut self, wire: Wire, text: &[u8]) {
        self.frame(wire, |out| {
            out.extend_from_slice(text);
            Load::default()
        });
    }

    /// Adds a frame whose payload `write` appends; returns where in the outbox the payload is.
    pub(super) fn frame(
        &mut self,
        wire: Wire,
        write: impl FnOnce(&mut Vec<u8>) -> Load,
    ) -> std::ops::Range<usize> {
        let start = self.bytes.len();
        self.last = start;
        let opcode = if wire == Wire::Text { FINAL_TEXT } else { FINAL_BINARY };
        self.bytes.extend_from_slice(&[opcode, 126, 0, 0]);
        let mut load = if wire == Wire::Gzip {
            self.plain.clear();
            let load = write(&mut self.plain);
            self.gzip.get_or_insert_default().member(&self.plain, &mut self.bytes);
            load
        } else {
            write(&mut self.bytes)
        };
        let header = self.finish_header(start, opcode);
        load.bytes = if load.frames == 0 { 0 } else { (self.bytes.len() - start) as u64 };
        if load != Load::default() {
            self.marks.push((self.bytes.len(), load));
        }
        start + header..self.bytes.len()
    }

    /// Writes the length where room was left for it; returns the length of the header.
    fn finish_header(&mut self, start: usize, opcode: u8) -> usize {
        let body = start + HEADER;
        let len = self.bytes.len() - body;
        if let (126.., Ok(len)) = (len, u16::try_from(len)) {
            self.bytes[start + 2..body].copy_from_slice(&len.to_be_bytes());
            return HEADER;
        }
        let mut header = vec![opcode];
        if let Ok(len @ ..126) = u8::try_from(len) {
            header.push(len);
        } else {
            header.push(127);
            header.extend_from_slice(&(len as u64).to_be_bytes());
        }
        self.bytes.splice(start..body, header.iter().copied());
        header.len()
    }

    /// The payload of the last frame, as it was written.
    pub(super) fn payload(&self, wire: Wire, at: std::ops::Range<usize>) -> &[u8] {
        if wire == Wire::Gzip { &self.plain } else { &self.bytes[at] }
    }

    /// Takes the last frame back, which must not have been written yet.
    pub(super) fn take(&mut self) -> Frame {
        let bytes = self.bytes.split_off(self.last);
        let counts = self.marks.last().is_some_and(|it| self.last < it.0);
        let load = if counts { self.marks.pop() } else { None };
        Frame { bytes, load: load.map_or_else(Load::default, |it| it.1) }
    }

    /// Adds a frame that was taken back.
    pub(super) fn put(&mut self, frame: Frame) {
        self.last = self.bytes.len();
        self.bytes.extend(frame.bytes);
        if frame.load != Load::default() {
            self.marks.push((self.bytes.len(), frame.load));
        }
    }

    /// Writes what `to` takes, at most about `limit` bytes, so many `frames` at a time; returns what
    /// the frames that went out whole count for. Not all has been written when the outbox is not
    /// empty afterwards.
    pub(super) fn write_to(
        &mut self,
        to: &mut impl Write,
        limit: usize,
        frames: usize,
    ) -> (Load, io::Result<()>) {
        let end = self.bytes.len().min(self.written.saturating_add(limit)).max(self.tried);
        let (mut outcome, mut next) = (Ok(()), self.counted);
        while self.written < end {
            next += self.marks[next..].iter().take_while(|it| it.0 <= self.written).count();
            let last = self.marks.get(next.saturating_add(frames - 1));
            let until = last.map_or(end, |it| it.0.min(end)).max(self.tried);
            match to.write(&self.bytes[self.written..until]) {
                Ok(0) => outcome = Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.written += n;
                    continue;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    self.tried = until;
                }
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
            (self.written, self.counted, self.tried) = (0, 0, 0);
        }
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_spelled_as_the_rfc_wants() {
        for (wire, len, header) in [
            (Wire::Text, 0, vec![0x81, 0]),
            (Wire::Text, 125, vec![0x81, 125]),
            (Wire::Text, 126, vec![0x81, 126, 0, 126]),
            (Wire::Text, 65_535, vec![0x81, 126, 255, 255]),
            (Wire::Binary, 7, vec![0x82, 7]),
            (Wire::Binary, 65_536, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut outbox = Outbox::default();
            outbox.text(Wire::Text, b"before");
            let body = outbox.frame(wire, |out| {
                out.resize(out.len() + len, b'x');
                Load::QUOTE
            });
            assert_eq!(outbox.bytes[8..body.start], header, "{len}");
            assert_eq!(outbox.payload(wire, body.clone()), vec![b'x'; len]);
            assert_eq!(body.end, outbox.bytes.len());
        }
    }

    #[test]
    fn so_many_frames_go_out_at_a_time() {
        struct Writes(Vec<usize>);
        impl Write for Writes {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.0.push(buf.len());
                // A peer that is slow once.
                if self.0.len() == 2 {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(buf.len())
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut outbox = Outbox::default();
        for n in 1..=5 {
            outbox.frame(Wire::Text, |out| {
                out.resize(out.len() + n, b'x');
                Load::QUOTE
            });
        }
        let mut writes = Writes(vec![]);
        let mut write = |limit| outbox.write_to(&mut writes, limit, 2).0.quotes;
        // What has been tried is tried again, even where less is asked for.
        assert_eq!([write(usize::MAX), write(1), write(usize::MAX)], [2, 2, 1]);
        assert_eq!(writes.0, [3 + 4, 5 + 6, 5 + 6, 7]);
    }

    #[test]
    fn a_frame_counts_when_its_last_byte_is_out() {
        let mut outbox = Outbox::default();
        for _ in 0..2 {
            outbox.frame(Wire::Text, |out| {
                out.extend_from_slice(b"0123456789");
                Load::QUOTE
            });
        }
        let mut wire = Vec::new();
        let mut write = |limit| outbox.write_to(&mut wire, limit, usize::MAX).0.quotes;
        assert_eq!([write(11), write(1), write(11), write(1), write(9)], [0, 1, 0, 1, 0]);
        assert!(outbox.is_empty());
        assert_eq!(wire.len(), 24);
    }
}
