//! A process that dies between any two steps it takes on the disk.

use std::{
    collections::BTreeMap,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{
    array::{Array, AsArray},
    datatypes::Int64Type,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use spread_aggregator::{
    market::{Channel, Event, Exchange, Market, Venue},
    stop::Stop,
    store::{Checksum, Compression, Dataset, RecordWriter, Recovered, Table},
};

use super::{Fixture, later, records::gap};
use crate::support::{
    events::{NOON, mixture},
    rows::{Row, files, rows},
    shim::{EIO, KILLED, Shim},
};

const VENUES: [Venue; 2] =
    [Venue::new(Exchange::Okx, Market::Spot), Venue::new(Exchange::Mexc, Market::Perp)];

/// What a run was given, and what of it has been in a journal for certain.
#[derive(Default)]
struct Given {
    events: Vec<Event>,
    flushed: usize,
}

/// A run with all that a run does: several exchanges, batches of all sizes, a rotation by age, a
/// record, an end in order. It dies where `shim` says.
fn run(fixture: &Fixture, shim: &Arc<Shim>, given: &Mutex<Given>) {
    let given = || given.lock().unwrap_or_else(PoisonError::into_inner);
    let dataset = Dataset::open_on(shim.disk(), fixture.path()).expect(KILLED);
    dataset.collects_from(VENUES).expect(KILLED);
    assert!(!shim.is_dead(), "{KILLED}");
    let mut store = fixture.store(&dataset);
    let mut records =
        RecordWriter::new(&dataset, &fixture.settings, &fixture.registry, &fixture.metrics);
    let events = mixture(&fixture.registry, NOON, 500);
    let mut now = 0;
    for some in events.chunks(50) {
        given().events.extend_from_slice(some);
        store.append(&mut some.to_vec(), later(now));
        now += 1;
        store.writer.tick(later(now));
        // A write that dies does not end the process by itself.
        assert!(!shim.is_dead(), "{KILLED}");
        let mut given = given();
        given.flushed = given.events.len();
        drop(given);
        store.tick(later(now));
        // Two rotations on the way.
        now += if now % 4 == 0 { 900 } else { 0 };
    }
    records.append(&mut vec![gap(later(now))]);
    records.tick(later(now));
    let _ = records.finish(later(now));
    let _ = store.finish(later(now));
    assert!(!shim.is_dead(), "{KILLED}");
}

/// [`run`], up to its death.
fn run_and_die(fixture: &Fixture, shim: &Arc<Shim>) -> Given {
    let given = Mutex::default();
    let died = catch_unwind(AssertUnwindSafe(|| run(fixture, shim, &given)));
    assert_eq!(died.is_err(), shim.is_dead());
    given.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::in_memory();
    // The fewest steps, and they are the same for all.
    fixture.settings.compression = Compression::None;
    fixture
}

fn recover(fixture: &Fixture, dataset: &Dataset) -> Recovered {
    dataset.recover(&fixture.settings, &fixture.metrics, later(99_999), &Stop::default())
}

fn count(rows: impl IntoIterator<Item = Row>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(format!("{row:?}")).or_default() += 1;
    }
    counts
}

/// A row of the loss ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Loss {
    pub(crate) exchange: String,
    pub(crate) market: String,
    pub(crate) dropped: Option<i64>,
}

/// Rows of the ledger with this reason.
pub(crate) fn ledger(dir: &Path, reason: &str) -> Vec<Loss> {
    let mut found = Vec::new();
    for path in files(&dir.join(Table::Gaps.name())) {
        let file = File::open(&path).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build);
        for batch in reader.expect("Parquet") {
            let batch = batch.expect("a batch");
            let text = |name: &str, row: usize| {
                let column = batch[name].as_any_dictionary();
                let values = column.values().as_string::<i32>();
                values.value(column.normalized_keys()[row]).to_owned()
            };
            let dropped = batch["dropped"].as_primitive::<Int64Type>();
            let rows = (0..batch.num_rows()).filter(|&row| text("reason", row) == reason);
            found.extend(rows.map(|row| Loss {
                exchange: text("exchange", row),
                market: text("market", row),
                dropped: dropped.is_valid(row).then(|| dropped.value(row)),
            }));
        }
    }
    found
}

/// All that has been flushed is there, nothing twice, every file is whole, nothing is left over.
fn check(fixture: &Fixture, given: &Given, case: &str) {
    let dir = fixture.path();
    let found = count(Channel::ALL.into_iter().flat_map(|it| rows(dir, it)));
    let row = |it: &Event| Row::of(it, &fixture.registry);
    let all = count(given.events.iter().map(row));
    let flushed = count(given.events[..given.flushed].iter().map(row));
    for (row, n) in &found {
        assert!(*n <= all.get(row).copied().unwrap_or(0), "{case}: too often: {row}");
    }
    for (row, n) in &flushed {
        assert!(*n <= found.get(row).copied().unwrap_or(0), "{case}: lost: {row}");
    }
    for path in files(dir).iter().filter(|it| it.extension().is_some_and(|it| it == "parquet")) {
        let checksum = Checksum::of(path).unwrap_or_else(|it| panic!("{case}: {it}"));
        assert_eq!(checksum.stored, Some(checksum.computed), "{case}: {}", path.display());
    }
    let left = files(&dir.join("journal"));
    let left: Vec<_> =
        left.iter().filter(|it| !it.to_string_lossy().ends_with(".lock.new")).collect();
    assert!(left.is_empty(), "{case}: left over: {left:?}");
}

/// Silences the panics that stand for a death.
fn quietly(test: impl FnOnce()) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload_as_str().is_some_and(|it| it.contains(KILLED)) {
            hook(info);
        }
    }));
    test();
}

#[test]
fn whatever_step_a_process_dies_before_nothing_that_was_flushed_is_lost_or_twice() {
    let whole = fixture();
    let shim = Shim::new();
    let given = run_and_die(&whole, &shim);
    check(&whole, &given, "no death");
    assert_eq!((whole.rows(), ledger(whole.path(), "crash").len()), (500, 0));
    let steps = shim.taken();
    assert!(100 < steps, "{steps} steps");
    let mut crashes = 0;
    quietly(|| {
        for n in 0..steps {
            let fixture = fixture();
            let given = run_and_die(&fixture, &Shim::dying_before(n));
            let case = format!("death before step {n} of {steps}");
            let before = fixture.rows();
            let dataset = fixture.dataset();
            let recovered = recover(&fixture, &dataset);
            assert_eq!((recovered.failed, recovered.damaged), (0, 0), "{case}");
            drop(dataset);
            check(&fixture, &given, &case);
            let declared = ledger(fixture.path(), "crash");
            assert_eq!(declared.len(), recovered.crashes.len(), "{case}");
            // Also those of whom there was no row.
            let mexc = declared.iter().any(|it| it.exchange == "mexc");
            assert!(mexc || given.events.is_empty() || n + 1 == steps, "{case}: {declared:?}");
            if before < fixture.rows() {
                assert!(2 < declared.len(), "{case}: not in the ledger: {declared:?}");
            }
            crashes += usize::from(!declared.is_empty());
            let again = fixture.dataset();
            assert_eq!(recover(&fixture, &again), Recovered::default(), "{case}: twice");
        }
    });
    assert!(steps * 9 / 10 < crashes, "only {crashes} of {steps} deaths are in the ledger");
}

#[test]
fn whatever_step_a_recovery_dies_before_the_next_one_ends_it() {
    quietly(|| {
        // In the middle of things; the second is while a file is being closed.
        for n in [60, 100] {
            let undisturbed = fixture();
            run_and_die(&undisturbed, &Shim::dying_before(n));
            assert_eq!(recover(&undisturbed, &undisturbed.dataset()).failed, 0);
            let expected = ledger(undisturbed.path(), "crash");
            assert!(2 < expected.len(), "{expected:?}");
            let mut k = 0;
            loop {
                let fixture = fixture();
                let given = run_and_die(&fixture, &Shim::dying_before(n));
                let case = format!("death before step {n}, then before step {k} of the recovery");
                let shim = Shim::dying_before(k);
                let died = catch_unwind(AssertUnwindSafe(|| {
                    let dataset = Dataset::open_on(shim.disk(), fixture.path()).expect(KILLED);
                    recover(&fixture, &dataset)
                }));
                let died = died.is_err() || shim.is_dead();
                let dataset = fixture.dataset();
                assert_eq!(recover(&fixture, &dataset).failed, 0, "{case}");
                drop(dataset);
                check(&fixture, &given, &case);
                assert_eq!(ledger(fixture.path(), "crash"), expected, "{case}");
                if !died {
                    assert!(20 < k, "{k} steps");
                    break;
                }
                k += 1;
            }
        }
    });
}

#[test]
fn a_crash_is_in_the_ledger_from_the_last_row_of_each_venue_to_the_restart() {
    let fixture = fixture();
    let events = mixture(&fixture.registry, NOON, 2_000);
    let shim = Shim::new();
    {
        let dataset = Dataset::open_on(shim.disk(), fixture.path()).expect("a dataset");
        let mut store = fixture.store(&dataset);
        store.append(&mut events.clone(), NOON);
        store.tick(later(1));
        // What is left is as after a kill.
        shim.refuse(EIO, |_, _| true);
    }
    let dataset = fixture.dataset();
    let recovered = recover(&fixture, &dataset);
    assert_eq!(recovered.rows, 2_000);
    let venues: Vec<_> = recovered.crashes.iter().map(|it| it.venue).collect();
    assert_eq!(venues.len(), 6, "two markets of three exchanges: {venues:?}");
    for crash in recovered.crashes {
        let of_venue = |it: &&Event| {
            fixture.registry.get(it.instrument()).expect("known").venue == crash.venue
        };
        let last = events.iter().filter(of_venue).map(Event::ts_recv).max().expect("a few");
        assert_eq!(crash.from.0, last.0 / 1_000 * 1_000);
        assert_eq!((crash.to, crash.dropped, crash.instrument), (later(99_999), None, None));
    }
    let okx = ledger(fixture.path(), "crash");
    let okx = okx.iter().filter(|it| it.exchange == Exchange::Okx.name() && it.dropped.is_none());
    assert_eq!(okx.map(|it| it.market.as_str()).collect::<Vec<_>>(), ["spot", "perp"]);
}
