//! A capture instead of exchanges.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{PipelineError, Reload, Source, Summary, run_all, whole::Whole};
use crate::{
    capture::{Found, Merge, Read},
    config::Plan,
    feed::{
        self,
        replay::{Done, Ends, Replay},
        sinks::Sinks,
    },
    ledger::Ledger,
    metrics::Metrics,
    stop::Stop,
    store,
};

/// How long consumers are left alone that have much before them.
const PAUSE: Duration = Duration::from_millis(1);

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As many times as fast as it was received.
    Times(f64),
    /// As fast as it can be stored.
    Max,
}

/// What a replay has done.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// As of any run.
    pub summary: Summary,
    /// What of the capture.
    pub done: Done,
    /// Parts of the capture that could not be read.
    pub bad: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// Reads a capture out to the pipeline.
pub(super) struct Player<'a> {
    dir: &'a Path,
    pace: Pace,
    stop: &'a Stop,
    /// Events that may be before a consumer: so that none has to drop any.
    ahead: usize,
    played: Mutex<Option<(Done, u64, bool)>>,
}

/// Replays the capture in `dir`: what it holds goes through the pipeline of `plan`, which collects
/// from nobody. Two replays store the same.
///
/// # Errors
/// As for [`run`](super::run).
pub fn replay(
    dir: &Path,
    pace: Pace,
    plan: &Plan,
    metrics: &Metrics,
    stop: &Stop,
) -> Result<Replayed, PipelineError> {
    let ahead = plan.queue_capacity / 2;
    let player = Player { dir, pace, stop, ahead, played: Mutex::default() };
    let source = Source::Capture(player);
    let write = |events: &_, writer: store::Writer<'_>, queue: &_| {
        store::run(events, writer, queue, feed::now)
    };
    let summary = run_all(None, plan, (metrics, stop, &Reload::default()), &source, write)?;
    let Source::Capture(player) = source else { unreachable!("made above") };
    let (done, bad, stopped) = player.played.into_inner().unwrap_or((Done::default(), 0, true));
    Ok(Replayed { summary, done, bad, stopped })
}

impl Player<'_> {
    /// Replays it all, then stops the run.
    pub(super) fn play(&self, whole: &Whole<'_>, sinks: Sinks<'_>, ledger: Ledger) {
        let ends = Ends { sinks, ledger, registry: &whole.registry, metrics: whole.metrics };
        let mut stage = Stage {
            replay: Replay::new(ends, Instant::now()),
            began: Instant::now(),
            first: None,
            bad: 0,
        };
        match Read::open(self.dir) {
            Ok(read) => self.read(read, &mut stage),
            Err(err) => stage.bad(&format!("{}: {err}", self.dir.display())),
        }
        let stopped = self.stop.requested();
        *self.played.lock() = Some((stage.replay.finish(), stage.bad, stopped));
        self.stop.request();
    }

    fn read(&self, read: Read, stage: &mut Stage<'_>) {
        let mut merge = Merge::default();
        for found in read {
            match found {
                Found::Line(line) => merge.push(line),
                Found::Bad(what) => stage.bad(&what),
            }
            if self.play_ready(&mut merge, stage).is_none() {
                return;
            }
        }
        merge.finish();
        self.play_ready(&mut merge, stage);
    }

    /// `None` when the program stops.
    fn play_ready(&self, merge: &mut Merge, stage: &mut Stage<'_>) -> Option<()> {
        while let Some((time, line)) = merge.pop() {
            if let (Pace::Times(times), true) = (self.pace, line.of().is_some()) {
                let first = *stage.first.get_or_insert(time);
                let due = Duration::from_nanos(time.saturating_sub(first).max(0).unsigned_abs());
                let due = due.div_f64(times);
                let _ = self.stop.wait(due.saturating_sub(stage.began.elapsed()));
            }
            while stage.replay.is_ahead_by(self.ahead) && !self.stop.requested() {
                thread::park_timeout(PAUSE);
            }
            if self.stop.requested() {
                return None;
            }
            if let Err(what) = stage.replay.line(line) {
                stage.bad(&what);
            }
        }
        Some(())
    }
}

struct Stage<'a> {
    replay: Replay<'a>,
    began: Instant,
    /// The time of the first line.
    first: Option<i64>,
    bad: u64,
}

impl Stage<'_> {
    fn bad(&mut self, what: &str) {
        self.bad += 1;
        log::warn!("{what}");
    }
}
