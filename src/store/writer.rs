//! Events to journals: which one an event goes to, and when.

use std::sync::Arc;

use super::{
    Settings, Totals,
    batch::{BATCH_ROWS, Columns},
    dataset::Dataset,
    lane::{Lane, Target},
    nanos,
};
use crate::{
    market::{Channel, Event, Exchange, Gap, Instrument, InstrumentId, Nanos},
    metrics::Metrics,
    registry::Registry,
};

/// Writes events to the journals of a [`Dataset`], of which a [`Sealer`](super::Sealer) makes files.
///
/// It is told the time, and it never waits: what the disk refuses is kept for a while, then counted
/// and declared lost.
pub struct Writer<'a> {
    instruments: Instruments<'a>,
    /// By [`stream`].
    streams: Vec<Stream>,
    target: Target<'a>,
    /// How long rows may wait for company.
    wait: i64,
}

/// The instruments met so far: the registry is asked once for each.
struct Instruments<'a> {
    registry: &'a Registry,
    met: Vec<Option<Met>>,
}

/// An instrument, and its exchange at hand: there is a stream to be found for every event.
#[derive(Clone)]
struct Met {
    exchange: Exchange,
    instrument: Arc<Instrument>,
}

/// One channel of one exchange: the rows that are in no journal yet, and the journals.
struct Stream {
    columns: Columns,
    /// The UTC day of all rows in `columns`.
    day: i32,
    /// When the first of them came.
    since: Nanos,
    lane: Lane,
}

impl<'a> Writer<'a> {
    /// A writer without journals. `index` tells the writers of one run apart.
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
                since: Nanos(0),
                lane: Lane::new(channel.into(), Some(exchange), metrics),
            })
        });
        Self {
            instruments: Instruments { registry, met: Vec::new() },
            streams: streams.collect(),
            target: Target::new(dataset, index.to_string(), settings),
            // The other half is for a disk that is slow to take them.
            wait: nanos(settings.journal_flush) / 2,
        }
    }

    /// Has the rows that are given up declared to `declare`.
    #[must_use]
    pub fn declaring(mut self, declare: impl Fn(Gap) + Send + 'a) -> Self {
        self.target.declare_to(declare);
        self
    }

    /// Takes all `events`, each to the journal of its channel, exchange and UTC day of `ts_recv`.
    ///
    /// # Panics
    /// When an instrument is not in the registry.
    pub fn append(&mut self, events: &mut Vec<Event>, now: Nanos) {
        for event in events.drain(..) {
            let Met { exchange, instrument } = self.instruments.get(event.instrument());
            let stream = &mut self.streams[stream(*exchange, event.channel())];
            stream.append(&event, instrument, now, &mut self.target);
        }
    }

    /// Writes what has waited for half of `journal_flush`, and completes the journals that are old
    /// or large enough, and those of a day that is over.
    pub fn tick(&mut self, now: Nanos) {
        let Self { streams, target, wait, .. } = self;
        for stream in streams {
            stream.lane.retry(now, target);
            // While the disk refuses, batches had better be large.
            if *wait <= (now.0 - stream.since.0).abs() && !stream.lane.is_in_trouble() {
                stream.write(now, target);
            }
            if stream.lane.is_due(now, target) {
                stream.write(now, target);
                stream.lane.rotate(now, target);
            }
        }
    }

    /// Writes what there is and completes all journals.
    #[must_use = "it says what was lost"]
    pub fn finish(mut self, now: Nanos) -> Totals {
        for stream in &mut self.streams {
            stream.write(now, &mut self.target);
            stream.lane.finish(now, &mut self.target);
        }
        self.target.totals
    }
}

/// The index of a stream: as [`Writer::new`] orders them.
fn stream(exchange: Exchange, channel: Channel) -> usize {
    exchange as usize * Channel::ALL.len() + channel as usize
}

impl Instruments<'_> {
    fn get(&mut self, id: InstrumentId) -> &Met {
        let at = id.0 as usize;
        if self.met.len() <= at {
            self.met.resize(at + 1, None);
        }
        self.met[at].get_or_insert_with(|| {
            let instrument = self
                .registry
                .get(id)
                .expect("an event's instrument was registered before its connection subscribed");
            Met { exchange: instrument.venue.exchange, instrument }
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
        if self.columns.len() == 0 {
            self.since = now;
        }
        self.columns.push(event, instrument);
        if self.columns.len() == BATCH_ROWS {
            self.write(now, target);
        }
    }

    fn write(&mut self, now: Nanos, target: &mut Target<'_>) {
        if let Some((batch, times)) = self.columns.take() {
            self.lane.write(self.day, batch, times, now, target);
        }
    }
}
