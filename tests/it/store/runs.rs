//! Several runs on one dataset.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use spread_aggregator::{
    market::Channel,
    stop::Stop,
    store::{Dataset, Recovered},
};

use super::{Fixture, later};
use crate::support::{
    events::{NOON, event, events},
    log,
    rows::{files, rows},
};

impl Fixture {
    pub(super) fn recover(&self, dataset: &Dataset) -> Recovered {
        dataset.recover(&self.settings, &self.metrics, later(60), &Stop::default())
    }

    /// Leaves the journal of a run that was killed, with this many batches of ten quotes.
    fn die(&self, batches: i64) -> PathBuf {
        let dataset = self.dataset();
        let mut store = self.store(&dataset);
        for n in 0..batches {
            store.append(&mut events(Channel::Quotes, later(n), 10), later(n));
            store.writer.tick(later(n + 1));
        }
        std::mem::forget(store.writer);
        let name = format!("{}_quotes-binance-2026-11-23-0-1.arrows", dataset.run_id());
        self.path().join("journal").join(name)
    }

    fn damaged(&self) -> Vec<PathBuf> {
        files(&self.path().join("journal/damaged"))
    }
}

#[test]
fn journals_of_the_dead_become_files_and_those_of_the_living_are_left_alone() {
    log::keep();
    let fixture = Fixture::new();
    let journal = fixture.path().join("journal");
    let living = fixture.dataset();
    let mut store = fixture.store(&living);
    store.append(&mut vec![event(Channel::Trades, NOON)], NOON);
    store.tick(later(1));
    let kept = files(&journal);
    assert_eq!(kept.len(), 2, "a lock and a journal: {kept:?}");
    let dead = fixture.die(3);
    for name in [
        // Killed while it made a file.
        "20200101T000000Z-dead.lock",
        "20200101T000000Z-dead_quotes-okx-2020-01-01-0-1.parquet.open",
        // Its lock was removed by hand.
        "20200102T000000Z-gone_trades-okx-2020-01-02-0-1.parquet.open",
        // Killed before it wrote anything.
        "20200103T000000Z-idle.lock",
        "20200103T000000Z-idle_trades-okx-2020-01-03-0-1.arrows",
    ] {
        File::create(journal.join(name)).expect("a writable folder");
    }
    let foreign = journal.join("notes.txt");
    fs::write(&foreign, "of a user").expect("a writable folder");

    let second = fixture.dataset();
    let recovered = fixture.recover(&second);
    assert_eq!((recovered.files, recovered.rows), (1, 30));
    assert_eq!((recovered.damaged, recovered.failed), (0, 0));
    let mut left = files(&journal);
    left.retain(|it| !kept.contains(it) && *it != foreign);
    assert_eq!(left, [journal.join(format!("{}.lock", second.run_id()))]);
    assert!(foreign.exists(), "what is not ours stays");
    assert!(kept.iter().all(|it| it.exists()), "a living run lost a file");
    assert_eq!(rows(fixture.path(), Channel::Quotes).len(), 30);
    let logged = log::lines_about(&dead);
    assert_eq!(logged.len(), 1, "one line a journal: {logged:?}");

    assert_eq!(store.finish(later(1)).rows_trades, 1);
    drop((living, second));
    assert_eq!(files(&journal), [foreign], "a clean end leaves nothing");
}

/// Changes a journal, and says how many of its 30 rows can be read nevertheless.
type Damage = (&'static str, fn(&Path), u64, u64);

const DAMAGES: [Damage; 9] = [
    ("cut in the middle of its last message", |it| cut(it, 100), 20, 0),
    ("cut to a few bytes", |it| cut(it, u64::MAX), 0, 0),
    ("a changed bit in its last message", |it| flip(it, |len| len - 9), 20, 1),
    ("a changed bit in the middle", |it| flip(it, |len| len * 2 / 3), 10, 1),
    ("a changed bit in its schema", |it| flip(it, |_| 100), 0, 1),
    ("a changed length", |it| flip(it, |_| 5), 0, 1),
    ("garbage at its end", |it| append(it, &[7; 999]), 30, 1),
    ("zeros at its end", |it| append(it, &[0; 4096]), 30, 1),
    ("nothing but garbage", |it| fs::write(it, [9; 5_000]).expect("writable"), 0, 1),
];

fn cut(path: &Path, bytes: u64) {
    let file = File::options().write(true).open(path).expect("a journal");
    let len = file.metadata().expect("a file").len();
    file.set_len(len.saturating_sub(bytes).max(5)).expect("writable");
}

fn flip(path: &Path, at: fn(u64) -> u64) {
    let file = File::options().read(true).write(true).open(path).expect("a journal");
    let at = at(file.metadata().expect("a file").len());
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("readable");
    file.write_all_at(&[byte[0] ^ 4], at).expect("writable");
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = File::options().append(true).open(path).expect("a journal");
    file.write_all(bytes).expect("writable");
}

#[test]
fn what_can_be_read_of_a_damaged_journal_is_kept_and_so_is_the_journal() {
    log::keep();
    for (what, damage, readable, damaged) in DAMAGES {
        let fixture = Fixture::new();
        let path = fixture.die(3);
        damage(&path);
        let dataset = fixture.dataset();
        let recovered = fixture.recover(&dataset);
        let counts = (recovered.rows, recovered.damaged, recovered.failed);
        assert_eq!(counts, (readable, damaged, 0), "{what}");
        assert_eq!(rows(fixture.path(), Channel::Quotes).len() as u64, readable, "{what}");
        assert_eq!(fixture.damaged().len() as u64, damaged, "{what}");
        assert!(!path.exists(), "{what}");
        let lines = log::lines_about(&path);
        let aside = lines.iter().any(|(level, line)| {
            *level == ::log::Level::Error && line.contains("is damaged, from byte ")
        });
        assert_eq!(aside, 0 < damaged, "{what}: {lines:?}");
        assert_eq!(fixture.recover(&dataset), Recovered::default(), "{what}: twice");
    }
}

#[test]
fn a_journal_that_is_none_of_ours_is_put_aside_and_stops_nothing() {
    let fixture = Fixture::new();
    let path = fixture.die(1);
    let name = path.file_name().expect("a name").to_str().expect("UTF-8");
    // Whole, but of other columns than its name says; and of no table at all.
    for other in ["trades-binance", "candles-binance"] {
        fs::copy(&path, path.with_file_name(name.replace("quotes-binance", other))).expect("space");
    }
    let dataset = fixture.dataset();
    let recovered = fixture.recover(&dataset);
    assert_eq!((recovered.rows, recovered.damaged, recovered.failed), (10, 2, 0));
    assert_eq!(fixture.damaged().len(), 2);
}

#[test]
fn a_journal_of_which_there_is_a_file_is_only_removed() {
    let fixture = Fixture::new();
    let path = fixture.die(2);
    let kept = fs::read(&path).expect("a journal");
    let dataset = fixture.dataset();
    assert_eq!(fixture.recover(&dataset).rows, 20);
    // Killed between the renaming of the file and the removal of the journal.
    fs::write(&path, &kept).expect("a writable folder");
    let recovered = fixture.recover(&dataset);
    assert_eq!((recovered.rows, recovered.files, recovered.failed), (0, 0, 0));
    assert_eq!(rows(fixture.path(), Channel::Quotes).len(), 20);
    assert!(!path.exists());
}

#[test]
fn a_stop_leaves_the_rest_for_the_next_time() {
    let mut fixture = Fixture::new();
    // Small row groups, between which it looks up.
    fixture.settings.rotate_size = 1 << 20;
    let path = {
        let dataset = fixture.dataset();
        let mut store = fixture.store(&dataset);
        store.append(&mut events(Channel::Quotes, NOON, 20_000), NOON);
        std::mem::forget(store.writer);
        fixture.path().join("journal")
    };
    let dataset = fixture.dataset();
    let stop = Stop::default();
    stop.request();
    let recovered = dataset.recover(&fixture.settings, &fixture.metrics, later(60), &stop);
    assert_eq!(recovered, Recovered::default());
    let left = files(&path);
    let unfinished = left.iter().any(|it| it.to_string_lossy().ends_with(".open"));
    assert_eq!((fixture.open(), unfinished), (1, false), "{left:?}");
    // Two whole batches had been written when it was killed.
    assert_eq!(fixture.recover(&dataset).rows, 16_384);
}

#[test]
fn two_runs_share_a_folder_without_meeting() {
    let fixture = Fixture::new();
    let datasets = [fixture.dataset(), fixture.dataset()];
    let mut stores: Vec<_> = datasets.iter().map(|it| fixture.store(it)).collect();
    for _ in 0..3 {
        for store in &mut stores {
            store.append(&mut vec![event(Channel::Trades, NOON)], NOON);
        }
        for store in &mut stores {
            store.tick(later(1));
            store.tick(later(901));
        }
    }
    let files: u64 = stores.into_iter().map(|it| it.finish(later(901)).files).sum();
    assert_eq!((files, fixture.finished(), fixture.rows()), (6, 6, 6));
}

#[test]
fn the_writers_of_a_run_do_not_meet() {
    use spread_aggregator::store::Writer;
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    for index in 0..3 {
        let Fixture { settings, registry, metrics, .. } = &fixture;
        let mut store = fixture.store(&dataset);
        store.writer = Writer::new(&dataset, index, settings, registry, metrics);
        store.append(&mut vec![event(Channel::Trades, NOON)], NOON);
        assert_eq!(store.finish(NOON).files, 1);
    }
    assert_eq!((fixture.finished(), fixture.rows()), (3, 3));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let fixture = Fixture::new();
    let path = fixture.path().join("data");
    fs::write(&path, "a file").expect("a writable folder");
    let error = Dataset::open(&path).expect_err("a file is no folder").to_string();
    let path = path.to_str().expect("UTF-8");
    assert!(
        error.starts_with(&format!("failed to create the dataset's folder {path}: File exists")),
        "{error}"
    );
}
