//! Events to files: which file an event goes to, and when a file is closed.

use std::iter::Sum;
use std::{mem, sync::Arc, time::Duration};

use parquet::file::properties::WriterPropertiesPtr;

use super::{
    Settings,
    dataset::Dataset,
    error::StoreError,
    file::{OpenFile, Partition},
    properties::properties,
};
use crate::{
    market::{Channel, Event, Exchange, Instrument, InstrumentId, Nanos},
    metrics::{FileMetrics, Metrics},
    registry::Registry,
};

/// How long after midnight the files of the past day stay open, for events that were under way.
const DAY_GRACE: Duration = Duration::from_secs(10);

/// The most files open for one channel of one exchange: today's, and yesterday's or tomorrow's. A
/// clock that jumps from day to day must not use up the file descriptors.
const OPEN_MAX: usize = 2;

/// How long after a failure a file is not tried again: a full disk must not keep the writer busy.
const BACKOFF: Duration = Duration::from_secs(1);

/// What a writer has done with the rows it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Quotes in files that are whole and in place.
    pub rows_quotes: u64,
    /// Trades in files that are whole and in place.
    pub rows_trades: u64,
    /// Quotes and trades that could not be written.
    pub rows_lost: u64,
    /// Files that are whole and in place.
    pub files: u64,
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Totals::default(), |sum, it| Totals {
            rows_quotes: sum.rows_quotes + it.rows_quotes,
            rows_trades: sum.rows_trades + it.rows_trades,
            rows_lost: sum.rows_lost + it.rows_lost,
            files: sum.files + it.files,
        })
    }
}

/// Writes events to the files of a [`Dataset`].
///
/// It is told the time, and it never waits: what the disk refuses is counted and declared lost.
pub struct Writer<'a> {
    instruments: Instruments<'a>,
    /// By [`lane`].
    lanes: Vec<Lane>,
    target: Target<'a>,
}

/// Where and how files are made.
struct Target<'a> {
    dataset: &'a Dataset,
    index: usize,
    properties: WriterPropertiesPtr,
    rotate: i64,
    rotate_size: u64,
    created: u64,
    totals: Totals,
}

/// The instruments met so far: the registry is asked once for each.
struct Instruments<'a> {
    registry: &'a Registry,
    met: Vec<Option<Arc<Instrument>>>,
}

/// The files of one channel of one exchange.
struct Lane {
    channel: Channel,
    exchange: Exchange,
    metrics: FileMetrics,
    /// One a day, in the order they were opened: two around midnight.
    open: Vec<OpenFile>,
    trouble: Option<Trouble>,
}

/// An episode of failures: from the first one to the next file that comes out whole.
struct Trouble {
    retry_at: Nanos,
    errors: u64,
    rows_lost: u64,
}

impl<'a> Writer<'a> {
    /// A writer without files. `index` tells the writers of one run apart.
    ///
    /// # Panics
    /// When zstd has no such level as `settings` say.
    #[must_use]
    pub fn new(
        dataset: &'a Dataset,
        index: usize,
        settings: &Settings,
        registry: &'a Registry,
        metrics: &Metrics,
    ) -> Self {
        let lanes = Exchange::ALL.into_iter().flat_map(|exchange| {
            Channel::ALL.map(|channel| Lane::new(channel, exchange, metrics.files(channel)))
        });
        Self {
            instruments: Instruments { registry, met: Vec::new() },
            lanes: lanes.collect(),
            target: Target {
                dataset,
                index,
                properties: properties(dataset.run_id(), settings.compression),
                rotate: nanos(settings.rotate),
                rotate_size: settings.rotate_size,
                created: 0,
                totals: Totals::default(),
            },
        }
    }

    /// Takes all `events`, each to the file of its channel, exchange and UTC day of `ts_recv`.
    ///
    /// # Panics
    /// When an instrument is not in the registry.
    pub fn append(&mut self, events: &mut Vec<Event>, now: Nanos) {
        for event in events.drain(..) {
            let instrument = self.instruments.get(event.instrument());
            let lane = &mut self.lanes[lane(&event, instrument)];
            lane.append(&event, instrument, now, &mut self.target);
        }
    }

    /// Closes the files that are old or large enough, and those of a day that is over.
    pub fn tick(&mut self, now: Nanos) {
        for lane in &mut self.lanes {
            lane.close_if(now, &mut self.target, is_due);
        }
    }

    /// Closes all files.
    #[must_use = "it says what was lost"]
    pub fn finish(mut self, now: Nanos) -> Totals {
        for lane in &mut self.lanes {
            lane.close_if(now, &mut self.target, |_, _, _| true);
        }
        self.target.totals
    }
}

/// The index of the lane of an event: as [`Writer::new`] orders them.
fn lane(event: &Event, instrument: &Instrument) -> usize {
    instrument.venue.exchange as usize * Channel::ALL.len() + event.channel() as usize
}

fn is_due(file: &mut OpenFile, target: &Target<'_>, now: Nanos) -> bool {
    // A clock that was set back would keep the file open for as long again.
    file.opened = file.opened.min(now);
    let age = now.0 - file.opened.0;
    let grace = nanos(DAY_GRACE);
    // The second condition gives stragglers of a day long over one file, not one a tick.
    let day_is_over = file.partition.day < Nanos(now.0 - grace).day() && grace < age;
    day_is_over || target.rotate <= age || target.rotate_size <= file.size()
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Instruments<'_> {
    fn get(&mut self, id: InstrumentId) -> &Arc<Instrument> {
        let at = id.0 as usize;
        if self.met.len() <= at {
            self.met.resize(at + 1, None);
        }
        self.met[at].get_or_insert_with(|| {
            self.registry
                .get(id)
                .expect("an event's instrument was registered before its connection subscribed")
        })
    }
}

impl Target<'_> {
    fn create(&mut self, partition: Partition, now: Nanos) -> Result<OpenFile, StoreError> {
        self.created += 1;
        let Partition { channel, exchange, .. } = partition;
        let name = format!("{channel}-{exchange}-{}-{}", self.index, self.created);
        let name = self.dataset.file_name(&name);
        OpenFile::create(self.dataset.dir(), name, partition, &self.properties, now)
    }
}

impl Lane {
    fn new(channel: Channel, exchange: Exchange, metrics: FileMetrics) -> Self {
        Self { channel, exchange, metrics, open: Vec::new(), trouble: None }
    }

    fn append(
        &mut self,
        event: &Event,
        instrument: &Arc<Instrument>,
        now: Nanos,
        target: &mut Target<'_>,
    ) {
        let day = event.ts_recv().day();
        let Some(at) = self.file(day, now, target) else { return self.lose(1, target) };
        if let Err(error) = self.open[at].append(event, instrument) {
            let file = self.open.remove(at);
            let rows = file.rows();
            file.discard();
            self.fail(&error, rows, now, target);
        }
    }

    /// Where in `open` the file of `day` is; `None` if there cannot be one at present.
    fn file(&mut self, day: i32, now: Nanos, target: &mut Target<'_>) -> Option<usize> {
        if let Some(at) = self.open.iter().position(|it| it.partition.day == day) {
            return Some(at);
        }
        if self.trouble.as_ref().is_some_and(|it| it.is_waiting(now)) {
            return None;
        }
        if self.open.len() == OPEN_MAX {
            let oldest = self.open.remove(0);
            self.close(oldest, now, target);
        }
        let partition = Partition { channel: self.channel, exchange: self.exchange, day };
        match target.create(partition, now) {
            Ok(file) => self.open.push(file),
            Err(error) => {
                self.fail(&error, 0, now, target);
                return None;
            }
        }
        Some(self.open.len() - 1)
    }

    fn close_if(
        &mut self,
        now: Nanos,
        target: &mut Target<'_>,
        due: impl Fn(&mut OpenFile, &Target<'_>, Nanos) -> bool,
    ) {
        for mut file in mem::take(&mut self.open) {
            if due(&mut file, target, now) {
                self.close(file, now, target);
            } else {
                self.open.push(file);
            }
        }
    }

    fn close(&mut self, file: OpenFile, now: Nanos, target: &mut Target<'_>) {
        let rows = file.rows();
        match file.close() {
            Ok(()) => self.count(rows, target),
            Err(error) => self.fail(&error, rows, now, target),
        }
    }

    fn count(&mut self, rows: u64, target: &mut Target<'_>) {
        self.metrics.rows.inc_by(rows);
        self.metrics.files.inc();
        target.totals.files += 1;
        match self.channel {
            Channel::Quotes => target.totals.rows_quotes += rows,
            Channel::Trades => target.totals.rows_trades += rows,
        }
        if let Some(Trouble { errors, rows_lost, .. }) = self.trouble.take() {
            let Self { channel, exchange, .. } = self;
            log::info!(
                "{channel} of {exchange} are written again, after {errors} errors and {rows_lost} \
                 rows lost"
            );
        }
    }

    fn fail(&mut self, error: &StoreError, rows: u64, now: Nanos, target: &mut Target<'_>) {
        self.metrics.errors.inc();
        let retry_at = Nanos(now.0 + nanos(BACKOFF));
        match &mut self.trouble {
            Some(trouble) => {
                trouble.retry_at = retry_at;
                trouble.errors += 1;
            }
            // One line an episode: the rest is in the metrics.
            none => {
                *none = Some(Trouble { retry_at, errors: 1, rows_lost: 0 });
                log::error!("{error}; rows are lost and counted until it can be done");
            }
        }
        self.lose(rows, target);
    }

    fn lose(&mut self, rows: u64, target: &mut Target<'_>) {
        self.metrics.lost.inc_by(rows);
        target.totals.rows_lost += rows;
        if let Some(trouble) = &mut self.trouble {
            trouble.rows_lost += rows;
        }
    }
}

impl Trouble {
    /// Also when the clock was set back: no wait is longer than [`BACKOFF`].
    fn is_waiting(&self, now: Nanos) -> bool {
        (self.retry_at.0 - nanos(BACKOFF)..self.retry_at.0).contains(&now.0)
    }
}
