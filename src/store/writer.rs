//! Events to files: which file an event goes to.

use std::sync::Arc;

use super::{
    Settings,
    batch::{BATCH_ROWS, Columns},
    dataset::Dataset,
    lane::{Lane, Target, Totals},
};
use crate::{
    market::{Channel, Event, Exchange, Instrument, InstrumentId, Nanos},
    metrics::Metrics,
    registry::Registry,
};

/// Writes events to the files of a [`Dataset`].
///
/// It is told the time, and it never waits: what the disk refuses is counted and declared lost.
pub struct Writer<'a> {
    instruments: Instruments<'a>,
    /// By [`stream`].
    streams: Vec<Stream>,
    target: Target<'a>,
}

/// The instruments met so far: the registry is asked once for each.
struct Instruments<'a> {
    registry: &'a Registry,
    met: Vec<Option<Arc<Instrument>>>,
}

/// One channel of one exchange: the rows that are in no file yet, and the files.
struct Stream {
    columns: Columns,
    /// The UTC day of all rows in `columns`.
    day: i32,
    lane: Lane,
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
        let streams = Exchange::ALL.into_iter().flat_map(|exchange| {
            Channel::ALL.map(|channel| Stream {
                columns: Columns::new(channel, exchange),
                day: 0,
                lane: Lane::new(channel.into(), Some(exchange), metrics),
            })
        });
        Self {
            instruments: Instruments { registry, met: Vec::new() },
            streams: streams.collect(),
            target: Target::new(dataset, index.to_string(), settings),
        }
    }

    /// Takes all `events`, each to the file of its channel, exchange and UTC day of `ts_recv`.
    ///
    /// # Panics
    /// When an instrument is not in the registry.
    pub fn append(&mut self, events: &mut Vec<Event>, now: Nanos) {
        for event in events.drain(..) {
            let instrument = self.instruments.get(event.instrument());
            let stream = &mut self.streams[stream(&event, instrument)];
            stream.append(&event, instrument, now, &mut self.target);
        }
    }

    /// Closes the files that are old or large enough, and those of a day that is over.
    pub fn tick(&mut self, now: Nanos) {
        for stream in &mut self.streams {
            if stream.lane.is_due(now, &self.target) {
                stream.write(now, &mut self.target);
                stream.lane.close_due(now, &mut self.target);
            }
        }
    }

    /// Closes all files.
    #[must_use = "it says what was lost"]
    pub fn finish(mut self, now: Nanos) -> Totals {
        for stream in &mut self.streams {
            stream.write(now, &mut self.target);
            stream.lane.close_all(now, &mut self.target);
        }
        self.target.totals
    }
}

/// The index of the stream of an event: as [`Writer::new`] orders them.
fn stream(event: &Event, instrument: &Instrument) -> usize {
    instrument.venue.exchange as usize * Channel::ALL.len() + event.channel() as usize
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

impl Stream {
    fn append(
        &mut self,
        event: &Event,
        instrument: &Arc<Instrument>,
        now: Nanos,
        target: &mut Target<'_>,
    ) {
        let day = event.ts_recv().day();
        if day != self.day {
            self.write(now, target);
            self.day = day;
        }
        if !self.lane.open(day, now, target) {
            return self.lane.lose(1, target);
        }
        self.columns.push(event, instrument);
        if self.columns.len() == BATCH_ROWS {
            self.write(now, target);
        }
    }

    fn write(&mut self, now: Nanos, target: &mut Target<'_>) {
        if let Some((batch, times)) = self.columns.take() {
            self.lane.write(self.day, &batch, times, now, target);
        }
    }
}
