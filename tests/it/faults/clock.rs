//! A system clock that is set while the program runs, by a library between it and the system.

use std::{collections::HashSet, fs, path::Path};

use spread_aggregator::feed::now;

use super::super::support::{
    account::accounted_for,
    child::Process,
    stage::{Scene, Stage},
    world::eventually,
};

/// Where distributions put libfaketime.
const LIBRARIES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];

/// How far the clock is off, one after the other, in seconds.
const JUMPS: [i64; 5] = [3_600, -3_600, 86_400, 1, 0];

/// What the program takes for the time, in seconds from ours.
fn offset(stage: &Stage<'_>) -> i64 {
    (stage.health()["time"].as_i64().unwrap() - now().0) / 1_000_000_000
}

/// Replaces a file at once.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn a_clock_that_jumps_loses_nothing_and_ends_no_connection() {
    let Some(library) = LIBRARIES.iter().find(|it| Path::new(it).exists()) else {
        return eprintln!("skipped: libfaketime is not installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clock");
    put(&file, "+0");
    let vars = vec![
        ("LD_PRELOAD", *library),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_CACHE_DURATION", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut sent = Vec::new();
    Scene { vars, top: "rotate = \"2s\"", ..Scene::default() }.play(dir.path(), |stage| {
        stage.until_all_deliver();
        let before = stage.program.usage();
        for jump in JUMPS {
            put(&file, &format!("{jump:+}"));
            eventually("the clock has been set", || {
                (offset(&stage) - jump).abs() <= 30 || jump.abs() < 30
            });
            stage.until_all_deliver();
            eventually("health is judged by the new time", || {
                stage.get("/healthz").starts_with("HTTP/1.1 200")
            });
        }
        stage.program.until_given_back(before);
        assert!(stage.metric("reconnects_total").values().all(|it| *it == 0));
        sent = stage.end();
    });
    let data = dir.path().join("data");
    let account = accounted_for(&data, &sent, &HashSet::new());
    println!("{} jumps: {account:?}", JUMPS.len());
    let (status, out) = Process::start(&["verify", data.to_str().unwrap()]).end();
    assert_eq!((status.code(), out.as_str()), (Some(0), ""));
    assert_eq!(fs::read_dir(data.join("quotes")).unwrap().count(), 2, "days");
}
