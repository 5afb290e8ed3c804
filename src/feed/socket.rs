//! TCP, TLS and WebSocket with every wait bounded.
//!
//! No call here blocks for longer than [`PATIENCE`], but for connecting to one address
//! ([`CONNECT_MAX`]).

mod bytes;
mod resolve;

use std::{
    io::{self, BufReader},
    net::TcpStream,
    time::{Duration, Instant, SystemTime},
};

use native_tls::{HandshakeError as TlsError, TlsConnector};
use tungstenite::{
    HandshakeError, Message, WebSocket,
    client::IntoClientRequest,
    handshake::client::ClientHandshake,
    http::{HeaderValue, Uri, header::RETRY_AFTER},
    protocol::WebSocketConfig,
};

use self::{
    bytes::{Ahead, Stream, Tap},
    resolve::resolve,
};
use super::http::meaning;
use crate::{market::Nanos, stop::Stop};

/// How long a read may wait, and with it everything that waits for a reader to look up.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);
/// How long one address may take to answer.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long the TLS and WebSocket handshakes may take, each.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long what we send may stay unsent.
const UNSENT_MAX: Duration = Duration::from_secs(5);
/// The largest frame, and message, that is accepted. The largest real one, a list of all tickers,
/// is below 1 MiB.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// tungstenite zeroes this much before each read, so a large buffer makes small reads dear, and a
/// small one makes many of them where much is ready: the table is in docs/performance.md.
const READ_BUFFER_BYTES: usize = 8 << 10;
/// What TLS takes from the socket at a time. By itself OpenSSL asks twice for each record, once for
/// its five bytes of head; a record is 16 KiB at most, and on these streams often one frame.
const TLS_BUFFER_BYTES: usize = 32 << 10;
/// Requests wait here while the peer does not read; the largest is below 8 KiB.
const WRITE_BUFFER_BYTES_MAX: usize = 256 << 10;

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// It is not a WebSocket address.
    #[error("{0} is not a WebSocket address")]
    Url(String),
    /// The name has no address.
    #[error("failed to resolve {host}: {cause}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system says.
        cause: io::Error,
    },
    /// No address answers.
    #[error("failed to connect to {host}: {cause}")]
    Tcp {
        /// The name.
        host: String,
        /// What the system says of the last address tried.
        cause: io::Error,
    },
    /// The peer is not who it should be, or cannot do TLS.
    #[error("TLS with {host} failed: {cause}")]
    Tls {
        /// The name.
        host: String,
        /// What the library says.
        cause: native_tls::Error,
    },
    /// A handshake took too long.
    #[error("the handshake with {host} took longer than {HANDSHAKE_MAX:?}")]
    Slow {
        /// The name.
        host: String,
    },
    /// The peer answered with something else than a WebSocket.
    #[error("{host} answered HTTP {status}{}", meaning(*status))]
    Http {
        /// The name.
        host: String,
        /// The HTTP status: 403 and 451 mean that it does not serve us, 418 and 429 that we ask
        /// too often.
        status: u16,
        /// How long the peer wants us to wait.
        retry_after: Option<Duration>,
    },
    /// The WebSocket handshake failed otherwise.
    #[error("the WebSocket handshake with {host} failed: {cause}")]
    WebSocket {
        /// The name.
        host: String,
        /// What the library says.
        cause: Box<tungstenite::Error>,
    },
    /// The program is stopping.
    #[error("stopped while connecting")]
    Stopped,
}

/// A WebSocket whose reads return within [`PATIENCE`].
#[derive(Debug)]
pub(super) struct Socket {
    ws: WebSocket<Stream>,
    /// Since when bytes have waited to be sent.
    unsent: Option<Instant>,
    patience: Duration,
}

/// Connects to `url` with `headers` besides the usual ones, checking `stop` at every wait.
///
/// # Errors
/// When any step fails or takes too long.
pub(super) fn connect(
    url: &str,
    headers: &[(&'static str, &'static str)],
    tls: &TlsConnector,
    stop: &Stop,
) -> Result<Socket, ConnectError> {
    let mut request = url.into_client_request().map_err(|_| ConnectError::Url(url.to_owned()))?;
    for &(name, value) in headers {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let (host, stream) = open(request.uri(), tls, stop)?;
    let deadline = Instant::now() + HANDSHAKE_MAX;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .max_message_size(Some(MESSAGE_BYTES_MAX));
    let failed = |host: &str, cause| match cause {
        tungstenite::Error::Http(response) => ConnectError::Http {
            host: host.to_owned(),
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|it| it.to_str().ok()?.parse().ok())
                .map(Duration::from_secs),
        },
        cause => ConnectError::WebSocket { host: host.to_owned(), cause: Box::new(cause) },
    };
    let mut handshake = ClientHandshake::start(stream, request, Some(config))
        .map_err(|cause| failed(&host, cause))?;
    loop {
        match handshake.handshake() {
            Ok((ws, _)) => return Ok(Socket { ws, unsent: None, patience: PATIENCE }),
            Err(HandshakeError::Interrupted(rest)) => handshake = rest,
            Err(HandshakeError::Failure(cause)) => return Err(failed(&host, cause)),
        }
        check(stop, deadline, &host)?;
    }
}

fn check(stop: &Stop, deadline: Instant, host: &str) -> Result<(), ConnectError> {
    if stop.requested() {
        return Err(ConnectError::Stopped);
    }
    if deadline < Instant::now() {
        return Err(ConnectError::Slow { host: host.to_owned() });
    }
    Ok(())
}

fn open(uri: &Uri, tls: &TlsConnector, stop: &Stop) -> Result<(String, Stream), ConnectError> {
    let not_ours = || ConnectError::Url(uri.to_string());
    let secure = match uri.scheme_str() {
        Some("ws") => false,
        Some("wss") => true,
        _ => return Err(not_ours()),
    };
    let host = uri.host().ok_or_else(not_ours)?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let tap = open_tcp(&host, port, stop)?;
    if !secure {
        return Ok((host, Stream::Plain(tap)));
    }
    let deadline = Instant::now() + HANDSHAKE_MAX;
    let mut handshake =
        tls.connect(&host, Ahead::of(BufReader::with_capacity(TLS_BUFFER_BYTES, tap)));
    loop {
        match handshake {
            Ok(stream) => return Ok((host, Stream::Tls(Box::new(stream)))),
            Err(TlsError::WouldBlock(rest)) => {
                check(stop, deadline, &host)?;
                handshake = rest.handshake();
            }
            Err(TlsError::Failure(cause)) => return Err(ConnectError::Tls { host, cause }),
        }
    }
}

fn open_tcp(host: &str, port: u16, stop: &Stop) -> Result<Tap, ConnectError> {
    let addresses = resolve(host, port, stop)
        .map_err(|cause| ConnectError::Resolve { host: host.to_owned(), cause })?;
    let mut cause = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        if stop.requested() {
            return Err(ConnectError::Stopped);
        }
        match TcpStream::connect_timeout(&address, CONNECT_MAX).and_then(Tap::new) {
            Ok(tap) => return Ok(tap),
            Err(err) => cause = err,
        }
    }
    Err(ConnectError::Tcp { host: host.to_owned(), cause })
}

impl Socket {
    /// The next message, or `None` when all that has come has been handed out: the call after that one
    /// waits, and is `None` when nothing comes in time.
    ///
    /// # Errors
    /// When the connection is over, cleanly or not.
    pub(super) fn read(&mut self) -> Result<Option<Message>, tungstenite::Error> {
        self.check_unsent()?;
        match self.ws.read() {
            Ok(message) => Ok(Some(message)),
            Err(tungstenite::Error::Io(err)) if is_patience(&err) => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Sends a message, or keeps it to be sent on a later call.
    ///
    /// # Errors
    /// When the connection is over, or the peer has not read for [`UNSENT_MAX`].
    pub(super) fn send(&mut self, message: Message) -> Result<(), tungstenite::Error> {
        let sent = self.ws.write(message).and_then(|()| self.ws.flush());
        self.sent(sent)
    }

    fn check_unsent(&mut self) -> Result<(), tungstenite::Error> {
        let Some(since) = self.unsent else { return Ok(()) };
        if UNSENT_MAX < since.elapsed() {
            return Err(tungstenite::Error::Io(io::ErrorKind::TimedOut.into()));
        }
        let sent = self.ws.flush();
        self.sent(sent)
    }

    fn sent(&mut self, sent: Result<(), tungstenite::Error>) -> Result<(), tungstenite::Error> {
        match sent {
            Ok(()) => self.unsent = None,
            Err(tungstenite::Error::Io(err)) if is_patience(&err) => {
                self.unsent.get_or_insert_with(Instant::now);
            }
            Err(err) => return Err(err),
        }
        Ok(())
    }

    /// Says goodbye and leaves the rest to the peer. Nobody waits for its answer.
    pub(super) fn close(&mut self) {
        // The connection is given up either way.
        let _ = self.ws.close(None).and_then(|()| self.ws.flush());
    }

    /// When the bytes that were read last left the kernel.
    #[must_use]
    pub(super) fn ts_recv(&self) -> Nanos {
        self.ws.get_ref().tap().ts_recv()
    }

    /// How many bytes have been read.
    #[must_use]
    pub(super) fn bytes(&self) -> u64 {
        self.ws.get_ref().tap().bytes()
    }

    /// Makes reads wait for at most `patience`, which is never longer than [`PATIENCE`].
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        let patience = patience.clamp(Duration::from_millis(1), PATIENCE);
        if patience != self.patience {
            self.ws.get_ref().tap().set_patience(patience)?;
            self.patience = patience;
        }
        Ok(())
    }
}

/// Whether a call ended because its time was up.
fn is_patience(err: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(err.kind(), WouldBlock | TimedOut | Interrupted)
}

/// The time by the system's clock.
#[must_use]
pub fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
