//! Which files there have to be: what no file can say of itself.
//!
//! Every run writes down, under `DIR/manifest/date=2026-11-23/<run>.jsonl`, each file that it has put
//! into its place, and each that it has replaced. A line once written stays as it is. Files of many
//! runs lie side by side; together they say which files have to be there. What a run did not come
//! to write down is not missed: a line comes after its file.
//!
//! ```json
//! {"added":{"path":"gaps/date=2026-11-23/20261123T140301Z-1f3a9c2b77d1_gaps-0-1.parquet","rows":12}}
//! {"removed":{"path":"gaps/date=2026-11-23/20261123T140301Z-1f3a9c2b77d1_gaps-0-1.parquet"}}
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{date::Date, disk::Disk, error::StoreError, layout::entries};

/// Below the folder of the dataset.
pub(super) const MANIFEST: &str = "manifest";

/// How the names of the files end.
pub(super) const LINES: &str = ".jsonl";

/// The longest line: a path has at most 4,096 bytes.
const LINE_MAX: u64 = 8_192;

/// The most lines of a day that are read. The files of a second each of all exchanges are fewer.
const LINES_MAX: usize = 4_000_000;

/// Something that has become of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// It has been put into its place.
    Added {
        /// Below the folder of the dataset, with `/` between the parts.
        path: String,
        /// How many it has.
        rows: u64,
    },
    /// Its rows are in other files now.
    Removed {
        /// As above.
        path: String,
    },
}

/// What the runs have written down for a day.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// Rows by path.
    pub(super) added: BTreeMap<String, u64>,
    pub(super) removed: BTreeSet<String>,
    /// Files of the manifest that cannot be read to the end, below the folder of the dataset, and
    /// why.
    pub(super) wrong: Vec<(String, String)>,
}

impl Manifest {
    /// Reads all that there is for `date`.
    pub(super) fn read(root: &Path, date: Date) -> Result<Self, StoreError> {
        let folder = folder(root, date);
        let mut manifest = Manifest::default();
        for (name, _) in entries(&folder)?.into_iter().filter(|(name, _)| name.ends_with(LINES)) {
            if let Err(why) = manifest.read_file(&folder.join(&name)) {
                manifest.wrong.push((format!("{MANIFEST}/date={date}/{name}"), why));
            }
        }
        Ok(manifest)
    }

    /// Reads a file of lines. A last line that has no end is none: its writer was killed.
    pub(super) fn read_file(&mut self, path: &Path) -> Result<(), String> {
        let file = File::open(path).map_err(|it| it.to_string())?;
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let mut limited = file.by_ref().take(LINE_MAX);
            limited.read_until(b'\n', &mut line).map_err(|it| it.to_string())?;
            if !line.ends_with(b"\n") {
                return match line.len() as u64 {
                    LINE_MAX => Err(format!("line {number} has more than {LINE_MAX} bytes")),
                    _ => Ok(()),
                };
            }
            if LINES_MAX <= self.added.len() + self.removed.len() {
                return Err(format!("there are more than {LINES_MAX} lines for the day"));
            }
            self.add(serde_json::from_slice(&line).map_err(|it| format!("line {number}: {it}"))?);
        }
        Ok(())
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Added { path, rows } => _ = self.added.insert(path, rows),
            Line::Removed { path } => _ = self.removed.insert(path),
        }
    }

    /// The dates of which there is anything.
    pub(super) fn dates(root: &Path) -> Result<BTreeSet<Date>, StoreError> {
        let entries = entries(&root.join(MANIFEST))?.into_iter();
        Ok(entries.filter_map(|(name, _)| name.strip_prefix("date=")?.parse().ok()).collect())
    }
}

/// `root/manifest/date=2026-11-23`
pub(super) fn folder(root: &Path, date: Date) -> PathBuf {
    root.join(MANIFEST).join(format!("date={date}"))
}

/// Lines as they are written.
pub(super) fn text(lines: &[Line]) -> String {
    let line = |it| serde_json::to_string(it).expect("text and numbers") + "\n";
    lines.iter().map(line).collect()
}

/// Writes down what `run` has done to a file of `date`. Durable when it returns.
pub(super) fn append(
    disk: &Disk,
    root: &Path,
    date: Date,
    run: &str,
    line: Line,
) -> Result<(), StoreError> {
    let folder = folder(root, date);
    disk.create_dirs(root, &folder)?;
    let path = folder.join(format!("{run}{LINES}"));
    disk.append(&path, text(&[line]).as_bytes())?;
    disk.sync_dir(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Date = Date(20_780);

    fn added(path: &str, rows: u64) -> Line {
        Line::Added { path: path.to_owned(), rows }
    }

    #[test]
    fn what_many_runs_wrote_is_read_as_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = Disk::default();
        for (run, line) in [
            ("a", added("x", 1)),
            ("a", added("y", 2)),
            ("b", added("z", 3)),
            ("c", Line::Removed { path: "y".to_owned() }),
        ] {
            append(&disk, dir.path(), DATE, run, line).expect("it is written");
        }
        let manifest = Manifest::read(dir.path(), DATE).expect("it can be read");
        let rows = [("x", 1), ("y", 2), ("z", 3)].map(|(path, rows)| (path.to_owned(), rows));
        assert_eq!(manifest.added, rows.into());
        assert_eq!(manifest.removed, ["y".to_owned()].into());
        assert!(manifest.wrong.is_empty(), "{manifest:?}");
        assert_eq!(Manifest::dates(dir.path()).expect("a list"), [DATE].into());
    }

    #[test]
    fn a_torn_line_is_none_and_a_wrong_one_is_reported() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("run.jsonl");
        let good = text(&[added("x", 1)]);
        for (text, wrong) in [
            (format!("{good}{}", &good[..20]), ""),
            (good.clone() + "{}\n", "line 2: "),
            (good.clone() + "\n", "line 2: "),
            (good.replace("rows", "size"), "line 1: unknown field `size`"),
            (good.clone() + &"x".repeat(10_000), "line 2 has more than 8192 bytes"),
        ] {
            std::fs::write(&path, &text).expect("a writable folder");
            let mut manifest = Manifest::default();
            let why = manifest.read_file(&path).err().unwrap_or_default();
            assert!(why.starts_with(wrong) && why.is_empty() == wrong.is_empty(), "{text}: {why}");
        }
    }
}
