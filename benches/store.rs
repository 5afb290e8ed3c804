//! Rows a second into journals, and through them into closed Parquet files; processor time and bytes
//! a row, and memory.
//!
//! `cargo bench --bench store`; `TMPDIR=/dev/shm` takes the disk out of the measurement.

use std::{fs, path::Path, thread, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use spread_aggregator::{
    market::{
        Channel, ConnId, Event, Exchange, Instrument, InstrumentId, Level, Market, Nanos, Quote,
        Side, Trade, TradeId, Venue,
    },
    metrics::Metrics,
    registry::Registry,
    stop::Stop,
    store::{Compression, Dataset, Sealer, Settings, Totals, Writer, run_sealer},
};

const INSTRUMENTS: usize = 1_000;
const ROWS: usize = 1 << 19;
/// Events the writer takes out of its queue at a time.
const DRAINED: usize = 4_096;
/// How often all is written to measure processor time.
const REPEATED: usize = 8;
const START: i64 = 1_790_000_000_000_000_000;

/// An instrument and its random walk.
struct Walk {
    id: InstrumentId,
    tick: f64,
    lot: f64,
    /// In ticks.
    bid: f64,
    spread: f64,
    /// In lots.
    sizes: [f64; 2],
    sequence: i64,
    trade: u64,
}

impl Walk {
    fn new(registry: &Registry, n: usize, rng: &mut Rng) -> Self {
        let exchange = Exchange::ALL[n % Exchange::ALL.len()];
        let market = Market::ALL[n / Exchange::ALL.len() % Market::ALL.len()];
        let instrument = Instrument {
            venue: Venue::new(exchange, market),
            symbol: format!("COIN{n}-USDT"),
            symbol_native: format!("COIN{n}USDT"),
            contract_size: 1.0,
        };
        let price = 10_f64.powf(rng.f64() * 8.0 - 3.0);
        let tick = 10_f64.powf(price.log10().floor() - 4.0);
        Self {
            id: registry.intern(instrument).expect("room"),
            tick,
            lot: 10_f64.powf((-price.log10()).floor()),
            bid: (price / tick).round(),
            spread: 1.0,
            sizes: [100.0, 100.0],
            sequence: rng.i64(1_000_000_000..100_000_000_000),
            trade: rng.u64(1_000_000..10_000_000_000),
        }
    }

    fn step(&mut self, rng: &mut Rng) {
        self.sequence += rng.i64(1..40);
        match rng.u8(..10) {
            0 | 1 => {
                self.bid += [-1.0, 1.0][rng.usize(..2)];
                self.spread = f64::from(1 + rng.u8(..100) / 90);
                self.sizes = [size(rng), size(rng)];
            }
            n => self.sizes[usize::from(n % 2)] = size(rng),
        }
    }

    fn level(&self, ticks: f64, lots: f64) -> Level {
        let decimal = |value: f64| format!("{value:.9}").parse().expect("a number");
        Level { price: decimal(ticks * self.tick), size: decimal(lots * self.lot) }
    }

    fn quote(&self, ts_recv: i64, ts_event: i64) -> Event {
        Event::Quote(Quote {
            instrument: self.id,
            conn: ConnId(self.id.0 / 50),
            ts_event: Some(Nanos(ts_event)),
            ts_recv: Nanos(ts_recv),
            bid: Some(self.level(self.bid, self.sizes[0])),
            ask: Some(self.level(self.bid + self.spread, self.sizes[1])),
            sequence: Some(self.sequence),
        })
    }

    fn trade(&mut self, ts_recv: i64, ts_event: i64, rng: &mut Rng) -> Event {
        self.trade += 1;
        let Level { price, size } = self.level(self.bid, size(rng));
        // Every other Bybit instrument here is a perpetual, whose trades have UUIDs.
        let id = match self.id.0 % 6 {
            4 => TradeId::Uuid(rng.u128(..).to_be_bytes()),
            _ => TradeId::Number(self.trade),
        };
        Event::Trade(Trade {
            instrument: self.id,
            conn: ConnId(self.id.0 / 50),
            ts_event: Some(Nanos(ts_event)),
            ts_recv: Nanos(ts_recv),
            price,
            size,
            side: [Side::Buy, Side::Sell][rng.usize(..2)],
            id,
        })
    }
}

/// In lots: half of the orders are round, the rest is anything.
fn size(rng: &mut Rng) -> f64 {
    let any = (10_f64.powf(1.0 + rng.f64() * 4.0)).round();
    if rng.bool() { (any / 100.0).ceil() * 100.0 } else { any }
}

/// Few instruments make most of the events.
fn busy(rng: &mut Rng) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 999")]
    let n = (rng.f64().powi(3) * 1_000.0) as usize;
    n
}

fn events(registry: &Registry, channel: Channel) -> Vec<Event> {
    let mut rng = Rng::with_seed(7);
    let mut walks: Vec<_> = (0..INSTRUMENTS).map(|n| Walk::new(registry, n, &mut rng)).collect();
    let mut now = START;
    let mut event = |_| {
        now += rng.i64(0..20_000);
        let ts_event = (now - rng.i64(2_000_000..60_000_000)) / 1_000_000 * 1_000_000;
        let walk = &mut walks[busy(&mut rng)];
        walk.step(&mut rng);
        match channel {
            Channel::Quotes => walk.quote(now, ts_event),
            Channel::Trades => walk.trade(now, ts_event, &mut rng),
        }
    };
    (0..ROWS).map(&mut event).collect()
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
