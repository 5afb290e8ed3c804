//! Whatever has become of a journal, recovery puts it aside or makes a file of what can be read, which
//! verifies, and the next recovery has nothing to do. Journals are real ones that were changed, or any
//! bytes; their checksums may be made anew, so that changes get as far as the parser.

#![no_main]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use libfuzzer_sys::{
    arbitrary::{Arbitrary, Result, Unstructured},
    fuzz_target,
};
use spread_aggregator::{
    market::{
        ConnId, Event, Gap, GapReason, Level, Nanos, Quote, Record, Side, Trade, TradeId, Venue,
    },
    metrics::Metrics,
    registry::Registry,
    stop::Stop,
    store::{Compression, Dataset, Disk, RecordWriter, Recovered, Settings, Writer, verify},
};
use spread_aggregator_fuzz::{NOON, instrument, piece, scratch, venue};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| scratch("journal"));
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
static JOURNALS: LazyLock<Vec<Journal>> = LazyLock::new(journals);

/// Rows in all of [`JOURNALS`], by and by.
const EVENTS: u32 = 60;

struct Journal {
    name: String,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Case<'a> {
    /// Which of [`JOURNALS`].
    which: u8,
    /// The name of a file, instead of its own.
    name: Option<&'a str>,
    /// What a dead run has left of its lock.
    lock: Option<&'a [u8]>,
    sealed: bool,
    edits: Vec<Edit<'a>>,
}

#[derive(Debug)]
enum Edit<'a> {
    Flip(u16, u8),
    Cut(u16),
    Put(u16, &'a [u8]),
    /// A part comes again, at the end.
    Again(u16, u16),
    Instead(&'a [u8]),
}

impl<'a> Arbitrary<'a> for Case<'a> {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let (which, how) = (input.arbitrary()?, input.arbitrary::<u8>()?);
        let name = if how & 1 == 1 { std::str::from_utf8(piece(input)?).ok() } else { None };
        let lock = if how & 2 == 2 { Some(piece(input)?) } else { None };
        let mut edits = Vec::new();
        while !input.is_empty() {
            edits.push(match input.arbitrary::<u8>()? % 5 {
                0 => Edit::Flip(input.arbitrary()?, input.arbitrary()?),
                1 => Edit::Cut(input.arbitrary()?),
                2 => Edit::Put(input.arbitrary()?, piece(input)?),
                3 => Edit::Again(input.arbitrary()?, input.arbitrary()?),
                _ => Edit::Instead(piece(input)?),
            });
        }
        Ok(Case { which, name, lock, sealed: how & 4 == 4, edits })
    }
}

fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.to_owned(),
        journal_flush: Duration::from_secs(1),
        rotate: Duration::from_secs(900),
        rotate_size: 1 << 20,
        compression: Compression::None,
        keep_days: None,
    }
}

fn event(n: u32, registry: &Registry) -> Event {
    let (_, it) = instrument(venue((n % 2 * 4) as u8), n % 4, ["A-B", "C-D"][n as usize % 2]);
    let instrument = registry.intern((*it).clone()).expect("room");
    let ts_recv = Nanos(NOON.0 + i64::from(n) * 1_000_000);
    let (conn, ts_event) = (ConnId(n), (n % 3 == 0).then_some(NOON));
    if n % 4 < 2 {
        let bid = (n % 5 != 0).then_some(Level { price: f64::from(n) / 7.0, size: 1.0 });
        let sequence = (n % 7 != 0).then_some(i64::from(n));
        Event::Quote(Quote { instrument, conn, ts_event, ts_recv, bid, ask: None, sequence })
    } else {
        let id = TradeId::parse(["", "12", "a-b"][n as usize % 3]);
        let (price, size, side) = (1.5, 2.0, Side::Buy);
        Event::Trade(Trade { instrument, conn, ts_event, ts_recv, price, size, side, id })
    }
}

fn gap(venue: Venue) -> Record {
    Record::Gap(Gap {
        from: NOON,
        to: NOON,
        venue,
        instrument: None,
        channel: None,
        reason: GapReason::Disconnect,
        dropped: Some(1),
        conn: None,
    })
}

/// Those of a run that was killed: of quotes, of trades and of the ledger.
fn journals() -> Vec<Journal> {
    let dir = scratch("journals");
    let (dataset, registry) = (Dataset::open(&dir).expect("a dataset"), Registry::default());
    let settings = settings(&dir);
    let mut writer = Writer::new(&dataset, 0, &settings, &registry, &METRICS);
    let mut records = RecordWriter::new(&dataset, &settings, &registry, &METRICS);
    let mut now = NOON;
    // Several messages each, the later ones with names that are new.
    for some in [0..5, 5..25, 25..EVENTS] {
        writer.append(&mut some.map(|n| event(n, &registry)).collect(), now);
        records.append(&mut vec![gap(venue(0).venue)]);
        now.0 += 2_000_000_000;
        writer.tick(now);
        records.tick(now);
    }
    let mut found: Vec<_> = fs::read_dir(dir.join("journal"))
        .expect("a folder")
        .filter_map(|it| {
            let path = it.expect("an entry").path();
            let name = path.file_name()?.to_str()?.to_owned();
            name.ends_with(".arrows").then(|| Journal { name, bytes: fs::read(&path).unwrap() })
        })
        .collect();
    found.sort_by(|a, b| a.name.split_once('_').cmp(&b.name.split_once('_')));
    assert!(4 <= found.len(), "{} journals", found.len());
    found
}

impl Edit<'_> {
    fn apply(&self, to: &mut Vec<u8>) {
        let place = |at: u16, most: usize| usize::from(at) % (most + 1);
        match *self {
            Edit::Flip(at, by) => {
                let len = to.len().max(1);
                to.get_mut(usize::from(at) % len).into_iter().for_each(|it| *it ^= by);
            }
            Edit::Cut(at) => to.truncate(place(at, to.len())),
            Edit::Put(at, bytes) => {
                let at = place(at, to.len());
                to.splice(at..at, bytes.iter().copied());
            }
            Edit::Again(from, len) => {
                let from = place(from, to.len());
                to.extend_from_within(from..from + place(len, to.len() - from));
            }
            Edit::Instead(bytes) => bytes.clone_into(to),
        }
    }
}

/// Makes the checksums right, of as many messages as there are.
fn seal(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(prefix) = bytes.get(at..at + 8) {
        let len = u32::from_le_bytes(prefix[4..].try_into().unwrap()) as usize;
        let Some(end) = at.checked_add(8 + len).filter(|it| *it <= bytes.len() && 16 <= len) else {
            return;
        };
        let head = crc32fast::hash(&bytes[at..end - 8]);
        bytes[end - 8..end - 4].copy_from_slice(&head.to_le_bytes());
        // Where a body ends is known to the parser, and the next mark is a good guess.
        let next = (end..=bytes.len()).find(|&it| {
            it == bytes.len() || bytes[it..].starts_with(&[0xff; 4])
        });
        let next = next.unwrap_or(bytes.len());
        let body = crc32fast::hash(&bytes[end..next]);
        bytes[end - 4..end].copy_from_slice(&body.to_le_bytes());
        at = next;
    }
}

/// Panics of the Arrow library are caught by those who call it; the fuzzer would end at them.
fn leave_arrow_alone() {
    let deadly = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|it| it.file().contains("/arrow-")) {
            deadly(panic);
        }
    }));
}

fuzz_target!(init: leave_arrow_alone(), |case: Case<'_>| {
    let journal = &JOURNALS[usize::from(case.which) % JOURNALS.len()];
    let mut bytes = journal.bytes.clone();
    for edit in &case.edits {
        edit.apply(&mut bytes);
        bytes.truncate(1 << 16);
    }
    if case.sealed {
        seal(&mut bytes);
    }
    let name = case.name.map(|it| it.replace(['/', '\0'], "")).map(|it| format!("run_{it}.arrows"));
    let name = name.filter(|it| it.len() < 200).unwrap_or_else(|| journal.name.clone());
    let _ = fs::remove_dir_all(&*FOLDER);
    fs::create_dir_all(FOLDER.join("journal")).expect("a folder can be made");
    fs::write(FOLDER.join("journal").join(&name), &bytes).expect("a journal can be written");
    if let (Some(lock), Some((run, _))) = (case.lock, name.split_once('_')) {
        fs::write(FOLDER.join(format!("journal/{run}.lock")), lock).expect("a lock can be written");
    }
    let settings = settings(&FOLDER);
    let recover = || {
        let dataset = Dataset::open(&FOLDER).expect("a dataset");
        dataset.recover(&settings, &METRICS, Nanos(NOON.0 + 60_000_000_000), &Stop::default())
    };
    let recovered = recover();
    assert_eq!(recovered.failed, 0, "{recovered:?}");
    assert_eq!(recover(), Recovered::default(), "after {recovered:?}");
    let mut wrong = Vec::new();
    let verified = verify(&FOLDER, &Disk::default(), |path, faults| {
        wrong.push(format!("{path}: {faults:?}"));
    });
    let verified = verified.expect("a dataset");
    let rows = recovered.rows + recovered.crashes.len() as u64;
    if case.edits.is_empty() && case.name.is_none() {
        assert!(0 < recovered.rows && recovered.damaged == 0, "{recovered:?}");
    }
    // Who makes checksums right, or names anew, can write what no run would.
    if !case.sealed && case.name.is_none() {
        assert!(wrong.is_empty() && verified.rows == rows, "{wrong:?} {verified:?} {recovered:?}");
    }
});
