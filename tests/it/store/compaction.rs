//! Many small files to few large ones.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use parquet::{
    arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    file::{
        metadata::ParquetMetaData,
        reader::{FileReader, SerializedFileReader},
    },
};
use proptest::prelude::*;
use spread_aggregator::{
    market::{Channel, Event, Exchange, Instrument, Market, Nanos, Venue},
    registry::Registry,
    store::{
        Compression, Dataset, Date, Disk, Fault, RecordWriter, Sealer, Step, Verdict, Verified,
        compact::{self, Compacted, Days, Options},
        schema, verify,
    },
};

use super::{
    Fixture, expected, later,
    records::{episode, gap},
    sorted,
};
use crate::support::{
    child::Process,
    events::{HOUR, NOON, SECOND, events, mixture, quotes_of_many},
    rows::{Row, files, read, rows},
    shim::{EIO, Shim, is_journal},
};

/// The day of [`NOON`].
const DAY: Date = Date(20_780);

const OPTIONS: Options = Options {
    memory: 64 << 20,
    target_size: 1 << 30,
    compression: Compression::Zstd(3),
    grace: Duration::ZERO,
};

impl Fixture {
    /// Writes a file of each table and exchange that `events` are of.
    pub(super) fn record(&self, events: &[Event]) {
        let dataset = self.dataset();
        let mut store = self.store(&dataset);
        store.append(&mut events.to_vec(), NOON);
        assert_eq!(store.finish(NOON).rows_lost, 0);
    }

    /// Records `parts` files of each, of the same hour.
    fn record_parts(&self, parts: usize, rows: usize) -> Vec<Event> {
        let events = mixture(&self.registry, NOON, parts * rows);
        events.chunks(rows).for_each(|it| self.record(it));
        events
    }

    fn compact_with(
        &self,
        days: Days,
        options: &Options,
        disk: &Disk,
    ) -> (Vec<Compacted>, Vec<String>) {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        let result = compact::compact(self.path(), days, options, disk, |it| match it {
            Ok(it) => done.push(it),
            Err(error) => failed.push(error.to_string()),
        });
        failed.extend(result.err().map(|it| it.to_string()));
        (done, failed)
    }

    /// Compacts the day, which has to succeed.
    pub(super) fn compact(&self) -> Vec<Compacted> {
        let (done, failed) = self.compact_with(Days::One(DAY), &OPTIONS, &Disk::default());
        assert!(failed.is_empty(), "{failed:?}");
        done
    }

    /// What `verify` prints.
    pub(super) fn verify(&self) -> (Verified, Vec<String>) {
        let mut lines = Vec::new();
        let line = |path: &str, faults: &[Fault]| {
            let faults: Vec<_> = faults.iter().map(Fault::to_string).collect();
            lines.push(format!("{path}: {}", faults.join("; ")));
        };
        let verified = verify(self.path(), &Disk::default(), line).expect("it can be listed");
        (verified, lines)
    }

    /// Fails unless the dataset has the rows of `events`, all files are in order, and nothing is
    /// left of a compaction.
    fn is_whole(&self, events: &[Event], what: &str) {
        for channel in Channel::ALL {
            let found = sorted(rows(self.path(), channel));
            let expected = expected(events, &self.registry, channel);
            assert_eq!(found.len(), expected.len(), "{what}: {channel}");
            assert!(found == expected, "{what}: {channel}");
        }
        let (_, lines) = self.verify();
        assert!(lines.is_empty(), "{what}: {lines:#?}");
        let left = files(&self.path().join("compact"));
        assert!(left.is_empty(), "{what}: {left:?}");
    }

    fn folder(&self, channel: Channel) -> PathBuf {
        self.path().join(format!("{channel}/date=2026-11-23/exchange=okx"))
    }
}

fn footer(path: &Path) -> ParquetMetaData {
    let file = File::open(path).expect("a file");
    SerializedFileReader::new(file).expect("Parquet").metadata().clone()
}

fn exchange(fixture: &Fixture, event: &Event) -> &'static str {
    let instrument = fixture.registry.get(event.instrument()).expect("a known instrument");
    instrument.venue.exchange.name()
}

fn key(row: &Row) -> (String, String, i64) {
    let [_, market, symbol, _] = row.names();
    (symbol.clone(), market.clone(), row.ts_recv)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn rows_in_are_rows_out(
        parts in prop::collection::vec(1..600_usize, 1..8),
        seed in any::<u64>(),
        // Of two rows, of a batch, of all at a time.
        memory in prop_oneof![Just(64_u64), Just(200_000), Just(64 << 20)],
        target_size in prop_oneof![Just(1_u64), Just(1 << 30)],
    ) {
        let fixture = Fixture::in_memory();
        let mut rng = Rng::with_seed(seed);
        let mut all = Vec::new();
        for part in &parts {
            // Files that cover the same time, and one that goes back.
            let start = Nanos(NOON.0 + rng.i64(0..3) * SECOND);
            let events = mixture(&fixture.registry, start, *part);
            fixture.record(&events);
            all.extend(events);
        }
        let options = Options { memory, target_size, ..OPTIONS };
        let (done, failed) = fixture.compact_with(Days::One(DAY), &options, &Disk::default());
        prop_assert!(failed.is_empty(), "{failed:?}");
        prop_assert_eq!(done.iter().map(|it| it.rows).sum::<u64>(), all.len() as u64);
        prop_assert!(done.iter().all(|it| it.after.0 == 1), "{done:?}");
        fixture.is_whole(&all, "compacted");
    }
}

#[test]
fn equal_rows_keep_the_order_in_which_they_came() {
    let fixture = Fixture::new();
    // All of one moment, twelve files, so that 9 comes before 10.
    let events: Vec<_> = (0..1_200).flat_map(|_| mixture(&fixture.registry, NOON, 1)).collect();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    for (n, some) in (0..).zip(events.chunks(100)) {
        let now = Nanos(NOON.0 + n * HOUR);
        store.append(&mut some.to_vec(), now);
        store.tick(Nanos(now.0 + HOUR));
    }
    assert_eq!(store.finish(NOON).rows_lost, 0);
    let order = |channel| -> Vec<Row> {
        let mut paths = files(&fixture.path().join(format!("{channel}/date=2026-11-23")));
        paths.sort_by_key(|it| it.metadata().and_then(|it| it.modified()).expect("a time"));
        let mut rows: Vec<_> = paths.iter().flat_map(|it| read(it)).collect();
        rows.sort_by_key(|it| (it.exchange().to_owned(), key(it)));
        rows
    };
    let before = Channel::ALL.map(order);
    fixture.compact();
    assert!(Channel::ALL.map(order) == before);
}

#[test]
fn a_compacted_file_is_made_to_be_searched() {
    let fixture = Fixture::new();
    let events = fixture.record_parts(3, 6_000);
    fixture.compact();
    for channel in Channel::ALL {
        let [path] = &files(&fixture.folder(channel))[..] else { panic!("one file") };
        let found = read(path);
        assert!(found.is_sorted_by_key(key), "{channel}");
        let footer = footer(path);
        let lines = footer.file_metadata().key_value_metadata().expect("metadata");
        let line = |key: &str| {
            let key = format!("spread_aggregator.{key}");
            lines.iter().find(|it| it.key == key)?.value.clone()
        };
        for (key, value) in [("compacted", "true"), ("format_version", "1"), ("inputs", "3")] {
            assert_eq!(line(key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(line("rows"), Some(found.len().to_string()));
        assert!(line("crc32").is_some_and(|it| it.len() == 8));
        let columns = schema(channel.into());
        let at = |name| i32::try_from(columns.index_of(name).expect("a column")).expect("a few");
        for group in footer.row_groups() {
            let sorted_by = group.sorting_columns().expect("sorted");
            let sorted_by: Vec<_> = sorted_by.iter().map(|it| it.column_idx).collect();
            assert_eq!(sorted_by, [at("symbol"), at("market"), at("ts_recv")]);
            for (field, column) in columns.fields().iter().zip(group.columns()) {
                let name = field.name();
                assert!(column.statistics().is_some(), "{name} has statistics");
                assert!(column.column_index_offset().is_some(), "{name} has a column index");
                assert!(column.offset_index_offset().is_some(), "{name} has an offset index");
                let has_filter = column.bloom_filter_offset().is_some();
                assert_eq!(has_filter, name == "symbol", "{name}");
            }
        }
        let file = File::open(path).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        assert_eq!(reader.schema().fields(), columns.fields());
    }
    fixture.is_whole(&events, "compacted");
}

#[test]
fn a_large_folder_becomes_several_files_that_follow_each_other() {
    let fixture = Fixture::new();
    let mut events = mixture(&fixture.registry, NOON, 420_000);
    events.retain(|it| it.channel() == Channel::Quotes && exchange(&fixture, it) == "okx");
    events.chunks(40_000).for_each(|it| fixture.record(it));
    let options = Options { memory: 4 << 20, target_size: 1, ..OPTIONS };
    let (done, failed) = fixture.compact_with(Days::One(DAY), &options, &Disk::default());
    assert!(failed.is_empty(), "{failed:?}");
    // A row group each, at least.
    assert_eq!((done[0].before.0, done[0].after.0), (2, 5));
    let paths = files(&fixture.folder(Channel::Quotes));
    let rows: Vec<_> = paths.iter().map(|it| read(it)).collect();
    assert!(rows[..4].iter().all(|it| it.len() == 16_384));
    assert!(rows.concat().is_sorted_by_key(key));
    fixture.is_whole(&events, "compacted");
}

#[test]
fn spreads_and_gaps_are_compacted_too() {
    let fixture = Fixture::new();
    for seconds in 1..4 {
        let dataset = fixture.dataset();
        let mut writer =
            RecordWriter::new(&dataset, &fixture.settings, &fixture.registry, &fixture.metrics);
        writer.append(&mut vec![gap(later(seconds)), episode(later(seconds))]);
        let sealer = Sealer::new(&dataset, &fixture.settings, &fixture.metrics);
        let _ = (writer.finish(NOON), sealer.finish(&|| NOON));
    }
    let done = fixture.compact();
    let folders: Vec<_> =
        done.iter().map(|it| (it.folder.as_str(), it.before.0, it.after.0)).collect();
    assert_eq!(folders, [("spreads/date=2026-11-23", 3, 1), ("gaps/date=2026-11-23", 3, 1)]);
    fixture.is_whole(&[], "compacted");
}

#[test]
fn what_is_compacted_is_left_alone_until_there_is_more() {
    let fixture = Fixture::new();
    let mut events = fixture.record_parts(2, 600);
    let (next_day, same_day) = (Days::Before(Date(DAY.0 + 1)), Days::Before(DAY));
    let compact = |days| fixture.compact_with(days, &OPTIONS, &Disk::default());
    assert_eq!(compact(same_day), (Vec::new(), Vec::new()), "the day is not over");
    assert_eq!(compact(next_day).0.len(), 6, "two tables, three exchanges");
    let before = files(fixture.path());
    assert_eq!(compact(next_day), (Vec::new(), Vec::new()));
    assert_eq!(fixture.compact(), Vec::new());
    assert_eq!(files(fixture.path()), before, "nothing was touched");

    let late = mixture(&fixture.registry, Nanos(NOON.0 + HOUR), 600);
    fixture.record(&late);
    events.extend(late);
    assert_eq!(compact(next_day), (Vec::new(), Vec::new()), "one file more is not worth it");
    assert_eq!(fixture.compact().len(), 6, "unless somebody asks for it");
    fixture.is_whole(&events, "compacted twice");
    let lines = fixture.compact_with(Days::One(Date(1)), &OPTIONS, &Disk::default());
    assert_eq!(lines, (Vec::new(), Vec::new()), "another day");
}

#[test]
fn a_file_that_is_damaged_keeps_its_folder_as_it_is() {
    let fixture = Fixture::new();
    fixture.record_parts(2, 600);
    let damaged = files(&fixture.folder(Channel::Quotes)).remove(1);
    let mut bytes = fs::read(&damaged).expect("a file");
    bytes[1_000] ^= 1;
    fs::write(&damaged, bytes).expect("a writable folder");
    let before = files(&fixture.folder(Channel::Quotes));
    let (done, failed) = fixture.compact_with(Days::One(DAY), &OPTIONS, &Disk::default());
    assert_eq!(done.len(), 5, "the others are compacted");
    let [line] = &failed[..] else { panic!("one line: {failed:?}") };
    let start = format!("failed to compact {}: checksum: expected ", damaged.display());
    assert!(line.starts_with(&start), "{line}");
    assert_eq!(files(&fixture.folder(Channel::Quotes)), before);
    assert_eq!(files(&fixture.path().join("compact")), Vec::<PathBuf>::new());
}

#[test]
fn what_recovery_might_make_again_is_left_to_it() {
    let (fixture, shim) = (Fixture::in_memory(), Shim::new());
    let mut all = Vec::new();
    for _ in 0..3 {
        let some = events(Channel::Quotes, NOON, 12);
        fixture.record(&some);
        all.extend(some);
    }
    // Killed when the file was in its place, and its journal not yet gone.
    let dataset = Dataset::open_on(shim.disk(), fixture.path()).expect("a dataset");
    let mut store = fixture.store(&dataset);
    let some = events(Channel::Quotes, NOON, 12);
    store.append(&mut some.clone(), NOON);
    all.extend(some);
    shim.refuse(EIO, |step, path| step == Step::Remove && is_journal(path));
    assert_eq!(store.finish(NOON).files, 1);
    drop(dataset);
    let crash = format!("{}_crash.parquet", "20261123T000000Z-dead");
    let folder = fixture.path().join("quotes/date=2026-11-23/exchange=binance");
    let copied = fs::copy(&files(&folder)[0], folder.join(&crash));
    copied.expect("a writable folder");
    let journal = fixture.path().join("journal/20261123T000000Z-dead_gaps-2026-11-23-0-1.arrows");
    fs::write(&journal, "").expect("a writable folder");

    assert_eq!(fixture.compact()[0].before.0, 3);
    let left = files(&folder);
    assert_eq!(left.len(), 3, "a compacted one, and two that wait: {left:?}");
    fs::remove_file(folder.join(crash)).expect("it is there");
    fs::remove_file(journal).expect("it is there");
    let recovered = fixture.recover(&fixture.dataset());
    assert_eq!((recovered.rows, recovered.failed), (0, 0), "it is in a file");
    fixture.is_whole(&all, "recovered");
    assert_eq!(fixture.compact()[0].before.0, 2);
    fixture.is_whole(&all, "compacted");
}

#[test]
fn all_else_in_a_folder_stays_there() {
    let fixture = Fixture::new();
    let mut events = fixture.record_parts(2, 600);
    let folder = fixture.folder(Channel::Quotes);
    fs::write(folder.join("notes.txt"), "of a user").expect("a writable folder");
    fs::create_dir(folder.join("more")).expect("a writable folder");
    fs::write(folder.join("more/notes.txt"), "of a user").expect("a writable folder");
    // A collector puts a file there before the exchange, one during it, and one after it.
    let late: Vec<_> =
        (1..4).map(|it| mixture(&fixture.registry, Nanos(NOON.0 + it * HOUR), 30)).collect();
    let aside: Vec<_> = late
        .iter()
        .map(|it| {
            let other = Fixture::new();
            other.record(it);
            other
        })
        .collect();
    events.extend(late.concat());
    let (root, came) = (fixture.path().to_owned(), AtomicUsize::new(0));
    let disk = Disk::watched(move |step, path| {
        let came_now = came.load(Relaxed);
        let is_okx = path.ends_with("quotes/date=2026-11-23/exchange=okx")
            || path.ends_with("compact/quotes-okx-2026-11-23");
        let to = match step {
            _ if !is_okx => None,
            // The folder is listed next.
            Step::Rename if came_now == 0 => None,
            Step::Exchange if came_now == 0 => Some("quotes/date=2026-11-23/exchange=okx"),
            Step::SyncDir if came_now == 1 => Some("compact/quotes-okx-2026-11-23/new"),
            Step::SyncDir if came_now == 2 => Some("quotes/date=2026-11-23/exchange=okx"),
            _ => None,
        };
        if let Some(to) = to {
            let from = aside[came_now].folder(Channel::Quotes);
            let [file] = &files(&from)[..] else { panic!("one file") };
            let name = file.file_name().expect("a name");
            fs::copy(file, root.join(to).join(name)).expect("a writable folder");
            came.store(came_now + 1, Relaxed);
        }
        Verdict::Go
    });
    let (_, failed) = fixture.compact_with(Days::One(DAY), &OPTIONS, &disk);
    assert!(failed.is_empty(), "{failed:?}");
    let quotes = expected(&events, &fixture.registry, Channel::Quotes);
    let expected: Vec<_> = quotes.into_iter().filter(|it| it.exchange() == "okx").collect();
    let paths =
        files(&folder).into_iter().filter(|it| it.extension().is_some_and(|it| it == "parquet"));
    let found: Vec<_> = paths.flat_map(|it| read(&it)).collect();
    assert!(sorted(found) == expected, "a file was lost");
    for notes in ["notes.txt", "more/notes.txt"] {
        assert_eq!(fs::read_to_string(folder.join(notes)).ok().as_deref(), Some("of a user"));
    }
}

/// Steps until the disk is gone.
fn dying_before(step: usize) -> (Disk, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let disk = Disk::watched(move |_, _| {
        let n = count.fetch_add(1, Relaxed);
        if n < step { Verdict::Go } else { Verdict::Refuse(io::Error::other("killed")) }
    });
    (disk, taken)
}

/// As a reader sees it at this moment.
fn visible(fixture: &Fixture) -> [Vec<Row>; 2] {
    Channel::ALL.map(|it| sorted(rows(fixture.path(), it)))
}

#[test]
fn a_kill_between_any_two_steps_neither_loses_nor_doubles_a_row() {
    let fixture = Fixture::in_memory();
    let mut all = Vec::new();
    let record = |all: &mut Vec<Event>, n| {
        for _ in 0..n {
            let some = events(Channel::Quotes, NOON, 12);
            fixture.record(&some);
            all.extend(some);
        }
    };
    record(&mut all, 2);
    let mut steps = 0;
    for step in 0.. {
        let before = visible(&fixture);
        let (disk, taken) = dying_before(step);
        let (_, failed) = fixture.compact_with(Days::One(DAY), &OPTIONS, &disk);
        assert!(visible(&fixture) == before, "before step {step}, and before it is settled");
        if failed.is_empty() {
            steps = taken.load(Relaxed);
            break;
        }
        // What is next in line may be any of these.
        match step % 3 {
            0 => drop(fixture.compact()),
            1 => drop(fixture.verify()),
            _ => drop(fixture.recover(&fixture.dataset())),
        }
        fixture.is_whole(&all, &format!("killed before step {step}"));
        // A file that is compacted, and two that are not.
        record(&mut all, 1);
        fixture.compact();
        record(&mut all, 2);
    }
    assert!(25 < steps, "{steps} steps were tried");
    fixture.is_whole(&all, "in the end");
}

#[test]
fn a_file_that_comes_during_the_exchange_survives_a_kill() {
    let fixture = Fixture::in_memory();
    let mut all = Vec::new();
    let came = Arc::new(AtomicUsize::new(0));
    for step in 0.. {
        let some = events(Channel::Quotes, NOON, 12);
        (0..2).for_each(|_| fixture.record(&some));
        all.extend([some.clone(), some.clone()].concat());
        let other = Fixture::in_memory();
        other.record(&some);
        let [file] = &files(&other.path().join("quotes"))[..] else { panic!("one file") };
        let (file, counted) = (file.clone(), Arc::clone(&came));
        let to = fixture.path().join("quotes/date=2026-11-23/exchange=binance");
        let to = to.join(file.file_name().expect("a name"));
        let (left, taken) = (AtomicUsize::new(step), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&taken);
        let disk = Disk::watched(move |it, _| {
            if it == Step::Exchange && !to.exists() {
                fs::copy(&file, &to).expect("room");
                counted.fetch_add(1, Relaxed);
            }
            count.fetch_add(1, Relaxed);
            match left.fetch_update(Relaxed, Relaxed, |it| it.checked_sub(1)) {
                Ok(_) => Verdict::Go,
                Err(_) => Verdict::Refuse(io::Error::other("killed")),
            }
        });
        let before = came.load(Relaxed);
        let (_, failed) = fixture.compact_with(Days::One(DAY), &OPTIONS, &disk);
        if before < came.load(Relaxed) {
            all.extend(some);
        }
        if failed.is_empty() {
            break;
        }
        fixture.verify();
        fixture.is_whole(&all, &format!("killed before step {step}"));
    }
    assert!(10 < came.load(Relaxed));
    fixture.compact();
    fixture.is_whole(&all, "in the end");
}

#[test]
fn a_kill_while_the_work_of_a_killed_one_is_ended_changes_nothing() {
    let fixture = Fixture::in_memory();
    let all = fixture.record_parts(2, 60);
    let before = visible(&fixture);
    // Just after the first exchange.
    let exchanged = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&exchanged);
    let disk = Disk::watched(move |step, _| match step {
        _ if seen.load(Relaxed) => Verdict::Refuse(io::Error::other("killed")),
        Step::Exchange => {
            seen.store(true, Relaxed);
            Verdict::Go
        }
        _ => Verdict::Go,
    });
    let (_, failed) = fixture.compact_with(Days::One(DAY), &OPTIONS, &disk);
    assert!(exchanged.load(Relaxed) && !failed.is_empty());
    for step in 0.. {
        assert!(visible(&fixture) == before, "before step {step}");
        let (disk, taken) = dying_before(step);
        if compact::settle(fixture.path(), &disk).is_empty() {
            assert!(5 < taken.load(Relaxed));
            break;
        }
    }
    fixture.is_whole(&all, "settled");
}

/// Rows that a reader finds; an error if it comes too late for a file.
fn count(fixture: &Fixture) -> io::Result<usize> {
    let mut rows = 0;
    for path in files(&fixture.path().join("quotes")) {
        let file = SerializedFileReader::new(File::open(path)?).expect("whole");
        let footer = file.metadata().file_metadata().num_rows();
        rows += usize::try_from(footer).expect("a few");
    }
    Ok(rows)
}

#[test]
fn a_reader_sees_all_rows_at_every_moment_or_learns_that_it_came_too_late() {
    let mut seen = 0;
    // A busy machine may stop a reader between the opening of a folder and the reading of its names.
    let options = Options { grace: Duration::from_secs(2), ..OPTIONS };
    for _ in 0..5 {
        let fixture = Fixture::in_memory();
        (0..9).for_each(|_| fixture.record(&events(Channel::Quotes, NOON, 10)));
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !is_done.load(Relaxed) {
                    match count(&fixture) {
                        Ok(rows) => assert_eq!(rows, 90),
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
                    }
                    seen += 1;
                }
                seen
            });
            let (done, failed) = fixture.compact_with(Days::One(DAY), &options, &Disk::default());
            assert_eq!((done.len(), failed.len()), (1, 0));
            is_done.store(true, Relaxed);
            seen += reader.join().expect("no wrong answer");
        });
    }
    assert!(20 < seen, "{seen} looks");
}

#[test]
fn what_another_process_works_at_is_left_to_it() {
    let fixture = Fixture::new();
    let all = fixture.record_parts(2, 600);
    let folder = fixture.path().join("compact");
    fs::create_dir(&folder).expect("a writable folder");
    let lock = File::create(folder.join("quotes-okx-2026-11-23.lock")).expect("a writable folder");
    lock.lock().expect("nobody has it");
    let left = files(&fixture.folder(Channel::Quotes));
    assert_eq!(fixture.compact().len(), 5);
    assert_eq!(files(&fixture.folder(Channel::Quotes)), left);
    lock.unlock().expect("it is held");
    assert_eq!(fixture.compact().len(), 1);
    fixture.is_whole(&all, "compacted");
}

#[test]
fn compactors_at_the_same_time_do_not_meet() {
    let fixture = Fixture::in_memory();
    let all = fixture.record_parts(4, 600);
    let done: usize = thread::scope(|scope| {
        let compactors: Vec<_> = (0..4).map(|_| scope.spawn(|| fixture.compact().len())).collect();
        compactors.into_iter().map(|it| it.join().expect("no panic")).sum()
    });
    assert_eq!(done, 6, "each folder was compacted once");
    fixture.is_whole(&all, "compacted");
}

#[test]
fn a_disk_that_is_full_leaves_everything_as_it_was() {
    let fixture = Fixture::new();
    let all = fixture.record_parts(2, 600);
    let disk = Disk::watched(|step, path| match step {
        Step::Write(_) if path.extension().is_some_and(|it| it == "parquet") => {
            Verdict::Tear(10, io::Error::from_raw_os_error(28))
        }
        _ => Verdict::Go,
    });
    let (done, failed) = fixture.compact_with(Days::One(DAY), &OPTIONS, &disk);
    assert_eq!((done.len(), failed.len()), (0, 6));
    assert!(failed.iter().all(|it| it.contains("No space left on device")), "{failed:?}");
    fixture.is_whole(&all, "full");
}

/// `tests/readers/pruning.py` reads this one: a day of 1,000 symbols.
#[test]
fn a_compacted_day_for_other_readers_is_kept() {
    const ROWS: i64 = 400_000;
    let mut fixture = Fixture::new();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("day");
    let _ = fs::remove_dir_all(&kept);
    fixture.settings.dir.clone_from(&kept);
    fixture.registry = Registry::default();
    for n in 0..1_000 {
        let instrument = Instrument {
            venue: Venue::new(Exchange::Binance, Market::Spot),
            symbol: format!("S{n:03}-USDT"),
            symbol_native: format!("S{n:03}USDT"),
            contract_size: 1.0,
        };
        fixture.registry.intern(instrument).expect("room");
    }
    let dataset = Dataset::open(&kept).expect("a dataset");
    let mut store = fixture.store(&dataset);
    let midnight = NOON.0 - 12 * HOUR;
    for quarter in 0..96 {
        let rows = quarter * ROWS / 96..(quarter + 1) * ROWS / 96;
        let times: Vec<_> = rows.map(|it| Nanos(midnight + it * (24 * HOUR / ROWS))).collect();
        store.append(&mut quotes_of_many(&fixture.registry, &times), times[0]);
        store.tick(times[0]);
    }
    assert_eq!(store.finish(NOON).rows_lost, 0);
    let mut rows = 0;
    compact::compact(&kept, Days::One(DAY), &OPTIONS, &Disk::default(), |it| {
        rows += it.expect("it can be done").rows;
    })
    .expect("it can be listed");
    assert_eq!(rows, ROWS.cast_unsigned());
}

/// Kills where nobody asks for more.
const KILLS: u32 = 6;

#[test]
fn the_program_killed_at_any_moment_neither_loses_nor_doubles_a_row() {
    let kills = env::var("KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(KILLS);
    let fixture = Fixture::new();
    let mut all = fixture.record_parts(12, 4_000);
    let dir = fixture.path().to_str().expect("UTF-8");
    let compact = || Process::start(&["compact", dir, "--date", "2026-11-23"]);
    let started = Instant::now();
    let (status, out) = compact().end();
    assert!(status.success() && out.lines().count() == 6, "{out}");
    let takes = started.elapsed();
    let mut rng = Rng::new();
    for kill in 0..kills {
        let late = mixture(&fixture.registry, Nanos(NOON.0 + HOUR), 600);
        fixture.record(&late);
        all.extend(late);
        let before = visible(&fixture);
        let compactor = compact();
        thread::park_timeout(takes.mul_f64(rng.f64()));
        compactor.signal("KILL");
        drop(compactor);
        assert!(visible(&fixture) == before, "kill {kill}");
        let (status, out) = Process::start(&["verify", dir]).end();
        assert!(status.success() && out.is_empty(), "kill {kill}: {out}");
        fixture.is_whole(&all, &format!("kill {kill}"));
    }
    assert!(compact().end().0.success());
    fixture.is_whole(&all, "in the end");
}
