//! Old days go.

use std::{fs, path::Path};

use spread_aggregator::market::Nanos;

use super::Fixture;
use crate::support::{
    events::{HOUR, NOON},
    log,
    rows::files,
};

fn put(dir: &Path, path: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
    fs::write(path, "rows").expect("a writable folder");
}

/// It is 2026-11-23.
const OLD: [&str; 4] = [
    "quotes/date=2026-11-20/exchange=okx/a.parquet",
    "trades/date=2020-02-29/exchange=bybit/a.parquet",
    "spreads/date=2026-11-20/a.parquet",
    "gaps/date=2026-11-20/a.parquet",
];

const KEPT: [&str; 14] = [
    // Two days and the one under way.
    "quotes/date=2026-11-21/exchange=okx/a.parquet",
    "quotes/date=2026-11-22/exchange=okx/a.parquet",
    "quotes/date=2026-11-23/exchange=okx/a.parquet",
    // A clock was wrong.
    "quotes/date=2036-11-23/exchange=okx/a.parquet",
    // None of this is ours, or not all of it.
    "quotes/date=2026-11-19/exchange=okx/notes.txt",
    "quotes/date=2026-11-18/exchange=krakn/a.parquet",
    "quotes/date=2026-11-17/a.parquet",
    "quotes/date=2026-11-16/exchange=okx/deeper/a.parquet",
    "quotes/date=2026-1-1/exchange=okx/a.parquet",
    "quotes/date=20261101/exchange=okx/a.parquet",
    "quotes/2026-11-01/exchange=okx/a.parquet",
    "gaps/date=2026-11-19/exchange=okx/a.parquet",
    "other/date=2026-11-01/a.parquet",
    "date=2026-11-01/a.parquet",
];

#[test]
fn only_whole_days_of_ours_that_are_too_old_are_removed() {
    log::keep();
    let mut fixture = Fixture::new();
    fixture.settings.keep_days = Some(2);
    for path in OLD.iter().chain(&KEPT) {
        put(fixture.path(), path);
    }
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.tick(NOON);
    let there = |path: &&str| fixture.path().join(path).exists();
    assert_eq!(OLD.iter().filter(|it| there(it)).count(), 0);
    assert_eq!(KEPT.into_iter().filter(|it| !there(it)).collect::<Vec<_>>(), [""; 0]);
    assert!(!fixture.path().join("quotes/date=2026-11-20").exists(), "the folder goes too");
    let lines = log::lines_about(fixture.path());
    let removed = lines.iter().filter(|(_, it)| it.starts_with("removed ")).count();
    assert_eq!(removed, OLD.len(), "{lines:?}");
    let refused = lines.iter().filter(|(_, it)| it.contains("holds what is not ours")).count();
    assert_eq!(refused, 5, "{lines:?}");

    // The next day, another one is too old; not before.
    store.tick(Nanos(NOON.0 + 11 * HOUR));
    assert!(there(&KEPT[0]));
    store.tick(Nanos(NOON.0 + 12 * HOUR));
    assert!(!there(&KEPT[0]) && there(&KEPT[1]));
}

#[test]
fn all_is_kept_unless_it_is_said_how_long() {
    let fixture = Fixture::new();
    for path in OLD {
        put(fixture.path(), path);
    }
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.tick(NOON);
    let kept = files(fixture.path()).iter().filter(|it| it.ends_with("a.parquet")).count();
    assert_eq!(kept, OLD.len());
}
