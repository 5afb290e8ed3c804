//! What a service manager and an operator rely on: signals, logs, what is told to systemd.

use std::{fs, os::unix::net::UnixDatagram};

use super::support::{
    child::{Exchanges, Process},
    world::{PATIENCE, eventually},
};

/// What is said on the socket until `what` is.
fn until_told(socket: &UnixDatagram, what: &str) -> Vec<String> {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut told = Vec::new();
    let mut buffer = [0; 256];
    while !told.iter().any(|it: &String| it.starts_with(what)) {
        let n = socket.recv(&mut buffer).unwrap_or_else(|err| panic!("{what}: {err}; {told:?}"));
        told.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
    }
    told
}

#[test]
fn the_service_manager_is_told_of_start_life_reload_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let exchanges = Exchanges::start(&["--exchanges", "okx", "--symbols", "5"]);
    let config = exchanges.config(dir.path(), "", "");
    let vars = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let collector = Process::start_with(&["run", "-c", &config], &vars);
    assert_eq!(until_told(&socket, "READY=1"), ["READY=1\n"], "first of all");
    until_told(&socket, "WATCHDOG=1");
    until_told(&socket, "WATCHDOG=1");
    collector.signal("HUP");
    until_told(&socket, "RELOADING=1\nMONOTONIC_USEC=");
    until_told(&socket, "READY=1");
    collector.signal("TERM");
    until_told(&socket, "STOPPING=1");
    let (status, summary) = collector.end();
    assert_eq!(status.code(), Some(0), "{summary}");
}

#[test]
fn a_configuration_that_is_read_again_is_applied_or_refused_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--exchanges", "okx", "--symbols", "20"]);
    let config = exchanges.config(dir.path(), "", "symbols = [\"BTC-USDT\"]");
    let first = fs::read_to_string(&config).unwrap();
    let collector = Process::start(&["run", "-c", &config, "--log-format", "json"]);
    eventually("it collects", || 0 < exchanges.sent("quotes"));

    let more = first.replace("[\"BTC-USDT\"]", "[\"BTC-USDT\", \"ETH-USDT\"]");
    let more =
        more.replace("[storage]", "[defaults]\nstale_after = \"77s\"\n[spreads]\nmin_net_bps = 3.5\n[storage]\nrotate = \"7m\"");
    fs::write(&config, &more).unwrap();
    collector.signal("HUP");
    collector.until_says("exchange[okx-spot].symbols: [\\\"BTC-USDT\\\"] -> [\\\"BTC-USDT\\\", \\\"ETH-USDT\\\"], applied");
    collector.until_says("spreads.min_net_bps: 0.0 -> 3.5, applied");
    collector.until_says("exchange[okx-perp].stale_after: 120s -> 77s, applied");
    collector.until_says("storage.rotate: 900s -> 420s, refused: it takes a restart");
    collector.until_says("okx-spot: collected from now on: ETH-USDT; no longer: none");
    collector.until_says("okx-perp: collected from now on: ETH-USDT-SWAP; no longer: none");

    // Not valid, and so not even what would be valid by itself.
    let wrong = first.replace("[storage]", "[queues]\ncapacity = 0\n[storage]");
    fs::write(&config, wrong).unwrap();
    let validate = Process::start(&["validate", "-c", &config]);
    validate.until_says("queues.capacity: must be from 1 to");
    let said = validate.stderr();
    assert_eq!(validate.end().0.code(), Some(2));
    let said = said.trim().strip_prefix("spread-aggregator: ").unwrap().to_owned();
    collector.signal("HUP");
    collector.until_says("; the configuration stays as it was");

    let fewer = more.replace("\"BTC-USDT\", ", "");
    fs::write(&config, fewer).unwrap();
    collector.signal("HUP");
    collector.until_says("okx-spot: collected from now on: none; no longer: BTC-USDT");
    collector.until_says("okx-perp: collected from now on: none; no longer: BTC-USDT-SWAP");
    let before = exchanges.sent("quotes");
    eventually("what is left is sent", || before + 5 < exchanges.sent("quotes"));

    let stderr = collector.stderr();
    collector.signal("TERM");
    let (status, summary) = collector.end();
    assert_eq!(status.code(), Some(0), "{summary}");
    let lines: Vec<serde_json::Value> =
        stderr.lines().map(|it| serde_json::from_str(it).expect(it)).collect();
    assert!(lines.iter().all(|it| it["ts"].is_string() && it["level"].is_string()));
    let repeated = lines.iter().any(|it| it["message"].as_str().unwrap().starts_with(&said));
    assert!(repeated, "{said} is not in {stderr}");
    let rotate = stderr.matches("storage.rotate").count();
    assert_eq!(rotate, 2, "what is refused is said each time that it differs");
}

#[test]
fn the_level_of_the_log_is_another_one_as_soon_as_it_has_been_read() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--exchanges", "okx", "--symbols", "5"]);
    let level = |it: &str| exchanges.config(dir.path(), &format!("[log]\nlevel = {it:?}\n"), "");
    let config = level("error");
    // One more than the file says: warn, and no line about lists and addresses.
    let collector = Process::start(&["run", "-v", "-c", &config]);
    eventually("it collects", || 0 < exchanges.sent("quotes"));
    level("info");
    collector.signal("HUP");
    collector.until_says("log.level: warn -> debug, applied");
    let before = collector.stderr();
    assert!(before.lines().next().unwrap().contains("log.level"), "{before}");
    collector.signal("HUP");
    collector.until_says("nothing has changed");
    level("loud");
    collector.signal("HUP");
    collector.until_says("log.level: must be one of off, error, warn, info, debug, trace");
    level("off");
    collector.signal("HUP");
    collector.until_says("log.level: debug -> error, applied");
    collector.signal("TERM");
    let (status, said) = collector.end_of_log();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.trim_end().ends_with("log.level: debug -> error, applied"), "{said}");
}

#[test]
fn a_message_of_any_kind_is_one_json_object_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--exchanges", "okx", "--symbols", "5"]);
    let name = "a \"quoted\"\nand broken name";
    let sub = dir.path().join(name);
    fs::create_dir(&sub).unwrap();
    let config = exchanges.config(&sub, "", "");
    let collector = Process::start(&["run", "-c", &config, "--log-format", "json"]);
    eventually("it collects", || 0 < exchanges.sent("quotes"));
    fs::write(&config, "[storage]\nrotate = \"no\u{7} time\"\n").unwrap();
    collector.signal("HUP");
    collector.until_says("; the configuration stays as it was");
    let stderr = collector.stderr();
    collector.signal("TERM");
    assert_eq!(collector.end().0.code(), Some(0));
    let messages: Vec<_> = stderr
        .lines()
        .map(|it| serde_json::from_str::<serde_json::Value>(it).expect(it))
        .map(|it| it["message"].as_str().unwrap().to_owned())
        .collect();
    assert!(messages.iter().any(|it| it.contains(name)), "{messages:?}");
}
