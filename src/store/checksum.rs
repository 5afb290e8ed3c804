//! The checksum of a finished file.
//!
//! It is the CRC-32 (ISO-HDLC, that of zlib) of all bytes of the file, and it is in the file: as
//! eight hexadecimal digits under the key [`KEY`] of the footer's metadata. While it is computed,
//! these digits are zeros.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use crc32fast::Hasher;

use super::error::{Cause, StoreError};

/// The key in the footer's metadata.
pub(super) const KEY: &str = "spread_aggregator.crc32";

/// What is there while the checksum is not known.
pub(super) const UNKNOWN: &str = "00000000";

/// How the value begins, in Thrift's compact protocol: field 2, a string, of eight bytes.
const VALUE: [u8; 2] = [0x18, 8];

/// A footer holds about 20 KB for each of its row groups. A length beyond this is none.
const FOOTER_MAX: u64 = 256 << 20;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;

/// What a file says of itself, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// What the file says; `None` if it says nothing, or nothing that can be read.
    pub stored: Option<u32>,
    /// What comes out.
    pub computed: u32,
}

impl Checksum {
    /// Reads all of a Parquet file.
    ///
    /// # Errors
    /// When it cannot be read, or its end is not that of a Parquet file.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let read = || Self::read(&File::open(path)?);
        read().map_err(StoreError::during("read", path))
    }

    pub(super) fn read(file: &File) -> Result<Self, Cause> {
        let len = file.metadata()?.len();
        let digits = digits(file, len)?;
        let mut crc = Hasher::new();
        let mut chunk = vec![0; CHUNK];
        let mut stored = [0; UNKNOWN.len()];
        let mut at = 0;
        while at < len {
            let n = usize::try_from(len - at).unwrap_or(CHUNK).min(CHUNK);
            let chunk = &mut chunk[..n];
            file.read_exact_at(chunk, at)?;
            if let Some(digits) = digits {
                for (n, stored) in (digits..).zip(&mut stored) {
                    if let Some(byte) = index(n, at).and_then(|it| chunk.get_mut(it)) {
                        (*stored, *byte) = (*byte, b'0');
                    }
                }
            }
            crc.update(chunk);
            at += n as u64;
        }
        let stored = digits.and_then(|_| number(&stored));
        Ok(Self { stored, computed: crc.finalize() })
    }
}

/// Only what is written the one right way is a number.
fn number(digits: &[u8]) -> Option<u32> {
    let text = str::from_utf8(digits).ok()?;
    let number = u32::from_str_radix(text, 16).ok()?;
    (format!("{number:08x}") == text).then_some(number)
}

fn index(n: u64, at: u64) -> Option<usize> {
    usize::try_from(n.checked_sub(at)?).ok()
}

/// Where in a Parquet file of `len` bytes the digits are.
pub(super) fn digits(file: &File, len: u64) -> io::Result<Option<u64>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it does not end as Parquet does");
    let end = len.checked_sub(8).ok_or_else(invalid)?;
    let mut tail = [0; 8];
    file.read_exact_at(&mut tail, end)?;
    let [a, b, c, d, magic @ ..] = tail;
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" || FOOTER_MAX < size || end < size {
        return Err(invalid());
    }
    let mut footer = vec![0; usize::try_from(size).expect("it has a bound")];
    file.read_exact_at(&mut footer, end - size)?;
    let mark = [KEY.as_bytes(), &VALUE].concat();
    let found = footer.windows(mark.len()).rposition(|it| it == mark);
    let fits = found.map(|it| it + mark.len()).filter(|it| it + UNKNOWN.len() <= footer.len());
    Ok(fits.map(|it| end - size + it as u64))
}
