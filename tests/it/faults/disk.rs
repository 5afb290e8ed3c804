//! Everything at once: venues that fail, clients that do not read, a disk that is full, and a program
//! that is killed.
//!
//! `CHAOS_SEED` repeats a schedule, which is printed; `FAULT_ROUNDS` makes it longer.

use std::{collections::HashSet, fmt::Write as _, fs, path::Path, time::Instant};

use fastrand::Rng;
use spread_aggregator::simulator::Fault;

use super::{
    super::support::{
        account::accounted_for_after,
        child::Process,
        stage::{Scene, from_env, slow_client},
        world::eventually,
    },
    hold,
};
use crate::store::failures::Tmpfs;

/// Each needs a process that has died to be recovered.
const ROUNDS: u64 = 3;

const KINDS: [&str; 14] = [
    "drop",
    "eof",
    "close",
    "mute",
    "half-open",
    "garbage",
    "torn",
    "trickle",
    "wrong-encoding",
    "twice",
    "swap",
    "oversized",
    "refuse",
    "http=503",
];

#[test]
fn all_faults_together_lose_nothing_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let Some(_disk) = Tmpfs::mount(&path, "48m") else {
        return eprintln!("skipped: mounting a file system is not permitted here");
    };
    let seed = from_env("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let rounds = from_env("FAULT_ROUNDS").unwrap_or(ROUNDS);
    println!("CHAOS_SEED={seed} FAULT_ROUNDS={rounds}");
    let mut rng = Rng::with_seed(seed);
    let (mut sent, mut kills) = (Vec::new(), 0);
    let each = "heartbeat_timeout = \"2s\"\nstale_after = \"3s\"\n";
    let top = "journal_flush = \"500ms\"\nrotate = \"3s\"";
    Scene { rate: 2_000.0, each, top, ..Scene::default() }.play(&path, |mut stage| {
        for round in 0..rounds {
            stage.until_all_deliver();
            let _slow = slow_client(stage.served);
            let before = stage.program.usage();
            let mut said = String::new();
            for &venue in &stage.venues {
                let fault: Fault = KINDS[rng.usize(..KINDS.len())].parse().unwrap();
                let _ = write!(said, " {fault}@{venue}");
                stage.simulator.inject(venue, fault);
            }
            hold(rng.u64(..500));
            let full = rng.bool() || round == 0;
            if full {
                fill(&path);
                hold(rng.u64(200..1_500));
            }
            let killed = rng.bool() || round == 0;
            if killed {
                stage.restart();
                kills += 1;
            }
            hold(rng.u64(..500));
            let _ = fs::remove_file(path.join("ballast"));
            stage.venues.iter().for_each(|it| stage.simulator.clear(*it));
            let cleared = Instant::now();
            stage.until_all_deliver();
            let back = cleared.elapsed().as_secs_f64();
            eventually("the disk is written to again", || {
                !stage.get("/healthz").contains("cannot be written to")
            });
            if !killed {
                stage.program.until_given_back(before);
            }
            println!("round {round}: full {full}, killed {killed},{said}: back in {back:.1} s");
        }
        sent = stage.end();
    });
    let data = path.join("data");
    for (command, name) in [("recover", "recovered"), ("verify", "verified")] {
        let (status, out) = Process::start(&[command, data.to_str().unwrap()]).end();
        assert!(status.success(), "{name}: {out}");
    }
    let all = sent.iter().map(|it| it.0).collect::<HashSet<_>>();
    let account = accounted_for_after(&data, &sent, &all, kills);
    println!("{account:?}");
    assert!(account.declared.contains_key("crash"), "{account:?}");
}

/// Writes until nothing goes any more.
fn fill(path: &Path) {
    let _ = fs::write(path.join("ballast"), vec![1; 64 << 20]);
}
