//! What is answered to those who ask once.

use std::{path::Path, time::Duration};

use spread_aggregator::{
    config,
    live::Door,
    market::{Exchange, Market, Venue},
    metrics::Metrics,
    pipeline::{self, Reload},
    simulator::{Fault, Options, Simulator},
    stop::Stop,
};

use super::{
    super::support::world::{self, RequestOnDrop, eventually},
    client::{Client, get},
    served::{addr, serve, settings},
    subscriptions::quote,
};
use spread_aggregator::{feed::now, market::InstrumentId};

#[test]
fn instruments_are_listed_and_narrowed_down() {
    serve(&settings(), |served| {
        let list = |query: &str| get(served.addr, &format!("/api/v1/instruments{query}")).json();
        assert_eq!(list("")["total"], 12);
        let perp = list("?exchange=okx&market=perp&symbol=ETH-USDT");
        assert_eq!(perp["instruments"][0]["symbol_native"], "ETHUSDT_perp");
        assert_eq!((&perp["total"], perp["instruments"].as_array().unwrap().len()), (&1.into(), 1));
        let first = list("?limit=5");
        assert_eq!(first["instruments"].as_array().unwrap().len(), 5);
        assert_eq!(first["total"], 12);
    });
}

#[test]
fn what_cannot_be_is_named() {
    serve(&settings(), |served| {
        for (path, status, mention) in [
            ("instruments?exchange=krakn", 400, "binance"),
            ("instruments?market=future", 400, "perp"),
            ("instruments?limit=0", 400, "from 1 to"),
            ("spreads?limit=1001", 400, "from 1 to 1000"),
            ("spreads?limit=x", 400, "from 1 to 1000"),
            ("quotes", 400, "symbol=BTC-USDT"),
            ("quotes?symbol=NOPE-USDT", 404, "instruments"),
            ("history?exchange=okx", 400, "symbol=BTC-USDT"),
            ("history?symbol=NOPE-USDT&exchange=okx", 404, "instruments"),
            ("nothing", 404, "history"),
        ] {
            let answer = get(served.addr, &format!("/api/v1/{path}"));
            assert_eq!(answer.status, status, "{path}");
            let json = answer.json();
            assert_eq!(json["status"], status);
            assert!(json["error"].as_str().unwrap().contains(mention), "{path}: {json}");
        }
    });
}

#[test]
fn quotes_and_spreads_are_those_of_the_engine() {
    serve(&settings(), |served| {
        let btc = |id| InstrumentId(id);
        served.compare(&quote(btc(0), 100.0));
        served.compare(&quote(btc(4), 101.0));
        served.compare(&quote(btc(1), 7.0));
        let quotes = get(served.addr, "/api/v1/quotes?symbol=BTC-USDT").json();
        let quotes = quotes["quotes"].as_array().unwrap();
        assert_eq!(quotes.len(), 2);
        assert!(quotes.iter().all(|it| it["fresh"] == true && it["type"] == "quote"), "{quotes:?}");
        let one = get(served.addr, "/api/v1/quotes?symbol=BTC-USDT&exchange=bybit").json();
        assert_eq!(one["quotes"][0]["bid_price"], 101.0);
        let spreads = get(served.addr, "/api/v1/spreads?limit=1").json();
        assert_eq!(spreads["spreads"].as_array().unwrap().len(), 1);
        assert_eq!(spreads["spreads"][0]["sell_exchange"], "bybit");
        let none = get(served.addr, "/api/v1/spreads?exchange=okx").json();
        assert!(none["spreads"].as_array().unwrap().is_empty(), "{none}");
        let history = get(served.addr, "/api/v1/history?symbol=BTC-USDT&exchange=bybit").json();
        assert_eq!(history["histories"][0]["exchange"], "bybit");
        assert_eq!(history["histories"].as_array().unwrap().len(), 1);
    });
}

const BINANCE: Venue = Venue::new(Exchange::Binance, Market::Spot);
const OKX: Venue = Venue::new(Exchange::Okx, Market::Perp);

/// Runs a pipeline on simulated exchanges with its live side, while `test` looks on.
fn run(
    top: &str,
    each: &str,
    dir: &Path,
    test: impl FnOnce(&Simulator, &Metrics, std::net::SocketAddr),
) {
    let options = Options {
        venues: vec![BINANCE, OKX],
        symbols: 10,
        rate: 1_000.0,
        limits: false,
        ..Options::default()
    };
    let simulator = Simulator::bind(options).unwrap();
    let text = world::config(&simulator, &[BINANCE, OKX], dir, top, each);
    let plan = config::parse(&text, Path::new("test.toml")).unwrap();
    let (metrics, stop, closing_time) = (Metrics::new(), Stop::default(), Stop::default());
    let door = Door::open(plan.live.as_ref().unwrap().listen).unwrap();
    let addr = addr(&door.url());
    std::thread::scope(|scope| {
        let _closing = RequestOnDrop(&closing_time);
        scope.spawn(|| simulator.serve(&closing_time));
        let running = scope
            .spawn(|| pipeline::run_at(Some(door), &plan, &metrics, &stop, &Reload::default()));
        {
            let _stopping = RequestOnDrop(&stop);
            test(&simulator, &metrics, addr);
        }
        running.join().unwrap().unwrap();
    });
}

#[test]
fn health_is_that_of_each_exchange() {
    let dir = tempfile::tempdir().unwrap();
    let each = "heartbeat_timeout = \"2s\"";
    run("", each, dir.path(), |simulator, _, addr| {
        let health = || get(addr, "/healthz");
        eventually("all is well", || health().status == 200);
        let json = health().json();
        assert_eq!(json["status"], "ok");
        assert_eq!(json["problems"].as_array().unwrap().len(), 0);
        for (n, name) in ["binance", "okx"].into_iter().enumerate() {
            let it = &json["exchanges"][n];
            assert_eq!((&it["exchange"], &it["state"]), (&name.into(), &"delivering".into()));
            assert_eq!(it["connections"]["up"], it["connections"]["wanted"]);
            assert!(it["last_message_age_seconds"].as_f64().unwrap() < 60.0, "{it}");
            assert_eq!(it["reconnects_last_hour"], 0);
        }
        assert!(0 < json["disk"]["free_bytes"].as_u64().unwrap());
        assert_eq!(json["disk"]["writable"], true);
        // One refuses a symbol: it is named, and nothing else is wrong.
        simulator.inject(OKX, Fault::RefuseSymbol("BTC-USDT".into()));
        simulator.inject(OKX, Fault::Close);
        eventually("it is named", || {
            let json = health().json();
            let refused = json["exchanges"][1]["refused"].to_string();
            refused.contains("BTC-USDT-SWAP") && json["status"] == "ok"
        });
        let json = health().json();
        assert!(1 <= json["exchanges"][1]["reconnects_last_hour"].as_u64().unwrap(), "{json}");
        // It is gone: the other is as well as before.
        simulator.inject(OKX, Fault::Refuse);
        simulator.inject(OKX, Fault::Drop);
        eventually("it is found", || health().status == 503);
        let json = health().json();
        assert_eq!(json["exchanges"][1]["state"], "disconnected");
        assert_eq!(json["exchanges"][0]["state"], "delivering");
        assert!(json["problems"][0].as_str().unwrap().starts_with("okx-perp"), "{json}");
        simulator.clear(OKX);
        eventually("all is well again", || health().status == 200);
    });
}

#[test]
fn a_disk_that_refuses_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    run("rotate = \"200ms\"", "", dir.path(), |_, _, addr| {
        eventually("all is well", || get(addr, "/healthz").status == 200);
        // A file where the folder should be: also for those who may do anything.
        let quotes = dir.path().join("quotes");
        eventually("it is in the way", || {
            let _ = std::fs::remove_dir_all(&quotes);
            std::fs::write(&quotes, "").is_ok()
        });
        eventually("it is found", || {
            let answer = get(addr, "/healthz");
            answer.status == 503 && answer.json()["disk"]["writable"] == false
        });
        // So that the end of the test is in order.
        std::fs::remove_file(&quotes).unwrap();
    });
}

#[test]
fn the_metrics_of_the_contract_are_there() {
    let dir = tempfile::tempdir().unwrap();
    run("", "", dir.path(), |_, metrics, addr| {
        let mut client = Client::connect(addr);
        client.subscribe(r#"{"op":"subscribe","channel":"quotes"}"#);
        eventually("all is well", || get(addr, "/healthz").status == 200);
        eventually("messages are sent", || {
            100 < metrics.live.sent.get() || client.next()["type"] == ""
        });
        let page = get(addr, "/metrics").body;
        for name in [
            "messages_received_total{",
            "bytes_received_total{",
            "events_total{",
            "decode_errors_total{",
            "queue_dropped_total{",
            "queue_depth{",
            "queue_capacity{queue=\"writer-0\"} 100000\n",
            "reconnects_total{",
            "gaps_total{",
            "journal_delay_seconds_count ",
            "journal_flush_seconds_count ",
            "queue_age_seconds{",
            "connections_up{",
            "subscriptions{",
            "last_message_age_seconds{",
            "exchange_lag_seconds_bucket{",
            "exchange_lag_seconds_count{",
            "rows_written_total{",
            "files_written_total{",
            "write_errors_total ",
            "live_clients 1",
            "live_dropped_total ",
            "live_latency_seconds_count ",
            "instruments ",
            "resident_memory_bytes ",
            "threads ",
            "open_descriptors ",
            "build_info{version=",
        ] {
            assert!(
                page.contains(&format!("\nspread_aggregator_{name}")),
                "{name} is not in\n{page}"
            );
        }
        assert!(page.lines().all(|it| !it.contains("symbol=")), "never a symbol");
        let value = |name: &str| -> f64 {
            let line = page.lines().find_map(|it| it.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        assert!(1e6 < value("spread_aggregator_resident_memory_bytes"));
        let started = value("spread_aggregator_start_time_seconds");
        let ago = Duration::from_nanos(now().0.unsigned_abs()).as_secs_f64() - started;
        assert!((0.0..3600.0).contains(&ago), "{ago}");
        let (free, size) = (
            value("spread_aggregator_disk_free_bytes"),
            value("spread_aggregator_disk_size_bytes"),
        );
        assert!(0.0 < free && free < size, "{free} of {size}");
        // The exchanges are in this process, and what they send is seconds old at most.
        let offset =
            value("spread_aggregator_clock_offset_seconds{exchange=\"okx\",market=\"perp\"}");
        assert!((-1.0..60.0).contains(&offset), "{offset}");
        assert!(5.0 < value("spread_aggregator_threads"));
        let lag = metrics.venue(BINANCE).lag.count() + metrics.venue(OKX).lag.count();
        assert!(0 < lag);
        for venue in ["exchange=\"binance\",market=\"spot\"", "exchange=\"okx\",market=\"perp\""] {
            let age = value(&format!("spread_aggregator_last_message_age_seconds{{{venue}}}"));
            assert!((0.0..60.0).contains(&age), "{age}");
        }
    });
}
