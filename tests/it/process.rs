//! The program as a user runs it: processes, signals, exit codes, files.

use std::{fs, path::Path, process::Command, thread, time::Instant};

use spread_aggregator::{
    feed::now,
    market::{Channel, Exchange, Market, Venue},
    simulator::{Fault, Options, Sent, Simulator},
    stop::Stop,
    store::Date,
};

use super::support::{
    child::{Exchanges, Process},
    rows::rows,
    tls::Certificates,
    world::{self, RequestOnDrop, eventually},
};

/// The number before `word` in the last line of a summary.
pub(crate) fn number(summary: &str, word: &str) -> u64 {
    let line = summary.lines().find(|it| it.contains("events decoded")).unwrap_or_default();
    let words: Vec<_> = line.split_whitespace().collect();
    let at = words.iter().position(|it| it.trim_end_matches([',', ':']) == word);
    let at = at.unwrap_or_else(|| panic!("no {word:?} in {summary}"));
    words[at - 1].parse().unwrap_or_else(|_| panic!("no number before {word:?} in {summary}"))
}

fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn sigterm_under_load_stores_all_that_was_decoded_and_leaves_nothing_open() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--symbols", "50", "--rate", "40000"]);
    let config = exchanges.config(dir.path(), "", "");
    let collector = Process::start(&["run", "-c", &config]);
    eventually("load", || 100_000 < exchanges.sent("frames"));
    collector.signal("TERM");
    let asked = Instant::now();
    let (status, summary) = collector.end();
    // The contract names the bound.
    assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
    assert_eq!(status.code(), Some(0), "{summary}");
    let data = dir.path().join("data");
    let decoded = number(&summary, "events");
    assert!(50_000 < decoded, "{summary}");
    let (quotes, trades) = (number(&summary, "quotes"), number(&summary, "trades"));
    assert_eq!(quotes + trades + number(&summary, "dropped") + number(&summary, "lost"), decoded);
    assert_eq!(rows(&data, Channel::Quotes).len() as u64, quotes);
    assert_eq!(rows(&data, Channel::Trades).len() as u64, trades);
    assert!(decoded <= exchanges.sent("quotes") + exchanges.sent("trades"));
    let is_finished = |it: &String| it.ends_with(".parquet") || it.contains("/manifest/");
    let unfinished: Vec<_> = files(&data).into_iter().filter(|it| !is_finished(it)).collect();
    assert!(unfinished.is_empty(), "{unfinished:?}");
}

#[test]
fn compact_and_verify_run_beside_a_collector() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--rate", "4000", "--symbols", "40", "--no-limits"]);
    let config = exchanges.config(dir.path(), "", "");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[storage]", "[storage]\nrotate = \"500ms\"")).unwrap();
    let collector = Process::start(&["run", "-c", &config]);
    let data = dir.path().join("data");
    let path = data.to_str().unwrap();
    for round in 0..4 {
        let before = exchanges.sent("quotes");
        eventually("data flows", || before + 2_000 < exchanges.sent("quotes"));
        let today = Date::from(now()).to_string();
        let (status, _) = Process::start(&["compact", path, "--date", &today]).end();
        assert_eq!(status.code(), Some(0), "round {round}");
        let (status, out) = Process::start(&["verify", path]).end();
        assert_eq!((status.code(), out.as_str()), (Some(0), ""), "round {round}");
    }
    collector.signal("TERM");
    let (status, summary) = collector.end();
    assert_eq!(status.code(), Some(0), "{summary}");
    assert_eq!(rows(&data, Channel::Quotes).len() as u64, number(&summary, "quotes"));
    assert_eq!(rows(&data, Channel::Trades).len() as u64, number(&summary, "trades"));
    let compacted = files(&data).into_iter().filter(|it| it.contains("_compacted-")).count();
    assert!(0 < compacted, "nothing was compacted");
    let (status, out) = Process::start(&["verify", path]).end();
    assert_eq!((status.code(), out.as_str()), (Some(0), ""));

    let damaged = files(&data.join("quotes")).remove(0);
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[100] ^= 4;
    fs::write(&damaged, bytes).unwrap();
    let verify = Process::start(&["verify", path]);
    verify.until_says("wrong or missing files: 1; ");
    let (status, out) = verify.end();
    assert_eq!((status.code(), out.lines().count()), (Some(1), 1), "{out}");
    let name = damaged.strip_prefix(&format!("{path}/")).unwrap();
    assert!(out.starts_with(&format!("{name}: checksum: expected ")), "{out}");
}

#[test]
fn all_that_was_sent_is_stored_when_the_exchanges_close_first() {
    let dir = tempfile::tempdir().unwrap();
    // All that is sent before a connection ends without a goodbye arrives.
    let exchanges = Exchanges::start(&[
        "--rate",
        "5000",
        "--fault",
        "eof:after=3s",
        "--fault",
        "http=503:after=3s",
    ]);
    let config = exchanges.config(dir.path(), "", "");
    let collector = Process::start(&["run", "-c", &config]);
    for venue in [
        "binance-spot-0",
        "binance-perp-0",
        "binance-perp-1",
        "bybit-spot-0",
        "bybit-perp-0",
        "okx-spot-0",
        "okx-perp-0",
    ] {
        collector.until_says(&format!("feed-{venue}: "));
    }
    collector.signal("TERM");
    let (status, summary) = collector.end();
    assert_eq!(status.code(), Some(0), "{summary}");
    assert_eq!(number(&summary, "quotes"), exchanges.sent("quotes"));
    assert_eq!(number(&summary, "trades"), exchanges.sent("trades"));
    assert!(0 < exchanges.sent("quotes"));
}

#[test]
fn promise_3_a_hundred_reconnects_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let three = [Exchange::Binance, Exchange::Bybit, Exchange::Okx];
    let venues: Vec<_> =
        three.iter().flat_map(|&it| Market::ALL.map(|market| Venue::new(it, market))).collect();
    let options = Options {
        venues: venues.clone(),
        symbols: 20,
        rate: 4_000.0,
        limits: false,
        ..Options::default()
    };
    let simulator = Simulator::bind(options).unwrap();
    let closing_time = Stop::default();
    thread::scope(|scope| {
        let _closing = RequestOnDrop(&closing_time);
        scope.spawn(|| simulator.serve(&closing_time));
        let config = dir.path().join("config.toml");
        let text = world::config(&simulator, &venues, dir.path(), "", "");
        fs::write(&config, text).unwrap();
        let collector = Process::start(&["run", "-c", config.to_str().unwrap()]);
        let sent = |of: fn(&Sent) -> u64| -> u64 {
            venues.iter().map(|&it| of(&simulator.sent(it))).sum()
        };
        let all_deliver = || {
            eventually("all are connected", || sent(|it| it.open) == 7);
            for &venue in &venues {
                let before = simulator.sent(venue).frames;
                eventually("data flows", || before + 500 < simulator.sent(venue).frames);
            }
        };
        all_deliver();
        let before = collector.usage();
        while sent(|it| it.connections) < 107 {
            for &venue in &venues {
                simulator.inject(venue, Fault::Drop);
            }
            eventually("all are connected", || sent(|it| it.open) == 7);
        }
        all_deliver();
        let after = collector.usage();
        assert_eq!(after.threads, before.threads);
        // A file may have been opened or closed since.
        assert!(after.descriptors <= before.descriptors + 2, "{before:?} {after:?}");
        assert!(after.resident <= before.resident + (8 << 20), "{before:?} {after:?}");
        collector.signal("INT");
        let (status, summary) = collector.end();
        assert_eq!(status.code(), Some(0), "{summary}");
    });
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody sends anything, so the connections take their time to look up.
    let exchanges = Exchanges::start(&["--rate", "0", "--symbols", "20"]);
    let config = exchanges.config(dir.path(), "", "");
    let collector = Process::start(&["run", "-c", &config]);
    eventually("all are connected", || exchanges.sent("open") == 7);
    collector.signal("TERM");
    collector.until_says("a second signal ends the program at once");
    collector.signal("TERM");
    let (status, _) = collector.end();
    // Where the machine was too slow to send it in time, the program has ended in order.
    assert!(matches!(status.code(), Some(130 | 0)), "{status}");
}

#[test]
fn a_dataset_that_cannot_be_written_is_exit_code_1_with_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--exchanges", "okx"]);
    let config = exchanges.config(dir.path(), "", "");
    fs::write(dir.path().join("data"), "a file where the folder should be").unwrap();
    let (status, out) = Process::start(&["run", "-c", &config]).end();
    assert_eq!((status.code(), out.as_str()), (Some(1), ""));
}

#[test]
fn the_demonstration_writes_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let data = data.to_str().unwrap();
    let demo = Process::start(&[
        "demo",
        "--for",
        "3s",
        "--rate",
        "5000",
        "--symbols",
        "30",
        "--dir",
        data,
    ]);
    let (status, summary) = demo.end();
    assert_eq!(status.code(), Some(0), "{summary}");
    assert_eq!(rows(Path::new(data), Channel::Quotes).len() as u64, number(&summary, "quotes"));
    assert_eq!(rows(Path::new(data), Channel::Trades).len() as u64, number(&summary, "trades"));
    assert!(summary.contains("read_parquet("), "{summary}");
}

#[test]
fn symbols_feed_decode() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--exchanges", "okx", "--symbols", "40"]);
    let config = exchanges.config(dir.path(), "", "");
    let (status, symbols) =
        Process::start(&["symbols", "--exchange", "okx", "--market", "perp", "-c", &config]).end();
    assert_eq!(status.code(), Some(0), "{symbols}");
    let btc = symbols.lines().find(|it| it.contains("BTC-USDT-SWAP")).unwrap();
    let btc: serde_json::Value = serde_json::from_str(btc).unwrap();
    assert_eq!(btc["symbol"], "BTC-USDT");
    let list = dir.path().join("symbols.jsonl");
    fs::write(&list, &symbols).unwrap();
    let frames = dir.path().join("frames.jsonl");
    let frame = r#"{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[{"asks":[["90000.5","3"]],"bids":[],"ts":"1790000000000","seqId":1}]}"#;
    let captured = serde_json::json!({ "raw": frame, "ts_recv": "1790000000.25" });
    fs::write(&frames, format!("{captured}\n{frame}\nnonsense\n{{\"raw_b64\":\"AAE=\"}}\npong\n"))
        .unwrap();
    let args = ["decode", "--exchange", "okx", "--market", "perp"];
    let files = ["--instruments", list.to_str().unwrap(), frames.to_str().unwrap()];
    let (status, out) = Process::start(&[&args[..], &files].concat()).end();
    assert_eq!(status.code(), Some(0), "{out}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert_eq!(lines[0]["symbol"], "BTC-USDT");
    assert_eq!(lines[0]["ts_recv"], 1_790_000_000_250_000_000_i64);
    assert_eq!(lines[0]["ask_size"], 3.0 * btc["contract_size"].as_f64().unwrap());
    assert_eq!(lines[0]["bid_price"], serde_json::Value::Null);
    assert_eq!(lines[1]["ts_event"], 1_790_000_000_000_000_000_i64);
    let types: Vec<_> = lines.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["quote", "quote", "error", "error", "control"]);
}

#[test]
fn validate_asks_the_exchanges_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--exchanges", "binance,bybit", "--symbols", "300"]);
    let config = exchanges.config(dir.path(), "", "symbols = [\"BTC-USDT\", \"NOPE-USDT\"]");
    let (status, out) = Process::start(&["validate", "-c", &config]).end();
    assert_eq!(status.code(), Some(0), "{out}");
    let refused = Process::start(&["validate", "--online", "-c", &config]);
    refused.until_says("not listed: NOPE-USDT");
    assert_eq!(refused.end().0.code(), Some(1));
    let config = exchanges.config(dir.path(), "", "threads = 6");
    let (status, out) = Process::start(&["validate", "--online", "-c", &config]).end();
    assert_eq!(status.code(), Some(0), "{out}");
    let spot = out.lines().find(|it| it.starts_with("binance") && it.contains("spot")).unwrap();
    assert!(spot.split_whitespace().any(|it| it == "6"), "{out}");
}

#[test]
fn simulated_exchanges_show_a_certificate_when_they_have_one() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = Certificates::for_server("localhost");
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let chain = [&certificates.server.chain[..], &certificates.authority].concat();
    let (chain, key) = (file("chain.pem", &chain), file("key.pem", &certificates.server.key));
    let at = ["simulate", "--listen", "127.0.0.1:0", "--exchanges", "okx,kucoin"];
    let with = ["--market", "spot", "--frames-per-write", "1", "--tls", &chain, &key];
    let mut simulate = Process::start(&[&at[..], &with].concat());
    let lines: String = (0..=2 * 6).map(|_| simulate.line()).collect();
    let authority = file("ca.pem", &certificates.authority);
    let config = file("config.toml", lines.replace(&chain, &authority).as_bytes());
    let (status, out) = Process::start(&["validate", "--online", "-c", &config]).end();
    assert_eq!(status.code(), Some(0), "{out}");
    let swapped = Process::start(&[&at[..], &["--tls", &key, &chain]].concat());
    swapped.until_says("the certificate and its PKCS #8 key cannot be used");
    assert_eq!(swapped.end().0.code(), Some(2));
}

#[test]
fn wrong_usage_is_exit_code_2_and_a_reader_that_has_seen_enough_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    for args in [
        &["decode", "--exchange", "krakn"][..],
        &["demo", "--for", "0s"],
        &["verify", dir],
        &["compact", dir],
        &["compact", dir, "--date", "yesterday"],
        &["compact", dir, "--memory", "1KiB"],
        &["compact", dir, "--target-size", "1TiB"],
        &["simulate", "--trade-share", "2"],
        &["simulate", "--tls", "nowhere.pem", "nowhere.key"],
        &["fly"],
        &[],
    ] {
        let (status, out) = Process::start(args).end();
        assert_eq!((status.code(), out.as_str()), (Some(2), ""), "{args:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let frames = dir.path().join("frames");
    fs::write(&frames, "pong\n".repeat(100_000)).unwrap();
    let shell = format!(
        "{} decode --exchange okx {} | head -1; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_spread-aggregator"),
        frames.display()
    );
    let out = Command::new("bash").args(["-c", &shell]).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    assert!(out.stderr.is_empty(), "{out:?}");
}
