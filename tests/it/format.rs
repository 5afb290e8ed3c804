//! Datasets of the first version of the format stay readable: `tests/fixtures/format-1` is what 0.1.0
//! wrote, ended in order once and killed once, and is never made anew.

use std::{fs, path::Path};

use spread_aggregator::market::Channel;

use super::support::{child::Process, rows::rows};

/// Quotes and trades in files, and in journals.
const WRITTEN: [usize; 2] = [361, 48];
const JOURNALLED: [usize; 2] = [206, 28];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Runs a command that succeeds; returns what it prints.
fn done(args: &[&str]) -> String {
    let (status, out) = Process::start(args).end();
    assert_eq!(status.code(), Some(0), "{args:?}: {out}");
    out
}

#[test]
fn what_the_first_version_wrote_is_read_recovered_and_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1");
    copy(&fixture, dir.path());
    let path = dir.path().to_str().unwrap();
    let count = || Channel::ALL.map(|it| rows(dir.path(), it).len());
    assert_eq!(count(), WRITTEN);
    assert_eq!(done(&["verify", path]), "");

    // Its journals too: they are those of a process that was killed.
    let said = done(&["recover", path]);
    assert!(
        said.starts_with(&format!("{} rows recovered to 4 files", JOURNALLED[0] + JOURNALLED[1])),
        "{said}"
    );
    assert!(said.ends_with("0 journals damaged\n"), "{said}");
    let all = [WRITTEN[0] + JOURNALLED[0], WRITTEN[1] + JOURNALLED[1]];
    assert_eq!(count(), all);
    let ledger = done(&["gaps", path]);
    assert!(ledger.contains(" disconnect ") && ledger.contains(" crash "), "{ledger}");

    done(&["compact", path, "--date", "2026-11-24"]);
    assert_eq!(count(), all);
    assert_eq!(done(&["verify", path]), "");
}

#[test]
fn a_row_of_the_first_version_means_what_it_meant() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1");
    let first =
        |channel| format!("{:?}", rows(&fixture, channel).into_iter().min_by_key(|it| it.ts_recv));
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("format-1-quote", first(Channel::Quotes));
        insta::assert_snapshot!("format-1-trade", first(Channel::Trades));
    });
}
