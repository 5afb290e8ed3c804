//! What the targets share.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use spread_aggregator::{
    exchange::{ALL, Inbox, Notice, Protocol},
    market::{ConnId, Event, Instrument, InstrumentId, Level, Nanos},
};

/// 2026-11-23T12:00:00Z
pub const NOON: Nanos = Nanos(1_795_435_200_000_000_000);

/// A frame may mention more symbols than there are in any fixture.
pub const SYMBOLS_MAX: u32 = 64;

/// An instrument by its number.
pub type Known = (InstrumentId, Arc<Instrument>);

/// The venue that a byte stands for.
pub fn venue(byte: u8) -> &'static Protocol {
    ALL[usize::from(byte) % ALL.len()]
}

/// Bytes after their length, of two bytes, the lower one first: unlike `arbitrary`'s own, a shape
/// that `seed.sh` can write.
pub fn piece<'a>(input: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let len = usize::from(input.arbitrary::<u16>()?).min(input.len());
    input.bytes(len)
}

/// Fails for an event with a number that cannot be.
pub fn check(event: &Event) {
    let possible = match event {
        Event::Quote(it) => is_possible(it.bid) && is_possible(it.ask),
        Event::Trade(it) => is_possible(Some(Level { price: it.price, size: it.size })),
    };
    assert!(possible, "{event:?}");
}

fn is_possible(level: Option<Level>) -> bool {
    level.is_none_or(|it| {
        it.price.is_finite() && it.size.is_finite() && 0.0 < it.price && 0.0 < it.size
    })
}

/// An instrument of that native symbol, of a contract as large as its number says.
pub fn instrument(protocol: &Protocol, id: u32, symbol: &str) -> Known {
    let instrument = Instrument {
        venue: protocol.venue,
        symbol: symbol.to_owned(),
        symbol_native: symbol.to_owned(),
        contract_size: [1.0, 0.01, 1e300][id as usize % 3],
    };
    (InstrumentId(id), Arc::new(instrument))
}

/// An inbox that knows the symbols a frame mentions, up to [`SYMBOLS_MAX`], when `read` reads it.
pub fn inbox(
    protocol: &Protocol,
    known: &mut Vec<Known>,
    read: impl Fn(&mut Inbox),
) -> Inbox {
    let mut inbox = Inbox::new(ConnId(0));
    inbox.ts_recv = Nanos(1);
    for (id, it) in &*known {
        inbox.list(*id, it);
    }
    while known.len() < SYMBOLS_MAX as usize {
        inbox.events.clear();
        inbox.notices.clear();
        read(&mut inbox);
        let unlisted = inbox.notices.iter().find_map(|it| match it {
            Notice::Unlisted(symbol) => Some(symbol),
            _ => None,
        });
        // Once its symbols are known, a frame is read to its end.
        let Some(symbol) = unlisted else { break };
        let new = instrument(protocol, known.len() as u32, symbol);
        inbox.list(new.0, &new.1);
        known.push(new);
    }
    inbox
}

/// An empty folder of this process, in memory where the system offers that.
pub fn scratch(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = root.join(format!("spread-aggregator-fuzz-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}
