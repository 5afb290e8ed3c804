//! The whole: simulated exchanges, sockets, decoding, queues, Parquet. The exchanges run in the
//! same process, so this is a figure to compare with itself.

use std::{
    fmt::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spread_aggregator::{
    config::{self, Plan},
    exchange::ALL,
    metrics::Metrics,
    pipeline,
    simulator::{Options, Simulator},
    stop::Stop,
};

/// Events a measurement is over.
const EVENTS: u64 = 200_000;

fn plan(simulator: &Simulator, dir: &Path, live: &str) -> Plan {
    let mut text = format!("[live]\n{live}\n[storage]\ndir = {:?}\n", dir.display().to_string());
    for venue in ALL.iter().map(|it| it.venue) {
        let (ws, rest) = (simulator.ws_url(venue), simulator.rest_url(venue));
        write!(
            text,
            "[[exchange]]\nname = \"{}\"\nmarket = \"{}\"\nws_url = \"{ws}\"\n\
             rest_url = \"{rest}\"\nmin_quote_volume = 0\n",
            venue.exchange, venue.market
        )
        .expect("writing to a String does not fail");
    }
    config::parse(&text, Path::new("bench.toml")).expect("valid")
}

/// The time from the first event decoded to [`EVENTS`] of them.
fn run(rate: f64, live: &str) -> Duration {
    let dir = tempfile::tempdir().expect("a folder");
    let venues = ALL.iter().map(|it| it.venue).collect();
    let options = Options { venues, rate, symbols: 100, limits: false, ..Options::default() };
    let simulator = Simulator::bind(options).expect("a port");
    let plan = plan(&simulator, dir.path(), live);
    let (metrics, stop, closing_time) = (Metrics::new(), Stop::default(), Stop::default());
    let decoded = || -> u64 {
        let venues = ALL.iter().map(|it| metrics.venue(it.venue));
        venues.map(|it| it.quotes.get() + it.trades.get()).sum()
    };
    let until = |events| {
        while decoded() < events {
            thread::park_timeout(Duration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| simulator.serve(&closing_time));
        let running = scope.spawn(|| pipeline::run(&plan, &metrics, &stop));
        until(1);
        let (start, before) = (Instant::now(), decoded());
        until(before + EVENTS);
        let elapsed = start.elapsed();
        stop.request();
        let summary = running.join().expect("no panic").expect("no failure");
        closing_time.request();
        let written = summary.written.rows_quotes + summary.written.rows_trades;
        assert_eq!(written + summary.dropped + summary.written.rows_lost, decoded());
        elapsed
    })
}

fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(EVENTS));
    // Clients can connect, and none does.
    let served = "listen = \"127.0.0.1:0\"";
    for (name, live) in [("as fast as it goes", "enabled = false"), ("served to nobody", served)] {
        group.bench_function(name, |it| {
            it.iter_custom(|n| (0..n).map(|_| run(2_000_000.0, live)).sum());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = whole
}
criterion_main!(benches);
