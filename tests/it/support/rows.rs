//! Files read back.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use spread_aggregator::{
    market::{Channel, Cross, Episode, Event, Instrument, Level, Venue},
    registry::Registry,
};

/// A row as a reader sees it: the times in microseconds, what the other channel has `None`.
#[derive(Clone, Debug, Default, PartialEq, PartialOrd)]
pub(crate) struct Row {
    pub(crate) ts_recv: i64,
    ts_event: Option<i64>,
    names: [String; 4],
    numbers: [Option<f64>; 4],
    sequence: Option<i64>,
    side: Option<String>,
    pub(crate) trade_id: Option<String>,
    pub(crate) conn_id: i32,
}

impl Row {
    pub(crate) fn exchange(&self) -> &str {
        &self.names[0]
    }

    /// Exchange, market, symbol, the exchange's own spelling.
    pub(crate) fn names(&self) -> &[String; 4] {
        &self.names
    }

    /// `binance-spot`.
    pub(crate) fn venue(&self) -> String {
        format!("{}-{}", self.names[0], self.names[1])
    }

    pub(crate) fn symbol(&self) -> &str {
        &self.names[2]
    }

    pub(crate) fn instrument(&self) -> Instrument {
        let [exchange, market, symbol, symbol_native] = &self.names;
        let venue = Venue::new(exchange.parse().unwrap(), market.parse().unwrap());
        let (symbol, symbol_native) = (symbol.clone(), symbol_native.clone());
        Instrument { venue, symbol, symbol_native, contract_size: 1.0 }
    }

    /// Best bid and best ask of a quote.
    pub(crate) fn levels(&self) -> [Option<Level>; 2] {
        let [bid, bid_size, ask, ask_size] = self.numbers;
        let level = |price, size| Some(Level { price: price?, size: size? });
        [level(bid, bid_size), level(ask, ask_size)]
    }

    /// What no other event of its channel shares: a trade's id, or a book's number, or all that
    /// there is where a venue has no such thing.
    pub(crate) fn identity(&self) -> String {
        let number = self.sequence.map(|it| it.to_string());
        let all = || format!("{:?} {:?} {:?}", self.ts_event, self.numbers, self.side);
        format!("{} {}", self.names.join(" "), self.trade_id.clone().or(number).unwrap_or_else(all))
    }

    /// The row that an event should become.
    pub(crate) fn of(event: &Event, registry: &Registry) -> Self {
        let instrument = registry.get(event.instrument()).expect("a known instrument");
        let names = [
            instrument.venue.exchange.to_string(),
            instrument.venue.market.to_string(),
            instrument.symbol.clone(),
            instrument.symbol_native.clone(),
        ];
        let ts_recv = event.ts_recv().0 / 1_000;
        let pair = |it: Option<Level>| [it.map(|it| it.price), it.map(|it| it.size)];
        match event {
            Event::Quote(it) => {
                let ([a, b], [c, d]) = (pair(it.bid), pair(it.ask));
                Row {
                    ts_recv,
                    ts_event: it.ts_event.map(|it| it.0 / 1_000),
                    names,
                    numbers: [a, b, c, d],
                    sequence: it.sequence,
                    conn_id: i32::try_from(it.conn.0).expect("a small number"),
                    ..Row::default()
                }
            }
            Event::Trade(it) => Row {
                ts_recv,
                ts_event: it.ts_event.map(|it| it.0 / 1_000),
                names,
                numbers: [Some(it.price), Some(it.size), None, None],
                side: Some(it.side.name().to_owned()),
                trade_id: it.id.is_some().then(|| it.id.to_string()),
                conn_id: i32::try_from(it.conn.0).expect("a small number"),
                ..Row::default()
            },
        }
    }
}

/// A row of `spreads`, the times in microseconds.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) struct EpisodeRow {
    /// Symbol, market, where it is bought and where it is sold.
    pub(crate) names: [String; 4],
    pub(crate) open: i64,
    pub(crate) close: i64,
    /// Of the peak: gross, net, ask, bid, size.
    pub(crate) peak: [f64; 5],
    pub(crate) max_leg_age: i64,
    pub(crate) updates: i64,
}

impl EpisodeRow {
    /// The row that an episode should become.
    pub(crate) fn of(it: &Episode, registry: &Registry) -> Self {
        let [buy, sell] = [it.buy, it.sell].map(|it| registry.get(it).expect("known"));
        let Cross { gross_bps, net_bps, ask, bid, .. } = it.peak;
        EpisodeRow {
            names: [
                buy.symbol.clone(),
                buy.venue.market.to_string(),
                buy.venue.exchange.to_string(),
                sell.venue.exchange.to_string(),
            ],
            open: it.open.0 / 1_000,
            close: it.close.0 / 1_000,
            peak: [gross_bps, net_bps, ask.price, bid.price, it.peak.size()],
            max_leg_age: it.leg_age_max / 1_000,
            updates: it.updates.cast_signed(),
        }
    }
}

/// All rows of `spreads`.
pub(crate) fn episodes(dir: &Path) -> Vec<EpisodeRow> {
    let row = |batch: &RecordBatch, at| {
        let number = |it| get(batch, it, at).unwrap().as_primitive::<Float64Type>().value(at);
        let count = |it| get(batch, it, at).unwrap().as_primitive::<Int64Type>().value(at);
        EpisodeRow {
            names: ["symbol", "market", "buy_exchange", "sell_exchange"]
                .map(|it| text(batch, it, at).unwrap()),
            open: time(batch, "ts_open", at).unwrap(),
            close: time(batch, "ts_close", at).unwrap(),
            peak: [
                "peak_gross_bps",
                "peak_net_bps",
                "ask_price_at_peak",
                "bid_price_at_peak",
                "size_at_peak",
            ]
            .map(number),
            max_leg_age: count("max_leg_age_us"),
            updates: count("updates"),
        }
    };
    let rows =
        |batch: RecordBatch| (0..batch.num_rows()).map(|at| row(&batch, at)).collect::<Vec<_>>();
    files(&dir.join("spreads")).iter().flat_map(|it| batches(it)).flat_map(rows).collect()
}

/// All rows of the files of `channel`, in the order of the files' names.
pub(crate) fn rows(dir: &Path, channel: Channel) -> Vec<Row> {
    files(&dir.join(channel.name())).iter().flat_map(|it| read(it)).collect()
}

/// The rows of one file.
pub(crate) fn read(path: &Path) -> Vec<Row> {
    batches(path).flat_map(|it| rows_of(&it)).collect()
}

fn batches(path: &Path) -> impl Iterator<Item = RecordBatch> {
    let file = File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    reader.map(|it| it.expect("a batch"))
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let numbers = match batch.column_by_name("price") {
        Some(_) => ["price", "size", "", ""],
        None => ["bid_price", "bid_size", "ask_price", "ask_size"],
    };
    let row = |at| Row {
        ts_recv: time(batch, "ts_recv", at).expect("never null"),
        ts_event: time(batch, "ts_event", at),
        names: ["exchange", "market", "symbol", "symbol_native"]
            .map(|it| text(batch, it, at).expect("never null")),
        numbers: numbers.map(|it| {
            get(batch, it, at).map(|column| column.as_primitive::<Float64Type>().value(at))
        }),
        sequence: get(batch, "sequence", at).map(|it| it.as_primitive::<Int64Type>().value(at)),
        side: text(batch, "side", at),
        trade_id: text(batch, "trade_id", at),
        conn_id: get(batch, "conn_id", at)
            .map(|it| it.as_primitive::<Int32Type>().value(at))
            .expect("never null"),
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The column, if it is there and not null in this row.
pub(crate) fn get<'a>(batch: &'a RecordBatch, name: &str, at: usize) -> Option<&'a dyn Array> {
    batch.column_by_name(name).filter(|it| it.is_valid(at)).map(AsRef::as_ref)
}

pub(crate) fn time(batch: &RecordBatch, name: &str, at: usize) -> Option<i64> {
    get(batch, name, at).map(|it| it.as_primitive::<TimestampMicrosecondType>().value(at))
}

pub(crate) fn text(batch: &RecordBatch, name: &str, at: usize) -> Option<String> {
    let column = get(batch, name, at)?;
    if *column.data_type() == DataType::Utf8 {
        return Some(column.as_string::<i32>().value(at).to_owned());
    }
    let names = column.as_dictionary::<Int32Type>();
    let key = names.key(at).expect("not null");
    Some(names.values().as_string::<i32>().value(key).to_owned())
}

/// All files below `dir`, sorted.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut files: Vec<_> = entries
        .map(|it| it.expect("an entry").path())
        .flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] })
        .collect();
    files.sort();
    files
}
