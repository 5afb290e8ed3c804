//! Each error that a user can meet: its exit code, and that it names what is wrong and what would be
//! right.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Wrong usage or configuration.
const USE: i32 = 2;
/// It failed while running.
const RUN: i32 = 1;

/// The exit code, the command line, and what stderr mentions.
const ERRORS: &[(i32, &str, &[&str])] = &[
    (USE, "nope", &["unrecognized subcommand", "'--help'"]),
    (USE, "rum", &["a similar subcommand exists: 'run'"]),
    (USE, "run -c", &["a value is required for '--config"]),
    (USE, "run extra", &["unexpected argument 'extra'"]),
    (USE, "run --log-format yaml", &["yaml", "text, json"]),
    (USE, "run -v -q", &["cannot be used with"]),
    (USE, "run", &["config.toml", "-c names", "demo"]),
    (USE, "run -c missing.toml", &["missing.toml", "No such file"]),
    (USE, "run -c folder", &["folder", "Is a directory"]),
    (USE, "run -c not-text.toml", &["not-text.toml", "UTF-8"]),
    (USE, "run -c syntax.toml", &["syntax.toml", "line 1", "expected `]`"]),
    (USE, "run -c one-bracket.toml", &["one-bracket.toml", "line 1", "[[exchange]], with two"]),
    (USE, "run -c one-asset.toml", &["one-asset.toml", "line 2", "a list, in brackets"]),
    (USE, "run -c switch.toml", &["switch.toml", "line 2", "expected true or false"]),
    (USE, "run -c level.toml", &["log.level", "loud", "error, warn, info"]),
    (USE, "run -c unknown-key.toml", &["unknown-key.toml", "line 2", "threds", "threads"]),
    (
        USE,
        "run -c unknown-exchange.toml",
        &["unknown-exchange.toml", "exchange[0].name", "krakn", "binance"],
    ),
    (USE, "run -c two-problems.toml", &["2 problems", "queues.capacity", "storage.threads"]),
    (USE, "run -c no-exchange.toml", &["no-exchange.toml", "at least one [[exchange]]"]),
    (USE, "run -c certificate.toml", &["exchange[0].ca_file", "missing.pem"]),
    (USE, "validate -c missing.toml", &["missing.toml", "No such file"]),
    (USE, "validate -c unknown-exchange.toml", &["krakn", "okx"]),
    (RUN, "validate --online -c offline.toml", &["okx-spot", "127.0.0.1:1", "refused"]),
    (RUN, "run -c file-as-dir.toml", &["a-file", "folder"]),
    (RUN, "run -c impossible-dir.toml", &["/proc/nope"]),
    (USE, "symbols", &["--exchange"]),
    (USE, "symbols --exchange krakn", &["krakn", "binance, bybit"]),
    (USE, "symbols --exchange okx --market future", &["future", "spot, perp"]),
    (USE, "symbols --exchange okx -c missing.toml", &["missing.toml"]),
    (USE, "symbols --exchange binance -c offline.toml", &["binance-spot", "[[exchange]]"]),
    (RUN, "symbols --exchange okx -c offline.toml", &["okx-spot", "127.0.0.1:1", "refused"]),
    (USE, "decode", &["--exchange"]),
    (USE, "decode --exchange krakn", &["krakn", "binance"]),
    (USE, "decode --exchange okx missing.txt", &["missing.txt", "No such file"]),
    (USE, "decode --exchange okx folder", &["folder", "it is a folder"]),
    (USE, "decode --exchange okx --instruments folder", &["folder", "it is a folder"]),
    (USE, "decode --exchange okx --instruments missing.json", &["missing.json"]),
    (USE, "decode --exchange okx --instruments a-file", &["a-file, line 1", "`symbols`"]),
    (USE, "demo --for 0s", &["0s", "such as 20s", "longer than none"]),
    (USE, "demo --for soon", &["soon", "such as 20s"]),
    (USE, "demo --rate -1", &["-1", "0 to 100000000"]),
    (USE, "demo --rate many", &["many", "number"]),
    (USE, "demo --symbols 0", &["'0'", "whole number from 1 to 100000"]),
    (USE, "demo --symbols -3", &["'-3'", "whole number from 1 to 100000"]),
    (USE, "demo --symbols many", &["'many'", "whole number from 1 to 100000"]),
    (USE, "demo --listen nowhere", &["nowhere", "127.0.0.1:9001"]),
    (RUN, "demo --listen 127.0.0.1:0 --for 1s --dir a-file", &["a-file", "folder"]),
    (USE, "simulate --listen nowhere", &["nowhere", "127.0.0.1:9001"]),
    (USE, "simulate --exchanges krakn", &["krakn", "binance"]),
    (USE, "simulate --market fut", &["fut", "spot, perp"]),
    (USE, "simulate --fault nope", &["nope", "drop, eof"]),
    (USE, "simulate --tls one", &["2 values"]),
    (USE, "simulate --tls missing.pem missing.pem", &["missing.pem", "No such file"]),
    (USE, "simulate --tls a-file a-file", &["certificate", "PEM"]),
    (USE, "simulate --seed -1", &["'-1'", "0 or more"]),
    (USE, "simulate --fault drop:after=x", &["after=x", "such as 10s"]),
    (USE, "simulate --trade-share 2", &["2", "from 0 to 1"]),
    (USE, "simulate --start yesterday", &["yesterday", "2026-11-23T12:00:00Z"]),
    (USE, "simulate --tick 0s", &["0s", "such as 20s"]),
    (USE, "simulate --frames-per-write 0", &["0", "1 or more"]),
    (USE, "recover", &["<DIR>"]),
    (USE, "recover missing", &["missing is no dataset", "No such file"]),
    (USE, "recover folder", &["folder is no dataset", "journal"]),
    (USE, "compact", &["<DIR>"]),
    (USE, "compact missing", &["missing is no dataset", "No such file"]),
    (USE, "compact folder", &["folder is no dataset", "quotes, trades"]),
    (USE, "compact damaged --date yesterday", &["yesterday", "2026-11-23"]),
    (USE, "compact damaged --memory x", &["x", "512MiB"]),
    (RUN, "compact damaged --date 2026-11-23", &["a.parquet", "size"]),
    (USE, "verify missing", &["missing is no dataset", "No such file"]),
    (USE, "verify folder", &["folder is no dataset", "quotes"]),
    (RUN, "verify damaged", &["wrong or missing files: 1"]),
    (USE, "gaps missing", &["missing is no dataset", "No such file"]),
    (USE, "gaps a-file", &["a-file is no dataset"]),
    (USE, "gaps folder", &["folder is no dataset", "quotes, trades"]),
    (USE, "replay missing", &["missing is no capture", "No such file"]),
    (USE, "replay folder", &["folder is no capture", ".jsonl.zst"]),
    (USE, "replay folder --speed fast", &["fast", "max, or a number"]),
    (USE, "gaps damaged --exchange krakn", &["krakn", "binance"]),
    (USE, "top", &["terminal", "/healthz"]),
    (USE, "top --url 8080", &["8080", "http://127.0.0.1:8080"]),
    (USE, "completions tcsh", &["tcsh", "bash"]),
    (RUN, "man a-file", &["a-file"]),
];

/// A folder with all that can be wrong.
fn stage(dir: &Path) {
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    let offline = "[[exchange]]\nname = \"okx\"\nws_url = \"ws://127.0.0.1:1\"\nrest_url = \"http://127.0.0.1:1\"\n";
    let stored = |at: &str| format!("[live]\nenabled = false\n[storage]\ndir = {at:?}\n{offline}");
    fs::create_dir(dir.join("folder")).unwrap();
    fs::write(dir.join("not-text.toml"), [0xff, 0xfe]).unwrap();
    write("a-file", "hello");
    write("syntax.toml", "[storage");
    write("one-bracket.toml", "[exchange]\nname = \"okx\"\n");
    write("one-asset.toml", "[defaults]\nquote_assets = \"USDT\"\n");
    write("switch.toml", "[live]\nenabled = \"yes\"\n");
    write("level.toml", &format!("[log]\nlevel = \"loud\"\n{offline}"));
    write("unknown-key.toml", "[storage]\nthreds = 2\n");
    write("unknown-exchange.toml", "[[exchange]]\nname = \"krakn\"\n");
    write(
        "two-problems.toml",
        &format!("[queues]\ncapacity = 0\n[storage]\nthreads = 0\n{offline}"),
    );
    write("no-exchange.toml", "");
    write("certificate.toml", &format!("{offline}ca_file = \"missing.pem\"\n"));
    write("offline.toml", offline);
    write("file-as-dir.toml", &stored("a-file"));
    write("impossible-dir.toml", &stored("/proc/nope"));
    let damaged = dir.join("damaged/quotes/date=2026-11-23/exchange=okx");
    fs::create_dir_all(&damaged).unwrap();
    fs::write(damaged.join("a.parquet"), "hello").unwrap();
}

fn run(dir: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spread-aggregator"))
        .args(line.split(' '))
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn every_error_says_what_is_wrong_and_what_would_be_right() {
    assert!(50 <= ERRORS.len());
    let dir = tempfile::tempdir().unwrap();
    stage(dir.path());
    for (code, line, mentions) in ERRORS {
        let done = run(dir.path(), line);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(*code), "{line}: {said}");
        for it in *mentions {
            assert!(said.contains(it), "{line} does not mention {it:?}: {said}");
        }
        assert!(!said.ends_with("\n\n"), "{line}: {said:?}");
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    stage(dir.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let offline = fs::read_to_string(dir.path().join("offline.toml")).unwrap();
    let config = format!("[live]\nlisten = {addr:?}\n{offline}");
    fs::write(dir.path().join("port.toml"), config).unwrap();
    let demo = format!("demo --for 1s --listen {addr}");
    let simulate = format!("simulate --listen {addr}");
    for line in ["run -c port.toml", &demo, &simulate] {
        let done = run(dir.path(), line);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains(&addr) && said.contains("in use"), "{line}: {said}");
        // A configuration that there is not cannot be changed.
        assert_eq!(said.contains("[live]"), line.starts_with("run"), "{line}: {said}");
        assert_eq!(said.contains("--listen"), !line.starts_with("run"), "{line}: {said}");
    }
}
