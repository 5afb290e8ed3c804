//! Frames that are gzip members (RFC 1952).

use std::{fmt, str::from_utf8};

use libdeflater::{DecompressionError, Decompressor};

use crate::exchange::DecodeError;

/// What is unpacked first into, and then into twice as much: most frames are below 1 KiB.
const PLAIN_BYTES: usize = 16 << 10;

/// Unpacks one member after another in the same memory, with the same tables.
#[derive(Default)]
pub struct Gunzip {
    inflate: Option<Decompressor>,
    plain: Vec<u8>,
}

impl Gunzip {
    /// The text of a member, of `most` bytes at most. What follows the member is ignored.
    ///
    /// # Errors
    /// When it is no member, is damaged, has more in it, or what is in it is not text.
    pub fn unpack(&mut self, member: &[u8], most: usize) -> Result<&str, DecodeError> {
        let broken = |what: &str| DecodeError::Binary(what.to_owned());
        let inflate = self.inflate.get_or_insert_default();
        let written = loop {
            // It may be larger, for another.
            let room = self.plain.len().min(most);
            match inflate.gzip_decompress(member, &mut self.plain[..room]) {
                Ok(written) => break written,
                Err(DecompressionError::InsufficientSpace) if room < most => {
                    self.plain.resize((2 * room).max(PLAIN_BYTES).min(most), 0);
                }
                Err(DecompressionError::InsufficientSpace) => {
                    return Err(DecodeError::Value("a frame that unpacks without an end"));
                }
                Err(DecompressionError::BadData) if member.starts_with(&[0x1f, 0x8b]) => {
                    return Err(broken("a damaged gzip member"));
                }
                Err(DecompressionError::BadData) => return Err(broken("not a gzip member")),
            }
        };
        from_utf8(&self.plain[..written]).map_err(|err| broken(&err.to_string()))
    }
}

impl fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gunzip").finish_non_exhaustive()
    }
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
