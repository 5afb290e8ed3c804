//! Configurations that cannot be used, and what is said of them.

use std::{fs, path::Path, process::Command};

use spread_aggregator::{
    config::{load, parse},
    market::Venue,
};

/// A text, and what the message has to mention: where it is wrong and what would be right.
const BROKEN: &[(&str, &[&str])] = &[
    ("[storage", &["line 1"]),
    ("[storage]\nthreds = 2", &["line 2", "threds", "threads"]),
    ("[storage]\nthreads = \"two\"", &["line 2", "threads", "a whole number"]),
    ("[storage]\nthreads = -1", &["line 2", "a whole number, 0 or more"]),
    ("[storage]\nrotate = 15", &["line 2", "rotate", "\"15s\""]),
    ("[storage]\nrotate = \"soon\"", &["line 2", "soon", "\"15s\""]),
    ("[storage]\nrotate_size = \"big\"", &["line 2", "big", "\"256MiB\""]),
    ("[queue]\ncapacity = 1", &["queue", "queues"]),
    ("[live]\nlisten = 8080", &["line 2", "listen", "string"]),
    ("[[exchange]]\nmarket = \"spot\"", &["name"]),
    ("[storage]\nthreads = 0", &["storage.threads", "from 1 to"]),
    ("[storage]\nrotate = \"0s\"", &["storage.rotate", "longer than 0s"]),
    ("[storage]\njournal_flush = \"0s\"", &["storage.journal_flush", "longer than 0s"]),
    ("[storage]\njournal_flush = \"1h\"", &["storage.journal_flush", "longer than 1m"]),
    ("[storage]\nkeep_days = 0", &["storage.keep_days", "from 1 to"]),
    ("[storage]\nkeep_days = \"a week\"", &["line 2", "keep_days", "a whole number"]),
    ("[storage]\nrotate_size = \"1KiB\"", &["storage.rotate_size", "1MiB"]),
    ("[storage]\ncompression = \"brotli\"", &["storage.compression", "zstd"]),
    ("[storage]\ncompression = \"zstd(99)\"", &["storage.compression", "22"]),
    ("[storage]\ndir = \"\"", &["storage.dir", "folder"]),
    ("[storage]\nshard = \"0/8\"", &["storage.shard", "\"2/8\"", "0/8"]),
    ("[storage]\nshard = \"9/8\"", &["storage.shard", "\"2/8\"", "9/8"]),
    ("[storage]\nshard = \"a/b\"", &["storage.shard", "\"2/8\"", "a/b"]),
    ("[storage]\nshard = \"2/0\"", &["storage.shard", "\"2/8\"", "2/0"]),
    ("[storage]\nshard = \"\"", &["storage.shard", "\"2/8\"", ""]),
    ("[storage]\nshard = 2", &["line 2", "shard", "string"]),
    ("[queues]\ncapacity = 0", &["queues.capacity", "from 1 to"]),
    ("[live]\nlisten = \"localhost\"", &["live.listen", "127.0.0.1:8080"]),
    ("[live]\nmax_clients = 0", &["live.max_clients", "from 1 to"]),
    ("[live]\nmax_subscriptions = 0", &["live.max_subscriptions", "from 1 to"]),
    ("[live]\nmax_requests = 0", &["live.max_requests", "from 1 to"]),
    ("[live]\nmax_request_size = \"9B\"", &["live.max_request_size", "1KiB"]),
    (
        "[live]\nlisten = \"0.0.0.0:80\"",
        &["live.listen", "0.0.0.0:80", "token =", "insecure = true"],
    ),
    ("[live]\ntoken = \"\"", &["live.token", "visible"]),
    ("[live]\norigins = [\"example.com\"]", &["live.origins", "example.com", "https://host"]),
    ("[live]\nping_interval = \"0s\"", &["live.ping_interval", "longer than 0s"]),
    ("[capture]\ndir = \"\"", &["capture.dir", "folder"]),
    ("[capture]\ndir = \"c\"\nrotate = \"0s\"", &["capture.rotate", "longer than 0s"]),
    ("[capture]\ndir = \"c\"\nrotate_size = \"1KiB\"", &["capture.rotate_size", "1MiB"]),
    ("[capture]\ndir = \"c\"\nmax_size = \"1MiB\"", &["capture.max_size", "twice"]),
    ("[capture]\ndir = \"c\"\nqueue_size = \"1B\"", &["capture.queue_size", "1MiB"]),
    ("[capture]\ndir = \"c\"\nlevel = 23", &["capture.level", "22"]),
    ("[spreads]\nmin_net_bps = nan", &["spreads.min_net_bps", "a number"]),
    ("[spreads]\nhysteresis_bps = -1", &["spreads.hysteresis_bps", "0 or more"]),
    ("[spreads]\nidentity_guard = 0", &["spreads.identity_guard", "above 0"]),
    ("[spreads]\nsame_asset = [\"ABC\"]", &["spreads.same_asset", "ABC-USDT:okx:bybit"]),
    ("[spreads]\nsame_asset = [\"A-B:okx:krakn\"]", &["spreads.same_asset", "krakn", "binance"]),
    ("[spreads]\nwindow = \"1s\"", &["spreads.window", "sample_every"]),
    ("[spreads]\nwindow = \"24h\"", &["spreads.window", "1000 times"]),
    ("[spreads]\nreorder = \"1m\"", &["spreads.reorder", "10s"]),
    ("[spreads]\nmax_quote_age = \"0s\"", &["spreads.max_quote_age", "longer than 0s"]),
    ("[defaults]\nmin_quote_volume = -1.0", &["defaults.min_quote_volume", "0 or more"]),
    (
        "[defaults]\nmin_quote_volume = 2.0\nmax_quote_volume = 1",
        &["defaults.min_quote_volume", "max_quote_volume", "2 is above 1"],
    ),
    ("[defaults]\nquote_assets = []", &["defaults.quote_assets", "at least one"]),
    ("[defaults]\nquote_assets = [\"usdt\"]", &["defaults.quote_assets", "upper case"]),
    ("[defaults]\nheartbeat_timeout = \"0s\"", &["defaults.heartbeat_timeout", "longer than 0s"]),
    ("[defaults]\nstale_after = \"0s\"", &["defaults.stale_after", "longer than 0s"]),
    ("[defaults]\nrediscover = \"0s\"", &["defaults.rediscover", "longer than 0s"]),
    ("", &["exchange", "at least one"]),
    ("[[exchange]]\nname = \"okx\"\nenabled = false", &["exchange", "enabled"]),
    ("[[exchange]]\nname = \"krakn\"", &["exchange[0].name", "krakn", "binance"]),
    ("[[exchange]]\nname = \"okx\"\nmarket = \"future\"", &["exchange[0].market", "spot, perp"]),
    (
        "[[exchange]]\nname = \"okx\"\n[[exchange]]\nname = \"okx\"",
        &["exchange[1]", "okx-spot", "twice"],
    ),
    ("[[exchange]]\nname = \"okx\"\nmax_symbols = 0", &["exchange[0].max_symbols", "from 1 to"]),
    ("[[exchange]]\nname = \"okx\"\nthreads = 99999", &["exchange[0].threads", "from 0 to"]),
    (
        "[[exchange]]\nname = \"okx\"\ntaker_fee_bps = -1",
        &["exchange[0].taker_fee_bps", "0 or more"],
    ),
    (
        "[[exchange]]\nname = \"okx\"\nquotes = false\ntrades = false",
        &["exchange[0]", "quotes and trades", "enabled = false"],
    ),
    ("[[exchange]]\nname = \"okx\"\nsymbols = []", &["exchange[0].symbols", "leave it out"]),
    ("[[exchange]]\nname = \"okx\"\nsymbols = [\"BTCUSDT\"]", &["exchange[0].symbols", "BTC-USDT"]),
    (
        "[[exchange]]\nname = \"okx\"\nsymbols = [\"A-B\", \"A-B\"]",
        &["exchange[0].symbols", "twice"],
    ),
    (
        "[[exchange]]\nname = \"okx\"\nsymbols = [\"A-B\", \"C-D\"]\nmax_symbols = 1",
        &["exchange[0].max_symbols", "2 symbols named"],
    ),
    ("[[exchange]]\nname = \"okx\"\nws_url = \"http://x\"", &["exchange[0].ws_url", "ws://"]),
    ("[[exchange]]\nname = \"okx\"\nrest_url = \"x\"", &["exchange[0].rest_url", "http://"]),
    ("[[exchange]]\nname = \"okx\"\nca_file = \"no.pem\"", &["exchange[0].ca_file", "no.pem"]),
    (
        "[[exchange]]\nname = \"okx\"\nmin_quote_volume = 9e99",
        &["exchange[0].min_quote_volume", "max_quote_volume"],
    ),
];

#[test]
fn what_cannot_be_used_is_named_with_what_would_be_right() {
    for (text, mentions) in BROKEN {
        let err = parse(text, Path::new("broken.toml")).map(|_| "accepted").unwrap_err();
        let message = err.to_string();
        for needle in mentions.iter().chain([&"broken.toml"]) {
            assert!(
                message.contains(needle),
                "{needle:?} is not in the message for\n{text}\n{message}"
            );
        }
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = "[storage]\nthreads = 0\n[queues]\ncapacity = 0\n[[exchange]]\nname = \"x\"";
    let message = parse(text, Path::new("broken.toml")).unwrap_err().to_string();
    for needle in ["3 problems", "storage.threads", "queues.capacity", "exchange[0].name"] {
        assert!(message.contains(needle), "{message}");
    }
}

#[test]
fn a_broken_configuration_is_exit_code_2_of_every_command_that_reads_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.toml");
    for (text, mentions) in &BROKEN[..12] {
        fs::write(&file, text).unwrap();
        for command in ["run", "validate"] {
            let out = Command::new(env!("CARGO_BIN_EXE_spread-aggregator"))
                .args([command, "-c"])
                .arg(&file)
                .output()
                .unwrap();
            assert_eq!(out.status.code(), Some(2), "{command} with {text}");
            assert!(out.stdout.is_empty(), "{command} printed data");
            let message = String::from_utf8(out.stderr).unwrap();
            assert!(mentions.iter().all(|it| message.contains(it)), "{message}");
        }
    }
}

#[test]
fn the_shipped_configuration_is_valid_and_shows_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let shipped = load(&path).unwrap();
    // Fees are those of each exchange, and no defaults.
    let exchange = |(it, fee): &(Venue, f64)| {
        let Venue { exchange, market } = it;
        format!("[[exchange]]\nname = \"{exchange}\"\nmarket = \"{market}\"\ntaker_fee_bps = {fee}")
    };
    let fees = &shipped.spreads.as_ref().unwrap().taker_fee_bps;
    let exchanges: Vec<_> = fees.iter().map(exchange).collect();
    assert_eq!(exchanges.len(), shipped.venues.len());
    let defaults = parse(&exchanges.join("\n"), &path).unwrap();
    assert_eq!(format!("{shipped:?}"), format!("{defaults:?}"), "a value shown is no default");
    let text = fs::read_to_string(&path).unwrap();
    for key in [
        "dir",
        "journal_flush",
        "rotate",
        "rotate_size",
        "compression",
        "threads",
        "keep_days",
        "capacity",
        "enabled",
        "listen",
        "client_queue",
        "max_clients",
        "ping_interval",
        "max_subscriptions",
        "max_requests",
        "max_request_size",
        "token",
        "insecure",
        "origins",
        "max_quote_age",
        "min_net_bps",
        "hysteresis_bps",
        "identity_guard",
        "identity_after",
        "same_asset",
        "window",
        "sample_every",
        "reorder",
        "quote_assets",
        "min_quote_volume",
        "max_quote_volume",
        "heartbeat_timeout",
        "stale_after",
        "rediscover",
        "name",
        "market",
        "symbols",
        "max_symbols",
        "quotes",
        "trades",
        "taker_fee_bps",
        "ws_url",
        "rest_url",
        "ca_file",
    ] {
        assert!(text.contains(&format!("{key} = ")), "{key} is not shown");
    }
}
