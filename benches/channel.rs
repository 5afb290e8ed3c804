//! The queues, from one producer to many, as fast as they can.

use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spread_aggregator::{
    channel::{Received, Sent, fair, newest},
    market::{ConnId, Event, InstrumentId, Level, Nanos, Quote},
};

const CAPACITY: usize = 100_000;
const EVENTS: usize = 400_000;
const FLOWS: usize = 16;

fn event(n: usize) -> Event {
    let level = Level { price: 1.0, size: 1.0 };
    Event::Quote(Quote {
        instrument: InstrumentId(0),
        conn: ConnId(0),
        ts_event: None,
        ts_recv: Nanos(0),
        bid: Some(level),
        ask: Some(level),
        sequence: i64::try_from(n).ok(),
    })
}

/// Runs `producers` threads that send all events between them, and `drain` until it says that they have gone;
/// returns how many were received and how many evicted.
fn run(
    producers: usize,
    produce: impl Fn(usize) -> usize + Clone + Send,
    drain: impl Fn(&mut Vec<Event>) -> Received,
) -> (usize, usize) {
    thread::scope(|scope| {
        let producers: Vec<_> = (0..producers)
            .map(|it| {
                let produce = produce.clone();
                scope.spawn(move || produce(it))
            })
            .collect();
        drop(produce);
        let (mut batch, mut received) = (Vec::new(), 0);
        loop {
            match drain(&mut batch) {
                Received::Closed => break,
                Received::Nothing => thread::yield_now(),
                Received::Items => received += batch.len(),
            }
            batch.clear();
        }
        let evicted = producers.into_iter().map(|it| it.join().expect("no panic")).sum();
        (received, evicted)
    })
}

/// One event at a time, through `crossbeam-channel`.
fn singly(producers: usize) -> (usize, usize) {
    let (tx, rx) = newest(CAPACITY);
    let produce = move |_| {
        let (mut scratch, mut evicted) = (Vec::new(), 0);
        for n in 0..EVENTS / producers {
            if let Sent::Evicted(n) = tx.send(event(n), &mut scratch) {
                evicted += n;
                scratch.clear();
            }
        }
        evicted
    };
    run(producers, produce, |it| rx.drain(it, 8_192))
}

/// So many at a time, each producer as a flow.
fn batched(producers: usize, size: usize) -> (usize, usize) {
    let (tx, rx) = fair::queue(FLOWS, CAPACITY);
    let produce = move |producer| {
        let (mut batch, mut scratch, mut evicted) = (Vec::new(), Vec::new(), 0);
        for n in 0..EVENTS / producers / size {
            batch.extend((n * size..(n + 1) * size).map(event));
            evicted += tx.send(producer % FLOWS, &mut batch, &mut scratch).expect("it is there");
            scratch.clear();
        }
        evicted
    };
    run(producers, produce, |it| rx.drain(it, 8_192))
}

fn channel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for producers in [1, 8, 32] {
        group.bench_function(format!("newest, {producers} producers"), |it| {
            it.iter(|| {
                let (received, evicted) = singly(producers);
                assert_eq!(received + evicted, EVENTS);
            });
        });
        for size in [1, 5, 25] {
            group.bench_function(format!("fair, {producers} producers, {size} a batch"), |it| {
                it.iter(|| {
                    let (received, evicted) = batched(producers, size);
                    assert_eq!(received + evicted, EVENTS);
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = channel
}
criterion_main!(benches);
