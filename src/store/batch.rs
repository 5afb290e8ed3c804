//! Rows on their way into a file, as columns.

use std::{fmt::Write as _, mem, sync::Arc};

use arrow::{
    array::{
        ArrayRef, Float64Array, Int32Array, Int64Builder, NullBufferBuilder, RecordBatch,
        StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
    },
    datatypes::SchemaRef,
};

use super::{
    names::Names,
    schema::{micros, schema},
};
use crate::market::{Channel, Event, Exchange, Instrument, Level, Nanos, Quote, Trade, TradeId};

/// The most rows in a batch: few enough to stay in the cache until Parquet reads them back, enough
/// to make the cost of a batch disappear.
pub(super) const BATCH_ROWS: usize = 8_192;

/// Bytes reserved for the trade ids of a batch: a decimal number has at most 20 digits.
const TRADE_IDS_BYTES: usize = BATCH_ROWS * 20;

/// The rows of one file that are not yet in a batch.
#[derive(Debug)]
pub(super) struct Columns {
    schema: SchemaRef,
    names: Names,
    common: Common,
    own: Own,
}

#[derive(Debug)]
struct Common {
    ts_event: TimestampMicrosecondBuilder,
    ts_recv: Vec<i64>,
    keys: Vec<i32>,
    conn_id: Vec<i32>,
}

/// The columns of one channel only.
#[derive(Debug)]
enum Own {
    Quotes { bid: Levels, ask: Levels, sequence: Int64Builder },
    Trades { price: Vec<f64>, size: Vec<f64>, side: Vec<i32>, id: StringBuilder },
}

/// One side of the book. Price and size are null together.
#[derive(Debug)]
struct Levels {
    price: Vec<f64>,
    size: Vec<f64>,
    present: NullBufferBuilder,
}

impl Columns {
    /// No rows of `exchange` yet.
    pub(super) fn new(channel: Channel, exchange: Exchange) -> Self {
        Self {
            schema: schema(channel.into()),
            names: Names::new(exchange),
            common: Common::new(),
            own: Own::new(channel),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.common.ts_recv.len()
    }

    /// Adds a row. The caller takes a batch out before there are more than [`BATCH_ROWS`].
    ///
    /// # Panics
    /// When the event is of the other channel.
    pub(super) fn push(&mut self, event: &Event, instrument: &Arc<Instrument>) {
        let key = self.names.key(event.instrument(), instrument);
        match (event, &mut self.own) {
            (Event::Quote(it), Own::Quotes { bid, ask, sequence }) => {
                self.common.push_quote(key, it);
                bid.push(it.bid);
                ask.push(it.ask);
                sequence.append_option(it.sequence);
            }
            (Event::Trade(it), Own::Trades { price, size, side, id }) => {
                self.common.push_trade(key, it);
                price.push(it.price);
                size.push(it.size);
                side.push(it.side as i32);
                push_id(id, &it.id);
            }
            _ => unreachable!("each channel has files of its own"),
        }
    }

    /// Takes the rows out, as a batch, with the first and the last `ts_recv`; `None` if there are
    /// no rows.
    pub(super) fn take(&mut self) -> Option<(RecordBatch, (Nanos, Nanos))> {
        let times = self.common.times()?;
        let Common { mut ts_event, ts_recv, keys, conn_id } =
            mem::replace(&mut self.common, Common::new());
        let ts_recv = TimestampMicrosecondArray::from(ts_recv).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(ts_event.finish().with_timezone("UTC")), Arc::new(ts_recv)];
        columns.extend(self.names.columns(keys));
        columns.extend(self.own.take(&self.names));
        columns.push(Arc::new(Int32Array::from(conn_id)));
        let schema = Arc::clone(&self.schema);
        let batch = RecordBatch::try_new(schema, columns);
        Some((batch.expect("the columns are those of the schema"), times))
    }
}

impl Common {
    fn new() -> Self {
        Self {
            ts_event: TimestampMicrosecondBuilder::with_capacity(BATCH_ROWS),
            ts_recv: Vec::with_capacity(BATCH_ROWS),
            keys: Vec::with_capacity(BATCH_ROWS),
            conn_id: Vec::with_capacity(BATCH_ROWS),
        }
    }

    /// The first and the last `ts_recv`, to the microsecond.
    fn times(&self) -> Option<(Nanos, Nanos)> {
        let first = self.ts_recv.iter().min()?;
        let last = self.ts_recv.iter().max()?;
        Some((Nanos(first * 1_000), Nanos(last * 1_000)))
    }

    fn push_quote(&mut self, key: i32, quote: &Quote) {
        self.ts_event.append_option(quote.ts_event.map(micros));
        self.ts_recv.push(micros(quote.ts_recv));
        self.keys.push(key);
        self.conn_id.push(quote.conn.0.cast_signed());
    }

    fn push_trade(&mut self, key: i32, trade: &Trade) {
        self.ts_event.append_option(trade.ts_event.map(micros));
        self.ts_recv.push(micros(trade.ts_recv));
        self.keys.push(key);
        self.conn_id.push(trade.conn.0.cast_signed());
    }
}

impl Own {
    fn new(channel: Channel) -> Self {
        match channel {
            Channel::Quotes => Own::Quotes {
                bid: Levels::new(),
                ask: Levels::new(),
                sequence: Int64Builder::with_capacity(BATCH_ROWS),
            },
            Channel::Trades => Own::Trades {
                price: Vec::with_capacity(BATCH_ROWS),
                size: Vec::with_capacity(BATCH_ROWS),
                side: Vec::with_capacity(BATCH_ROWS),
                id: StringBuilder::with_capacity(BATCH_ROWS, TRADE_IDS_BYTES),
            },
        }
    }

    fn take(&mut self, names: &Names) -> Vec<ArrayRef> {
        match mem::replace(self, Own::new(self.channel())) {
            Own::Quotes { bid, ask, mut sequence } => {
                let [bid_price, bid_size] = bid.finish();
                let [ask_price, ask_size] = ask.finish();
                vec![bid_price, bid_size, ask_price, ask_size, Arc::new(sequence.finish())]
            }
            Own::Trades { price, size, side, mut id } => vec![
                Arc::new(Float64Array::from(price)),
                Arc::new(Float64Array::from(size)),
                names.sides(side),
                Arc::new(id.finish()),
            ],
        }
    }

    fn channel(&self) -> Channel {
        match self {
            Own::Quotes { .. } => Channel::Quotes,
            Own::Trades { .. } => Channel::Trades,
        }
    }
}

impl Levels {
    fn new() -> Self {
        Self {
            price: Vec::with_capacity(BATCH_ROWS),
            size: Vec::with_capacity(BATCH_ROWS),
            present: NullBufferBuilder::new(BATCH_ROWS),
        }
    }

    fn push(&mut self, level: Option<Level>) {
        let Level { price, size } = level.unwrap_or(Level { price: 0.0, size: 0.0 });
        self.price.push(price);
        self.size.push(size);
        self.present.append(level.is_some());
    }

    fn finish(mut self) -> [ArrayRef; 2] {
        let nulls = self.present.finish();
        [self.price, self.size]
            .map(|it| Arc::new(Float64Array::new(it.into(), nulls.clone())) as ArrayRef)
    }
}

fn push_id(ids: &mut StringBuilder, id: &TradeId) {
    match id {
        TradeId::None => ids.append_null(),
        TradeId::Text(text) => ids.append_value(text),
        TradeId::Number(_) | TradeId::Uuid(_) => {
            write!(ids, "{id}").expect("writing to memory does not fail");
            ids.append_value("");
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::{array::AsArray as _, datatypes::Int32Type};

    use super::*;
    use crate::market::{ConnId, InstrumentId, Market, Venue};

    fn instrument(n: u32) -> Arc<Instrument> {
        let market = Market::ALL[n as usize % 2];
        let symbol = format!("C{n}-USDT");
        let symbol_native = format!("C{n}USDT");
        let venue = Venue::new(Exchange::Okx, market);
        Arc::new(Instrument { venue, symbol, symbol_native, contract_size: 1.0 })
    }

    fn quote(instrument: u32) -> Event {
        Event::Quote(Quote {
            instrument: InstrumentId(instrument),
            conn: ConnId(u32::MAX),
            ts_event: None,
            ts_recv: Nanos(-1),
            bid: None,
            ask: Some(Level { price: 2.0, size: 3.0 }),
            sequence: None,
        })
    }

    fn batch(columns: &mut Columns, instruments: &[u32]) -> RecordBatch {
        for &it in instruments {
            columns.push(&quote(it), &instrument(it));
        }
        columns.take().expect("rows").0
    }

    #[test]
    fn a_name_is_in_the_dictionary_once_and_stays_there() {
        let mut columns = Columns::new(Channel::Quotes, Exchange::Okx);
        let column = |batch: &RecordBatch, name| {
            let column = batch.column_by_name(name).expect("a column");
            let column = column.as_dictionary::<Int32Type>().clone();
            (column.keys().values().to_vec(), column.values().len())
        };
        let first = batch(&mut columns, &[7, 4, 7]);
        assert_eq!(column(&first, "symbol"), (vec![0, 1, 0], 2));
        assert_eq!(column(&first, "market"), (vec![1, 0, 1], 2));
        assert_eq!(columns.len(), 0, "the rows are out");
        let second = batch(&mut columns, &[4, 900, 7]);
        assert_eq!(column(&second, "symbol_native"), (vec![1, 2, 0], 3));
        assert_eq!(column(&second, "exchange"), (vec![0, 0, 0], 1));
    }

    #[test]
    fn an_empty_side_is_null_and_a_time_floors() {
        let batch = batch(&mut Columns::new(Channel::Quotes, Exchange::Okx), &[1, 1]);
        let nulls = |name| batch.column_by_name(name).expect("a column").null_count();
        let names = ["ts_event", "ts_recv", "bid_price", "bid_size", "ask_price", "sequence"];
        assert_eq!(names.map(nulls), [2, 0, 2, 2, 0, 2]);
        let times = batch["ts_recv"].as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
        assert_eq!(times.values()[..], [-1, -1]);
    }
}
