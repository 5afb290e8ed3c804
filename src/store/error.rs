//! What can go wrong with a file.

use std::{
    io,
    path::{Path, PathBuf},
};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::{check::Fault, journal::Flaw};

/// Something that could not be done to a file or folder of the dataset.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} {}: {cause}", path.display())]
pub struct StoreError {
    operation: &'static str,
    path: PathBuf,
    cause: Cause,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error("it is gone")]
    Gone,
    #[error("there is another file of this name: {}", .0.display())]
    Taken(PathBuf),
    #[error("{}", joined(.0))]
    Faults(Vec<Fault>),
    #[error("{read} rows were read, {written} were written")]
    Compacted { read: u64, written: u64 },
    #[error(transparent)]
    Journal(#[from] Flaw),
    #[error("{0} files wait for the disk already")]
    Waiting(usize),
    #[error("{counted} rows were put in, its footer says {footer}")]
    Rows { counted: u64, footer: i64 },
    #[error("column {name} should be {expected}, it is {found}")]
    Column { name: &'static str, expected: String, found: String },
    #[error("column {0} has a null")]
    Null(&'static str),
    #[error("column {column} has {found:?}, which is none of the names there are")]
    Name { column: &'static str, found: String },
    #[error("it has more instruments than there can be")]
    Instruments,
    #[error("the loss ledger has too many rows; ask for one exchange or symbol")]
    Losses,
    #[error("it is made so that its reader panics")]
    Panic,
}

fn joined(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

impl StoreError {
    /// For `map_err`: `rename(..).map_err(StoreError::during("rename", path))`.
    pub(super) fn during<C: Into<Cause>>(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(C) -> Self {
        move |cause| Self { operation, path: path.to_owned(), cause: cause.into() }
    }
}
