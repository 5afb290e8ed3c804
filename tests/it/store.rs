//! Events to Parquet files.

mod compaction;
pub(crate) mod crash;
pub(crate) mod failures;
mod records;
mod retention;
mod runs;
mod verification;

use std::{
    cell::{Cell, RefCell},
    fs::{self, File},
    path::Path,
    time::Duration,
};

use arrow::datatypes::{FieldRef, Schema};
use parquet::file::{
    metadata::RowGroupMetaData,
    reader::{FileReader, SerializedFileReader},
};
use spread_aggregator::{
    channel,
    market::{Channel, Event, Nanos},
    metrics::Metrics,
    registry::Registry,
    store::{
        self, Checksum, Compression, Dataset, RecordWriter, Sealer, Settings, Totals, Writer,
        schema,
    },
};
use tempfile::TempDir;

use crate::support::{
    events::{HOUR, NOON, SECOND, event, events, mixture, registry},
    rows::{Row, files, read, rows},
};

/// A folder and all that a writer needs.
struct Fixture {
    dir: TempDir,
    registry: Registry,
    metrics: Metrics,
    settings: Settings,
}

impl Fixture {
    fn new() -> Self {
        Self::on(tempfile::tempdir().expect("a folder"))
    }

    /// In memory where the system offers that: for tests that sync thousands of times.
    fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            return Self::on(tempfile::tempdir_in(memory).expect("a folder"));
        }
        Self::new()
    }

    fn on(dir: TempDir) -> Self {
        let settings = Settings {
            dir: dir.path().to_owned(),
            journal_flush: Duration::from_secs(1),
            rotate: Duration::from_mins(15),
            rotate_size: 256 << 20,
            compression: Compression::Zstd(1),
            keep_days: None,
        };
        Self { dir, registry: registry(), metrics: Metrics::new(), settings }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn dataset(&self) -> Dataset {
        Dataset::open(self.path()).expect("a dataset")
    }

    fn writer<'a>(&'a self, dataset: &'a Dataset) -> Writer<'a> {
        Writer::new(dataset, 0, &self.settings, &self.registry, &self.metrics)
    }

    fn store<'a>(&'a self, dataset: &'a Dataset) -> Store<'a> {
        let sealer = Sealer::new(dataset, &self.settings, &self.metrics);
        Store { writer: self.writer(dataset), sealer }
    }

    /// Files of quotes and trades that readers see.
    fn finished(&self) -> usize {
        Channel::ALL.map(|it| files(&self.path().join(it.name())).len()).iter().sum()
    }

    /// Journals.
    fn open(&self) -> usize {
        let journal = files(&self.path().join("journal"));
        journal.iter().filter(|it| it.extension().is_some_and(|it| it == "arrows")).count()
    }

    fn rows(&self) -> usize {
        Channel::ALL.map(|it| rows(self.path(), it).len()).iter().sum()
    }
}

/// A writer and its sealer, without threads.
struct Store<'a> {
    writer: Writer<'a>,
    sealer: Sealer<'a>,
}

impl Store<'_> {
    fn append(&mut self, events: &mut Vec<Event>, now: Nanos) {
        self.writer.append(events, now);
    }

    fn tick(&mut self, now: Nanos) {
        self.writer.tick(now);
        while self.sealer.work(&|| now) {}
    }

    fn finish(self, now: Nanos) -> Totals {
        [self.writer.finish(now), self.sealer.finish(&|| now)].into_iter().sum()
    }
}

fn later(seconds: i64) -> Nanos {
    Nanos(NOON.0 + seconds * SECOND)
}

/// What `rows` has of `events`, in the order of `ts_recv`.
fn expected(events: &[Event], registry: &Registry, channel: Channel) -> Vec<Row> {
    let quote = channel == Channel::Quotes;
    let events = events.iter().filter(|it| matches!(it, Event::Quote(_)) == quote);
    sorted(events.map(|it| Row::of(it, registry)).collect())
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| a.partial_cmp(b).expect("no number is NaN"));
    rows
}

#[test]
fn every_row_reads_back_as_it_was_given() {
    for compression in ["none", "lz4", "snappy", "zstd(1)"] {
        let mut fixture = Fixture::new();
        fixture.settings.compression = compression.parse().expect("a compression");
        // Enough for several batches of each of the six files.
        let events = mixture(&fixture.registry, NOON, 120_000);
        let dataset = fixture.dataset();
        let mut store = fixture.store(&dataset);
        for some in events.chunks(10_000) {
            store.append(&mut some.to_vec(), NOON);
        }
        let totals = store.finish(NOON);
        for channel in Channel::ALL {
            let read = sorted(rows(fixture.path(), channel));
            assert!(
                read == expected(&events, &fixture.registry, channel),
                "{channel} {compression}"
            );
        }
        assert_eq!(totals.rows_quotes + totals.rows_trades, events.len() as u64);
        assert_eq!((totals.rows_lost, totals.files), (0, 6));
    }
}

#[test]
fn a_row_group_boundary_is_no_boundary_for_rows() {
    let fixture = Fixture::new();
    let events = events(Channel::Quotes, NOON, 131_072 + 1);
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.append(&mut events.clone(), NOON);
    assert_eq!(store.finish(NOON).rows_quotes, 131_073);
    let [path] = &files(&fixture.path().join("quotes"))[..] else { panic!("one file") };
    let file = SerializedFileReader::new(File::open(path).expect("a file")).expect("Parquet");
    let groups = file.metadata().row_groups().iter().map(RowGroupMetaData::num_rows);
    assert_eq!(groups.collect::<Vec<_>>(), [131_072, 1]);
    let rows = sorted(read(path));
    assert!(rows == expected(&events, &fixture.registry, Channel::Quotes));
}

#[test]
fn a_file_says_what_it_is() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.append(&mut [5, 2, 9].map(|it| event(Channel::Trades, later(it))).to_vec(), NOON);
    assert_eq!(store.finish(NOON).files, 1);
    let [path] = &files(&fixture.path().join("trades"))[..] else { panic!("one file") };
    let name = path.strip_prefix(fixture.path()).expect("below").to_str().expect("UTF-8");
    let run = dataset.run_id();
    let folder = "trades/date=2026-11-23/exchange=binance";
    assert_eq!(name, format!("{folder}/{run}_trades-binance-2026-11-23-0-1.parquet"));
    let file = SerializedFileReader::new(File::open(path).expect("a file")).expect("Parquet");
    let metadata = file.metadata().file_metadata();
    let get = |key: &str| {
        let key = format!("spread_aggregator.{key}");
        let lines = metadata.key_value_metadata().expect("metadata");
        lines.iter().find(|it| it.key == key)?.value.clone()
    };
    for (key, value) in [
        ("format_version", "1"),
        ("writer", concat!("spread-aggregator ", env!("CARGO_PKG_VERSION"))),
        ("run_id", run),
        ("rows", "3"),
        ("ts_recv_first", "1795435202000000"),
        ("ts_recv_last", "1795435209000000"),
    ] {
        assert_eq!(get(key).as_deref(), Some(value), "{key}");
    }
}

#[test]
fn no_byte_of_a_file_changes_unnoticed() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.append(&mut events(Channel::Trades, NOON, 20), NOON);
    assert_eq!(store.finish(NOON).files, 1);
    let [path] = &files(&fixture.path().join("trades"))[..] else { panic!("one file") };
    let checksum = Checksum::of(path).expect("a whole file");
    assert_eq!(checksum.stored, Some(checksum.computed));
    let whole = fs::read(path).expect("a file");
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(path, &changed).expect("a writable file");
        let seen = Checksum::of(path).map_or(true, |it| it.stored != Some(it.computed));
        assert!(seen, "byte {at} of {}", whole.len());
    }
    for cut in 0..whole.len() {
        fs::write(path, &whole[..cut]).expect("a writable file");
        assert!(Checksum::of(path).map_or(true, |it| it.stored != Some(it.computed)), "{cut}");
    }
}

#[test]
fn a_file_has_the_columns_that_were_promised() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.append(&mut Channel::ALL.map(|it| event(it, NOON)).to_vec(), NOON);
    assert_eq!(store.finish(NOON).files, 2);
    for channel in Channel::ALL {
        let [path] = &files(&fixture.path().join(channel.name()))[..] else { panic!("one file") };
        let file = File::open(path).expect("a file");
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
        let columns = |it: &Schema| {
            let column =
                |it: &FieldRef| (it.name().clone(), it.data_type().clone(), it.is_nullable());
            it.fields().iter().map(column).collect::<Vec<_>>()
        };
        assert_eq!(columns(reader.expect("Parquet").schema()), columns(&schema(channel.into())));
    }
}

#[test]
fn a_file_is_closed_at_its_age_and_not_before() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.append(&mut vec![event(Channel::Quotes, NOON)], later(0));
    store.tick(later(1));
    store.append(&mut vec![event(Channel::Trades, NOON)], later(60));
    for (seconds, finished) in [(61, 0), (900, 0), (901, 1), (960, 1), (961, 2), (9_999, 2)] {
        store.tick(later(seconds));
        assert_eq!(fixture.finished(), finished, "after {seconds} s");
    }
    store.append(&mut vec![event(Channel::Quotes, NOON)], later(9_999));
    assert_eq!(store.finish(later(9_999)).files, 3);
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_a_file_open() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.append(&mut vec![event(Channel::Quotes, NOON)], later(7_200));
    store.tick(later(0));
    store.tick(later(900));
    assert_eq!(fixture.finished(), 1);
    assert_eq!(store.finish(later(900)).files, 1);
}

#[test]
fn a_file_is_closed_at_its_size_and_not_before() {
    let mut fixture = Fixture::new();
    fixture.settings.rotate_size = 1 << 20;
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    let mut given = 0;
    while fixture.finished() == 0 {
        store.append(&mut events(Channel::Quotes, NOON, 8_192), NOON);
        store.tick(NOON);
        given += 8_192;
        assert!(given < 1 << 20, "1 MiB holds no million rows");
    }
    let size = files(&fixture.path().join("quotes"))[0].metadata().expect("a file").len();
    assert!((700_000..1_500_000).contains(&size), "{size} bytes for a limit of 1 MiB");
    store.append(&mut events(Channel::Quotes, NOON, 8_192), NOON);
    store.tick(NOON);
    assert_eq!((fixture.finished(), fixture.open()), (1, 1), "the next file starts from nothing");
    assert_eq!(store.finish(NOON).rows_quotes, given + 8_192);
}

#[test]
fn rows_around_midnight_go_to_their_own_date() {
    let fixture = Fixture::new();
    let midnight = Nanos(NOON.0 + 12 * HOUR);
    let at = |nanos| Nanos(midnight.0 + nanos);
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    let times = [-SECOND, 0, -1, SECOND, 9 * SECOND];
    store.append(&mut times.map(|it| event(Channel::Quotes, at(it))).to_vec(), at(0));
    store.tick(at(10 * SECOND));
    assert_eq!((fixture.finished(), fixture.open()), (0, 2), "late events still find their file");
    store.tick(at(10 * SECOND + SECOND));
    assert_eq!((fixture.finished(), fixture.open()), (1, 1), "the day is over");
    assert_eq!(store.finish(at(11 * SECOND)).files, 2);
    for (date, range) in [
        ("2026-11-23", at(-SECOND).0 / 1_000..midnight.0 / 1_000),
        ("2026-11-24", midnight.0 / 1_000..at(10 * SECOND).0 / 1_000),
    ] {
        let folder = fixture.path().join(format!("quotes/date={date}/exchange=binance"));
        let rows: Vec<_> = files(&folder).iter().flat_map(|it| read(it)).collect();
        assert!(!rows.is_empty() && rows.iter().all(|it| range.contains(&it.ts_recv)), "{date}");
    }
    assert_eq!(fixture.rows(), times.len());
}

#[test]
fn stragglers_of_a_past_day_share_a_file() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    let now = |tenths: i64| Nanos(NOON.0 + 13 * HOUR + tenths * SECOND / 10);
    for tenths in 0..100 {
        store.append(&mut vec![event(Channel::Quotes, NOON)], now(tenths));
        store.tick(now(tenths));
    }
    assert_eq!((fixture.finished(), fixture.open()), (0, 1));
    // It was opened when the first of them had waited for half a second.
    store.tick(now(105));
    assert_eq!((fixture.finished(), fixture.open()), (0, 1));
    store.tick(now(106));
    assert_eq!((fixture.finished(), fixture.open()), (1, 0));
    assert_eq!(store.finish(now(106)).rows_quotes, 100);
}

#[test]
fn a_mad_clock_does_not_use_up_the_file_descriptors() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    for days in 0..20 {
        let at = Nanos(NOON.0 + days * 24 * HOUR);
        store.append(&mut vec![event(Channel::Quotes, at)], NOON);
        store.tick(NOON);
        assert!(fixture.open() <= 2, "{} files are open", fixture.open());
    }
    assert_eq!(store.finish(NOON), Totals { rows_quotes: 20, files: 20, ..Totals::default() });
    assert_eq!(fixture.rows(), 20);
}

#[test]
fn there_is_never_a_file_without_rows() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.tick(NOON);
    store.append(&mut Vec::new(), NOON);
    assert_eq!(fixture.open(), 0);
    store.append(&mut vec![event(Channel::Quotes, NOON)], NOON);
    for hours in 1..30 {
        store.tick(Nanos(NOON.0 + hours * HOUR));
    }
    assert_eq!(store.finish(NOON), Totals { rows_quotes: 1, files: 1, ..Totals::default() });
    assert_eq!((fixture.finished(), fixture.rows()), (1, 1));
    assert_eq!(fixture.store(&dataset).finish(NOON), Totals::default());
}

#[test]
fn what_ends_in_parquet_is_whole_at_every_moment() {
    let mut fixture = Fixture::new();
    fixture.settings.rotate_size = 1 << 20;
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    let mut seen = 0;
    for some in mixture(&fixture.registry, NOON, 400_000).chunks(8_192) {
        store.append(&mut some.to_vec(), NOON);
        store.tick(NOON);
        let finished: Vec<_> = files(fixture.path())
            .into_iter()
            .filter(|it| it.extension().is_some_and(|it| it == "parquet"))
            .collect();
        for path in &finished[..] {
            let file = SerializedFileReader::new(File::open(path).expect("a file"));
            let rows = file.expect("whole").metadata().file_metadata().num_rows();
            assert!(0 < rows, "{} has no rows", path.display());
        }
        seen = seen.max(finished.len());
        assert!(fixture.open() <= 6);
    }
    assert!(0 < seen, "no file was finished while others were written");
    assert_eq!(store.finish(NOON).rows_lost, 0);
    assert_eq!((fixture.open(), fixture.rows()), (0, 400_000));
}

#[test]
fn a_thread_writes_all_there_is_when_the_senders_are_gone() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let (tx, rx) = channel::fair::queue(1, 100_000);
    let mut events = mixture(&fixture.registry, NOON, 50_000);
    assert_eq!(tx.send(0, &mut events, &mut Vec::new()), Ok(0));
    drop(tx);
    let queue = fixture.metrics.queue("writer-0");
    let written = store::run(&rx, fixture.writer(&dataset), &queue, || later(90));
    let sealed = fixture.store(&dataset).finish(later(90));
    let totals: Totals = [written, sealed].into_iter().sum();
    assert_eq!((totals.rows_quotes + totals.rows_trades, totals.rows_lost), (50_000, 0));
    assert_eq!((queue.depth.get(), fixture.open(), fixture.rows()), (0, 0, 50_000));
}

#[test]
fn a_thread_rotates_files_and_tells_how_old_its_queue_is() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let (tx, rx) = channel::fair::queue(1, 100);
    let tx = RefCell::new(Some(tx));
    let queue = fixture.metrics.queue("writer-0");
    let (looks, oldest) = (Cell::new(0), Cell::new(0.0_f64));
    // 16 minutes pass between two looks at the clock; each of the first 20 finds one event.
    let clock = || {
        looks.set(looks.get() + 1);
        let now = later(looks.get() * 960);
        oldest.set(oldest.get().max(queue.age.get()));
        match &*tx.borrow() {
            Some(tx) if looks.get() <= 20 => {
                let mut one = vec![event(Channel::Quotes, now)];
                assert_eq!(tx.send(0, &mut one, &mut Vec::new()), Ok(0));
                return now;
            }
            _ => (),
        }
        tx.borrow_mut().take();
        now
    };
    assert_eq!(store::run(&rx, fixture.writer(&dataset), &queue, clock), Totals::default());
    // One event waits for another, the third finds the file too old.
    let totals = fixture.store(&dataset).finish(later(99_999));
    assert_eq!(totals, Totals { rows_quotes: 20, files: 7, ..Totals::default() });
    assert!((oldest.get() - 960.0).abs() < 1e-9, "{} s", oldest.get());
}

/// `tests/readers/read_all.py` reads this one.
#[test]
fn a_dataset_for_other_readers_is_kept() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readers");
    let _ = fs::remove_dir_all(&dir);
    let mut fixture = Fixture::new();
    for compression in ["none", "lz4", "snappy", "zstd(1)"] {
        fixture.settings.compression = compression.parse().expect("a compression");
        let dataset = Dataset::open(&dir).expect("a dataset");
        let mut store = fixture.store(&dataset);
        let midnight = Nanos(NOON.0 + 12 * HOUR);
        let start = Nanos(midnight.0 - 10 * SECOND);
        store.append(&mut mixture(&fixture.registry, start, 20_000), midnight);
        assert_eq!(store.finish(midnight).files, 12, "two channels, two days, three exchanges");
    }
    let dataset = Dataset::open(&dir).expect("a dataset");
    let mut writer =
        RecordWriter::new(&dataset, &fixture.settings, &fixture.registry, &fixture.metrics);
    writer.append(&mut records::some());
    let sealer = Sealer::new(&dataset, &fixture.settings, &fixture.metrics);
    assert_eq!(writer.finish(NOON).rows_lost, 0);
    assert_eq!(sealer.finish(&|| NOON).files, 2, "the tables of one day");
}
