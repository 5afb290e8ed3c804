//! Quotes compared between 8 exchanges of 1000 symbols, 400,000 a second.

use std::{
    cell::Cell,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use parking_lot::Mutex;
use spread_aggregator::{
    channel::{Received, fair, newest},
    config,
    market::{
        ConnId, Event, Exchange, Instrument, InstrumentId, Level, Market, Nanos, Quote, Venue,
    },
    metrics::Metrics,
    registry::Registry,
    spreads::{Ends, Out, Outlet, Settings, Spreads, Tap, run},
};

const SYMBOLS: usize = 1_000;
const QUOTES: usize = 400_000;
/// 2.5 us apart: 400,000 a second.
const EVERY: i64 = 2_500;
const START: i64 = 1_790_000_000_000_000_000;

fn settings() -> Settings {
    let exchange = |it: &Exchange| format!("[[exchange]]\nname = \"{it}\"\n");
    let text: String = Exchange::ALL.iter().map(exchange).collect();
    let plan = config::parse(&text, "bench.toml".as_ref()).expect("valid");
    plan.spreads.expect("enabled")
}

fn instruments() -> Vec<Instrument> {
    let of = |exchange| {
        (0..SYMBOLS).map(move |n| Instrument {
            venue: Venue::new(exchange, Market::Spot),
            symbol: format!("S{n}-USDT"),
            symbol_native: format!("S{n}USDT"),
            contract_size: 1.0,
        })
    };
    Exchange::ALL.into_iter().flat_map(of).collect()
}

/// Prices of one symbol that differ by a few basis points, now and then by enough to pay.
fn quotes() -> Vec<Quote> {
    let mut rng = Rng::with_seed(7);
    let instruments = SYMBOLS * Exchange::ALL.len();
    let quote = |n: usize| {
        let at = i64::try_from(n).expect("small") * EVERY;
        let off = (rng.f64() - 0.5).powi(3) * 0.012;
        let level = |it: f64| Some(Level { price: 100.0 * (1.0 + off + it), size: 1.0 });
        Quote {
            instrument: InstrumentId(u32::try_from(rng.usize(..instruments)).expect("small")),
            conn: ConnId(0),
            ts_event: None,
            ts_recv: Nanos(START + at),
            bid: level(-0.000_1),
            ask: level(0.000_1),
            sequence: None,
        }
    };
    (0..QUOTES).map(quote).collect()
}

fn engine() -> Spreads {
    let mut engine = Spreads::new(&settings());
    for (n, instrument) in instruments().into_iter().enumerate() {
        let id = InstrumentId(u32::try_from(n).expect("small"));
        engine.list(id, &Arc::new(instrument), &mut Out::default());
    }
    engine
}

/// The engine alone.
fn update(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spreads");
    let quotes = quotes();
    group.throughput(Throughput::Elements(QUOTES as u64));
    for (name, wanted) in [("engine", false), ("engine, all crosses wanted", true)] {
        group.bench_function(name, |it| {
            it.iter_batched_ref(
                || (engine(), Out { wanted, ..Out::default() }),
                |(engine, out)| {
                    for quotes in quotes.chunks(1_024) {
                        for quote in quotes {
                            engine.on_quote(black_box(quote), out);
                        }
                        out.crosses.clear();
                        out.episodes.clear();
                    }
                    assert!(100 < engine.counts().episodes);
                },
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// What is asked of a full engine.
fn ask(criterion: &mut Criterion) {
    let (mut engine, mut out) = (engine(), Out::default());
    let quotes = quotes();
    for step in 0..180 {
        let later = step * 5_000_000_000;
        for quote in &quotes[..20_000] {
            let ts_recv = Nanos(quote.ts_recv.0 + later);
            engine.on_quote(&Quote { ts_recv, ..*quote }, &mut out);
        }
        engine.tick(Nanos(START + 50_000_000 + later), &mut out);
    }
    let mut group = criterion.benchmark_group("spreads, asked");
    group.bench_function("100 best crosses", |it| it.iter(|| engine.crosses(100, |_, _| true)));
    group.bench_function("quotes of a symbol", |it| it.iter(|| engine.quotes_of("S500-USDT")));
    group.bench_function("history of an instrument", |it| {
        it.iter(|| engine.history("S500-USDT", Market::Spot, Exchange::ALL[3]));
    });
    group.bench_function("56 cross histories of a symbol", |it| {
        it.iter(|| engine.cross_histories("S500-USDT", Market::Spot, None));
    });
    group.finish();
}

/// The whole thread, from its queue on: the time that a queue of quotes takes it.
fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spreads, thread");
    group.throughput(Throughput::Elements(QUOTES as u64));
    let quotes = quotes();
    for (name, listening) in [("nobody listens", false), ("all crosses are sent on", true)] {
        group.bench_function(name, |it| {
            it.iter_custom(|n| (0..n).map(|_| thread_run(&quotes, listening)).sum());
        });
    }
    group.finish();
}

fn thread_run(quotes: &[Quote], listening: bool) -> Duration {
    let (metrics, registry) = (Metrics::new(), Registry::default());
    for it in instruments() {
        registry.intern(it).expect("room");
    }
    let (events, to_run) = fair::queue(1, QUOTES);
    let (records, recorded) = newest(100_000);
    let (queue, crossed) = fair::queue(1, 16_384);
    let records = Outlet { queue: records, metrics: metrics.queue("ledger") };
    let open = Arc::new(AtomicBool::new(listening));
    let tap = Tap { queue, metrics: metrics.queue("crosses"), open };
    let state = Mutex::new(engine());
    let mut batch = quotes.iter().copied().map(Event::Quote).collect();
    assert_eq!(events.send(0, &mut batch, &mut Vec::new()), Ok(0));
    drop(events);
    let ends = Ends {
        events: &to_run,
        queue: &metrics.queue("spreads"),
        registry: &registry,
        records: &records,
        crosses: Some(&tap),
        metrics: metrics.spreads(),
    };
    let over = AtomicBool::new(false);
    let elapsed = thread::scope(|scope| {
        scope.spawn(|| {
            let (mut seen, mut records) = (Vec::new(), Vec::new());
            while !over.load(Ordering::Relaxed) {
                while crossed.drain(&mut seen, 1_024) == Received::Items {
                    seen.clear();
                }
                while recorded.drain(&mut records, 1_024) == Received::Items {
                    records.clear();
                }
                thread::park_timeout(Duration::from_millis(1));
            }
        });
        let start = Instant::now();
        // As late at each batch as its last quote was received: nothing waits.
        let batches = Cell::new(0);
        let clock = |_: &[Event]| Nanos(START + batches.replace(batches.get() + 1) * 8_192 * EVERY);
        run(&ends, &state, Duration::ZERO, clock);
        over.store(true, Ordering::Relaxed);
        start.elapsed()
    });
    assert_eq!(metrics.spreads().updates.get(), quotes.len() as u64);
    assert_eq!(metrics.spreads().late.get(), 0);
    elapsed
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = update, whole, ask
}
criterion_main!(benches);
