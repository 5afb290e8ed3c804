//! A client's socket, with or without TLS.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use native_tls::{HandshakeError, Identity, TlsAcceptor, TlsStream};

use crate::stop::Stop;

/// For a client to do its part of the handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a step of it may keep a thread from seeing that it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a server shows that it is who it should be.
#[derive(Clone)]
pub struct Certificate {
    /// Its certificate and those up to the authority, in PEM form.
    pub chain: Vec<u8>,
    /// Its private key, PKCS #8 in PEM form.
    pub key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let identity = Identity::from_pkcs8(&self.chain, &self.key);
        identity.and_then(TlsAcceptor::new).map_err(|e| {
            let problem = format!("the certificate and its PKCS #8 key cannot be used: {e}");
            io::Error::new(io::ErrorKind::InvalidInput, problem)
        })
    }
}

/// A client's socket.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Takes what has been accepted; with an `acceptor`, TLS is expected.
    pub(super) fn accept(
        tcp: TcpStream,
        acceptor: Option<&TlsAcceptor>,
        stop: &Stop,
    ) -> io::Result<Self> {
        let Some(acceptor) = acceptor else { return Ok(Socket::Plain(tcp)) };
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let deadline = Instant::now() + HANDSHAKE_WITHIN;
        let mut handshake = acceptor.accept(tcp);
        loop {
            match handshake {
                Ok(stream) => return Ok(Socket::Tls(Box::new(stream))),
                Err(HandshakeError::WouldBlock(rest))
                    if !stop.requested() && Instant::now() < deadline =>
                {
                    handshake = rest.handshake();
                }
                Err(HandshakeError::WouldBlock(_)) => return Err(io::ErrorKind::TimedOut.into()),
                Err(HandshakeError::Failure(e)) => return Err(io::Error::other(e)),
            }
        }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Socket::Plain(it) => it,
            Socket::Tls(it) => it.get_ref(),
        }
    }

    /// Ends our side: what has been written arrives, and then its end.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Socket::Tls(it) = self {
            // It is the end either way.
            let _ = it.shutdown();
        }
        self.tcp().shutdown(Shutdown::Write)
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(it) => it.read(buf),
            Socket::Tls(it) => it.read(buf),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(it) => it.write(buf),
            Socket::Tls(it) => it.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Plain(it) => it.flush(),
            Socket::Tls(it) => it.flush(),
        }
    }
}
