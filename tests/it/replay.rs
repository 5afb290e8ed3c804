//! What was captured is stored again as it was, however often it is replayed.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use proptest::prelude::*;
use spread_aggregator::{
    capture::{Found, Merge, Read},
    exchange,
    market::{Channel, Venue},
    metrics::Metrics,
    pipeline::{self, Pace, Replayed},
    simulator::{Fault, Options},
    stop::Stop,
};

use super::support::{
    gaps::{Gap, gaps},
    rows::{EpisodeRow, Row, episodes, files, rows},
    world::{Setting, World, eventually},
};

/// All that a dataset holds, sorted.
#[derive(Debug, PartialEq)]
struct Stored {
    quotes: Vec<Row>,
    trades: Vec<Row>,
    episodes: Vec<EpisodeRow>,
    gaps: Vec<Gap>,
}

fn stored(dir: &Path) -> Stored {
    let sorted = |channel| {
        let mut rows: Vec<(String, Row)> =
            rows(dir, channel).into_iter().map(|it| (format!("{it:?}"), it)).collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows.into_iter().map(|it| it.1).collect()
    };
    let mut episodes = episodes(dir);
    episodes.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let (quotes, trades) = (sorted(Channel::Quotes), sorted(Channel::Trades));
    Stored { quotes, trades, episodes, gaps: gaps(dir) }
}

/// Collects from all venues with a capture beside the dataset while `test` looks on.
fn captured(
    dir: &Path,
    keys: &str,
    each: &str,
    rate: f64,
    test: impl FnOnce(&World<'_>),
) -> PathBuf {
    let capture = dir.join("capture");
    let top = format!("[capture]\ndir = {:?}\n{keys}", capture.display().to_string());
    let options = Options {
        venues: exchange::ALL.iter().map(|it| it.venue).collect(),
        symbols: 10,
        rate,
        limits: false,
        ..Options::default()
    };
    let summary = Setting { options, top: &top, each }.run(&dir.join("run"), |world| {
        test(world);
        assert_eq!(world.metrics.queue("capture").dropped.get(), 0);
    });
    assert_eq!(summary.unwrap().dropped, 0);
    capture
}

fn replay(capture: &Path, out: &Path, pace: Pace) -> Replayed {
    let text = "[[exchange]]\nname = \"okx\"";
    let mut plan = spread_aggregator::config::parse(text, Path::new("x")).unwrap();
    out.clone_into(&mut plan.storage.dir);
    plan.live = None;
    plan.venues.clear();
    pipeline::replay(capture, pace, &plan, &Metrics::new(), &Stop::default()).unwrap()
}

#[test]
fn a_replay_stores_what_the_run_stored_and_so_does_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let capture = captured(dir.path(), "", "lifetime = \"4s\"", 3_000.0, |world| {
        world.until_all_deliver(300);
        for &venue in world.venues {
            world.simulator.inject(venue, Fault::Close);
        }
        for &venue in world.venues {
            let replaced = || {
                2 <= world.venue(venue).connections.get() || {
                    let lifetime = spread_aggregator::metrics::ReconnectReason::Lifetime;
                    1 <= world.venue(venue).reconnects(lifetime)
                }
            };
            eventually(&format!("{venue} is replaced"), replaced);
        }
        world.until_all_deliver(300);
    });
    let run = stored(&dir.path().join("run"));
    let [first, second] = [("a", Pace::Max), ("b", Pace::Times(3.0))].map(|(name, pace)| {
        let out = dir.path().join(name);
        let it = replay(&capture, &out, pace);
        assert_eq!((it.bad, it.done.strangers, it.done.lost, it.stopped), (0, 0, 0, false));
        assert_eq!(it.summary.dropped, 0);
        stored(&out)
    });
    assert_eq!(first.quotes, run.quotes);
    assert_eq!(first.trades, run.trades);
    assert!(10_000 < run.quotes.len(), "{}", run.quotes.len());
    assert!(1_000 < run.trades.len(), "{}", run.trades.len());
    assert!(!first.episodes.is_empty());
    assert_eq!(first.quotes, second.quotes);
    assert_eq!(first.trades, second.trades);
    assert_eq!(first.gaps, second.gaps);
    let other = first.episodes.iter().zip(&second.episodes).find(|(a, b)| a != b);
    assert_eq!((first.episodes.len(), other), (second.episodes.len(), None));

    let told = command(&capture, &dir.path().join("c"));
    let told = String::from_utf8(told.stdout).unwrap();
    let decoded = format!("\n{} events decoded in", run.quotes.len() + run.trades.len());
    assert!(told.contains(&decoded), "{decoded}: {told}");
}

#[test]
fn what_is_whole_of_a_damaged_capture_is_replayed_and_old_files_go() {
    let dir = tempfile::tempdir().unwrap();
    let keys = "rotate = \"300ms\"\nrotate_size = \"1MiB\"\nmax_size = \"4MiB\"";
    let capture = captured(dir.path(), keys, "", 10_000.0, |world| {
        eventually("old files go", || 3 <= world.metrics.capture.removed.get());
        world.until_all_deliver(100);
    });
    let all = files(&capture);
    let bytes: u64 = all.iter().map(|it| fs::metadata(it).unwrap().len()).sum();
    assert!(2 < all.len() && bytes < 5 << 20, "{} files, {bytes} bytes", all.len());
    let run = stored(&dir.path().join("run"));
    let whole = replay(&capture, &dir.path().join("whole"), Pace::Max);
    assert_eq!((whole.bad, whole.done.strangers), (0, 0), "each file stands for itself");

    // One is torn, one is damaged, and one is something else.
    let torn = fs::read(&all[0]).unwrap();
    fs::write(&all[0], &torn[..torn.len() - 7]).unwrap();
    let mut damaged = fs::read(&all[1]).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&all[1], damaged).unwrap();
    fs::write(&all[2], b"not a capture, and longer than the head of a block").unwrap();
    let it = replay(&capture, &dir.path().join("damaged"), Pace::Max);
    assert_eq!(it.bad, 3);
    assert!(it.done.frames < whole.done.frames && 0 < it.done.frames, "{it:?}");
    let of = |name: &str| stored(&dir.path().join(name));
    let (whole, damaged) = (of("whole"), of("damaged"));
    // What a venue repeats may be new to a replay that lacks the first time.
    let is_part = |of: &[Row], all: &[Row]| {
        let all: HashSet<_> = all.iter().map(Row::identity).collect();
        of.iter().all(|it| all.contains(&it.identity()))
    };
    assert!(is_part(&whole.trades, &run.trades) && is_part(&damaged.trades, &whole.trades));
}

#[test]
fn a_folder_that_holds_rows_or_no_capture_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir_all(dir.path().join("out/trades/date=2026-11-23")).unwrap();
    fs::create_dir(dir.path().join("capture")).unwrap();
    for (capture, out, says) in
        [("nowhere", "new", "nowhere"), ("capture", "new", "no file ends in .jsonl.zst")]
    {
        let ended = refused(&path(capture), &path(out));
        assert!(ended.contains(says), "{ended}");
    }
    fs::write(dir.path().join("capture/x.jsonl.zst"), b"").unwrap();
    let ended = refused(&path("capture"), &path("out"));
    assert!(ended.contains("trades already") && ended.contains("--out"), "{ended}");
}

fn command(capture: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spread-aggregator"));
    command.arg("replay").arg(capture).arg("--out").arg(out).output().unwrap()
}

fn refused(capture: &str, out: &str) -> String {
    let ended = command(Path::new(capture), Path::new(out));
    assert_eq!(ended.status.code(), Some(2));
    String::from_utf8(ended.stderr).unwrap()
}

/// Lines of a capture, some of them nonsense.
fn line() -> impl Strategy<Value = String> {
    let of = r#""feed":"f","exchange":"okx","market":"spot","conn":1,"ts_recv":1"#;
    let listed = r#"{"symbol":"A-B","symbol_native":"A-B","contract_size":1}"#;
    let frame = r#"{\"arg\":{\"channel\":\"trades\",\"instId\":\"A-B\"},\"data\":[{\"instId\":\"A-B\",\"tradeId\":\"1\",\"px\":\"1\",\"sz\":\"1\",\"side\":\"buy\",\"ts\":\"1\"}]}"#;
    let whole = vec![
        r#"{"capture":1,"run":"x"}"#.to_owned(),
        format!(r#"{{{of},"channels":["trades"],"instruments":[{listed}]}}"#),
        format!(r#"{{{of},"raw":"{frame}"}}"#),
        format!(r#"{{{of},"raw_b64":"AAAA"}}"#),
        format!(r#"{{{of},"mark":"overlap"}}"#),
        format!(r#"{{{of},"mark":"over"}}"#),
        format!(r#"{{{of},"mark":"fresh"}}"#),
        format!(r#"{{{of},"lost":18446744073709551615}}"#),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 0..2);
    let numbers = prop::sample::select(vec!["1", "2", "4102444799999999999", "0", "-1"]);
    (prop::sample::select(whole), edits, numbers).prop_map(|(line, edits, number)| {
        let line = line.replace("\"ts_recv\":1", &format!("\"ts_recv\":{number}"));
        let mut line: Vec<char> = line.chars().collect();
        for (at, it) in edits {
            let at = at.index(line.len());
            line[at] = it;
        }
        line.into_iter().filter(|it| *it != '\n').collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_capture_panics(lines in prop::collection::vec(line(), 0..40)) {
        use spread_aggregator::{
            capture::Line, channel::{fair, newest}, feed::{drops::Drops, replay::{Ends, Replay}, sinks::{Lane, Sinks}},
            ledger::Ledger, registry::Registry,
        };
        let (metrics, registry) = (Metrics::new(), Registry::default());
        let (queue, _events) = fair::queue(Venue::COUNT, 1_000);
        let (records, _records) = newest(1_000);
        let drops = Drops::new(&registry);
        let lane = Lane { queue, metrics: metrics.queue("writer-0") };
        let sinks = Sinks::new(vec![lane], Vec::new(), &drops);
        let ledger = Ledger::new(records, &metrics);
        let ends = Ends { sinks, ledger, registry: &registry, metrics: &metrics };
        let mut replay = Replay::new(ends, std::time::Instant::now());
        let mut merge = Merge::default();
        lines.iter().filter_map(|it| Line::parse(it.as_bytes()).ok()).for_each(|it| merge.push(it));
        merge.finish();
        while let Some((_, line)) = merge.pop() {
            let _ = replay.line(line);
        }
        prop_assert_eq!(replay.finish().panics, 0);
    }

    #[test]
    fn any_bytes_are_a_capture_that_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.jsonl.zst"), &bytes).unwrap();
        let found: Vec<_> = Read::open(dir.path()).unwrap().collect();
        prop_assert!(found.iter().all(|it| matches!(it, Found::Bad(_))));
        prop_assert_eq!(found.is_empty(), bytes.is_empty());
    }
}
