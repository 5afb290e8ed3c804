//! A disk that refuses: what was given is written or counted as lost.

use std::{env, fs, process::Command};

use spread_aggregator::{
    market::{Channel, Event, Nanos},
    store::{Compression, Totals},
};

use super::{Fixture, later};
use crate::support::{
    events::{NOON, event, events},
    log,
    rows::rows,
};

impl Fixture {
    /// Whether the metrics and the files agree with the totals.
    fn check(&self, totals: Totals, given: u64) {
        let written = totals.rows_quotes + totals.rows_trades;
        assert_eq!(written + totals.rows_lost, given, "{totals:?}");
        let [quotes, trades] = Channel::ALL.map(|it| self.metrics.files(it));
        assert_eq!(quotes.rows.get(), totals.rows_quotes);
        assert_eq!(trades.rows.get(), totals.rows_trades);
        assert_eq!(quotes.lost.get() + trades.lost.get(), totals.rows_lost);
        assert_eq!(quotes.files.get() + trades.files.get(), totals.files);
        assert_eq!(self.rows() as u64, written, "what is in the files");
        assert_eq!(self.finished() as u64, totals.files);
        assert_eq!(self.open(), 0, "nothing half-written stays");
    }

    fn errors(&self) -> u64 {
        self.metrics.files(Channel::Quotes).errors.get()
    }
}

fn quotes(n: usize) -> Vec<Event> {
    events(Channel::Quotes, NOON, n)
}

#[test]
fn a_file_that_cannot_be_created_is_tried_again_once_a_second() {
    log::keep();
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut writer = fixture.writer(&dataset);
    let journal = fixture.path().join("journal");
    let aside = fixture.path().join("aside");
    fs::rename(&journal, &aside).expect("the folder is there");
    for tenths in 0..35 {
        let now = Nanos(NOON.0 + tenths * 100_000_000);
        writer.append(&mut quotes(10), now);
        writer.tick(now);
    }
    assert_eq!(fixture.errors(), 4, "at 0, 1, 2 and 3 s");
    fs::rename(&aside, &journal).expect("the folder is there");
    writer.append(&mut quotes(10), later(3));
    writer.append(&mut quotes(10), later(4));
    let totals = writer.finish(later(5));
    assert_eq!(totals, Totals { rows_quotes: 10, rows_lost: 360, files: 1, ..Totals::default() });
    fixture.check(totals, 370);
    let lines = log::lines_about(fixture.path());
    let [(::log::Level::Error, line)] = &lines[..] else { panic!("one line: {lines:?}") };
    let start = format!("failed to create {}/", journal.display());
    assert!(line.starts_with(&start) && line.contains("No such file"), "{line}");
}

#[test]
fn a_file_that_cannot_be_renamed_is_lost_and_removed() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut writer = fixture.writer(&dataset);
    // A file is where the folder of the day should be.
    let day = fixture.path().join("quotes/date=2026-11-23");
    fs::write(&day, "in the way").expect("a writable folder");
    writer.append(&mut quotes(10), NOON);
    writer.append(&mut vec![event(Channel::Trades, NOON)], NOON);
    writer.tick(later(900));
    fs::remove_file(&day).expect("it is there");
    assert_eq!((fixture.errors(), fixture.open(), fixture.finished()), (1, 0, 1));
    writer.append(&mut quotes(1), later(900));
    writer.append(&mut quotes(1), later(901));
    let totals = writer.finish(later(902));
    assert_eq!(
        totals,
        Totals { rows_quotes: 1, rows_trades: 1, rows_lost: 11, files: 2, records: 0 }
    );
    fixture.check(totals, 13);
}

#[test]
fn a_file_that_vanishes_while_it_is_written_is_lost() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut writer = fixture.writer(&dataset);
    writer.append(&mut quotes(10), NOON);
    fs::remove_dir_all(fixture.path().join("journal")).expect("it is there");
    let totals = writer.finish(NOON);
    assert_eq!(totals, Totals { rows_lost: 10, ..Totals::default() });
    fixture.check(totals, 10);
}

#[test]
fn trouble_with_one_exchange_leaves_the_others_alone() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut writer = fixture.writer(&dataset);
    let day = fixture.path().join("quotes/date=2026-11-23");
    fs::create_dir(&day).expect("a writable folder");
    fs::write(day.join("exchange=okx"), "in the way").expect("a writable folder");
    let mixture = crate::support::events::mixture(&fixture.registry, NOON, 6_000);
    writer.append(&mut mixture.clone(), NOON);
    let totals = writer.finish(NOON);
    let okx = super::expected(&mixture, &fixture.registry, Channel::Quotes);
    let lost = okx.iter().filter(|it| it.exchange() == "okx").count() as u64;
    assert_eq!((totals.files, totals.rows_lost), (5, lost));
    fs::remove_file(day.join("exchange=okx")).expect("it is there");
    fixture.check(totals, 6_000);
}

/// The limit of the system on the size of a file stands in for a full disk. It holds for a whole
/// process, so this test runs itself in another one.
#[test]
fn a_disk_that_is_full_costs_the_file_and_nothing_else() {
    const INSIDE: &str = "SPREAD_AGGREGATOR_DISK_IS_FULL";
    if env::var_os(INSIDE).is_some() {
        return write_to_a_full_disk();
    }
    let name = "store::failures::a_disk_that_is_full_costs_the_file_and_nothing_else";
    let output = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ && ulimit -f 256 && exec "$0" --exact "$1""#])
        .arg(env::current_exe().expect("a test binary has a path"))
        .arg(name)
        .env(INSIDE, "1")
        .output()
        .expect("there is a shell");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

fn write_to_a_full_disk() {
    log::keep();
    let mut fixture = Fixture::new();
    fixture.settings.compression = Compression::None;
    let dataset = fixture.dataset();
    let mut writer = fixture.writer(&dataset);
    // The row that completes the row group is the one that finds the disk full.
    writer.append(&mut quotes(131_071), NOON);
    assert_eq!((fixture.errors(), fixture.open()), (0, 1));
    writer.append(&mut quotes(10), NOON);
    assert_eq!((fixture.errors(), fixture.open()), (1, 0));
    // There is room for less.
    writer.append(&mut quotes(100), later(1));
    let totals = writer.finish(later(2));
    assert_eq!(
        totals,
        Totals { rows_quotes: 100, rows_lost: 131_081, files: 1, ..Totals::default() }
    );
    fixture.check(totals, 131_181);
    assert_eq!(rows(fixture.path(), Channel::Quotes).len(), 100);
    let lines = log::lines_about(fixture.path());
    let [(::log::Level::Error, line)] = &lines[..] else { panic!("one line: {lines:?}") };
    assert!(line.starts_with("failed to write ") && line.contains("File too large"), "{line}");
}
