//! Compaction of a day of one exchange with 1,000 symbols, in the 96 files that rotation by a quarter
//! of an hour makes: bytes a second of what is read, bytes a row before and after, and memory.
//!
//! `cargo bench --bench compact`; `TMPDIR=/dev/shm` takes the disk out of the measurement.

#[path = "support/walk.rs"]
mod walk;

use std::{fs, path::Path, process::Command, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use spread_aggregator::{
    market::{Channel, Event, Exchange, Nanos},
    metrics::Metrics,
    registry::Registry,
    store::{
        Compression, Dataset, Date, Disk, Sealer, Settings, Writer,
        compact::{self, Compacted, Days, Options},
    },
};
use tempfile::TempDir;

use self::walk::Stream;

const ROWS: usize = if cfg!(debug_assertions) { 1 << 17 } else { 1 << 22 };
/// Events the writer takes out of its queue at a time.
const DRAINED: usize = 4_096;
/// 2026-11-23T00:00:00Z
const START: i64 = 1_795_392_000_000_000_000;
const DAY: Date = Date(20_780);
const QUARTER: i64 = 900 * 1_000_000_000;

/// Records a day.
fn record(dir: &Path, channel: Channel) {
    let settings = Settings {
        dir: dir.to_owned(),
        journal_flush: Duration::from_secs(1),
        rotate: Duration::from_mins(15),
        rotate_size: 256 << 20,
        compression: Compression::Zstd(1),
        keep_days: None,
    };
    let (registry, metrics) = (Registry::default(), Metrics::new());
    let dataset = Dataset::open(dir).expect("a dataset");
    let mut writer = Writer::new(&dataset, 0, &settings, &registry, &metrics);
    let mut sealer = Sealer::new(&dataset, &settings, &metrics);
    let pause = 2 * 96 * QUARTER / i64::try_from(ROWS).expect("a few million");
    let mut stream = Stream::new(&registry, channel, Some(Exchange::Okx), START, 0..pause);
    let mut now = Nanos(START);
    for _ in 0..ROWS / DRAINED {
        let mut events: Vec<_> = stream.by_ref().take(DRAINED).collect();
        events.retain(|it| Date::from(it.ts_recv()) == DAY);
        now = events.last().map_or(now, Event::ts_recv);
        writer.append(&mut events, now);
        writer.tick(now);
        while sealer.work(&|| now) {}
    }
    assert_eq!(writer.finish(now).rows_lost, 0);
    assert_eq!(sealer.finish(&|| now).rows_left, 0);
}

/// The same files: a compaction removes names, it never changes what is in them.
fn copy(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    let done = Command::new("cp").arg("-al").arg(dir.join(".")).arg(copy.path()).status();
    assert!(done.expect("there is cp").success());
    copy
}

fn compact(dir: &Path, memory: u64, compression: Compression) -> Compacted {
    let options = Options { memory, target_size: 1 << 30, compression, grace: Duration::ZERO };
    let mut done = Vec::new();
    compact::compact(dir, Days::One(DAY), &options, &Disk::default(), |it| {
        done.push(it.expect("it can be done"));
    })
    .expect("it can be listed");
    let [it] = &done[..] else { panic!("one folder: {done:?}") };
    it.clone()
}

/// The most memory that the process has had since it was last asked, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).expect("Linux");
    fs::write("/proc/self/clear_refs", "5").expect("Linux");
    line.split_whitespace().next().and_then(|it| it.parse().ok()).expect("a number")
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn measure(name: &str, dir: &Path, memory: u64, compression: Compression) -> u64 {
    peak();
    let before = peak();
    let it = compact(dir, memory, compression);
    let [from, to] = [it.before, it.after].map(|(_, bytes)| bytes as f64 / it.rows as f64);
    eprintln!(
        "{name}: {} rows, {} files of {from:.2} bytes a row -> {} of {to:.2}; {} KiB of memory at \
         most, {before} before",
        it.rows,
        it.before.0,
        it.after.0,
        peak()
    );
    it.before.1
}

fn compaction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compact");
    group.sample_size(10);
    for channel in Channel::ALL {
        let day = tempfile::tempdir().expect("a folder");
        record(day.path(), channel);
        // The one that takes least comes first: what has been freed is not given back at once.
        for (memory, compression) in
            [(64, Compression::Zstd(3)), (512, Compression::Zstd(3)), (512, Compression::Zstd(1))]
        {
            let (name, memory) = (format!("{channel} {compression} {memory}MiB"), memory << 20);
            let bytes = measure(&name, copy(day.path()).path(), memory, compression);
            group.throughput(Throughput::Bytes(bytes));
            group.bench_function(&name, |bencher| {
                bencher.iter_batched(
                    || copy(day.path()),
                    |dir| {
                        compact(dir.path(), memory, compression);
                        dir
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

criterion_group!(benches, compaction);
criterion_main!(benches);
