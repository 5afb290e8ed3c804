//! What a row is made of, in Arrow's types.
//!
//! Times are microseconds, because Spark refuses Parquet's nanoseconds. Names are dictionaries with
//! int32 keys, because pandas and pyarrow merge the column `exchange` with the partition key
//! `exchange=` only if it has the very type they give the key.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::market::{Channel, Nanos};

/// The columns of the files of `channel`, in order.
#[must_use]
pub fn schema(channel: Channel) -> SchemaRef {
    let mut fields = vec![
        Field::new("ts_event", timestamp(), true),
        Field::new("ts_recv", timestamp(), false),
        Field::new("exchange", name(), false),
        Field::new("market", name(), false),
        Field::new("symbol", name(), false),
        Field::new("symbol_native", name(), false),
    ];
    fields.extend(match channel {
        Channel::Quotes => vec![
            Field::new("bid_price", DataType::Float64, true),
            Field::new("bid_size", DataType::Float64, true),
            Field::new("ask_price", DataType::Float64, true),
            Field::new("ask_size", DataType::Float64, true),
            Field::new("sequence", DataType::Int64, true),
        ],
        Channel::Trades => vec![
            Field::new("price", DataType::Float64, false),
            Field::new("size", DataType::Float64, false),
            Field::new("side", name(), false),
            Field::new("trade_id", DataType::Utf8, true),
        ],
    });
    fields.push(Field::new("conn_id", DataType::Int32, false));
    Arc::new(Schema::new(fields))
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn name() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The last whole microsecond at or before `time`, also before the epoch: an earlier time never
/// becomes a later one, and none leaves its UTC day.
pub(super) fn micros(time: Nanos) -> i64 {
    time.0.div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(channel: Channel) -> String {
        let line = |it: &Arc<Field>| {
            let null = if it.is_nullable() { " null" } else { "" };
            format!("{} {}{null}\n", it.name(), it.data_type())
        };
        schema(channel).fields().iter().map(line).collect()
    }

    #[test]
    fn quotes_are_as_promised() {
        insta::assert_snapshot!(columns(Channel::Quotes), @r#"
        ts_event Timestamp(µs, "UTC") null
        ts_recv Timestamp(µs, "UTC")
        exchange Dictionary(Int32, Utf8)
        market Dictionary(Int32, Utf8)
        symbol Dictionary(Int32, Utf8)
        symbol_native Dictionary(Int32, Utf8)
        bid_price Float64 null
        bid_size Float64 null
        ask_price Float64 null
        ask_size Float64 null
        sequence Int64 null
        conn_id Int32
        "#);
    }

    #[test]
    fn trades_are_as_promised() {
        insta::assert_snapshot!(columns(Channel::Trades), @r#"
        ts_event Timestamp(µs, "UTC") null
        ts_recv Timestamp(µs, "UTC")
        exchange Dictionary(Int32, Utf8)
        market Dictionary(Int32, Utf8)
        symbol Dictionary(Int32, Utf8)
        symbol_native Dictionary(Int32, Utf8)
        price Float64
        size Float64
        side Dictionary(Int32, Utf8)
        trade_id Utf8 null
        conn_id Int32
        "#);
    }

    #[test]
    fn times_floor() {
        for (nanos, floor) in [(1_999, 1), (1_000, 1), (999, 0), (0, 0), (-1, -1), (-1_001, -2)] {
            assert_eq!(micros(Nanos(nanos)), floor, "{nanos} ns");
        }
    }
}
