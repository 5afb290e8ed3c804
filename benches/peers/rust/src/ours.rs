//! This project, as a connection calls it: the frame as it comes, into an inbox that is reused.

use std::{collections::HashMap, hint::black_box, sync::Arc, time::SystemTime};

use spread_aggregator::{
    exchange::{ALL, Inbox, Notice, Protocol},
    market::{ConnId, Event, Instrument, Nanos},
    registry::Registry,
};

use crate::{Body, Frame, Library, Seen};

pub struct Ours<'a> {
    frames: &'a [Frame],
    /// By line: which of the inboxes.
    venue: Vec<usize>,
    inboxes: Vec<(&'static Protocol, Inbox)>,
}

impl<'a> Ours<'a> {
    pub fn new(frames: &'a [Frame]) -> Self {
        let registry = Registry::default();
        let mut names = HashMap::new();
        let mut it = Self { frames, venue: Vec::new(), inboxes: Vec::new() };
        for frame in frames {
            let venue = *names.entry(frame.venue.as_str()).or_insert_with(|| {
                let protocol = ALL.iter().find(|it| it.venue.to_string() == frame.venue);
                it.inboxes.push((protocol.expect("one of our venues"), Inbox::new(ConnId(0))));
                it.inboxes.len() - 1
            });
            it.venue.push(venue);
            let (protocol, inbox) = &mut it.inboxes[venue];
            list(protocol, inbox, frame, &registry);
        }
        it
    }
}

/// Puts the symbols of a frame on the list.
fn list(protocol: &Protocol, inbox: &mut Inbox, frame: &Frame, registry: &Registry) {
    loop {
        decode(protocol, inbox, frame);
        let unlisted = inbox.notices.iter().find_map(|it| match it {
            Notice::Unlisted(symbol) => Some(symbol.clone()),
            _ => None,
        });
        inbox.events.clear();
        inbox.notices.clear();
        let Some(symbol) = unlisted else { break };
        let instrument = Instrument {
            venue: protocol.venue,
            symbol: symbol.clone(),
            symbol_native: symbol,
            contract_size: 1.0,
        };
        let id = registry.intern(instrument.clone()).expect("room");
        inbox.list(id, &Arc::new(instrument));
    }
}

fn decode(protocol: &Protocol, inbox: &mut Inbox, frame: &Frame) -> bool {
    match black_box(&frame.body) {
        Body::Text(frame) => protocol.read(frame, inbox).is_ok(),
        Body::Binary(frame) => (protocol.quirks.decode_binary)(frame, inbox).is_ok(),
    }
}

impl Library for Ours<'_> {
    fn read(&mut self, line: usize) -> Option<Seen> {
        let (protocol, inbox) = &mut self.inboxes[self.venue[line]];
        inbox.events.clear();
        inbox.notices.clear();
        // The program reads the clock once a read of the socket; here once a frame, as the others do.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        inbox.ts_recv = Nanos(now.as_nanos() as i64);
        if !decode(protocol, inbox, &self.frames[line]) {
            return None;
        }
        let price = match inbox.events.first()? {
            Event::Quote(it) => it.bid.map_or(f64::NAN, |it| it.price),
            Event::Trade(it) => it.price,
        };
        Some(Seen { events: inbox.events.len(), price })
    }
}
