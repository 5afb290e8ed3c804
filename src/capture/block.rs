//! Blocks of lines: each a zstd frame of its own, after a skippable frame that says how long it is
//! and what its checksum is. A tool that knows zstd reads a file as it is.

use std::io::{self, BufRead, Read};

/// zstd passes over frames that begin so.
const SKIPPABLE: [u8; 4] = [0x5A, 0x2A, 0x4D, 0x18];
/// Makes a head hard to mistake for something else.
const NAME: [u8; 4] = *b"SACB";
/// What follows the length of the skippable frame: name, both sizes, the checksum of what is packed,
/// and one of all that precedes it, or a wrong size would make a reader pass over good blocks.
const SAID_BYTES: usize = 20;
const SAID: [u8; 4] = [20, 0, 0, 0];
const HEAD_BYTES: usize = 8 + SAID_BYTES;
/// The most bytes of lines in a block. The largest frame has 4 MiB, of which JSON makes 24 MiB at
/// worst.
pub(super) const RAW_BYTES_MAX: usize = 32 << 20;
/// zstd makes nothing longer than this of the former.
const PACKED_BYTES_MAX: usize = RAW_BYTES_MAX + (RAW_BYTES_MAX >> 7) + 1024;

/// Appends a block of `lines`.
///
/// # Errors
/// When zstd fails.
pub(super) fn append(
    zstd: &mut zstd::bulk::Compressor<'_>,
    lines: &[u8],
    to: &mut Vec<u8>,
) -> io::Result<()> {
    let packed = zstd.compress(lines)?;
    let size =
        |it: usize| u32::try_from(it).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge));
    let begin = to.len();
    to.extend(SKIPPABLE);
    to.extend(SAID);
    to.extend(NAME);
    to.extend(size(packed.len())?.to_le_bytes());
    to.extend(size(lines.len())?.to_le_bytes());
    to.extend(crc32fast::hash(&packed).to_le_bytes());
    to.extend(crc32fast::hash(&to[begin..]).to_le_bytes());
    to.extend(packed);
    Ok(())
}

/// A part of a file that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins.
    pub at: u64,
    /// What is wrong with it.
    pub what: String,
}

/// The blocks of a file, whoever wrote it. Memory is bounded by the largest block.
#[derive(Debug)]
pub struct Blocks<R> {
    file: R,
    at: u64,
    /// A head that has been found after what is no block.
    found: Option<[u8; HEAD_BYTES]>,
    over: bool,
}

impl<R: BufRead> Blocks<R> {
    /// Those of `file`.
    #[must_use]
    pub fn new(file: R) -> Self {
        Self { file, at: 0, found: None, over: false }
    }

    fn block(&mut self) -> Result<Option<Vec<u8>>, String> {
        if let Some(head) = self.found.take() {
            return self.body(&head).map(Some);
        }
        let mut head = [0; HEAD_BYTES];
        match self.fill(&mut head)? {
            0 => Ok(None),
            HEAD_BYTES if is_head(&head) => self.body(&head).map(Some),
            HEAD_BYTES => Err(self.pass_over(head)?),
            n => Err(format!("{n} bytes that are no block, to the end")),
        }
    }

    fn body(&mut self, head: &[u8; HEAD_BYTES]) -> Result<Vec<u8>, String> {
        let number =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (packed_bytes, raw_bytes, checksum) =
            (number(12) as usize, number(16) as usize, number(20));
        if PACKED_BYTES_MAX < packed_bytes || RAW_BYTES_MAX < raw_bytes {
            return Err(format!("a block of {packed_bytes} bytes, of {raw_bytes}: too large"));
        }
        // Not all at once: there may be less than it says.
        let mut packed = Vec::new();
        let mut taken = self.file.by_ref().take(packed_bytes as u64);
        let read = taken.read_to_end(&mut packed).map_err(|it| it.to_string())?;
        self.at += read as u64;
        if read < packed_bytes {
            return Err(format!("ends after {read} of a block's {packed_bytes} bytes"));
        }
        if crc32fast::hash(&packed) != checksum {
            return Err("a block's checksum is wrong".to_owned());
        }
        let lines = zstd::bulk::decompress(&packed, raw_bytes).map_err(|it| it.to_string())?;
        if lines.len() != raw_bytes {
            return Err(format!("a block of {} bytes instead of {raw_bytes}", lines.len()));
        }
        Ok(lines)
    }

    /// Passes over what is no block, up to the next head; returns what is to be said of it.
    fn pass_over(&mut self, mut window: [u8; HEAD_BYTES]) -> Result<String, String> {
        let mut passed: u64 = 0;
        loop {
            let mut next = [0];
            if self.fill(&mut next)? == 0 {
                let bytes = passed + HEAD_BYTES as u64;
                return Ok(format!("{bytes} bytes that are no block, to the end"));
            }
            window.rotate_left(1);
            window[HEAD_BYTES - 1] = next[0];
            passed += 1;
            if is_head(&window) {
                self.found = Some(window);
                return Ok(format!("{passed} bytes that are no block"));
            }
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => {
                    self.over = true;
                    return Err(err.to_string());
                }
            }
        }
        self.at += filled as u64;
        Ok(filled)
    }
}

fn is_head(head: &[u8; HEAD_BYTES]) -> bool {
    let checksum = HEAD_BYTES - 4;
    head[..4] == SKIPPABLE
        && head[4..8] == SAID
        && head[8..12] == NAME
        && head[checksum..] == crc32fast::hash(&head[..checksum]).to_le_bytes()
}

impl<R: BufRead> Iterator for Blocks<R> {
    type Item = Result<Vec<u8>, Torn>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let at = self.at;
        match self.block() {
            Ok(block) => block.map(Ok),
            Err(what) => Some(Err(Torn { at, what })),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(blocks: &[&[u8]]) -> Vec<u8> {
        let mut zstd = zstd::bulk::Compressor::new(1).unwrap();
        let mut file = Vec::new();
        for it in blocks {
            append(&mut zstd, it, &mut file).unwrap();
        }
        file
    }

    /// The blocks that can be read, and how many parts cannot.
    fn read(file: &[u8]) -> (Vec<Vec<u8>>, usize) {
        let (whole, torn): (Vec<_>, Vec<_>) = Blocks::new(file).partition(Result::is_ok);
        (whole.into_iter().map(Result::unwrap).collect(), torn.len())
    }

    #[test]
    fn any_zstd_reads_a_file() {
        let file = written(&[b"a\n", b"", b"b\n"]);
        assert_eq!(zstd::stream::decode_all(&file[..]).unwrap(), b"a\nb\n");
    }

    #[test]
    fn what_says_it_is_too_large_is_not_believed() {
        let mut file = written(&[b"a"]);
        for (at, size) in [(12, u32::MAX), (16, u32::MAX), (12, 1 << 25), (16, 0)] {
            file[at..at + 4].copy_from_slice(&size.to_le_bytes());
            let checksum = crc32fast::hash(&file[..24]).to_le_bytes();
            file[24..28].copy_from_slice(&checksum);
            let (whole, torn) = read(&file);
            assert!(whole.is_empty() && (1..=2).contains(&torn), "{torn}");
        }
    }

    proptest! {
        #[test]
        fn what_is_whole_is_read_whatever_happened_to_the_rest(
            blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..99), 1..9),
            at in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
            cut in any::<bool>(),
        ) {
            let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            let mut file = written(&blocks);
            prop_assert_eq!(read(&file), (blocks.iter().map(|it| it.to_vec()).collect(), 0));
            let at = at.index(file.len());
            let ends: Vec<_> = (1..=blocks.len()).map(|n| written(&blocks[..n]).len()).collect();
            let hit = ends.iter().position(|&end| at < end).unwrap();
            if cut { file.truncate(at) } else { file[at] ^= flip }
            let (whole, torn) = read(&file);
            let rest = if cut { &[][..] } else { &blocks[hit + 1..] };
            let expected: Vec<_> = blocks[..hit].iter().chain(rest).map(|it| it.to_vec()).collect();
            prop_assert_eq!(whole, expected);
            prop_assert!(torn <= 1);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(file in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(read(&file).1 <= 1);
        }
    }
}
