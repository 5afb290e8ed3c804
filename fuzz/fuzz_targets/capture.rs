//! Whatever is in the files of a capture, reading and replaying them returns, the same each time. The
//! first byte says whether what follows is a file, or the lines of one.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock, time::Instant};

use libfuzzer_sys::fuzz_target;
use spread_aggregator::{
    capture::{Found, Merge, Read},
    channel::{fair, newest},
    feed::{
        drops::Drops,
        replay::{Done, Ends, Replay},
        sinks::{Lane, Sinks},
    },
    ledger::Ledger,
    market::{Event, Record, Venue},
    metrics::Metrics,
    registry::Registry,
};
use spread_aggregator_fuzz::{check, scratch};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| scratch("capture"));
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// What is made of a capture.
#[derive(Debug, PartialEq)]
struct Made {
    events: Vec<Event>,
    records: Vec<Record>,
    done: Done,
    bad: usize,
}

/// A block as docs/capture.md describes it.
fn block(lines: &[u8], to: &mut Vec<u8>) {
    let packed = zstd::bulk::compress(lines, 1).expect("memory");
    let begin = to.len();
    to.extend(b"\x5a\x2a\x4d\x18\x14\0\0\0SACB");
    to.extend((packed.len() as u32).to_le_bytes());
    to.extend((lines.len() as u32).to_le_bytes());
    to.extend(crc32fast::hash(&packed).to_le_bytes());
    to.extend(crc32fast::hash(&to[begin..]).to_le_bytes());
    to.extend(packed);
}

fn replay() -> Made {
    let registry = Registry::default();
    let (events, to_write) = fair::queue(Venue::COUNT, 1 << 16);
    let (records, to_declare) = newest(1 << 16);
    let drops = Drops::new(&registry);
    let lane = Lane { queue: events, metrics: METRICS.queue("writer") };
    let sinks = Sinks::new(vec![lane], Vec::new(), &drops);
    let ledger = Ledger::new(records, &METRICS);
    let ends = Ends { sinks, ledger, registry: &registry, metrics: &METRICS };
    let mut replay = Replay::new(ends, Instant::now());
    let (mut merge, mut bad) = (Merge::default(), 0);
    for found in Read::open(&FOLDER).expect("a capture") {
        match found {
            Found::Line(line) => merge.push(line),
            Found::Bad(_) => bad += 1,
        }
        bad += play(&mut merge, &mut replay);
    }
    merge.finish();
    bad += play(&mut merge, &mut replay);
    let done = replay.finish();
    let mut made = Made { events: Vec::new(), records: Vec::new(), done, bad };
    let _ = to_write.drain(&mut made.events, usize::MAX);
    let _ = to_declare.drain(&mut made.records, usize::MAX);
    made
}

fn play(merge: &mut Merge, replay: &mut Replay<'_>) -> usize {
    std::iter::from_fn(|| merge.pop()).filter(|(_, it)| replay.line(it.clone()).is_err()).count()
}

fuzz_target!(|data: &[u8]| {
    let [first, data @ ..] = data else { return };
    let mut file = Vec::new();
    if first & 1 == 0 {
        file.extend_from_slice(data);
    } else {
        let lines: Vec<_> = data.split_inclusive(|it| *it == b'\n').collect();
        lines.chunks(1 + usize::from(first >> 1)).for_each(|it| block(&it.concat(), &mut file));
    }
    fs::write(FOLDER.join("a.jsonl.zst"), &file).expect("a folder to write to");
    let made = replay();
    made.events.iter().for_each(check);
    assert_eq!(made.done.panics, 0);
    assert_eq!(replay(), made);
});
