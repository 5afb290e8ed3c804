//! The queue, from one producer to many, as fast as they can.

use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spread_aggregator::{
    channel::{Received, Sent, newest},
    market::{ConnId, Event, InstrumentId, Level, Nanos, Quote},
};

const CAPACITY: usize = 100_000;
const EVENTS: usize = 400_000;

#[expect(clippy::cast_precision_loss, reason = "the prices only have to differ")]
fn event(n: usize) -> Event {
    let level = Level { price: n as f64, size: 1.0 };
    Event::Quote(Quote {
        instrument: InstrumentId(0),
        conn: ConnId(0),
        ts_event: None,
        ts_recv: Nanos(0),
        bid: Some(level),
        ask: Some(level),
        sequence: None,
    })
}

/// Sends all events; returns how many were received and how many evicted.
fn run(producers: usize) -> (usize, usize) {
    let (tx, rx) = newest(CAPACITY);
    thread::scope(|scope| {
        let producers: Vec<_> = (0..producers)
            .map(|_| {
                let tx = tx.clone();
                scope.spawn(move || {
                    let (mut scratch, mut evicted) = (Vec::new(), 0);
                    for n in 0..EVENTS / producers {
                        if let Sent::Evicted(n) = tx.send(event(n), &mut scratch) {
                            evicted += n;
                            scratch.clear();
                        }
                    }
                    evicted
                })
            })
            .collect();
        drop(tx);
        let (mut batch, mut received) = (Vec::new(), 0);
        loop {
            match rx.drain(&mut batch, 8_192) {
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

fn channel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for producers in [1, 8, 32] {
        group.bench_function(format!("{producers} producers"), |it| {
            it.iter(|| {
                let (received, evicted) = run(producers);
                assert_eq!(received + evicted, EVENTS);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = channel
}
criterion_main!(benches);
