//! Gzip members (RFC 1952), made cheaply.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// No name, no time, no operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// What deflate adds to what it cannot make shorter, at most, for what fits into a frame.
const MARGIN: usize = 64;

/// Compresses one payload after the other in the same memory.
#[derive(Debug)]
pub(super) struct Gzip {
    deflate: Compress,
    crc: Crc,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { deflate: Compress::new(Compression::fast(), false), crc: Crc::new() }
    }
}

impl Gzip {
    /// Appends `plain` as one member.
    pub(super) fn member(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&HEADER);
        self.deflate.reset();
        out.reserve(plain.len() + MARGIN);
        loop {
            let taken = usize::try_from(self.deflate.total_in()).unwrap_or(plain.len());
            match self.deflate.compress_vec(&plain[taken..], out, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) => out.reserve(plain.len() + MARGIN),
                Err(e) => unreachable!("deflate refuses to compress: {e}"),
            }
        }
        self.crc.reset();
        self.crc.update(plain);
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn gunzip(member: &[u8]) -> Vec<u8> {
        let mut plain = vec![];
        flate2::read::GzDecoder::new(member).read_to_end(&mut plain).expect("it is a gzip member");
        plain
    }

    proptest! {
        #[test]
        fn members_read_back(payloads: [Vec<u8>; 3]) {
            let mut gzip = Gzip::default();
            for plain in payloads {
                let mut out = b"before".to_vec();
                gzip.member(&plain, &mut out);
                prop_assert_eq!(gunzip(&out[6..]), plain);
            }
        }
    }
}
