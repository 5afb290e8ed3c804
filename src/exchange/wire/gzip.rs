//! Frames that are gzip members (RFC 1952).

use std::{fmt, str::from_utf8};

use flate2::Crc;
use miniz_oxide::inflate::{
    TINFLStatus as Status,
    core::{
        DecompressorOxide, decompress,
        inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF as ALL_AT_ONCE,
    },
};

use crate::exchange::DecodeError;

/// What is unpacked first into, and then into twice as much: most frames are below 1 KiB.
const PLAIN_BYTES: usize = 16 << 10;

/// Unpacks one member after another in the same memory. To make that anew for each, and to clear it,
/// takes as long as to unpack a quote.
#[derive(Default)]
pub struct Gunzip {
    inflate: Option<Box<DecompressorOxide>>,
    plain: Vec<u8>,
}

impl Gunzip {
    /// The text of a member, of `most` bytes at most. What follows the member is ignored.
    ///
    /// # Errors
    /// When it is no member, is damaged, has more in it, or what is in it is not text.
    pub fn unpack(&mut self, member: &[u8], most: usize) -> Result<&str, DecodeError> {
        let broken = |what: &str| DecodeError::Binary(what.to_owned());
        let deflated = deflated(member).ok_or_else(|| broken("not a gzip member"))?;
        let inflate = self.inflate.get_or_insert_default();
        inflate.init();
        let (mut read, mut written) = (0, 0);
        loop {
            // It may be larger, for another.
            let room = self.plain.len().min(most);
            let (rest, plain) = (&deflated[read..], &mut self.plain[..room]);
            let (status, taken, made) = decompress(inflate, rest, plain, written, ALL_AT_ONCE);
            (read, written) = (read + taken, written + made);
            match status {
                Status::Done => break,
                Status::HasMoreOutput if room < most => {
                    self.plain.resize((2 * room).max(PLAIN_BYTES).min(most), 0);
                }
                Status::HasMoreOutput => {
                    return Err(DecodeError::Value("a frame that unpacks without an end"));
                }
                _ => return Err(broken("a damaged gzip member")),
            }
        }
        let plain = &self.plain[..written];
        if deflated[read..].first_chunk() != Some(&trailer(plain)) {
            return Err(broken("a gzip member whose checksum or length is not that of its text"));
        }
        from_utf8(plain).map_err(|err| broken(&err.to_string()))
    }
}

impl fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gunzip").finish_non_exhaustive()
    }
}

/// What a member ends with.
fn trailer(plain: &[u8]) -> [u8; 8] {
    let mut crc = Crc::new();
    crc.update(plain);
    (u64::from(crc.amount()) << 32 | u64::from(crc.sum())).to_le_bytes()
}

/// What is behind the header of a member.
fn deflated(member: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;
    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] = member else { return None };
    let has = |flag: u8| flags & flag != 0;
    let mut rest = rest;
    if has(RESERVED) {
        return None;
    }
    if has(EXTRA) {
        let (len, extra) = rest.split_first_chunk()?;
        rest = extra.get(usize::from(u16::from_le_bytes(*len))..)?;
    }
    for text in [NAME, COMMENT] {
        if has(text) {
            rest = &rest[rest.iter().position(|it| *it == 0)? + 1..];
        }
    }
    if has(HEADER_CRC) { rest.get(2..) } else { Some(rest) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use flate2::{Compression, GzBuilder, bufread::GzDecoder, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 1 << 20;

    fn packed(plain: &[u8], level: u32) -> Vec<u8> {
        let mut member = GzEncoder::new(Vec::new(), Compression::new(level));
        member.write_all(plain).unwrap();
        member.finish().unwrap()
    }

    /// As another reader unpacks it.
    fn theirs(member: &[u8]) -> Option<String> {
        let mut text = String::new();
        GzDecoder::new(member).read_to_string(&mut text).ok().map(|_| text)
    }

    #[test]
    fn a_small_frame_does_not_unpack_into_a_huge_one() {
        let mut gunzip = Gunzip::default();
        let spaces = |len| packed(&vec![b' '; len], 6);
        assert!(spaces(MOST + 1).len() < 2_000);
        let err = gunzip.unpack(&spaces(MOST + 1), MOST).unwrap_err();
        assert!(err.to_string().contains("without an end"), "{err}");
        assert!(gunzip.plain.capacity() <= MOST);
        assert_eq!(gunzip.unpack(&spaces(MOST), MOST).unwrap().len(), MOST);
        assert!(gunzip.unpack(&spaces(9), 8).is_err());
    }

    #[test]
    fn a_header_may_have_everything_there_is() {
        let mut member = GzBuilder::new()
            .extra(*b"extra")
            .filename("name")
            .comment("comment")
            .write(Vec::new(), Compression::fast());
        member.write_all(b"Ping").unwrap();
        let mut member = member.finish().unwrap();
        assert_eq!(Gunzip::default().unpack(&member, MOST).unwrap(), "Ping");
        for len in 0..member.len() {
            assert!(Gunzip::default().unpack(&member[..len], MOST).is_err(), "{len}");
        }
        // Whatever comes next.
        member.push(0);
        assert_eq!(Gunzip::default().unpack(&member, MOST).unwrap(), "Ping");
    }

    proptest! {
        #[test]
        fn one_after_another_comes_out_as_it_went_in(texts: Vec<String>, level in 0_u32..10) {
            let mut gunzip = Gunzip::default();
            for text in texts {
                prop_assert_eq!(gunzip.unpack(&packed(text.as_bytes(), level), MOST).unwrap(), text);
            }
        }

        #[test]
        fn damage_is_seen_where_another_reader_sees_it(
            plain in prop::collection::vec(any::<u8>(), 0..300),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut member = packed(&plain, 6);
            for (at, byte) in damage {
                let at = at.index(member.len());
                member[at] = byte;
            }
            let ours = Gunzip::default().unpack(&member, MOST).ok().map(str::to_owned);
            prop_assert_eq!(ours, theirs(&member));
        }

        #[test]
        fn nothing_breaks_it(bytes: Vec<u8>) {
            let mut member = vec![0x1f, 0x8b, 8];
            member.extend(bytes);
            let ours = Gunzip::default().unpack(&member, MOST).ok().map(str::to_owned);
            prop_assert_eq!(ours, theirs(&member));
        }
    }
}
