//! Whatever a venue sends, reading it returns: the first byte chooses the venue, the rest is a
//! frame, text and binary.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spread_aggregator_fuzz::{check, inbox, venue};

fuzz_target!(|data: &[u8]| {
    let [first, frame @ ..] = data else { return };
    let protocol = venue(*first);
    let text = String::from_utf8_lossy(frame);
    let mut known = Vec::new();
    let mut inbox = inbox(protocol, &mut known, |inbox| {
        let _ = protocol.read(&text, inbox);
        let _ = (protocol.quirks.decode_binary)(frame, inbox);
    });
    inbox.events.iter().for_each(check);
    // What is read the fast way is what the parser reads.
    inbox.events.clear();
    if (protocol.quirks.hot)(&text, &mut inbox).is_some() {
        let fast = std::mem::take(&mut inbox.events);
        (protocol.decode)(&text, &mut inbox).expect("the fast way reads good frames only");
        assert_eq!(fast, inbox.events);
    }
    inbox.events.iter().for_each(check);
});
