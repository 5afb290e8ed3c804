//! `verify`: is every file what it says it is?

use std::path::PathBuf;

use clap::Args;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The folder of the dataset.
    dir: PathBuf,
}

pub(super) fn run(_options: &Options) -> Result<(), Failure> {
    Ok(())
}
