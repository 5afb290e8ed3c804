//! How the pages of a file are compressed.

use std::{fmt, str::FromStr};

use parquet::basic::{Compression as Codec, ZstdLevel};

/// How the pages of a file are compressed. Every reader knows all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4, in the raw format that Parquet calls `LZ4_RAW`.
    Lz4,
    /// Snappy.
    Snappy,
    /// Zstandard, at a level from 1 (fast) to 22 (small).
    Zstd(i32),
}

/// A text that names no compression.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCompression {
    /// No compression has that name.
    #[error("no compression is called {0:?}; there are none, lz4, snappy, zstd(1) to zstd(22)")]
    Unknown(String),
    /// Zstandard has no such level.
    #[error("zstd has levels from 1 to 22, {0:?} is none of them")]
    Level(String),
}

impl Compression {
    pub(super) fn codec(self) -> Codec {
        match self {
            Compression::None => Codec::UNCOMPRESSED,
            Compression::Lz4 => Codec::LZ4_RAW,
            Compression::Snappy => Codec::SNAPPY,
            Compression::Zstd(level) => Codec::ZSTD(
                ZstdLevel::try_new(level).expect("a level is from 1 to 22: checked when parsed"),
            ),
        }
    }
}

impl FromStr for Compression {
    type Err = InvalidCompression;
    fn from_str(text: &str) -> Result<Self, InvalidCompression> {
        match text {
            "none" => Ok(Compression::None),
            "lz4" => Ok(Compression::Lz4),
            "snappy" => Ok(Compression::Snappy),
            _ => {
                let level = text.strip_prefix("zstd(").and_then(|it| it.strip_suffix(')'));
                zstd(level.ok_or_else(|| InvalidCompression::Unknown(text.to_owned()))?)
            }
        }
    }
}

fn zstd(level: &str) -> Result<Compression, InvalidCompression> {
    match level.parse() {
        Ok(it @ 1..=22) => Ok(Compression::Zstd(it)),
        _ => Err(InvalidCompression::Level(level.to_owned())),
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compression::None => f.write_str("none"),
            Compression::Lz4 => f.write_str("lz4"),
            Compression::Snappy => f.write_str("snappy"),
            Compression::Zstd(level) => write!(f, "zstd({level})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back() {
        for text in ["none", "lz4", "snappy", "zstd(1)", "zstd(3)", "zstd(22)"] {
            let compression: Compression = text.parse().expect(text);
            assert_eq!(compression.to_string(), text);
            let _ = compression.codec();
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| text.parse::<Compression>().expect_err(text).to_string();
        for text in ["", "zstd", "ZSTD(1)", "zstd 1", "brotli", "zstd(1"] {
            assert!(error(text).contains("there are none, lz4, snappy, zstd(1)"), "{text:?}");
        }
        for text in ["zstd(0)", "zstd(23)", "zstd(-1)", "zstd()", "zstd(fast)"] {
            assert!(error(text).contains("levels from 1 to 22"), "{text:?}");
        }
    }
}
