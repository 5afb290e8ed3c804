//! Names to addresses.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    thread,
    time::Duration,
};

use crossbeam_channel::bounded;

use crate::stop::Stop;

/// How long the answer is waited for at a time, until it is asked whether the program is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often: a name may take ten seconds.
const LOOKS_MAX: usize = 100;

/// The addresses of `host`, or why there are none.
///
/// The system gives no deadline for this and cannot be interrupted, so a thread of its own asks it. When
/// that takes too long, or the program is to stop, nobody waits for it any more: it ends by itself when
/// the system gives up.
pub(super) fn resolve(host: &str, port: u16, stop: &Stop) -> io::Result<Vec<SocketAddr>> {
    let (answer, answered) = bounded(1);
    let name = host.to_owned();
    let ask = move || {
        let addresses = (name.as_str(), port).to_socket_addrs();
        // Whoever asked may be gone.
        let _ = answer.send(addresses.map(Vec::from_iter));
    };
    thread::Builder::new().name("resolve".to_owned()).spawn(ask)?;
    for _ in 0..LOOKS_MAX {
        if stop.requested() {
            break;
        }
        if let Ok(addresses) = answered.recv_timeout(LOOK_EVERY) {
            return addresses;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_own_and_a_stop_ends_the_wait() {
        let stop = Stop::default();
        let found = resolve("127.0.0.1", 80, &stop).expect("an address");
        assert_eq!(found, ["127.0.0.1:80".parse().expect("one")]);
        stop.request();
        let cause = resolve("127.0.0.1", 80, &stop).expect_err("nobody waits");
        assert_eq!(cause.kind(), io::ErrorKind::TimedOut);
    }
}
