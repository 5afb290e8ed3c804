//! Many clients at once, and what is left of them.

use std::thread;

use super::{
    super::support::{
        child::{Exchanges, Process},
        world::eventually,
    },
    client::{Client, get},
    served::addr,
};

const CLIENTS: usize = 200;
const SYMBOLS: usize = 50;

/// The program under a crowd: all are served, one that never reads and one that vanishes harm
/// nobody, and when all have gone nothing is left.
#[test]
fn a_crowd_is_served_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let exchanges = Exchanges::start(&["--rate", "600", "--symbols", "100", "--no-limits"]);
    let top = "[live]\nlisten = \"127.0.0.1:0\"\nping_interval = \"5s\"\n";
    let config = exchanges.config(dir.path(), top, "");
    let collector = Process::start(&["run", "-c", &config]);
    collector.until_says("dashboard");
    let log = collector.stderr();
    let addr = addr(log.split_whitespace().find(|it| it.starts_with("http://")).unwrap());
    eventually("it collects", || get(addr, "/healthz").status == 200);
    let metric = |name: &str| -> u64 {
        let page = get(addr, "/metrics").body;
        let name = format!("spread_aggregator_{name} ");
        page.lines().find_map(|it| it.strip_prefix(&name)).unwrap().parse().unwrap()
    };
    let instruments = get(addr, "/api/v1/instruments").json();
    let mut symbols: Vec<_> = instruments["instruments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["symbol"].as_str().unwrap().to_owned())
        .collect();
    symbols.sort();
    symbols.dedup();
    let request = |n: usize| {
        let of: Vec<_> = symbols.iter().cycle().skip(n).take(SYMBOLS.min(symbols.len())).collect();
        serde_json::json!({ "op": "subscribe", "channel": "quotes", "symbols": of }).to_string()
    };
    // Buffers and stacks that are kept once they were needed are not what is looked for.
    let visit = |clients: usize| {
        let mut deaf = Client::connect(addr);
        deaf.subscribe(r#"{"op":"subscribe","channel":"quotes"}"#);
        let mut vanishing = Client::connect(addr);
        vanishing.subscribe(r#"{"op":"subscribe","channel":"trades"}"#);
        // Nothing is sent when this is forgotten, and nothing is read.
        let vanished = vanishing.into_tcp();
        thread::scope(|scope| {
            for n in 0..clients {
                let request = request(n);
                scope.spawn(move || {
                    let mut client = Client::connect(addr);
                    client.subscribe(&request);
                    for _ in 0..20 {
                        let message = client.next();
                        assert_eq!(message["type"], "quote", "{message}");
                    }
                    client.close();
                });
            }
        });
        eventually("those who read have gone", || metric("live_clients") <= 2);
        eventually("the others are found", || metric("live_clients") == 0);
        drop((deaf, vanished));
    };
    visit(CLIENTS);
    let idle = collector.usage();
    let dead = metric("live_dead_total");
    visit(CLIENTS);
    assert!(dead <= metric("live_dead_total"));
    let last = collector.until_given_back(idle);
    assert!(last.resident <= idle.resident + (32 << 20), "{idle:?} {last:?}");
    collector.signal("TERM");
    let (status, summary) = collector.end();
    assert_eq!(status.code(), Some(0), "{summary}");
}
