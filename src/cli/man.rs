//! `man`: manual pages, made from the same declarations as `--help`.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Failure};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to write a page for each command. Only the program's own is printed when left out.
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let Some(dir) = &options.dir else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(());
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .with_context(|| format!("failed to write manual pages to {}", dir.display()))?;
    Ok(())
}
