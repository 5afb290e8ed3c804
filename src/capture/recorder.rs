//! The thread that writes.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    Settings, block,
    chunk::{Carries, Chunk, What, records},
    folder,
    line::{self, Head},
    tape::Outlet,
};
use crate::{
    channel::Received,
    market::{ConnId, Nanos},
    metrics::CaptureMetrics,
};

/// A block is written when it has this many bytes of lines: zstd finds little more in larger ones.
const BLOCK_BYTES: usize = 1 << 20;
/// A block waits no longer for company: so much is lost on `kill -9`, at most.
const BLOCK_AGE: i64 = 1_000_000_000;
/// How long the queue is left alone once it was found empty.
const PAUSE: Duration = Duration::from_millis(5);
/// Chunks taken out of the queue at a time.
const DRAIN_MAX: usize = 256;
/// What cannot be written is given up; the disk is tried again after this, in nanoseconds.
const RETRY_AFTER: i64 = 1_000_000_000;

/// The folder cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("[capture] dir {dir}: {cause}")]
pub struct CaptureError {
    dir: PathBuf,
    cause: io::Error,
}

/// Makes files of chunks.
pub struct Recorder {
    settings: Settings,
    metrics: CaptureMetrics,
    zstd: zstd::bulk::Compressor<'static>,
    run: String,
    /// Files of this run so far.
    files: u32,
    open: Option<Open>,
    lines: Vec<u8>,
    /// Frames in `lines`.
    frames: u64,
    /// When the first of them came.
    since: Nanos,
    packed: Vec<u8>,
    feeds: HashMap<String, State>,
    retry_at: Nanos,
}

/// The file that is written to.
struct Open {
    file: File,
    path: PathBuf,
    bytes: u64,
    since: Nanos,
}

/// What the file says of a feed.
#[derive(Default)]
struct State {
    described: Vec<Arc<Carries>>,
    /// Frames so far, with those that are lost.
    frames: u64,
}

impl Recorder {
    /// A recorder of the run that begins `now`. The folder is made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn new(
        settings: &Settings,
        metrics: &CaptureMetrics,
        now: Nanos,
    ) -> Result<Self, CaptureError> {
        let failed = |cause| CaptureError { dir: settings.dir.clone(), cause };
        fs::create_dir_all(&settings.dir).map_err(failed)?;
        let mut it = Self {
            settings: settings.clone(),
            metrics: metrics.clone(),
            zstd: zstd::bulk::Compressor::new(settings.level).map_err(failed)?,
            run: folder::run_name(now.0),
            files: 0,
            open: None,
            lines: Vec::new(),
            frames: 0,
            since: now,
            packed: Vec::new(),
            feeds: HashMap::new(),
            retry_at: now,
        };
        it.begin_file(now).map_err(failed)?;
        Ok(it)
    }

    fn begin_file(&mut self, now: Nanos) -> io::Result<()> {
        let Settings { dir, max_size, rotate_size, .. } = &self.settings;
        let removed = folder::shrink_to(dir, max_size.saturating_sub(*rotate_size))?;
        self.metrics.removed.inc_by(removed);
        self.files += 1;
        let path = dir.join(folder::name(&self.run, self.files));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        self.open = Some(Open { file, path, bytes: 0, since: now });
        // Each file can be read without the ones before it.
        self.feeds.values_mut().for_each(|it| it.described.clear());
        Ok(())
    }

    fn chunk(&mut self, chunk: &Chunk, now: Nanos) {
        if self.lines.is_empty() {
            self.since = now;
            if self.open.as_ref().is_some_and(|it| it.bytes == 0) {
                line::first(&self.run, &mut self.lines);
            }
        }
        let Self { feeds, lines, .. } = self;
        let name = &chunk.feed.name;
        let head = |conn, time| Head { feed: name, venue: chunk.feed.venue, conn, time };
        let all = records(&chunk.records);
        if !feeds.contains_key(name) {
            feeds.insert(name.clone(), State::default());
        }
        let Some(state) = feeds.get_mut(name) else { return };
        // A feed that starts anew counts anew.
        let lost = if chunk.before == 0 { 0 } else { chunk.before.saturating_sub(state.frames) };
        state.frames = chunk.before + chunk.frames;
        let mut first = true;
        for it in all {
            if mem::take(&mut first) {
                if 0 < lost {
                    head(ConnId(0), it.time).lost(lost, lines);
                }
                for carries in &chunk.carries {
                    let known = state.described.iter().any(|it| Arc::ptr_eq(it, carries));
                    if !known {
                        head(carries.conn, carries.since).carries(carries, lines);
                    }
                }
                state.described.clone_from(&chunk.carries);
            }
            let head = head(it.conn, it.time);
            match it.what {
                What::Text(frame) => head.frame(frame, true, lines),
                What::Binary(frame) => head.frame(frame, false, lines),
                What::Mark(mark) => head.mark(mark, lines),
            }
        }
        self.frames += chunk.frames;
        if BLOCK_BYTES <= self.lines.len() {
            self.write(now);
        }
    }

    fn tick(&mut self, now: Nanos) {
        if BLOCK_AGE <= (now.0 - self.since.0).abs() {
            self.write(now);
        }
    }

    /// Writes what there is; what the disk refuses is given up and counted.
    fn write(&mut self, now: Nanos) {
        if self.lines.is_empty() {
            return;
        }
        match self.try_write(now) {
            Ok(()) => {
                self.metrics.frames.inc_by(self.frames);
            }
            Err(err) => {
                self.metrics.lost.inc_by(self.frames);
                if self.open.take().is_some() {
                    let dir = self.settings.dir.display();
                    log::error!("[capture] dir {dir}: {err}; frames are lost until it works again");
                }
                self.retry_at = Nanos(now.0.saturating_add(RETRY_AFTER));
            }
        }
        self.lines.clear();
        self.frames = 0;
    }

    fn try_write(&mut self, now: Nanos) -> io::Result<()> {
        if self.open.is_none() {
            if now < self.retry_at {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // What follows is in a file that says nothing yet: the lines of this block are lost.
            self.begin_file(now)?;
            return Err(io::Error::other("a block is given up for a new file"));
        }
        self.packed.clear();
        // A frame may be as large as a block: lines are cut into such as can be read back.
        for lines in blocks(&self.lines) {
            block::append(&mut self.zstd, lines, &mut self.packed)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.write_all(&self.packed)?;
        let bytes = self.packed.len() as u64;
        open.bytes += bytes;
        self.metrics.bytes.inc_by(bytes);
        let old = now.0.saturating_sub(open.since.0);
        let full = self.settings.rotate_size <= open.bytes;
        if full || self.settings.rotate.as_nanos() <= u128::from(old.unsigned_abs()) {
            open.file.sync_all()?;
            self.begin_file(now)?;
        }
        Ok(())
    }

    fn finish(&mut self, now: Nanos) {
        self.write(now);
        let Some(open) = self.open.take() else { return };
        let done = if open.bytes == 0 {
            drop(open.file);
            fs::remove_file(&open.path)
        } else {
            open.file.sync_all()
        };
        if let Err(err) = done.and_then(|()| sync_folder(&self.settings.dir)) {
            log::warn!("{}: {err}", open.path.display());
        }
    }
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whole lines, as many at a time as a block may have.
fn blocks(mut lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if lines.is_empty() {
            return None;
        }
        let most = &lines[..lines.len().min(block::RAW_BYTES_MAX)];
        let end = most.iter().rposition(|it| *it == b'\n').map_or(most.len(), |it| it + 1);
        let (block, rest) = lines.split_at(end);
        lines = rest;
        Some(block)
    })
}

/// Writes what comes out of the queue until its senders are gone.
pub fn run(chunks: &Outlet, mut recorder: Recorder, clock: impl Fn() -> Nanos) {
    let mut batch = Vec::with_capacity(DRAIN_MAX);
    while chunks.queue.drain(&mut batch, DRAIN_MAX) != Received::Closed {
        let now = clock();
        chunks.metrics.look(batch.len() + chunks.queue.len(), None, now);
        let drained = batch.len();
        for chunk in batch.drain(..) {
            recorder.chunk(&chunk, now);
            chunks.waiting.take(&chunk);
        }
        recorder.tick(now);
        if drained < DRAIN_MAX {
            thread::park_timeout(PAUSE);
        }
    }
    chunks.metrics.look(0, None, clock());
    recorder.finish(clock());
}
