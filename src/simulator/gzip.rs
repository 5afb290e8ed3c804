//! Gzip members (RFC 1952), made cheaply.
//!
//! Deflate's own codes (RFC 1951, 3.2.6) for one byte after the other, and nothing that refers to
//! what came before: frames are so short that this makes them hardly longer, and a compressor that
//! looks for repetitions spends 25 us on forgetting the frame before.

use crc32fast::Hasher;

/// No name, no time, no operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// The last block, with the fixed codes: three bits.
const BLOCK: u64 = 0b011;
/// The end of the block: seven zeros.
const END_BITS: u32 = 7;

/// The code of each byte, its first bit lowest, and how many bits it has.
const CODES: [(u16, u32); 256] = {
    let mut codes = [(0, 0); 256];
    let mut byte = 0;
    while byte < 256 {
        let (code, bits): (u16, u32) = match byte {
            0..144 => (0b0011_0000 + byte, 8),
            _ => (0b1_1001_0000 + byte - 144, 9),
        };
        codes[byte as usize] = (code.reverse_bits() >> (16 - bits), bits);
        byte += 1;
    }
    codes
};

/// Compresses one payload after the other.
#[derive(Debug, Default)]
pub(super) struct Gzip {
    crc: Hasher,
}

impl Gzip {
    /// Appends `plain` as one member.
    pub(super) fn member(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&HEADER);
        deflate(plain, out);
        self.crc.reset();
        self.crc.update(plain);
        out.extend_from_slice(&self.crc.clone().finalize().to_le_bytes());
        let [a, b, c, d, ..] = plain.len().to_le_bytes();
        out.extend_from_slice(&[a, b, c, d]);
    }
}

fn deflate(plain: &[u8], out: &mut Vec<u8>) {
    out.reserve(plain.len() + plain.len() / 8 + 16);
    let (mut bits, mut count) = (BLOCK, 3);
    for byte in plain {
        let (code, more) = CODES[usize::from(*byte)];
        bits |= u64::from(code) << count;
        count += more;
        if u32::BITS <= count {
            let [a, b, c, d, ..] = bits.to_le_bytes();
            out.extend_from_slice(&[a, b, c, d]);
            bits >>= u32::BITS;
            count -= u32::BITS;
        }
    }
    let rest = (count + END_BITS).div_ceil(8) as usize;
    out.extend_from_slice(&bits.to_le_bytes()[..rest]);
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
