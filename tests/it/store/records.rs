//! The loss ledger and the spreads.

use std::{fs::File, path::Path};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use spread_aggregator::{
    channel,
    market::{
        Channel, ConnId, Cross, Episode, Exchange, Gap, GapReason, InstrumentId, Level, Market,
        Nanos, Record, Venue,
    },
    store::{self, RecordWriter, Sealer, Table, Totals, schema},
};

use super::{Fixture, later};
use crate::support::{
    events::{HOUR, NOON},
    rows::files,
};

pub(super) fn gap(to: Nanos) -> Record {
    Record::Gap(Gap {
        from: NOON,
        to,
        venue: Venue::new(Exchange::Okx, Market::Spot),
        instrument: Some(InstrumentId(9)),
        channel: None,
        reason: GapReason::Disconnect,
        dropped: None,
        conn: None,
    })
}

pub(super) fn episode(close: Nanos) -> Record {
    let level = Level { price: 1.0, size: 2.0 };
    let peak = Cross {
        buy: InstrumentId(0),
        sell: InstrumentId(4),
        ask: level,
        bid: level,
        gross_bps: 0.0,
        net_bps: 0.0,
        leg_age: 0,
        ts_recv: NOON,
    };
    let (open, leg_age_max, updates) = (NOON, 0, 1);
    Record::Episode(Episode {
        buy: peak.buy,
        sell: peak.sell,
        open,
        close,
        peak,
        leg_age_max,
        updates,
    })
}

fn records() -> Vec<Record> {
    let midnight = Nanos(NOON.0 + 12 * HOUR);
    [later(1), midnight, later(2)].into_iter().flat_map(|it| [gap(it), episode(it)]).collect()
}

/// Gaps of two venues that overlap, of all symbols and of one, and episodes.
pub(super) fn some() -> Vec<Record> {
    let gap = |n: i64| {
        let all = n % 2 == 0;
        Record::Gap(Gap {
            from: later(n * 7),
            to: later(n * 7 + n % 5 * 6),
            venue: Venue::new([Exchange::Binance, Exchange::Okx][usize::from(all)], Market::Spot),
            instrument: (!all).then_some(InstrumentId(0)),
            channel: (n % 3 == 0).then_some(Channel::Trades),
            reason: GapReason::ALL[usize::from(all)],
            dropped: all.then_some(n.cast_unsigned()),
            conn: all.then_some(ConnId(1)),
        })
    };
    (0..40).map(gap).chain((0..9).map(|it| episode(later(it)))).collect()
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build);
    reader.expect("Parquet").collect::<Result<_, _>>().expect("batches")
}

#[test]
fn a_record_goes_to_its_table_under_the_day_of_its_end() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let mut writer =
        RecordWriter::new(&dataset, &fixture.settings, &fixture.registry, &fixture.metrics);
    writer.append(&mut records());
    writer.tick(later(3));
    let sealer = Sealer::new(&dataset, &fixture.settings, &fixture.metrics);
    let totals = [writer.finish(later(3)), sealer.finish(&|| later(3))].into_iter().sum::<Totals>();
    assert_eq!((totals.records, totals.files, totals.rows_lost), (6, 4, 0));
    for table in [Table::Gaps, Table::Spreads] {
        for (date, rows) in [("2026-11-23", 2), ("2026-11-24", 1)] {
            let folder = fixture.path().join(format!("{table}/date={date}"));
            let [path] = &files(&folder)[..] else { panic!("one file in {}", folder.display()) };
            assert_eq!(path.parent(), Some(&*folder), "no folder for the exchange");
            let batches = batches(path);
            assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
            assert_eq!(batches[0].schema().fields(), schema(table).fields());
        }
        assert_eq!(fixture.metrics.table(table.name()).rows.get(), 3);
    }
}

#[test]
fn a_thread_writes_all_records_when_the_senders_are_gone() {
    let fixture = Fixture::new();
    let dataset = fixture.dataset();
    let writer =
        RecordWriter::new(&dataset, &fixture.settings, &fixture.registry, &fixture.metrics);
    let (tx, rx) = channel::newest(100);
    for record in records() {
        assert_eq!(tx.send(record, &mut Vec::new()), channel::Sent::Queued);
    }
    drop(tx);
    let queue = fixture.metrics.queue("ledger");
    let totals = store::run_records(&rx, writer, &queue, || later(3));
    assert_eq!((totals, queue.depth.get()), (Totals::default(), 0));
    let sealer = Sealer::new(&dataset, &fixture.settings, &fixture.metrics);
    assert_eq!(sealer.finish(&|| later(3)).records, 6);
}
