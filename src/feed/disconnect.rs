//! Why a connection ended, and what follows from it.

use std::time::Duration;

use tungstenite::error::ProtocolError;

use super::{
    http::{HttpError, wait_after},
    session::Verdict,
    socket::ConnectError,
};
use crate::metrics::ReconnectReason;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Disconnect {
    #[error(transparent)]
    Address(#[from] HttpError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("closed by the exchange: {0}")]
    Closed(String),
    #[error(transparent)]
    Verdict(#[from] Verdict),
    #[error("{0}")]
    Socket(#[from] tungstenite::Error),
    #[error("stopped")]
    Stopped,
}

impl Disconnect {
    /// Whether it is the program that is ending.
    pub(super) fn is_stop(&self) -> bool {
        matches!(self, Disconnect::Stopped | Disconnect::Connect(ConnectError::Stopped))
    }

    pub(super) fn reason(&self) -> ReconnectReason {
        use tungstenite::Error;
        match self {
            Disconnect::Address(_) | Disconnect::Connect(_) => ReconnectReason::Connect,
            Disconnect::Verdict(Verdict::Silent(_) | Verdict::Unwelcome) => ReconnectReason::Silent,
            Disconnect::Verdict(Verdict::Mute(_)) => ReconnectReason::Mute,
            Disconnect::Closed(_)
            | Disconnect::Stopped
            | Disconnect::Socket(
                Error::ConnectionClosed
                | Error::AlreadyClosed
                | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
            ) => ReconnectReason::Closed,
            Disconnect::Socket(Error::Io(_)) => ReconnectReason::Io,
            Disconnect::Verdict(Verdict::Nonsense(_)) | Disconnect::Socket(_) => {
                ReconnectReason::Protocol
            }
        }
    }

    /// The least time to wait before trying again, whatever the backoff says.
    pub(super) fn at_least(&self) -> Duration {
        match self {
            Disconnect::Address(err) => err.at_least(),
            Disconnect::Connect(ConnectError::Http { status, retry_after, .. }) => {
                wait_after(*status, *retry_after)
            }
            _ => Duration::ZERO,
        }
    }
}
