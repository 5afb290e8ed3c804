//! The bytes below a WebSocket: TCP, with TLS or without.

use std::{
    io::{self, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use native_tls::TlsStream;

use super::{PATIENCE, now};
use crate::market::Nanos;

/// The bytes below the WebSocket.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Tap),
    Tls(Box<TlsStream<Ahead>>),
}

impl Stream {
    pub(super) fn tap(&self) -> &Tap {
        match self {
            Stream::Plain(it) => it,
            Stream::Tls(it) => it.get_ref().0.get_ref(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(it) => it.read(buf),
            Stream::Tls(it) => it.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(it) => it.write(buf),
            Stream::Tls(it) => it.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(it) => it.flush(),
            Stream::Tls(it) => it.flush(),
        }
    }
}

/// Reads ahead of TLS. What is in the buffer is handed out before the socket is asked again, so
/// nothing can wait in it while the socket is silent.
#[derive(Debug)]
pub(super) struct Ahead(BufReader<Tap>);

impl Ahead {
    pub(super) fn of(tap: BufReader<Tap>) -> Self {
        Self(tap)
    }
}

impl Read for Ahead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Ahead {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// The TCP stream, which knows when its bytes came: one clock reading for each read that yields some,
/// however many messages they hold.
///
/// After a read that had bytes the next one says, once, that there are none. So whoever reads for as long
/// as there is something comes to an end with each read of the socket: what has come can be passed on
/// before the socket is waited for, and a peer that sends byte by byte holds nobody up.
#[derive(Debug)]
pub(super) struct Tap {
    tcp: TcpStream,
    ts_recv: Nanos,
    /// Whether the last read had bytes.
    has_read: bool,
    bytes: u64,
}

impl Tap {
    pub(super) fn new(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { tcp, ts_recv: now(), has_read: false, bytes: 0 })
    }

    /// When bytes came last.
    pub(super) fn ts_recv(&self) -> Nanos {
        self.ts_recv
    }

    /// How many bytes have come.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes reads wait for at most `patience`.
    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.tcp.set_read_timeout(Some(patience))
    }
}

impl Read for Tap {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.has_read) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.tcp.read(buf)?;
        self.has_read = true;
        self.ts_recv = now();
        self.bytes += n as u64;
        Ok(n)
    }
}

impl Write for Tap {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.tcp.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}
