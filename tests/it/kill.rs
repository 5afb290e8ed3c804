//! The program, killed at any moment.
//!
//! `KILLS=50 cargo test --test it kill -- --nocapture` kills it as often and says what was lost.

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use spread_aggregator::{market::Channel, store::Table};

use super::{
    store::crash::ledger,
    support::{
        child::{Exchanges, Process},
        rows::{files, read},
        world::{PATIENCE, eventually},
    },
};

/// Kills where nobody asks for more.
const FEW: usize = 4;

const JOURNAL_FLUSH: Duration = Duration::from_millis(500);

/// Events sent so far, by the time of asking.
type Samples = Vec<(Instant, u64)>;

/// One life of the collector.
struct Life {
    run: String,
    samples: Samples,
    killed: Instant,
}

fn sent(exchanges: &Exchanges) -> u64 {
    exchanges.sent("quotes")
}

/// The run that holds the only lock there is.
fn run_id(data: &Path) -> Option<String> {
    let locks = files(&data.join("journal"));
    let mut locks = locks.iter().filter_map(|it| it.file_name()?.to_str()?.strip_suffix(".lock"));
    let run = locks.next()?.to_owned();
    locks.next().is_none().then_some(run)
}

/// Lives until a moment that nothing in the program knows of.
fn live(exchanges: &Exchanges, config: &str, data: &Path, rng: &mut Rng) -> Life {
    let mut samples = vec![(Instant::now(), sent(exchanges))];
    let first = samples[0].1;
    let collector = Process::start(&["run", "-c", config]);
    eventually("data flows", || {
        samples.push((Instant::now(), sent(exchanges)));
        first + 500 < samples.last().expect("pushed").1
    });
    // The dead run's journals are files by now, or will be while this one lives.
    let mut run = None;
    eventually("the dead are recovered", || {
        run = run_id(data);
        run.is_some()
    });
    let end = Instant::now() + Duration::from_millis(rng.u64(0..2_500));
    while Instant::now() < end {
        samples.push((Instant::now(), sent(exchanges)));
        thread::park_timeout(Duration::from_millis(rng.u64(1..20)));
    }
    let killed = Instant::now();
    collector.signal("KILL");
    let (status, _) = collector.end();
    assert!(!status.success());
    samples.push((Instant::now(), sent(exchanges)));
    Life { run: run.expect("it was there"), samples, killed }
}

/// Files of one run in the dataset.
fn rows_of_run(data: &Path, run: &str, channel: Channel) -> usize {
    let files = files(&data.join(channel.name()));
    let of_run = |path: &&std::path::PathBuf| {
        path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(run))
    };
    files.iter().filter(of_run).map(|it| read(it).len()).sum()
}

#[test]
fn a_kill_costs_what_came_within_journal_flush_and_nothing_else() {
    let kills = env::var("KILLS").ok().and_then(|it| it.parse().ok());
    // On a machine that does much else, the program may be late.
    let patience = if kills.is_some() { Duration::from_secs(1) } else { PATIENCE };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let exchanges = Exchanges::start(&["--rate", "4000", "--symbols", "40", "--no-limits"]);
    let config = exchanges.config(dir.path(), "", "");
    // Files are closed all the time, so that kills meet that as well.
    let flush =
        format!("[storage]\njournal_flush = \"{}ms\"\nrotate = \"1s\"", JOURNAL_FLUSH.as_millis());
    let text = fs::read_to_string(&config).unwrap().replace("[storage]", &flush);
    fs::write(&config, text).unwrap();
    let mut rng = Rng::new();
    let mut lives = Vec::new();
    for n in 0..kills.unwrap_or(FEW) {
        lives.push(live(&exchanges, &config, &data, &mut rng));
        // The others are recovered by the next life.
        if n % 2 == 0 {
            let (status, out) = Process::start(&["recover", data.to_str().unwrap()]).end();
            assert!(status.success() && out.contains("0 journals damaged"), "{out}");
            assert!(files(&data.join("journal")).is_empty(), "{:?}", files(&data.join("journal")));
        }
    }
    let (status, out) = Process::start(&["recover", data.to_str().unwrap()]).end();
    assert!(status.success(), "{out}");
    assert!(files(&data.join("journal")).is_empty(), "{:?}", files(&data.join("journal")));

    let mut seen = HashMap::new();
    let (status, out) = Process::start(&["verify", data.to_str().unwrap()]).end();
    assert!(status.success() && out.is_empty(), "{out}");
    for channel in Channel::ALL {
        for path in files(&data.join(channel.name())) {
            for row in read(&path) {
                let before = seen.insert(format!("{row:?}"), path.clone());
                assert!(before.is_none(), "twice: {row:?} in {before:?} and {}", path.display());
            }
        }
    }
    assert_eq!(ledger(&data, "crash").len(), 6 * lives.len(), "two markets of three exchanges");
    let crashes = files(&data.join(Table::Gaps.name()));
    assert!(lives.iter().all(|life| {
        crashes
            .iter()
            .any(|it| it.to_string_lossy().ends_with(&format!("{}_crash.parquet", life.run)))
    }));
    for (n, Life { run, samples, killed }) in lives.iter().enumerate() {
        let kept = rows_of_run(&data, run, Channel::Quotes) as u64;
        let first = samples[0].1;
        let all = samples.last().expect("several").1 - first;
        assert!(kept <= all, "life {n}: {kept} quotes are stored of {all}");
        let lost = all - kept;
        // When as many had been sent as are stored.
        let until = samples.iter().rfind(|(_, sent)| sent - first <= kept).expect("the first");
        let late = killed.saturating_duration_since(until.0);
        assert!(late <= JOURNAL_FLUSH + patience, "life {n}: {lost} quotes of {late:?} are lost");
        if kills.is_some() {
            eprintln!("life {n}: {kept} quotes stored, {lost} lost: those of {late:?}");
        }
    }
}
