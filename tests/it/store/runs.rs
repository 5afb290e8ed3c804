//! Several runs on one dataset.

use std::fs;

use spread_aggregator::{market::Channel, store::Dataset};

use super::Fixture;
use crate::support::{
    events::{NOON, event},
    log,
    rows::files,
};

#[test]
fn leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not() {
    log::keep();
    let fixture = Fixture::new();
    let journal = fixture.path().join("journal");
    let living = fixture.dataset();
    let mut writer = fixture.writer(&living);
    writer.append(&mut vec![event(Channel::Quotes, NOON)], NOON);
    let kept = files(&journal);
    assert_eq!(kept.len(), 2, "a lock and a file: {kept:?}");
    for name in [
        // Killed while it wrote.
        "20200101T000000Z-dead.lock",
        "20200101T000000Z-dead_quotes-okx-0-1.parquet.open",
        "20200101T000000Z-dead_trades-okx-0-2.parquet.open",
        // Its lock was removed by hand.
        "20200102T000000Z-gone_trades-okx-0-1.parquet.open",
        // Killed before it wrote anything.
        "20200103T000000Z-idle.lock",
    ] {
        fs::write(journal.join(name), "half a file").expect("a writable folder");
    }
    let foreign = journal.join("notes.txt");
    fs::write(&foreign, "of a user").expect("a writable folder");

    let second = fixture.dataset();
    let mut left = files(&journal);
    left.retain(|it| !kept.contains(it) && *it != foreign);
    assert_eq!(left, [journal.join(format!("{}.lock", second.run_id()))]);
    assert!(foreign.exists(), "what is not ours stays");
    assert!(kept.iter().all(|it| it.exists()), "a living run lost a file");
    let logged = log::lines_about(&journal);
    assert_eq!(logged.len(), 3, "one line a file: {logged:?}");

    assert_eq!(writer.finish(NOON).rows_quotes, 1);
    drop((living, second));
    assert_eq!(files(&journal), [foreign], "a clean end leaves nothing");
}

#[test]
fn two_runs_share_a_folder_without_meeting() {
    let fixture = Fixture::new();
    let datasets = [fixture.dataset(), fixture.dataset()];
    let mut writers: Vec<_> = datasets.iter().map(|it| fixture.writer(it)).collect();
    for _ in 0..3 {
        for writer in &mut writers {
            writer.append(&mut vec![event(Channel::Trades, NOON)], NOON);
        }
        for writer in &mut writers {
            writer.tick(super::later(900));
        }
    }
    let files: u64 = writers.into_iter().map(|it| it.finish(NOON).files).sum();
    assert_eq!((files, fixture.finished(), fixture.rows()), (6, 6, 6));
}

#[test]
fn the_writers_of_a_run_do_not_meet() {
    use spread_aggregator::store::Writer;
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    for index in 0..3 {
        let Fixture { settings, registry, metrics, .. } = &fixture;
        let mut writer = Writer::new(&dataset, index, settings, registry, metrics);
        writer.append(&mut vec![event(Channel::Trades, NOON)], NOON);
        assert_eq!(writer.finish(NOON).files, 1);
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
    assert!(error.starts_with(&format!("failed to create {path}: File exists")), "{error}");
}
