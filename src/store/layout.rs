//! Where the files of a dataset are.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{date::Date, error::StoreError, partition::Partition, table::Table};

/// How the names of finished files end.
pub(super) const PARQUET: &str = ".parquet";

impl Partition {
    /// Reads what [`Self::folder`] says, `quotes/date=2026-11-23/exchange=binance`; `None` for
    /// anything else.
    pub(super) fn parse(folder: &Path) -> Option<Self> {
        let mut parts = folder.to_str()?.split('/');
        let table = parts.next()?;
        let table = Table::ALL.into_iter().find(|it| it.name() == table)?;
        let date: Date = parts.next()?.strip_prefix("date=")?.parse().ok()?;
        let exchange = if table.is_by_exchange() {
            Some(parts.next()?.strip_prefix("exchange=")?.parse().ok()?)
        } else {
            None
        };
        parts.next().is_none().then_some(Self { table, exchange, day: date.0 })
    }

    /// `quotes/date=2026-11-23`
    pub(super) fn date_folder(self) -> PathBuf {
        Path::new(self.table.name()).join(format!("date={}", self.date()))
    }

    pub(super) fn date(self) -> Date {
        Date(self.day)
    }
}

/// The folders of `table`, below `root` and relative to it, with all that are below them, in order.
pub(super) fn folders(root: &Path, table: Table) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = vec![PathBuf::from(table.name())];
    let mut at = 0;
    while let Some(folder) = found.get(at) {
        for (name, is_dir) in entries(&root.join(folder))? {
            if is_dir {
                found.push(found[at].join(name));
            }
        }
        at += 1;
    }
    found.sort_unstable();
    Ok(found)
}

/// The names of the finished files in `folder`, in order.
pub(super) fn finished(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = entries(folder)?.into_iter();
    let files = entries.filter(|(name, is_dir)| !is_dir && name.ends_with(PARQUET));
    Ok(files.map(|(name, _)| name).collect())
}

/// What is in `folder`, in the order of the names, and what of it are folders; nothing if it is not
/// there.
pub(super) fn entries(folder: &Path) -> Result<Vec<(String, bool)>, StoreError> {
    let listed: io::Result<Vec<_>> = fs::read_dir(folder).and_then(|entries| {
        let entry = |it: fs::DirEntry| {
            Ok((it.file_name().to_string_lossy().into_owned(), it.file_type()?.is_dir()))
        };
        entries.map(|it| it.and_then(entry)).collect()
    });
    match listed {
        Ok(mut listed) => {
            listed.sort_unstable();
            Ok(listed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::during("list", folder)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Exchange;

    #[test]
    fn a_folder_reads_back() {
        for (folder, table, exchange) in [
            ("quotes/date=2026-11-23/exchange=okx", Table::Quotes, Some(Exchange::Okx)),
            ("trades/date=2026-11-23/exchange=okx", Table::Trades, Some(Exchange::Okx)),
            ("spreads/date=2026-11-23", Table::Spreads, None),
            ("gaps/date=2026-11-23", Table::Gaps, None),
        ] {
            let partition = Partition { table, exchange, day: 20_780 };
            assert_eq!(Partition::parse(Path::new(folder)), Some(partition));
            assert_eq!(partition.folder(), Path::new(folder));
        }
        for folder in [
            "",
            "quotes",
            "quotes/date=2026-11-23",
            "quotes/date=2026-11-23/exchange=krakn",
            "quotes/date=2026-11-23/exchange=okx/more",
            "quotes/exchange=okx/date=2026-11-23",
            "gaps/date=2026-11-23/exchange=okx",
            "gaps/date=2026-11-32",
            "journal",
        ] {
            assert_eq!(Partition::parse(Path::new(folder)), None, "{folder}");
        }
    }
}
