//! `gaps`: the ledger and what is covered, as a user sees them.

use std::{fs, path::Path, thread};

use serde_json::{Value, json};
use spread_aggregator::{
    market::{
        Channel, ConnId, Event, Exchange, Gap, GapReason, InstrumentId, Level, Market, Nanos,
        Quote, Record, Side, Trade, TradeId, Venue,
    },
    metrics::Metrics,
    registry::Registry,
    simulator::{Fault, Options, Simulator},
    stop::Stop,
    store::{self, Compression, Dataset, RecordWriter, Sealer, Settings, Wanted, Writer},
};

use super::support::{
    child::Process,
    events::{NOON, SECOND, registry},
    rows::files,
    world::{self, RequestOnDrop, eventually},
};

/// Ids of the registry: BTC-USDT and ETH-USDT at Binance spot.
const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);

fn at(second: i64) -> Nanos {
    Nanos(NOON.0 + second * SECOND)
}

fn quote(instrument: InstrumentId, conn: u32, second: i64) -> Event {
    let (bid, ask) = (Some(Level { price: 1.0, size: 1.0 }), None);
    let ts_recv = at(second);
    let conn = ConnId(conn);
    Event::Quote(Quote { instrument, conn, ts_event: None, ts_recv, bid, ask, sequence: None })
}

fn trade(instrument: InstrumentId, conn: u32, second: i64) -> Event {
    Event::Trade(Trade {
        instrument,
        conn: ConnId(conn),
        ts_event: None,
        ts_recv: at(second),
        price: 1.0,
        size: 1.0,
        side: Side::Buy,
        id: TradeId::None,
    })
}

fn gap(from: i64, to: i64, reason: GapReason) -> Gap {
    Gap {
        from: at(from),
        to: at(to),
        venue: registry().venue(BTC).unwrap(),
        instrument: None,
        channel: None,
        reason,
        dropped: None,
        conn: None,
    }
}

/// A run of the program that writes these.
fn write(dir: &Path, registry: &Registry, events: Vec<Event>, gaps: Vec<Gap>) {
    let settings = Settings {
        dir: dir.to_owned(),
        journal_flush: std::time::Duration::from_secs(1),
        rotate: std::time::Duration::from_hours(1),
        rotate_size: 1 << 20,
        compression: Compression::Zstd(1),
        keep_days: None,
    };
    let (dataset, metrics) = (Dataset::open(dir).unwrap(), Metrics::new());
    let mut writer = Writer::new(&dataset, 0, &settings, registry, &metrics);
    writer.append(&mut { events }, NOON);
    let mut ledger = RecordWriter::new(&dataset, &settings, registry, &metrics);
    ledger.append(&mut gaps.into_iter().map(Record::Gap).collect());
    assert_eq!(writer.finish(NOON).rows_lost + ledger.finish(NOON).rows_lost, 0);
    let sealed = Sealer::new(&dataset, &settings, &metrics).finish(&|| NOON);
    assert!(0 < sealed.files, "{sealed:?}");
}

/// Two runs: one from 0 s to 100 s, and one from 150 s to 200 s, with a row of BTC and one of ETH
/// every 10 s; what one calls connection 1 is 2 to the other.
fn dataset(dir: &Path) {
    let registry = registry();
    let both = |second, [one, other]: [u32; 2]| {
        let btc = [quote(BTC, one, second), trade(BTC, one, second)];
        let eth = [quote(ETH, other, second), trade(ETH, other, second)];
        btc.into_iter().chain(if 20 <= second { eth.to_vec() } else { Vec::new() })
    };
    write(
        dir,
        &registry,
        (0..=10).flat_map(|it| both(it * 10, [1, 2])).collect(),
        vec![
            // Of BTC alone, since only BTC came over that connection.
            Gap { conn: Some(ConnId(1)), ..gap(10, 30, GapReason::Disconnect) },
            Gap {
                instrument: Some(ETH),
                channel: Some(Channel::Trades),
                dropped: Some(3),
                conn: Some(ConnId(2)),
                ..gap(30, 40, GapReason::SequenceGap)
            },
            // Of all, in one channel; it overlaps with the one above.
            Gap {
                channel: Some(Channel::Quotes),
                dropped: Some(7),
                ..gap(25, 35, GapReason::QueueDrop)
            },
        ],
    );
    let later = (15..=20).flat_map(|it| both(it * 10, [2, 1])).collect();
    // A connection that nobody has heard of is one of all.
    let unheard = Gap { conn: Some(ConnId(9)), ..gap(170, 175, GapReason::Disconnect) };
    write(dir, &registry, later, vec![unheard]);
}

fn lines(args: &[&str]) -> Vec<Value> {
    let (status, out) = Process::start(&[&["gaps", "--json"], args].concat()).end();
    assert_eq!(status.code(), Some(0), "{out}");
    out.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[test]
fn the_ledger_comes_by_time_and_then_what_is_covered_of_each_day() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let lines = lines(&[dir.path().to_str().unwrap()]);
    let (gaps, covered) = lines.split_at(4);
    let times: Vec<_> = gaps.iter().map(|it| it["ts_from"].as_i64().unwrap()).collect();
    assert_eq!(times, [10, 25, 30, 170].map(|it| at(it).0));
    assert_eq!(
        gaps[2],
        json!({
            "type": "gap", "ts_from": at(30).0, "ts_to": at(40).0, "exchange": "binance",
            "market": "spot", "symbol": "ETH-USDT", "stream": "trades", "reason": "sequence_gap",
            "dropped": 3, "conn_id": 2,
        })
    );
    let row = |symbol, from: i64, quotes: f64, trades: f64| {
        json!({
            "type": "coverage", "date": "2026-11-23", "exchange": "binance", "market": "spot",
            "symbol": symbol, "ts_from": at(from).0, "ts_to": at(200).0,
            "quotes": quotes, "trades": trades,
        })
    };
    // Of 200 s: 50 between the runs, 20 and 5 lost, and of quotes 5 more.
    let btc = row("BTC-USDT", 0, 120.0 / 200.0, 125.0 / 200.0);
    // Of 180 s: 50 between the runs, 5 lost, and 10 of either.
    let eth = row("ETH-USDT", 20, 115.0 / 180.0, 115.0 / 180.0);
    assert_eq!(covered, [btc, eth]);
}

#[test]
fn what_is_asked_for_by_symbol_and_exchange_comes_with_what_concerns_it() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let path = dir.path().to_str().unwrap();
    let btc = lines(&[path, "--symbol", "BTC-USDT", "--exchange", "binance"]);
    let reasons: Vec<_> = btc.iter().map(|it| it["reason"].as_str()).collect();
    assert_eq!(reasons, [Some("disconnect"), Some("queue_drop"), Some("disconnect"), None]);
    assert_eq!(btc[3]["quotes"], 120.0 / 200.0);
    assert!(lines(&[path, "--exchange", "okx"]).is_empty());
    assert_eq!(lines(&[path, "--symbol", "NOPE-USDT"]).len(), 3, "those of all symbols");
}

#[test]
fn people_get_tables() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let (status, out) = Process::start(&["gaps", dir.path().to_str().unwrap()]).end();
    assert_eq!(status.code(), Some(0), "{out}");
    insta::assert_snapshot!(out, @r"
    from                        to                               seconds exchange market symbol           stream reason         dropped    conn
    2026-11-23T12:00:10.000000Z 2026-11-23T12:00:30.000000Z       20.000 binance  spot   *                *      disconnect           -       1
    2026-11-23T12:00:25.000000Z 2026-11-23T12:00:35.000000Z       10.000 binance  spot   *                quotes queue_drop           7       -
    2026-11-23T12:00:30.000000Z 2026-11-23T12:00:40.000000Z       10.000 binance  spot   ETH-USDT         trades sequence_gap         3       2
    2026-11-23T12:02:50.000000Z 2026-11-23T12:02:55.000000Z        5.000 binance  spot   *                *      disconnect           -       9
    4 losses, 10 events in those that are counted

    date       exchange market symbol           first row                   last of all                 quotes % trades %
    2026-11-23 binance  spot   BTC-USDT         2026-11-23T12:00:00.000000Z 2026-11-23T12:03:20.000000Z   60.000   62.500
    2026-11-23 binance  spot   ETH-USDT         2026-11-23T12:00:20.000000Z 2026-11-23T12:03:20.000000Z   63.888   63.888
    ");
}

#[test]
fn a_ledger_that_is_not_there_is_empty_and_a_folder_that_is_no_dataset_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let (begun, other) = (dir.path().join("begun"), dir.path().join("other"));
    fs::create_dir_all(begun.join("journal")).unwrap();
    fs::create_dir(&other).unwrap();
    assert!(lines(&[begun.to_str().unwrap()]).is_empty());
    for wrong in [other, dir.path().join("missing")] {
        let process = Process::start(&["gaps", wrong.to_str().unwrap()]);
        process.until_says(wrong.to_str().unwrap());
        assert_eq!(process.end().0.code(), Some(2));
    }
}

#[test]
fn a_symbol_that_is_spelled_otherwise_is_no_symbol_without_losses() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("journal")).unwrap();
    let args = ["gaps", "--symbol", "BTCUSDT", dir.path().to_str().unwrap()];
    let process = Process::start(&args);
    process.until_says("no rows of BTCUSDT are in");
    process.until_says("like BTC-USDT");
    assert_eq!(process.end().0.code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_rest_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let bad = ["gaps/date=2026-11-23", "quotes/date=2026-11-23/exchange=binance"]
        .map(|it| dir.path().join(it).join("bad.parquet"));
    fs::write(&bad[0], "no Parquet").unwrap();
    // One that is, and has other columns.
    fs::copy(&files(&dir.path().join("gaps"))[0], &bad[1]).unwrap();
    let process = Process::start(&["gaps", "--json", dir.path().to_str().unwrap()]);
    for it in &bad {
        process.until_says(&format!("failed to read {}", it.display()));
    }
    let (status, out) = process.end();
    assert_eq!((status.code(), out.lines().count()), (Some(1), 6), "{out}");
}

#[test]
fn no_file_makes_its_reader_panic() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let all = files(&dir.path().join("gaps"));
    let good = fs::read(&all[0]).unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut refused = 0;
    for n in 0..400 {
        let mut bytes = good.clone();
        if n % 4 == 0 {
            bytes.truncate(rng.usize(..bytes.len()));
        } else {
            for _ in 0..=n % 3 {
                let at = rng.usize(..bytes.len());
                bytes[at] = rng.u8(..);
            }
        }
        fs::write(&all[0], &bytes).unwrap();
        let faults = store::ledger::<store::StoreError>(dir.path(), &Wanted::default(), |_| Ok(()));
        refused += faults.unwrap().len();
        store::coverage::<store::StoreError>(dir.path(), &Wanted::default(), |_| Ok(())).unwrap();
    }
    assert!(100 < refused, "{refused}");
}

#[test]
fn a_collector_declares_what_it_has_missed_and_gaps_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let okx = Venue::new(Exchange::Okx, Market::Perp);
    let venues = [okx, Venue::new(Exchange::Bybit, Market::Spot)];
    let options = Options { venues: venues.to_vec(), rate: 5_000.0, ..Options::default() };
    let simulator = Simulator::bind(options).unwrap();
    let closing_time = Stop::default();
    thread::scope(|scope| {
        let _closing = RequestOnDrop(&closing_time);
        scope.spawn(|| simulator.serve(&closing_time));
        let config = dir.path().join("config.toml");
        let text = world::config(&simulator, &venues, &dir.path().join("data"), "", "");
        fs::write(&config, text).unwrap();
        let collector = Process::start(&["run", "-c", config.to_str().unwrap()]);
        let data_flows = || {
            for venue in venues {
                eventually("all are connected", || simulator.sent(venue).open == 1);
                let before = simulator.sent(venue).frames;
                eventually("data flows", || before + 2_000 < simulator.sent(venue).frames);
            }
        };
        data_flows();
        simulator.inject(okx, Fault::Drop);
        collector.until_says("feed-okx-perp-0: ");
        data_flows();
        collector.signal("TERM");
        let (status, summary) = collector.end();
        assert_eq!(status.code(), Some(0), "{summary}");
    });
    let lines = lines(&[dir.path().join("data").to_str().unwrap()]);
    let gaps: Vec<_> = lines.iter().filter(|it| it["type"] == "gap").collect();
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    let gap = |key: &str| gaps[0][key].as_str().unwrap_or_default();
    assert_eq!((gap("exchange"), gap("market"), gap("reason")), ("okx", "perp", "disconnect"));
    let covered: Vec<_> = lines.iter().filter(|it| it["type"] == "coverage").collect();
    assert!(50 < covered.len(), "{}", covered.len());
    for it in covered {
        let hit = it["exchange"] == "okx" && it["market"] == "perp";
        for channel in ["quotes", "trades"] {
            let part = it[channel].as_f64().unwrap_or(1.0);
            assert!(if hit { part <= 1.0 } else { part.to_bits() == 1.0_f64.to_bits() }, "{it}");
        }
    }
}
