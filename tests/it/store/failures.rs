//! A disk that refuses: what was given is written, or stays in a journal, or is counted as lost.

use std::{
    cell::Cell,
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use parking_lot::Mutex;
use spread_aggregator::{
    channel::{Sent, fair, newest},
    feed,
    market::{Channel, Event, Exchange, Gap, GapReason, Market, Nanos, Record, Venue},
    stop::Stop,
    store::{
        self, Compression, Dataset, RecordWriter, Sealer, Step, Totals, Writer, run_records,
        run_sealer,
    },
};

use super::{Fixture, Store, crash::ledger, expected, later, sorted};
use crate::support::{
    events::{NOON, events, mixture},
    log,
    rows::{files, rows},
    shim::{EACCES, EIO, ENOSPC, EROFS, Refusal, Shim, is_journal, is_unfinished, is_write},
    world::eventually,
};

impl Fixture {
    fn dataset_on(&self, shim: &Arc<Shim>) -> Dataset {
        Dataset::open_on(shim.disk(), self.path()).expect("a dataset")
    }

    /// Whether the metrics and the files agree with the totals.
    fn check(&self, totals: Totals, given: u64) {
        let written = totals.rows_quotes + totals.rows_trades;
        assert_eq!(written + totals.rows_lost + totals.rows_left, given, "{totals:?}");
        let [quotes, trades] = Channel::ALL.map(|it| self.metrics.files(it));
        assert_eq!(quotes.rows.get(), totals.rows_quotes);
        assert_eq!(trades.rows.get(), totals.rows_trades);
        assert_eq!(quotes.lost.get() + trades.lost.get(), totals.rows_lost);
        assert_eq!(quotes.files.get() + trades.files.get(), totals.files);
        assert_eq!(self.rows() as u64, written, "what is in the files");
        assert_eq!(self.finished() as u64, totals.files);
        let unfinished = files(self.path());
        let unfinished: Vec<_> = unfinished.iter().filter(|it| is_unfinished(it)).collect();
        assert!(unfinished.is_empty() || 0 < totals.rows_left, "{unfinished:?}");
    }

    fn errors(&self) -> u64 {
        self.metrics.files(Channel::Quotes).errors.get()
    }

    /// Each of `given` is in a file, once.
    fn check_all(&self, given: &[Event]) {
        for channel in Channel::ALL {
            let read = sorted(rows(self.path(), channel));
            assert!(read == expected(given, &self.registry, channel), "{channel}");
        }
    }
}

fn quotes(n: usize) -> Vec<Event> {
    events(Channel::Quotes, NOON, n)
}

fn tenths(n: i64) -> Nanos {
    Nanos(NOON.0 + n * 100_000_000)
}

#[test]
fn a_disk_that_refuses_for_a_while_costs_nothing() {
    log::keep();
    for errno in [ENOSPC, EROFS, EACCES, EIO] {
        let (fixture, shim) = (Fixture::new(), Shim::new());
        let dataset = fixture.dataset_on(&shim);
        let mut store = fixture.store(&dataset);
        let events = mixture(&fixture.registry, NOON, 700);
        let mut given = events.chunks(10);
        for n in 0..70 {
            match n {
                12 => shim.refuse(errno, |_, _| true),
                50 => shim.heal(),
                _ => {}
            }
            store.append(&mut given.next().expect("enough").to_vec(), tenths(n));
            store.tick(tenths(n));
        }
        assert!(0 < fixture.errors());
        let totals = store.finish(tenths(70));
        assert_eq!((totals.rows_lost, totals.rows_left), (0, 0), "error {errno}");
        fixture.check(totals, 700);
        fixture.check_all(&events);
        let lines = log::lines_about(fixture.path());
        let errors = lines.iter().filter(|(level, _)| *level == ::log::Level::Error).count();
        // One for each of the six lanes, and one for the sealer.
        assert!((1..=7).contains(&errors), "one line an episode: {lines:?}");
    }
}

#[test]
fn tries_are_ever_rarer() {
    let (fixture, shim) = (Fixture::new(), Shim::new());
    let dataset = fixture.dataset_on(&shim);
    let mut store = fixture.store(&dataset);
    shim.refuse(ENOSPC, |_, path| is_journal(path));
    let mut tried = Vec::new();
    for n in 0..300 {
        let before = fixture.errors();
        store.append(&mut quotes(1), tenths(n));
        store.tick(tenths(n));
        tried.extend((before < fixture.errors()).then_some(n));
    }
    assert_eq!(tried, [5, 15, 35, 75, 155, 235], "in tenths of a second");
    shim.heal();
    let totals = store.finish(tenths(301));
    assert_eq!((totals.rows_quotes, totals.rows_lost), (300, 0));
}

#[test]
fn a_disk_that_refuses_for_long_costs_a_number_of_rows_that_is_known() {
    let (fixture, shim) = (Fixture::new(), Shim::new());
    let dataset = fixture.dataset_on(&shim);
    let gaps = Mutex::new(Vec::new());
    let mut store = fixture.store(&dataset);
    store.writer = store.writer.declaring(|gap: Gap| gaps.lock().push(gap));
    let given = mixture(&fixture.registry, NOON, 700_000);
    let mut parts = given.chunks(10_000);
    let mut append = |store: &mut Store<'_>, parts_taken: usize, second: i64| {
        for part in parts.by_ref().take(parts_taken) {
            store.append(&mut part.to_vec(), later(second));
        }
        store.tick(later(second + 1));
    };
    append(&mut store, 10, 0);
    shim.refuse(ENOSPC, |step, path| is_write(step) && is_journal(path));
    append(&mut store, 50, 10);
    assert!(gaps.lock().is_empty(), "it is not over");
    shim.heal();
    append(&mut store, 10, 20);
    let totals = store.finish(later(30));
    fixture.check(totals, given.len() as u64);
    assert!(300_000 < totals.rows_lost, "{totals:?}");
    let gaps = gaps.into_inner();
    let dropped: u64 = gaps.iter().map(|it| it.dropped.expect("exact")).sum();
    assert_eq!(dropped, totals.rows_lost);
    let mut of = BTreeSet::new();
    for gap in gaps {
        assert_eq!((gap.reason, gap.instrument), (GapReason::WriteError, None));
        assert!(gap.from < gap.to, "{gap:?}");
        of.insert((gap.venue, gap.channel));
        // What is missing of a venue's channel was received in that time.
        let channel = gap.channel.expect("known");
        let missing = |it: &&Event| {
            let instrument = fixture.registry.get(it.instrument()).expect("known");
            let at = Nanos(it.ts_recv().0 / 1_000 * 1_000);
            let inside = gap.from < at && at <= gap.to;
            instrument.venue == gap.venue && it.channel() == channel && inside
        };
        let inside = given.iter().filter(missing).count() as u64;
        assert!(gap.dropped.expect("exact") <= inside, "{gap:?}: {inside}");
    }
    assert_eq!(of.len(), 12, "two channels of six venues, each once");
}

#[test]
fn what_writers_give_up_is_in_the_ledger_of_the_same_disk_once_it_is_back() {
    let (fixture, shim) = (Fixture::new(), Shim::new());
    let dataset = fixture.dataset_on(&shim);
    let Fixture { settings, registry, metrics, .. } = &fixture;
    let (events, to_write) = fair::queue(1, 1 << 20);
    let (records, to_record) = newest(1_000);
    let all_written = Stop::default();
    let given = mixture(registry, NOON, 400_000);
    let lost = || Channel::ALL.map(|it| metrics.files(it).lost.get()).iter().sum::<u64>();
    let totals: Totals = thread::scope(|scope| {
        let sealer = Sealer::new(&dataset, settings, metrics);
        let sealer = scope.spawn(|| run_sealer(sealer, &all_written, feed::now));
        let writer = RecordWriter::new(&dataset, settings, registry, metrics);
        let queue = metrics.queue("ledger");
        let ledger = scope.spawn(move || run_records(&to_record, writer, &queue, feed::now));
        let writer = fixture.writer(&dataset).declaring(move |gap| {
            assert_eq!(records.send(Record::Gap(gap), &mut Vec::new()), Sent::Queued);
        });
        let queue = metrics.queue("writer-0");
        let writer = scope.spawn(move || store::run(&to_write, writer, &queue, feed::now));
        let send = |events: &fair::Sender<Event>, some: &[Event]| {
            assert_eq!(events.send(0, &mut some.to_vec(), &mut Vec::new()), Ok(0));
        };
        send(&events, &given[..50_000]);
        eventually("it is being written", || events.is_empty());
        shim.refuse(ENOSPC, |_, _| true);
        send(&events, &given[50_000..350_000]);
        eventually("rows are given up", || 50_000 < lost());
        shim.heal();
        send(&events, &given[350_000..]);
        drop(events);
        let writer = writer.join().expect("no panic");
        let ledger = ledger.join().expect("no panic");
        all_written.request();
        [writer, ledger, sealer.join().expect("no panic")].into_iter().sum()
    });
    let of_records = metrics.table("gaps").files.get();
    fixture.check(Totals { files: totals.files - of_records, ..totals }, given.len() as u64);
    let declared = ledger(fixture.path(), "write_error");
    assert_eq!((totals.records, totals.rows_left), (declared.len() as u64, 0));
    let dropped: i64 = declared.iter().map(|it| it.dropped.expect("exact")).sum();
    assert_eq!(dropped, lost().cast_signed());
}

#[test]
fn rows_that_no_disk_takes_any_more_are_declared_at_the_end() {
    let (fixture, shim) = (Fixture::new(), Shim::new());
    let dataset = fixture.dataset_on(&shim);
    let gaps = Mutex::new(Vec::new());
    let mut store = fixture.store(&dataset);
    store.writer = store.writer.declaring(|gap: Gap| gaps.lock().push(gap));
    store.append(&mut quotes(10), NOON);
    store.tick(later(1));
    shim.refuse(EROFS, |_, _| true);
    store.append(&mut events(Channel::Quotes, later(2), 7), later(2));
    let totals = store.finish(later(3));
    assert_eq!(totals, Totals { rows_left: 10, rows_lost: 7, ..Totals::default() });
    let venue = Venue::new(Exchange::Binance, Market::Spot);
    let gaps = gaps.into_inner();
    let [gap] = &gaps[..] else { panic!("one row: {gaps:?}") };
    assert_eq!((gap.venue, gap.dropped), (venue, Some(7)));
    assert_eq!((gap.from, gap.to), (NOON, later(2)));
    shim.heal();
    drop(dataset);
    let next = fixture.dataset();
    let stop = Stop::default();
    let recovered = next.recover(&fixture.settings, &fixture.metrics, later(9), &stop);
    assert_eq!((recovered.rows, recovered.crashes), (10, vec![]), "it was no crash");
    assert_eq!(fixture.rows(), 10);
}

/// What is in files of 1,000 trades and twice 300,000 quotes, and what is left, when a processor takes so many
/// tenths of a second for everything.
fn closed_in_time(tenths_each: i64) -> (u64, u64, u64) {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let Fixture { settings, registry, metrics, .. } = &fixture;
    for index in 0..2 {
        let mut writer = Writer::new(&dataset, index, settings, registry, metrics);
        writer.append(&mut quotes(300_000), NOON);
        assert_eq!(writer.finish(NOON), Totals::default());
    }
    let mut writer = fixture.writer(&dataset);
    writer.append(&mut events(Channel::Trades, NOON, 1_000), NOON);
    assert_eq!(writer.finish(NOON), Totals::default());
    let looks = Cell::new(0);
    let clock = || {
        looks.set(looks.get() + 1);
        tenths(looks.get() * tenths_each)
    };
    let totals = Sealer::new(&dataset, settings, metrics).finish(&clock);
    fixture.check(totals, 601_000);
    drop(dataset);
    let (next, stop) = (fixture.dataset(), Stop::default());
    let recovered = next.recover(&fixture.settings, &fixture.metrics, later(9), &stop);
    assert_eq!((recovered.rows, recovered.crashes), (totals.rows_left, vec![]));
    (totals.rows_trades, totals.rows_quotes, totals.rows_left)
}

#[test]
fn a_stop_is_not_kept_waiting_by_journals_that_have_piled_up() {
    assert_eq!(closed_in_time(1), (1_000, 600_000, 0));
    assert_eq!(closed_in_time(4), (1_000, 300_000, 300_000), "time for one of the large");
    assert_eq!(closed_in_time(50), (0, 0, 601_000), "no time for anything");
}

#[test]
fn half_a_message_is_no_damage() {
    for torn in [0, 1, 7, 8, 500, 2_000] {
        let (fixture, shim) = (Fixture::new(), Shim::new());
        let dataset = fixture.dataset_on(&shim);
        let mut store = fixture.store(&dataset);
        let given = mixture(&fixture.registry, NOON, 1_000);
        let mut now = 0;
        for (n, some) in given.chunks(100).enumerate() {
            if n % 3 == 1 {
                let torn = move |step, path: &Path| {
                    let torn = Refusal { errno: ENOSPC, torn };
                    (is_write(step) && is_journal(path)).then_some(torn)
                };
                shim.refuse_with(torn);
            }
            store.append(&mut some.to_vec(), later(now));
            store.writer.tick(later(now + 1));
            shim.heal();
            now += 10;
            store.writer.tick(later(now));
        }
        // Killed: the journals have to be whole.
        std::mem::forget(store);
        drop(dataset);
        let next = fixture.dataset();
        let stop = Stop::default();
        let recovered = next.recover(&fixture.settings, &fixture.metrics, later(999), &stop);
        assert_eq!((recovered.rows, recovered.damaged, recovered.failed), (1_000, 0, 0));
        fixture.check_all(&given);
    }
}

/// Rows of three exchanges with a rotation on the way, on a disk that refuses some steps.
fn run(fixture: &Fixture, shim: &Arc<Shim>, given: &[Event]) -> Totals {
    let dataset = fixture.dataset_on(shim);
    let mut store = fixture.store(&dataset);
    let mut now = 0;
    for some in given.chunks(50) {
        store.append(&mut some.to_vec(), later(now));
        store.tick(later(now + 1));
        now += if now == 40 { 900 } else { 10 };
        store.tick(later(now));
    }
    // A disk that is back has been tried again before the end.
    store.tick(later(now + 10));
    store.tick(later(now + 20));
    store.finish(later(now + 30))
}

#[test]
fn whatever_step_is_refused_once_or_ten_times_nothing_is_lost_or_twice() {
    let (fixture, shim) = (Fixture::in_memory(), Shim::new());
    let given = mixture(&fixture.registry, NOON, 400);
    drop(fixture.dataset_on(&shim));
    let opening = shim.taken();
    run(&fixture, &shim, &given);
    let steps = shim.taken();
    assert!(opening + 100 < steps, "{steps} steps");
    for (times, every) in [(1, 1), (10, 4)] {
        for n in (opening..steps - times).step_by(every) {
            let (fixture, shim) = (Fixture::in_memory(), Shim::new());
            let errno = [ENOSPC, EROFS, EACCES, EIO][n / every % 4];
            let count = Arc::clone(&shim);
            shim.refuse(errno, move |_, _| (n + 1..=n + times).contains(&count.taken()));
            let totals = run(&fixture, &shim, &given);
            let case = format!("{times} from step {n} of {steps} on: {totals:?}");
            assert_eq!(totals.rows_lost, 0, "{case}");
            fixture.check(totals, given.len() as u64);
            let next = fixture.dataset();
            let stop = Stop::default();
            let done = next.recover(&fixture.settings, &fixture.metrics, later(9_999), &stop);
            assert_eq!(done.rows, totals.rows_left, "{case}");
            fixture.check_all(&given);
            let left = files(&fixture.path().join("journal"));
            let left: Vec<_> = left.iter().filter(|it| is_journal(it)).collect();
            assert!(left.is_empty(), "{case}: {left:?}");
        }
    }
}

#[test]
fn a_journal_that_cannot_be_synced_is_closed_and_another_goes_on() {
    let (fixture, shim) = (Fixture::new(), Shim::new());
    let dataset = fixture.dataset_on(&shim);
    let mut store = fixture.store(&dataset);
    store.append(&mut quotes(10), NOON);
    shim.refuse(EIO, |step, path| step == Step::Sync && is_journal(path));
    store.tick(later(1));
    shim.heal();
    assert_eq!((fixture.errors(), fixture.finished()), (1, 0));
    store.append(&mut quotes(5), later(2));
    store.tick(later(3));
    assert_eq!((fixture.finished(), fixture.open()), (1, 1), "what was there is in a file");
    let totals = store.finish(later(4));
    assert_eq!(totals, Totals { rows_quotes: 15, files: 2, ..Totals::default() });
    fixture.check(totals, 15);
}

#[test]
fn a_file_that_cannot_be_put_in_its_place_stays_a_journal() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    // A file is where the folder of an exchange should be.
    let day = fixture.path().join("quotes/date=2026-11-23");
    fs::create_dir(&day).expect("a writable folder");
    fs::write(day.join("exchange=okx"), "in the way").expect("a writable folder");
    let given = mixture(&fixture.registry, NOON, 6_000);
    store.append(&mut given.clone(), NOON);
    let totals = store.finish(NOON);
    let okx = expected(&given, &fixture.registry, Channel::Quotes);
    let left = okx.iter().filter(|it| it.exchange() == "okx").count() as u64;
    assert_eq!((totals.files, totals.rows_left, totals.rows_lost), (5, left, 0));
    assert_eq!(fixture.open(), 1);
    fs::remove_file(day.join("exchange=okx")).expect("it is there");
    drop(dataset);
    let next = fixture.dataset();
    let stop = Stop::default();
    let recovered = next.recover(&fixture.settings, &fixture.metrics, later(9), &stop);
    assert_eq!((recovered.rows, recovered.failed), (left, 0));
    fixture.check_all(&given);
}

#[test]
fn a_journal_that_changes_under_our_hands_is_put_aside_and_counted() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    for n in 0..3 {
        store.append(&mut quotes(10), later(n));
        store.tick(later(n + 1));
    }
    let journal = files(&fixture.path().join("journal")).into_iter().find(|it| is_journal(it));
    let journal = journal.expect("a journal");
    let mut bytes = fs::read(&journal).expect("a file");
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    fs::write(&journal, bytes).expect("a writable file");
    let totals = store.finish(later(9));
    assert_eq!(totals, Totals { rows_quotes: 20, rows_lost: 10, files: 1, ..Totals::default() });
    fixture.check(totals, 30);
    assert_eq!(files(&fixture.path().join("journal/damaged")).len(), 1);
}

#[test]
fn journals_that_nobody_makes_into_files_have_a_bound() {
    let fixture = Fixture::in_memory();
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    // A clock that jumps from day to day, while the sealer does nothing.
    for days in 0..300 {
        let at = Nanos(NOON.0 + days * 86_400 * 1_000_000_000);
        store.append(&mut events(Channel::Quotes, at, 1), NOON);
    }
    assert_eq!(fixture.open(), 256);
    while store.sealer.work(&|| NOON) {}
    let totals = store.finish(NOON);
    assert!((1..=50).contains(&totals.rows_lost), "{totals:?}");
    fixture.check(totals, 300);
}

/// The limit of the system on the size of a file stands in for a disk on which a file cannot grow.
/// It holds for a whole process, so this test runs itself in another one.
#[test]
fn a_journal_that_cannot_grow_is_followed_by_another() {
    const INSIDE: &str = "SPREAD_AGGREGATOR_FILES_ARE_SMALL";
    if env::var_os(INSIDE).is_some() {
        return write_small_files();
    }
    let name = "store::failures::a_journal_that_cannot_grow_is_followed_by_another";
    let output = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ && ulimit -f 2048 && exec "$0" --exact "$1""#])
        .arg(env::current_exe().expect("a test binary has a path"))
        .arg(name)
        .env(INSIDE, "1")
        .output()
        .expect("there is a shell");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

fn write_small_files() {
    log::keep();
    let mut fixture = Fixture::new();
    fixture.settings.compression = Compression::None;
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    let mut now = 0;
    for _ in 0..80 {
        store.append(&mut quotes(1_000), later(now));
        store.tick(later(now + 1));
        now += 10;
    }
    let totals = store.finish(later(now + 10));
    assert_eq!((totals.rows_quotes, totals.rows_lost, totals.rows_left), (80_000, 0, 0));
    assert!(4 < totals.files, "{totals:?}");
    fixture.check(totals, 80_000);
    let lines = log::lines_about(fixture.path());
    let line = &lines.first().expect("it is said").1;
    assert!(line.starts_with("failed to write ") && line.contains("File too large"), "{line}");
}

/// A file system of one's own, in memory, as long as this lives.
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// One of so much, or none where that is not permitted.
    pub(crate) fn mount(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir(path).expect("a writable folder");
        let it = Self(path.to_owned());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path)
            .output();
        mounted.is_ok_and(|it| it.status.success()).then_some(it)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_real_disk_that_is_full_for_a_while_costs_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("disk");
    let Some(_disk) = Tmpfs::mount(&path, "8m") else {
        eprintln!("skipped: mounting a file system is not permitted here");
        return;
    };
    let fixture = Fixture::on(tempfile::tempdir_in(&path).expect("a folder"));
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    let given = mixture(&fixture.registry, NOON, 14_000);
    let ballast = path.join("ballast");
    for (n, some) in given.chunks(1_000).enumerate() {
        match n {
            3 => {
                // Until nothing goes any more.
                let _ = fs::write(&ballast, vec![1; 16 << 20]);
            }
            7 => fs::remove_file(&ballast).expect("it is there"),
            _ => {}
        }
        let now = i64::try_from(n).expect("a few") * 10;
        store.append(&mut some.to_vec(), later(now));
        store.tick(later(now + 1));
    }
    assert!(0 < fixture.errors(), "the disk was never full");
    let totals = store.finish(later(1_000));
    assert_eq!((totals.rows_lost, totals.rows_left), (0, 0), "{totals:?}");
    fixture.check(totals, given.len() as u64);
    fixture.check_all(&given);
}
