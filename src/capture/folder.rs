//! The files of a capture: their names, and which of them have to go.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

const SUFFIX: &str = ".jsonl.zst";

/// The name of the `n`-th file of a run that began at `since`; by name, files are in order.
pub(super) fn name(run: &str, n: u32) -> String {
    format!("{run}-{n:06}{SUFFIX}")
}

/// A name of its own for the run that began at `since`, in nanoseconds.
pub(super) fn run_name(since: i64) -> String {
    format!("{since:019}-{}", std::process::id())
}

/// The files in `dir`, in order, and their sizes.
pub(super) fn files(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let named = entry.file_name().to_str().is_some_and(|it| it.ends_with(SUFFIX));
        let about = entry.metadata()?;
        if named && about.is_file() {
            files.push((entry.path(), about.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// Removes the oldest files until all have at most `max` bytes; returns how many that were.
pub(super) fn shrink_to(dir: &Path, max: u64) -> io::Result<u64> {
    let files = files(dir)?;
    let mut bytes: u64 = files.iter().map(|it| it.1).sum();
    let mut removed = 0;
    for (path, size) in files {
        if bytes <= max {
            break;
        }
        fs::remove_file(&path)?;
        log::info!("{}: removed, for [capture] max_size", path.display());
        bytes -= size;
        removed += 1;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_nothing_else_goes() {
        let dir = tempfile::tempdir().unwrap();
        let all = [name(&run_name(9), 2), name(&run_name(10), 1), name(&run_name(10), 10)];
        for it in &all {
            fs::write(dir.path().join(it), [0; 10]).unwrap();
        }
        fs::write(dir.path().join("notes.txt"), [0; 99]).unwrap();
        assert_eq!(shrink_to(dir.path(), 30).unwrap(), 0);
        assert_eq!(shrink_to(dir.path(), 29).unwrap(), 1);
        let left: Vec<_> = files(dir.path()).unwrap().into_iter().map(|it| it.0).collect();
        assert_eq!(left, [dir.path().join(&all[1]), dir.path().join(&all[2])]);
        assert!(dir.path().join("notes.txt").exists());
    }
}
