//! `verify`: is every file there, and what it says it is?

use std::{
    io::{self, Write as _},
    mem,
    path::PathBuf,
    time::Instant,
};

use anyhow::anyhow;
use bytesize::ByteSize;
use clap::Args;

use super::{Failure, compact::dataset};
use crate::store::{self, Disk, Fault};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of the dataset.
    dir: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    dataset(&options.dir)?;
    let (start, mut printed) = (Instant::now(), Ok(()));
    let it = store::verify(&options.dir, &Disk::default(), |path, faults| {
        let faults = faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ");
        let line = writeln!(io::stdout(), "{path}: {faults}");
        printed = mem::replace(&mut printed, Ok(())).and(line);
    })?;
    let retired = match it.retired {
        0 => String::new(),
        n => format!(", {n} more are gone with the folders of their days"),
    };
    let summary = format!(
        "{} files of {} rows, {}, are in order{retired}; read in {:.1} s",
        it.files,
        it.rows,
        ByteSize(it.bytes).display().iec(),
        start.elapsed().as_secs_f64()
    );
    if it.wrong == 0 {
        log::info!("{summary}");
        printed?;
        return Ok(());
    }
    Err(anyhow!("wrong or missing files: {}; {summary}", it.wrong).into())
}
