//! What can go wrong with a file.

use std::{
    io,
    path::{Path, PathBuf},
};

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::journal::Flaw;

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
    #[error(transparent)]
    Journal(#[from] Flaw),
    #[error("{0} files wait for the disk already")]
    Waiting(usize),
    #[error("{counted} rows were put in, its footer says {footer}")]
    Rows { counted: u64, footer: i64 },
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
