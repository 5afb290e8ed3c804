//! Is every file there, and what it says it is?

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int32Array, RecordBatch, TimestampMicrosecondArray},
    compute::concat_batches,
};
use fastrand::Rng;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    file::{metadata::KeyValue, properties::WriterProperties},
};
use spread_aggregator::market::{Channel, Nanos};

use super::{Fixture, later};
use crate::support::{
    events::{HOUR, NOON, SECOND, event, events, mixture},
    rows::files,
};

const KEY: &str = "spread_aggregator.";

type Forge<'a> = &'a dyn Fn(&mut Parts);

/// A file taken apart: its rows, and its lines of metadata.
struct Parts {
    rows: RecordBatch,
    lines: Vec<KeyValue>,
}

impl Parts {
    fn of(path: &Path) -> Self {
        let file = File::open(path).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
        let metadata = reader.metadata().file_metadata();
        let mut lines = metadata.key_value_metadata().expect("metadata").clone();
        lines.retain(|it| it.key.starts_with(KEY));
        let schema = Arc::clone(reader.schema());
        let batches: Result<Vec<_>, _> = reader.build().expect("Parquet").collect();
        let rows = concat_batches(&schema, &batches.expect("rows")).expect("one schema");
        Self { rows, lines }
    }

    fn say(&mut self, key: &str, value: Option<&str>) {
        let key = format!("{KEY}{key}");
        self.lines.retain(|it| it.key != key);
        self.lines.extend(value.map(|it| KeyValue::new(key, it.to_owned())));
    }

    fn set(&mut self, column: &str, values: ArrayRef) {
        let at = self.rows.schema().index_of(column).expect("a column");
        let mut columns = self.rows.columns().to_vec();
        columns[at] = values;
        self.rows = RecordBatch::try_new(self.rows.schema(), columns).expect("of the same type");
    }

    /// Puts the file together again, with a checksum that is right.
    fn write(mut self, path: &Path) {
        self.say("crc32", Some("00000000"));
        let properties = WriterProperties::builder().set_key_value_metadata(Some(self.lines));
        let file = File::create(path).expect("a writable folder");
        let mut writer =
            ArrowWriter::try_new(file, self.rows.schema(), Some(properties.build())).expect("room");
        writer.write(&self.rows).expect("room");
        writer.close().expect("room");
        sign(path);
    }
}

/// Makes the checksum right.
fn sign(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let mark = b"spread_aggregator.crc32\x18\x08";
    let at = bytes.windows(mark.len()).rposition(|it| it == mark);
    let Some(at) = at.map(|it| it + mark.len()).filter(|it| it + 8 <= bytes.len()) else { return };
    bytes[at..at + 8].fill(b'0');
    let crc = format!("{:08x}", crc32fast::hash(&bytes));
    bytes[at..at + 8].copy_from_slice(crc.as_bytes());
    fs::write(path, bytes).expect("a writable folder");
}

impl Fixture {
    /// Records one file of quotes.
    fn one_file(rows: usize) -> (Self, PathBuf) {
        let fixture = Self::in_memory();
        fixture.record(&events(Channel::Quotes, NOON, rows));
        let [path] = &files(&fixture.path().join("quotes"))[..] else { panic!("one file") };
        let path = path.clone();
        (fixture, path)
    }

    fn path_of(&self, file: &Path) -> String {
        file.strip_prefix(self.path()).expect("below").display().to_string()
    }
}

#[test]
fn a_dataset_in_order_has_nothing_to_report() {
    let fixture = Fixture::new();
    fixture.record(&mixture(&fixture.registry, NOON, 3_000));
    // The file of a run that is still writing.
    let dataset = fixture.dataset();
    let mut store = fixture.store(&dataset);
    store.append(&mut vec![event(Channel::Quotes, NOON)], NOON);
    let (verified, lines) = fixture.verify();
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!((verified.files, verified.rows, verified.wrong), (6, 3_000, 0));
    assert_eq!(fixture.compact().len(), 6);
    let (verified, lines) = fixture.verify();
    assert!(lines.is_empty() && verified.rows == 3_000, "compacted: {lines:?}");
}

#[test]
fn every_byte_that_is_flipped_is_found() {
    let (fixture, path) = Fixture::one_file(3);
    let bytes = fs::read(&path).expect("a file");
    let mut rng = Rng::with_seed(1);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << rng.u8(..8);
        fs::write(&path, &flipped).expect("a writable folder");
        let (_, lines) = fixture.verify();
        let [line] = &lines[..] else { panic!("byte {at}: {lines:?}") };
        assert!(line.starts_with(&fixture.path_of(&path)), "{line}");
    }
}

#[test]
fn a_file_that_is_missing_is_found() {
    let fixture = Fixture::new();
    (0..3).for_each(|_| fixture.record(&events(Channel::Quotes, NOON, 7)));
    fixture.record(&events(Channel::Trades, NOON, 5));
    let missing = |path: &Path, rows| {
        format!("{}: file: expected one of {rows} rows, found none", fixture.path_of(path))
    };
    // The last one of a run as well as the first, and the only one of a table.
    for (table, rows) in [("trades", 5), ("quotes", 7)] {
        for path in files(&fixture.path().join(table)) {
            let aside = fixture.path().join("aside");
            fs::rename(&path, &aside).expect("it is there");
            assert_eq!(fixture.verify().1, [missing(&path, rows)]);
            fs::rename(&aside, &path).expect("it is there");
        }
    }
    assert_eq!(fixture.verify().1, Vec::<String>::new());
    // What a compaction made is missed too, and what it replaced is not.
    fixture.compact();
    let path = files(&fixture.path().join("quotes")).remove(0);
    fs::remove_file(&path).expect("it is there");
    assert_eq!(fixture.verify().1, [missing(&path, 21)]);
}

#[test]
fn a_day_that_was_retired_is_not_missed() {
    let fixture = Fixture::new();
    fixture.record(&events(Channel::Quotes, NOON, 7));
    fixture.record(&events(Channel::Trades, NOON, 7));
    fixture.record(&events(Channel::Quotes, Nanos(NOON.0 + 24 * HOUR), 7));
    fs::remove_dir_all(fixture.path().join("quotes/date=2026-11-23")).expect("it is there");
    let (verified, lines) = fixture.verify();
    assert_eq!((lines, verified.files, verified.retired), (Vec::new(), 2, 1));
}

#[test]
fn a_file_that_is_there_again_is_found() {
    let fixture = Fixture::new();
    (0..2).for_each(|_| fixture.record(&events(Channel::Quotes, NOON, 7)));
    let path = files(&fixture.path().join("quotes")).remove(0);
    let aside = fixture.path().join("aside");
    fs::copy(&path, &aside).expect("it is there");
    fixture.compact();
    // From a backup, say.
    fs::rename(&aside, &path).expect("it is there");
    let path = fixture.path_of(&path);
    let line =
        format!("{path}: file: expected none, as others have its rows, found it there again");
    assert_eq!(fixture.verify().1, [line]);
}

#[test]
fn a_file_in_another_place_is_found() {
    let (fixture, path) = Fixture::one_file(3);
    let name = path.file_name().expect("a name").to_str().expect("UTF-8");
    for (folder, fault) in [
        (
            "quotes/date=2026-11-24/exchange=binance",
            "ts_recv: expected 2026-11-24, found 2026-11-23",
        ),
        ("quotes/date=2026-11-23/exchange=okx", "exchange: expected okx, found binance"),
        ("trades/date=2026-11-23/exchange=binance", "columns: expected ts_event Timestamp("),
        ("gaps/date=2026-11-23", "columns: expected ts_from Timestamp("),
        ("quotes/date=2026-11-23", "place: expected the folder of a date and an exchange, found "),
        ("quotes", "place: expected the folder of a date and an exchange, found quotes"),
        (
            "quotes/2026/11/23",
            "place: expected the folder of a date and an exchange, found quotes/2026",
        ),
    ] {
        let other = fixture.path().join(folder);
        fs::create_dir_all(&other).expect("a writable folder");
        let other = other.join(name);
        fs::rename(&path, &other).expect("it is there");
        let (_, lines) = fixture.verify();
        let start = format!("{}: {fault}", fixture.path_of(&other));
        assert!(lines.iter().any(|it| it.starts_with(&start)), "{start}: {lines:#?}");
        let missing = format!("{}: file: expected one of 3 rows", fixture.path_of(&path));
        assert!(lines.iter().any(|it| it.starts_with(&missing)), "{missing}: {lines:#?}");
        assert_eq!(lines.len(), 2, "{lines:#?}");
        fs::rename(&other, &path).expect("it is there");
    }
}

#[test]
fn what_a_file_says_wrongly_of_itself_is_found() {
    let (fixture, path) = Fixture::one_file(5);
    let bytes = fs::read(&path).expect("a file");
    let times = |times: [i64; 5]| -> ArrayRef {
        let times = times.map(|it| NOON.0 / 1_000 + it);
        Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC"))
    };
    let cases: [(Forge<'_>, &str); 12] = [
        (&|_| (), ""),
        (&|it| it.say("rows", Some("6")), "rows: expected 6, found 5"),
        (&|it| it.say("rows", Some("many")), "rows in the metadata: expected 5, found none"),
        (&|it| it.say("rows", None), "rows in the metadata: expected 5, found none"),
        (&|it| it.say("format_version", Some("2")), "format version: expected 1, found 2"),
        (&|it| it.say("format_version", None), "format version: expected 1, found none"),
        (
            &|it| it.say("ts_recv_first", None),
            "times in the metadata: expected a first and a last, found none",
        ),
        (
            &|it| it.say("ts_recv_last", Some("1795435200000001")),
            "ts_recv: expected 1795435200000000 to 1795435200000001, \
             found 1795435200000000 to 1795435200000000",
        ),
        (
            &|it| it.rows = it.rows.slice(0, 4),
            "rows: expected 5, found 4; rows by the manifest: expected 5, found 4",
        ),
        (
            &|it| {
                it.set("ts_recv", times([0, 9, 3, 9, 9]));
                it.say("ts_recv_last", Some("1795435200000009"));
                it.say("compacted", Some("true"));
            },
            "order: expected BTC-USDT spot 1795435200000009 or later, \
             found BTC-USDT spot 1795435200000003",
        ),
        (
            // Only what is compacted has to be sorted: clocks go back.
            &|it| {
                it.set("ts_recv", times([0, 9, 3, 9, 9]));
                it.say("ts_recv_last", Some("1795435200000009"));
            },
            "",
        ),
        (
            &|it| it.set("ts_recv", times([0, 0, 0, 0, 12 * 3_600 * 1_000_000])),
            "ts_recv: expected 2026-11-23, found 2026-11-24",
        ),
    ];
    for (forge, expected) in cases {
        fs::write(&path, &bytes).expect("a writable folder");
        let mut parts = Parts::of(&path);
        forge(&mut parts);
        parts.write(&path);
        let (_, lines) = fixture.verify();
        let prefix = format!("{}: ", fixture.path_of(&path));
        let found = lines.first().map_or("", |it| it.strip_prefix(&prefix).unwrap_or(it));
        assert_eq!((found, lines.len()), (expected, usize::from(!expected.is_empty())));
    }
}

#[test]
fn a_column_more_or_of_another_type_is_found() {
    let (fixture, path) = Fixture::one_file(5);
    let mut parts = Parts::of(&path);
    let schema = parts.rows.schema();
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields[0] = Arc::new(fields[11].as_ref().clone().with_name("ts_event"));
    let mut columns = parts.rows.columns().to_vec();
    columns[0] = Arc::new(Int32Array::from(vec![1; 5]));
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    parts.rows = RecordBatch::try_new(schema, columns).expect("as many rows");
    parts.write(&path);
    let (_, lines) = fixture.verify();
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert!(line.contains("columns: expected ts_event Timestamp(µs, \"UTC\") null"), "{line}");
    assert!(line.contains("found ts_event Int32, ts_recv"), "{line}");
}

#[test]
fn a_manifest_that_cannot_be_read_is_reported() {
    let (fixture, _) = Fixture::one_file(5);
    let [path] = &files(&fixture.path().join("manifest"))[..] else { panic!("one file") };
    let text = fs::read_to_string(path).expect("text");
    fs::write(path, text.replace("added", "edited") + "half a li").expect("a writable folder");
    let (_, lines) = fixture.verify();
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    let start =
        format!("{}: manifest: expected lines of JSON, found line 1: ", fixture.path_of(path));
    assert!(line.starts_with(&start), "{line}");
}

#[test]
fn files_that_come_and_go_meanwhile_are_no_reason_for_alarm() {
    let fixture = Fixture::in_memory();
    (0..3).for_each(|_| fixture.record(&mixture(&fixture.registry, NOON, 60)));
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for n in 1..15 {
                fixture.record(&mixture(&fixture.registry, later(n), 60));
                fixture.compact();
            }
        });
        let mut looks = 0;
        while !busy.is_finished() {
            let (_, lines) = fixture.verify();
            assert!(lines.is_empty(), "{lines:#?}");
            looks += 1;
        }
        assert!(0 < looks);
    });
    assert_eq!(fixture.verify().0.rows, (3 + 14) * 60);
}

#[test]
fn what_is_no_parquet_at_all_is_found() {
    let (fixture, path) = Fixture::one_file(5);
    let bytes = fs::read(&path).expect("a file");
    let footer = |len: u32| [&[0; 100][..], &len.to_le_bytes(), b"PAR1"].concat();
    for (bytes, fault) in [
        (Vec::new(), "size: expected at least 8 bytes, found 0"),
        (b"PAR1".to_vec(), "size: expected at least 8 bytes, found 4"),
        (vec![0; 1_000], "last bytes: expected PAR1, found \\x00\\x00\\x00\\x00"),
        (bytes[..bytes.len() - 1].to_vec(), "last bytes: expected PAR1, found "),
        (footer(u32::MAX), "bytes in the footer: expected at most 100, found 4294967295"),
        (footer(100), "checksum: expected "),
    ] {
        fs::write(&path, bytes).expect("a writable folder");
        let (_, lines) = fixture.verify();
        let start = format!("{}: {fault}", fixture.path_of(&path));
        assert!(lines.len() == 1 && lines[0].starts_with(&start), "{start}: {lines:?}");
    }
    fs::remove_file(&path).expect("it is there");
    fs::create_dir(&path).expect("a writable folder");
    let missing = format!("{}: file: expected one of 5 rows, found none", fixture.path_of(&path));
    assert_eq!(fixture.verify().1, [missing]);
}

/// A file whose checksum is right may claim anything: this one was made by somebody. It runs in a
/// process whose memory is limited, as that of the machine is.
#[test]
fn what_was_made_to_mislead_neither_ends_the_program_nor_takes_all_memory() {
    const INSIDE: &str = "SPREAD_AGGREGATOR_MISLED";
    if env::var_os(INSIDE).is_some() {
        return read_what_misleads();
    }
    let name = "store::verification::\
                what_was_made_to_mislead_neither_ends_the_program_nor_takes_all_memory";
    let output = Command::new("sh")
        // 3 GiB of addresses: threads and the like take some.
        .args(["-c", r#"ulimit -v 3145728 && exec "$0" --exact "$1" --nocapture"#])
        .arg(env::current_exe().expect("a test binary has a path"))
        .arg(name)
        .env(INSIDE, "1")
        .output()
        .expect("there is a shell");
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let end: String =
        errors.chars().rev().take(2_000).collect::<Vec<_>>().into_iter().rev().collect();
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}\n{end}");
}

fn read_what_misleads() {
    let fixture = Fixture::in_memory();
    fixture.record(&mixture(&fixture.registry, Nanos(NOON.0 - SECOND), 900));
    let mut rng = Rng::with_seed(3);
    let mut faults = 0;
    for path in
        files(&fixture.path().join("quotes")).iter().chain(&files(&fixture.path().join("trades")))
    {
        let bytes = fs::read(path).expect("a file");
        let footer = bytes.len() - 4_000.min(bytes.len());
        for n in 0..400 {
            let mut bytes = bytes.clone();
            for _ in 0..rng.usize(1..4) {
                // Most of what misleads is in the footer, and in the headers of pages.
                let at = rng.usize(if n % 2 == 0 { footer } else { 0 }..bytes.len() - 8);
                bytes[at] = [rng.u8(..), 0xff, bytes[at] ^ 1 << rng.u8(..8)][rng.usize(..3)];
            }
            fs::write(path, bytes).expect("a writable folder");
            sign(path);
            faults += fixture.verify().1.len();
        }
        fs::write(path, bytes).expect("a writable folder");
    }
    assert!(200 < faults, "{faults}");
    assert_eq!(fixture.verify().1, Vec::<String>::new());
}
