//! Whatever a venue lists, reading it returns: the first byte chooses the venue, the rest is a page of
//! instruments, of volumes, and where to connect.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spread_aggregator::exchange::Address;
use spread_aggregator_fuzz::venue;

fuzz_target!(|data: &[u8]| {
    let [first, body @ ..] = data else { return };
    let protocol = venue(*first);
    // As HTTP bodies are read.
    let Ok(body) = std::str::from_utf8(body) else { return };
    let mut listings = Vec::new();
    if let Ok(Some(next)) = (protocol.rest.read_instruments)(body, &mut listings) {
        let begins = protocol.rest.instruments.split(['?', '&']).next();
        assert!(begins.is_some_and(|it| next.starts_with(it)), "{next}: of another path");
    }
    // No more than were written: a listing takes more bytes than this.
    assert!(listings.len() <= body.len() / 4, "{} listings", listings.len());
    let mut volumes = Vec::new();
    if (protocol.rest.read_volumes)(body, &mut volumes).is_ok() {
        assert!(volumes.iter().all(|it| 0.0 <= it.last_day), "{volumes:?}");
    }
    for endpoint in protocol.endpoints {
        if let Address::Fetched { read, .. } = endpoint.address
            && let Ok(url) = read(body, 7)
        {
            assert!(["ws://", "wss://"].iter().any(|it| url.starts_with(it)), "{url}");
        }
    }
});
