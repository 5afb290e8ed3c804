//! Several collectors that share the work, and the folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use spread_aggregator::market::Channel;

use super::support::{
    child::{Exchanges, Process},
    rows::{files, read},
    world::eventually,
};

const HOSTS: usize = 3;

/// Where the dataset stays, for `tests/readers/shards.py`.
const DIR: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/shards");

/// The run that has written a file, by its name.
fn run(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.split_once('_').unwrap().0.to_owned()
}

fn validated(config: &str) -> String {
    let (status, out) = Process::start(&["validate", "--online", "-c", config]).end();
    assert_eq!(status.code(), Some(0), "{out}");
    out
}

/// Symbols of all venues, by what is validated.
fn symbols(validated: &str) -> usize {
    let rows = validated.lines().skip(1).take_while(|it| !it.is_empty());
    rows.map(|it| it.split_whitespace().nth(3).unwrap().parse::<usize>().unwrap()).sum()
}

#[test]
fn collectors_that_share_the_symbols_share_the_folder_too() {
    let _ = fs::remove_dir_all(DIR);
    fs::create_dir_all(DIR).unwrap();
    let exchanges = Exchanges::start(&["--rate", "6000", "--no-limits"]);
    let configs: Vec<_> = (1..=HOSTS)
        .map(|n| {
            let config = exchanges.config(Path::new(DIR), "", "");
            let text = fs::read_to_string(&config).unwrap();
            let shard = format!("[storage]\nshard = \"{n}/{HOSTS}\"\nrotate = \"1s\"\n");
            let own = format!("{DIR}/config-{n}.toml");
            fs::write(&own, text.replacen("[storage]\n", &shard, 1)).unwrap();
            own
        })
        .collect();
    let whole = symbols(&validated(&format!("{DIR}/config.toml")));
    let parts = configs.iter().map(|it| {
        let validated = validated(it);
        assert!(validated.contains("this host takes shard "), "{validated}");
        symbols(&validated)
    });
    let parts: Vec<_> = parts.collect();
    assert_eq!(parts.iter().sum::<usize>(), whole, "{parts:?}");

    let collectors: Vec<_> =
        configs.iter().map(|config| Process::start(&["run", "-c", config])).collect();
    eventually("all are connected", || exchanges.sent("open") == 7 * HOSTS as u64);
    let before = exchanges.sent("frames");
    eventually("data flows", || before + 20_000 < exchanges.sent("frames"));
    for it in &collectors {
        it.signal("TERM");
    }
    let mut written = [0, 0];
    for it in collectors {
        let (status, summary) = it.end();
        assert_eq!(status.code(), Some(0), "{summary}");
        for (sum, word) in written.iter_mut().zip(["quotes", "trades"]) {
            *sum += super::process::number(&summary, word);
        }
    }
    let data = Path::new(DIR).join("data");
    let mut owners = BTreeMap::<_, BTreeSet<String>>::new();
    for (channel, written) in Channel::ALL.into_iter().zip(written) {
        let (mut rows, mut trades) = (0, BTreeSet::new());
        for file in files(&data.join(channel.name())) {
            for row in read(&file) {
                rows += 1;
                let key = (row.venue(), row.symbol().to_owned());
                owners.entry(key).or_default().insert(run(&file));
                if channel == Channel::Trades {
                    let id = row.identity();
                    assert!(trades.insert(id.clone()), "twice: {id}");
                }
            }
        }
        assert_eq!(rows, written, "{channel}");
        assert!(1_000 < rows, "{rows} {channel}");
    }
    assert_eq!(owners.len(), whole, "each symbol is collected");
    let shared: Vec<_> = owners.iter().filter(|it| it.1.len() != 1).collect();
    assert!(shared.is_empty(), "{shared:#?}");
    let runs: BTreeSet<_> = owners.values().flatten().collect();
    assert_eq!(runs.len(), HOSTS);
    // All of a symbol's exchanges are with one host.
    let mut hosts = BTreeMap::<_, BTreeSet<_>>::new();
    for ((venue, symbol), runs) in &owners {
        let market = venue.rsplit_once('-').unwrap().1;
        hosts.entry((market, symbol)).or_default().extend(runs);
    }
    assert!(hosts.values().all(|it| it.len() == 1), "{hosts:#?}");
}
