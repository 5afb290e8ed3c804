//! `recover`: what a crash has left becomes files.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context;
use clap::Args;

use super::{Failure, compact::has, signals::stopping_on_signals};
use crate::{
    feed,
    metrics::Metrics,
    stop::Stop,
    store::{Compression, Dataset, Settings},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of the dataset.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// How pages are compressed: none, lz4, snappy or zstd(N).
    #[arg(long, value_name = "NAME", default_value = "zstd(1)")]
    compression: Compression,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let dir = &options.dir;
    // To create a dataset where there is none would hide a slip of the pen.
    has(dir, &["journal"], || "it has no folder journal".to_owned())?;
    let settings = Settings {
        dir: dir.clone(),
        journal_flush: Duration::from_secs(1),
        rotate: Duration::from_mins(15),
        rotate_size: 256 << 20,
        compression: options.compression,
        keep_days: None,
    };
    let (dataset, metrics, stop) = (Dataset::open(dir)?, Metrics::new(), Stop::default());
    let recovered =
        stopping_on_signals(&stop, || dataset.recover(&settings, &metrics, feed::now(), &stop))
            .context("failed to handle signals")?;
    writeln!(
        io::stdout(),
        "{} rows recovered to {} files; {} crashes written to the ledger; {} journals damaged",
        recovered.rows,
        recovered.files,
        recovered.crashes.len(),
        recovered.damaged
    )?;
    if 0 < recovered.failed {
        return Err(anyhow::anyhow!("{} runs could not be recovered", recovered.failed).into());
    }
    Ok(())
}
