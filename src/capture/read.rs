//! A capture read back, whoever wrote it.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    vec,
};

use super::{block::Blocks, folder, line::Line};

/// The parts of a file that are named one by one when they cannot be read.
const NAMED_MAX: u64 = 20;

/// The files of a capture, one after the other.
#[derive(Debug)]
pub struct Read {
    files: vec::IntoIter<PathBuf>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    blocks: Blocks<BufReader<File>>,
    block: Vec<u8>,
    /// How much of it has been read.
    at: usize,
    bad: u64,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// A line.
    Line(Line),
    /// A part of a file that cannot be read; the text names it.
    Bad(String),
}

impl Read {
    /// Reads what is in `dir`.
    ///
    /// # Errors
    /// When it cannot be listed, or holds no file of a capture.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let files: Vec<_> = folder::files(dir)?.into_iter().map(|it| it.0).collect();
        if files.is_empty() {
            let what = "no file ends in .jsonl.zst";
            return Err(io::Error::new(io::ErrorKind::NotFound, what));
        }
        Ok(Self { files: files.into_iter(), open: None })
    }
}

impl Iterator for Read {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let open = if let Some(open) = &mut self.open {
                open
            } else {
                let path = self.files.next()?;
                match File::open(&path) {
                    Ok(file) => self.open.insert(Open::new(path, file)),
                    Err(err) => return Some(Found::Bad(format!("{}: {err}", path.display()))),
                }
            };
            match open.next() {
                Some(Ok(line)) => return Some(Found::Line(line)),
                Some(Err(what)) => {
                    open.bad += 1;
                    if open.bad <= NAMED_MAX {
                        return Some(Found::Bad(what));
                    }
                }
                None => {
                    let more = open.bad.saturating_sub(NAMED_MAX);
                    let what = format!("{}: {more} more like these", open.path.display());
                    self.open = None;
                    if 0 < more {
                        return Some(Found::Bad(what));
                    }
                }
            }
        }
    }
}

impl Open {
    fn new(path: PathBuf, file: File) -> Self {
        let blocks = Blocks::new(BufReader::new(file));
        Self { path, blocks, block: Vec::new(), at: 0, bad: 0 }
    }

    fn next(&mut self) -> Option<Result<Line, String>> {
        while self.block.len() <= self.at {
            self.at = 0;
            match self.blocks.next()? {
                Ok(block) => self.block = block,
                Err(torn) => {
                    self.block.clear();
                    let path = self.path.display();
                    return Some(Err(format!("{path}, byte {}: {}", torn.at, torn.what)));
                }
            }
        }
        let rest = &self.block[self.at..];
        let end = rest.iter().position(|it| *it == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        self.at += end + 1;
        Some(Line::parse(line).map_err(|err| {
            let shown = String::from_utf8_lossy(&line[..line.len().min(80)]);
            format!("{}: {err}: {shown:?}", self.path.display())
        }))
    }
}
