//! Why a run could not be, or had to end.

use std::io;

use crate::{
    capture::CaptureError, feed::http::CertificateError, live::LiveError, store::StoreError,
};

/// Why the pipeline could not run, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The dataset cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// TLS cannot be set up.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] native_tls::Error),
    /// A root certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Raw frames cannot be kept.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Clients cannot be served.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The system has no more threads.
    #[error("failed to start thread {name}: {cause}")]
    Thread {
        /// Its name.
        name: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A thread that cannot be replaced panicked.
    #[error("thread {name} panicked: {message}")]
    Panicked {
        /// Its name.
        name: String,
        /// What it said.
        message: String,
    },
}
