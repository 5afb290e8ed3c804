//! `compact`: few large files in the place of many small ones.

use std::{
    io::{self, Write as _},
    mem,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{anyhow, bail};
use bytesize::ByteSize;
use clap::Args;

use super::Failure;
use crate::{
    feed::now,
    store::{
        Compression, Date, Disk, Table,
        compact::{self, Compacted, Days, MEMORY_MAX, MEMORY_MIN, TARGET_SIZE_MAX},
    },
};

/// Readers list a folder in much less.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of the dataset.
    dir: PathBuf,
    /// The UTC day, as 2026-11-23 [default: every day before today that has more than one file].
    #[arg(long)]
    date: Option<Date>,
    /// About how much memory to use.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size)]
    memory: ByteSize,
    /// The size at which a file is closed.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    target_size: ByteSize,
    /// How pages are compressed: none, lz4, snappy, zstd(1) to zstd(22).
    #[arg(long, value_name = "CODEC", default_value = "zstd(3)")]
    compression: Compression,
}

fn size(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|_| "must be a size such as 512MiB".to_owned())
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    check("--memory", options.memory, MEMORY_MIN..=MEMORY_MAX)?;
    check("--target-size", options.target_size, 1..=TARGET_SIZE_MAX)?;
    dataset(&options.dir)?;
    let today = Date::from(now());
    if options.date.is_some_and(|it| today <= it) {
        log::warn!("the day is not over: what is recorded later makes new small files");
    }
    let days = options.date.map_or(Days::Before(today), Days::One);
    let how = compact::Options {
        memory: options.memory.as_u64(),
        target_size: options.target_size.as_u64(),
        compression: options.compression,
        grace: GRACE,
    };
    let (mut folders, mut failed, mut printed) = (0, 0, Ok(()));
    compact::compact(&options.dir, days, &how, &Disk::default(), |result| match result {
        Ok(compacted) => {
            folders += 1;
            let line = writeln!(io::stdout(), "{}", line(&compacted));
            // Whoever read our output may have seen enough; the work goes on.
            printed = mem::replace(&mut printed, Ok(())).and(line);
        }
        Err(error) => {
            failed += 1;
            log::error!("{error}");
        }
    })?;
    printed?;
    match failed {
        0 if folders == 0 => log::info!("there is nothing to compact"),
        0 => (),
        _ => return Err(anyhow!("{failed} failed and stayed as they were").into()),
    }
    Ok(())
}

/// A folder that has nothing of a dataset is a slip of the hand.
pub(super) fn dataset(dir: &Path) -> Result<(), Failure> {
    let tables = Table::ALL.map(Table::name);
    let missing = || format!("it has none of the folders {}", tables.join(", "));
    has(dir, &tables, missing)
}

/// Whether `dir` has one of `folders` at least; what is `missing` otherwise.
pub(super) fn has(
    dir: &Path,
    folders: &[&str],
    missing: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let why = match dir.read_dir() {
        Ok(_) if folders.iter().any(|it| dir.join(it).is_dir()) => return Ok(()),
        Ok(_) => missing(),
        Err(err) => err.to_string(),
    };
    Err(Failure::Usage(anyhow!("{} is no dataset: {why}", dir.display())))
}

fn check(name: &str, size: ByteSize, range: RangeInclusive<u64>) -> Result<(), Failure> {
    let checked = || {
        if range.contains(&size.as_u64()) {
            return Ok(());
        }
        let [min, max] = [range.start(), range.end()].map(|&it| ByteSize(it));
        bail!("{name} is {size}; it has to be from {min} to {max}")
    };
    checked().map_err(Failure::Usage)
}

fn line(it: &Compacted) -> String {
    let part = |(files, bytes): (usize, u64)| {
        let plural = if files == 1 { "" } else { "s" };
        format!("{files} file{plural} of {}", ByteSize(bytes).display().iec_short())
    };
    format!("{}: {} rows, {} -> {}", it.folder, it.rows, part(it.before), part(it.after))
}
