//! Every venue against its fixtures. Adding a venue adds fixtures, and no code here.
//!
//! A line of a `.txt` is a text frame; a line of a `.b64` is a binary frame in base64.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use spread_aggregator::{
    exchange::{ALL, Inbox, Op, Protocol, Request, Topic},
    json::Object,
    market::{Channel, ConnId, Instrument, Nanos},
    registry::Registry,
};

/// What the fixtures of every venue are about.
const KINDS: [&str; 6] = ["quote", "trade", "accepted", "refused", "instruments", "volumes"];

/// The frames of a fixture: each as it is written, as its bytes, and whether these are text.
pub(crate) fn frames(file: &Path) -> Vec<(String, Vec<u8>, bool)> {
    let text = fs::read_to_string(file).unwrap();
    let is_text = file.extension().is_none_or(|it| it != "b64");
    let bytes = |it: &str| {
        if is_text { it.as_bytes().to_vec() } else { BASE64_STANDARD.decode(it).unwrap() }
    };
    text.lines().map(|it| (it.to_owned(), bytes(it), is_text)).collect()
}

pub(crate) fn fixtures(protocol: &Protocol) -> Vec<PathBuf> {
    let dir: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", &protocol.venue.to_string()]
            .iter()
            .collect();
    let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_venue_has_the_fixtures_that_matter() {
    for protocol in ALL {
        let files = fixtures(protocol);
        for kind in KINDS {
            let named = |it: &PathBuf| it.file_stem().is_some_and(|it| it == kind);
            assert!(files.iter().any(named), "{}: {kind}", protocol.venue);
        }
    }
}

#[test]
fn venues_read_their_fixtures() {
    for protocol in ALL {
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots" }, {
            insta::assert_snapshot!(protocol.venue.to_string(), replay(protocol));
        });
    }
}

#[test]
fn every_channel_has_exactly_one_address() {
    for protocol in ALL {
        let mut channels: Vec<_> =
            protocol.endpoints.iter().flat_map(|it| it.channels.iter().copied()).collect();
        channels.sort();
        assert_eq!(channels, Channel::ALL, "{}", protocol.venue);
    }
}

#[test]
fn every_header_can_be_sent() {
    for (name, value) in ALL.iter().flat_map(|it| it.quirks.headers) {
        let token = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
        assert!(!name.is_empty() && name.bytes().all(token), "{name}");
        assert!(value.bytes().all(|it| it.is_ascii_graphic()), "{value}");
    }
}

#[test]
fn a_venue_is_there_once() {
    let venues: BTreeSet<_> = ALL.iter().map(|it| it.venue).collect();
    assert_eq!(venues.len(), ALL.len());
}

/// All that a venue's files say, and what is made of it.
fn replay(protocol: &Protocol) -> String {
    let mut out = String::new();
    let registry = Registry::default();
    let mut inbox = Inbox::new(ConnId(0));
    for instrument in lists(protocol, &mut out) {
        let id = registry.intern(instrument.clone()).unwrap();
        inbox.list(id, &Arc::new(instrument));
    }
    inbox.ts_recv = Nanos(42);
    let is_list = |it: &PathBuf| it.extension().is_some_and(|it| it == "json");
    for file in fixtures(protocol).into_iter().filter(|it| !is_list(it)) {
        writeln!(out, "\n# {}", file.file_name().unwrap().display()).unwrap();
        for (shown, frame, is_text) in frames(&file) {
            writeln!(out, "< {shown}").unwrap();
            let decoded = if is_text {
                protocol.read(&shown, &mut inbox)
            } else {
                (protocol.quirks.decode_binary)(&frame, &mut inbox)
            };
            for event in inbox.events.drain(..) {
                let instrument = registry.get(event.instrument()).unwrap();
                show(&Object::event(&event, &instrument), &mut out);
            }
            for notice in inbox.notices.drain(..) {
                show(&Object::control(protocol.venue, &notice), &mut out);
            }
            if let Err(err) = decoded {
                writeln!(out, "  error: {err}").unwrap();
            }
        }
    }
    out
}

/// The lists, and a request for what they list.
pub(crate) fn lists(protocol: &Protocol, out: &mut String) -> Vec<Instrument> {
    let body = |name| {
        let file = fixtures(protocol).into_iter().find(|it| it.ends_with(name)).unwrap();
        fs::read_to_string(file).unwrap()
    };
    let (mut listings, mut volumes) = (Vec::new(), Vec::new());
    let next = (protocol.rest.read_instruments)(&body("instruments.json"), &mut listings).unwrap();
    (protocol.rest.read_volumes)(&body("volumes.json"), &mut volumes).unwrap();
    for it in &listings {
        writeln!(out, "{it:?}").unwrap();
    }
    for it in &volumes {
        writeln!(out, "{it:?}").unwrap();
    }
    writeln!(out, "next page: {next:?}").unwrap();
    let topics: Vec<_> = listings
        .iter()
        .flat_map(|it| Channel::ALL.map(|channel| Topic { channel, symbol: &it.symbol_native }))
        .collect();
    let requests = if protocol.limits.one_channel_per_request {
        Channel::ALL.map(|it| topics.iter().copied().filter(|topic| topic.channel == it).collect())
    } else {
        [topics, Vec::new()]
    };
    for topics in requests.iter().flat_map(|it| it.chunks(protocol.limits.topics_per_request)) {
        let request = Request { id: 7, op: Op::Subscribe, time: 1_795_435_200, topics };
        writeln!(out, "> {}", (protocol.request)(&request)).unwrap();
    }
    let instrument = |it: spread_aggregator::exchange::Listing| Instrument {
        venue: protocol.venue,
        symbol: format!("{}-{}", it.base, it.quote),
        symbol_native: it.symbol_native,
        contract_size: it.contract_size,
    };
    listings.into_iter().map(instrument).collect()
}

fn show(object: &Object<'_>, out: &mut String) {
    writeln!(out, "  {}", serde_json::to_string(object).unwrap()).unwrap();
}
