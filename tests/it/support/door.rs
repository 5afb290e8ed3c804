//! A port before a simulated exchange, which a test can close, and have answer something else.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread::Scope,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use spread_aggregator::stop::Stop;

/// What is behind a door.
#[derive(Clone, Debug)]
pub(crate) enum Behind {
    /// A server that bytes go to and come from.
    Server(SocketAddr),
    /// Whoever asks is told this, head and body.
    Answer(&'static str),
    /// Nobody, though somebody has opened.
    Nobody,
    /// Somebody who says this again and again, a byte in so long, whatever is asked.
    Slow(&'static [u8], Duration),
}

pub(crate) struct Door {
    listener: TcpListener,
    behind: Mutex<Behind>,
    knocks: Mutex<Vec<Instant>>,
}

impl Door {
    pub(crate) fn new(behind: Behind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener, behind: Mutex::new(behind), knocks: Mutex::default() }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Puts something else behind it, for those who come from now on.
    pub(crate) fn lead_to(&self, behind: Behind) {
        *self.behind.lock() = behind;
    }

    /// When somebody came.
    pub(crate) fn knocks(&self) -> Vec<Instant> {
        self.knocks.lock().clone()
    }

    /// Lets everybody in until `stop`.
    pub(crate) fn serve<'s>(&self, scope: &'s Scope<'s, '_>, stop: &'s Stop) {
        while !stop.wait(Duration::from_millis(5)) {
            let Ok((guest, _)) = self.listener.accept() else { continue };
            guest.set_nonblocking(false).unwrap();
            self.knocks.lock().push(Instant::now());
            let behind = self.behind.lock().clone();
            // A guest that leaves early is of no interest.
            scope.spawn(move || _ = attend(guest, &behind, scope, stop));
        }
    }
}

fn attend<'s>(
    mut guest: TcpStream,
    behind: &Behind,
    scope: &'s Scope<'s, '_>,
    stop: &'s Stop,
) -> io::Result<()> {
    match *behind {
        Behind::Server(addr) => {
            let server = TcpStream::connect(addr)?;
            let (back, forth) = (guest.try_clone()?, server.try_clone()?);
            scope.spawn(move || carry(server, back));
            carry(guest, forth);
        }
        Behind::Answer(answer) => {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && 0 < guest.read(&mut byte)? {
                head.extend(byte);
            }
            guest.write_all(answer.as_bytes())?;
            guest.shutdown(Shutdown::Write)?;
        }
        Behind::Nobody => while !stop.wait(Duration::from_millis(20)) {},
        Behind::Slow(said, pause) => {
            guest.set_nodelay(true)?;
            for byte in said.iter().cycle() {
                if stop.wait(pause) {
                    break;
                }
                guest.write_all(&[*byte])?;
            }
        }
    }
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    // Either end may go first.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
