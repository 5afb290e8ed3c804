//! The rules of ARCHITECTURE.md that a reader of the sources can check.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use spread_aggregator::market::Exchange;

/// Each module may import those of lower rank, and itself.
const RANKS: [(&str, u32); 18] = [
    ("market", 0),
    ("channel", 1),
    ("exchange", 1),
    ("metrics", 1),
    ("registry", 1),
    ("stop", 1),
    ("capture", 2),
    ("json", 2),
    ("ledger", 2),
    ("feed", 3),
    ("simulator", 3),
    ("spreads", 3),
    ("store", 3),
    ("live", 4),
    ("config", 5),
    ("pipeline", 6),
    ("cli", 7),
    ("main", 8),
];

/// The sources: path below `src`, and the code without its tests and comments.
fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Those that tests.rs is split into are tests as well.
                folders.extend((!path.ends_with("tests")).then_some(path));
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let lines = code.lines().filter(|it| !it.trim_start().starts_with("//"));
                let code = lines.collect::<Vec<_>>().join("\n");
                sources.insert(path.strip_prefix(&root).unwrap().to_owned(), code);
            }
        }
    }
    assert!(30 < sources.len(), "{} sources", sources.len());
    sources
}

fn module(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn rank(module: &str) -> u32 {
    let ranked = RANKS.iter().find(|(name, _)| *name == module);
    ranked.unwrap_or_else(|| panic!("{module} has no rank: add it to the layers")).1
}

/// The modules of this crate that a source mentions by path.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, crate_path) in code.match_indices("crate::") {
        let rest = &code[at + crate_path.len()..];
        let group = rest.strip_prefix('{').map(|it| it.split("\n};").next().unwrap());
        match group {
            // One module a line, the way rustfmt breaks a list that is long.
            Some(group) => {
                let top =
                    group.lines().filter(|it| it.starts_with("    ") && !it.starts_with("     "));
                found.extend(top.filter_map(|it| it.trim().split(':').next().map(str::to_owned)));
                if !group.contains('\n') {
                    found.extend(
                        group.split(',').map(|it| it.trim().split(':').next().unwrap().to_owned()),
                    );
                }
            }
            None => found.push(
                rest.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap().into(),
            ),
        }
    }
    found.retain(|it| RANKS.iter().any(|(name, _)| name == it));
    found
}

#[test]
fn imports_point_strictly_down_and_siblings_never_import_each_other() {
    let mut seen = 0;
    for (path, code) in sources() {
        if path.ends_with("lib.rs") || path.ends_with("main.rs") {
            continue;
        }
        let own = module(&path);
        for import in imports(&code).iter().filter(|it| **it != own) {
            seen += 1;
            assert!(rank(import) < rank(&own), "{} imports {import}", path.display());
        }
    }
    assert!(50 < seen, "only {seen} imports were seen");
}

/// Fails for each source outside `allowed` that mentions one of `words`.
fn only_in(allowed: &[&str], words: &[&str]) {
    for (path, code) in sources() {
        let shown = path.display().to_string();
        if !allowed.iter().any(|it| shown.starts_with(it)) {
            for word in words {
                assert!(!code.contains(word), "{shown} mentions {word}");
            }
        }
    }
}

#[test]
fn no_exchange_is_mentioned_by_name_outside_its_own_file() {
    let names: Vec<_> = Exchange::ALL.iter().map(|it| format!("{it:?}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    only_in(&["market/mod.rs", "exchange/", "simulator/"], &names);
}

#[test]
fn only_the_store_knows_arrow_and_parquet() {
    only_in(&["store/"], &["arrow::", "parquet::"]);
}

#[test]
fn only_the_edges_know_sockets() {
    only_in(&["feed/socket", "live/", "simulator/"], &["TcpStream", "TcpListener"]);
}

#[test]
fn only_the_edges_read_a_clock() {
    let edges = [
        "feed/connection.rs",
        "feed/discovery.rs",
        "feed/handover.rs",
        "feed/mod.rs",
        "feed/socket.rs",
        "live/",
        "store/dataset.rs",
        "pipeline/",
        "simulator/",
        "cli/",
        "main.rs",
    ];
    only_in(&edges, &["Instant::now", "SystemTime::now"]);
}

#[test]
fn only_main_and_its_signals_end_the_process() {
    only_in(&["main.rs"], &["process::exit", "abort("]);
}

#[test]
fn threads_are_started_where_they_are_joined() {
    only_in(
        &[
            "pipeline/",
            "feed/handover.rs",
            "live/client.rs",
            "live/listener.rs",
            "simulator/",
            "cli/signals.rs",
            "cli/demo.rs",
            "cli/top.rs",
        ],
        &["spawn_scoped", "thread::spawn"],
    );
}
