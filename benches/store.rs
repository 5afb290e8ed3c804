//! Rows a second into journals, and through them into closed Parquet files; processor time and bytes
//! a row, and memory.
//!
//! `cargo bench --bench store`; `TMPDIR=/dev/shm` takes the disk out of the measurement.

#[path = "support/walk.rs"]
mod walk;

use std::{fs, path::Path, thread, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use spread_aggregator::{
    market::{Channel, Event, Nanos},
    metrics::Metrics,
    registry::Registry,
    stop::Stop,
    store::{Compression, Dataset, Sealer, Settings, Totals, Writer, run_sealer},
};

use self::walk::Stream;

const ROWS: usize = 1 << 19;
/// Events the writer takes out of its queue at a time.
const DRAINED: usize = 4_096;
/// How often all is written to measure processor time.
const REPEATED: usize = 8;
const START: i64 = 1_790_000_000_000_000_000;

fn events(registry: &Registry, channel: Channel) -> Vec<Event> {
    Stream::new(registry, channel, None, START, 0..20_000).take(ROWS).collect()
}

/// Writes all to journals and, if `sealed`, on to files: on two threads, as the program does.
fn write(
    dataset: &Dataset,
    registry: &Registry,
    compression: Compression,
    sealed: bool,
    events: Vec<Vec<Event>>,
) -> Totals {
    let settings = Settings {
        dir: dataset.dir().to_owned(),
        journal_flush: Duration::from_secs(1),
        rotate: Duration::from_mins(15),
        rotate_size: 256 << 20,
        compression,
        keep_days: None,
    };
    let (metrics, written) = (Metrics::new(), Stop::default());
    let mut writer = Writer::new(dataset, 0, &settings, registry, &metrics);
    let sealer = Sealer::new(dataset, &settings, &metrics);
    let clock = || Nanos(START);
    thread::scope(|scope| {
        let sealing = sealed.then(|| scope.spawn(|| run_sealer(sealer, &written, clock)));
        for mut events in events {
            writer.append(&mut events, clock());
        }
        let lost = writer.finish(clock());
        written.request();
        let Some(sealing) = sealing else { return lost };
        let totals: Totals = [lost, sealing.join().expect("no panic")].into_iter().sum();
        assert_eq!(totals.rows_quotes + totals.rows_trades, ROWS as u64, "{totals:?}");
        totals
    })
}

/// Processor time of this process so far.
fn processor() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<_> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |n: usize| fields[n].parse::<u64>().expect("a number");
    // In user mode and in the kernel, in hundredths of a second.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// The most memory this process has had.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).expect("Linux");
    line.split_whitespace().next().and_then(|it| it.parse().ok()).expect("a number")
}

fn bytes(dir: &Path) -> u64 {
    let entries = dir.read_dir().expect("a folder");
    entries
        .map(|entry| entry.and_then(|it| Ok((it.path(), it.metadata()?))).expect("a file"))
        .map(|(path, it)| if it.is_dir() { bytes(&path) } else { it.len() })
        .sum()
}

fn store(criterion: &mut Criterion) {
    use Compression::{Lz4, None, Snappy, Zstd};
    let mut group = criterion.benchmark_group("store");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    for (channel, compressions) in [
        (Channel::Quotes, [None, Lz4, Snappy, Zstd(1), Zstd(3)].as_slice()),
        (Channel::Trades, &[Zstd(1)]),
    ] {
        let registry = Registry::default();
        let events = events(&registry, channel);
        let events: Vec<_> = events.chunks(DRAINED).map(<[_]>::to_vec).collect();
        let (before, peak_before) = (processor(), peak());
        for _ in 0..REPEATED {
            let dir = tempfile::tempdir().expect("a folder");
            let dataset = Dataset::open(dir.path()).expect("a dataset");
            write(&dataset, &registry, Zstd(1), true, events.clone());
        }
        let each = processor().saturating_sub(before).as_nanos() / (REPEATED * ROWS) as u128;
        eprintln!(
            "{channel} zstd(1): {each} ns of processor time a row, with the copy it is given; \
             {} KiB of memory, {} KiB more than before",
            peak(),
            peak() - peak_before
        );
        for &compression in compressions {
            let once = tempfile::tempdir().expect("a folder");
            let dataset = Dataset::open(once.path()).expect("a dataset");
            write(&dataset, &registry, compression, true, events.clone());
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let bytes = bytes(once.path()) as f64 / ROWS as f64;
            eprintln!("{channel} {compression}: {bytes:.2} bytes a row");
        }
        let variants = compressions.iter().map(|&it| (it.to_string(), it, true));
        for (name, compression, sealed) in
            variants.chain([("journal only".to_owned(), None, false)])
        {
            group.bench_function(format!("{channel} {name}"), |bencher| {
                bencher.iter_batched(
                    || (tempfile::tempdir().expect("a folder"), events.clone()),
                    |(dir, events)| {
                        let dataset = Dataset::open(dir.path()).expect("a dataset");
                        write(&dataset, &registry, compression, sealed, events);
                        dir
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

criterion_group!(benches, store);
criterion_main!(benches);
