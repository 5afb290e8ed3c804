//! Old days go, if the configuration says so.

use std::{fs, io, path::Path};

use super::{
    dataset::Dataset,
    error::StoreError,
    layout::PARQUET,
    manifest::{LINES, MANIFEST},
    partition::day,
    table::Table,
};
use crate::market::{Exchange, Nanos};

/// Removes what is older than some days, once a day.
#[derive(Debug)]
pub(super) struct Retention {
    keep_days: Option<u32>,
    /// The day on which it was last done.
    done: Option<i32>,
}

impl Retention {
    pub(super) fn new(keep_days: Option<u32>) -> Self {
        Self { keep_days, done: None }
    }

    /// Removes the folders of days that are over for longer than `keep_days`, if that has not been
    /// done today.
    pub(super) fn tick(&mut self, dataset: &Dataset, now: Nanos) {
        let today = now.day();
        if self.done == Some(today) {
            return;
        }
        self.done = Some(today);
        if let Some(keep) = self.keep_days.and_then(|it| i32::try_from(it).ok()) {
            let first = today.saturating_sub(keep);
            for table in Table::ALL {
                remove_before(dataset, table.name(), first, |it| is_ours(it, table));
            }
            remove_before(dataset, MANIFEST, first, |it| holds_files_only(it, LINES));
        }
    }
}

fn remove_before(
    dataset: &Dataset,
    folder: &str,
    first: i32,
    is_ours: impl Fn(&Path) -> io::Result<bool>,
) {
    let folder = dataset.dir().join(folder);
    let days = match fs::read_dir(&folder) {
        Ok(days) => days,
        // Nothing has been written down yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return log::warn!("{}", StoreError::during("list", &folder)(error)),
    };
    for path in days.flatten().map(|it| it.path()) {
        let name = path.file_name().and_then(|it| it.to_str());
        let date = name.and_then(|it| day(it.strip_prefix("date=")?));
        if date.is_none_or(|it| first <= it) {
            continue;
        }
        match is_ours(&path) {
            Ok(true) => match dataset.disk().remove_dir(&path) {
                Ok(()) => log::info!("removed {}: older than keep_days", path.display()),
                Err(error) => log::warn!("{error}"),
            },
            Ok(false) => {
                log::warn!("{} is old, but holds what is not ours: left alone", path.display());
            }
            Err(error) => log::warn!("{}", StoreError::during("list", &path)(error)),
        }
    }
}

/// Whether a day's folder holds nothing but what belongs there.
fn is_ours(path: &Path, table: Table) -> io::Result<bool> {
    if !table.is_by_exchange() {
        return holds_files_only(path, PARQUET);
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|it| it.to_str());
        let exchange = name.and_then(|it| it.strip_prefix("exchange="));
        let is_known = exchange.is_some_and(|it| it.parse::<Exchange>().is_ok());
        if !is_known || !holds_files_only(&path, PARQUET)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds_files_only(path: &Path, ending: &str) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().ends_with(ending);
        // Not following links: what they lead to is elsewhere.
        if !is_ours || !entry.file_type()?.is_file() {
            return Ok(false);
        }
    }
    Ok(true)
}
