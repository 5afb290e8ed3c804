//! Raw frames to files, as they came, and back: what a run can be repeated from.
//!
//! A feed appends its frames to its [`Tape`], which sends them on in chunks; the thread of [`run`]
//! makes lines of JSON of them, and blocks of lines, and files of blocks. A feed never waits for the
//! disk: when it is too slow, the oldest chunks are dropped and counted. docs/capture.md has the
//! format.

mod block;
mod chunk;
mod folder;
mod line;
mod merge;
mod read;
mod recorder;
mod tape;

use std::{path::PathBuf, time::Duration};

pub use self::{
    block::{Blocks, Torn},
    chunk::{Carries, Known},
    line::{Body, Line, Mark, Of},
    merge::Merge,
    read::{Found, Read},
    recorder::{CaptureError, Recorder, run},
    tape::{Inlet, Outlet, Tape, inlet},
};

/// How frames are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder.
    pub dir: PathBuf,
    /// A file is closed at this age ...
    pub rotate: Duration,
    /// ... or when it has this many bytes.
    pub rotate_size: u64,
    /// The oldest files go when all have more bytes than this.
    pub max_size: u64,
    /// Bytes of frames that wait to be written, at most.
    pub queue_size: u64,
    /// zstd's level.
    pub level: i32,
}
