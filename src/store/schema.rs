//! What a row is made of, in Arrow's types.
//!
//! Times are microseconds, because Spark refuses Parquet's nanoseconds. Names are dictionaries with
//! int32 keys, because pandas and pyarrow merge the column `exchange` with the partition key
//! `exchange=` only if it has the very type they give the key.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::table::Table;
use crate::market::Nanos;

/// The columns of the files of `table`, in order.
#[must_use]
pub fn schema(table: Table) -> SchemaRef {
    let fields = match table {
        Table::Quotes => of_an_event(vec![
            Field::new("bid_price", DataType::Float64, true),
            Field::new("bid_size", DataType::Float64, true),
            Field::new("ask_price", DataType::Float64, true),
            Field::new("ask_size", DataType::Float64, true),
            Field::new("sequence", DataType::Int64, true),
        ]),
        Table::Trades => of_an_event(vec![
            Field::new("price", DataType::Float64, false),
            Field::new("size", DataType::Float64, false),
            Field::new("side", name(), false),
            Field::new("trade_id", DataType::Utf8, true),
        ]),
        Table::Spreads => of_an_episode(),
        Table::Gaps => of_a_gap(),
    };
    Arc::new(Schema::new(fields))
}

fn of_an_event(own: Vec<Field>) -> Vec<Field> {
    let mut fields = vec![
        Field::new("ts_event", timestamp(), true),
        Field::new("ts_recv", timestamp(), false),
        Field::new("exchange", name(), false),
        Field::new("market", name(), false),
        Field::new("symbol", name(), false),
        Field::new("symbol_native", name(), false),
    ];
    fields.extend(own);
    fields.push(Field::new("conn_id", DataType::Int32, false));
    fields
}

fn of_an_episode() -> Vec<Field> {
    vec![
        Field::new("symbol", name(), false),
        Field::new("market", name(), false),
        Field::new("buy_exchange", name(), false),
        Field::new("sell_exchange", name(), false),
        Field::new("ts_open", timestamp(), false),
        Field::new("ts_close", timestamp(), false),
        Field::new("peak_gross_bps", DataType::Float64, false),
        Field::new("peak_net_bps", DataType::Float64, false),
        Field::new("ask_price_at_peak", DataType::Float64, false),
        Field::new("bid_price_at_peak", DataType::Float64, false),
        Field::new("size_at_peak", DataType::Float64, false),
        Field::new("max_leg_age_us", DataType::Int64, false),
        Field::new("updates", DataType::Int64, false),
    ]
}

fn of_a_gap() -> Vec<Field> {
    vec![
        Field::new("ts_from", timestamp(), false),
        Field::new("ts_to", timestamp(), false),
        Field::new("exchange", name(), false),
        Field::new("market", name(), false),
        Field::new("symbol", name(), true),
        Field::new("stream", name(), true),
        Field::new("reason", name(), false),
        Field::new("dropped", DataType::Int64, true),
        Field::new("conn_id", DataType::Int32, true),
    ]
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

    fn columns(table: Table) -> String {
        let line = |it: &Arc<Field>| {
            let null = if it.is_nullable() { " null" } else { "" };
            format!("{} {}{null}\n", it.name(), it.data_type())
        };
        schema(table).fields().iter().map(line).collect()
    }

    #[test]
    fn quotes_are_as_promised() {
        insta::assert_snapshot!(columns(Table::Quotes), @r#"
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
        insta::assert_snapshot!(columns(Table::Trades), @r#"
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
    fn spreads_are_as_promised() {
        insta::assert_snapshot!(columns(Table::Spreads), @r#"
        symbol Dictionary(Int32, Utf8)
        market Dictionary(Int32, Utf8)
        buy_exchange Dictionary(Int32, Utf8)
        sell_exchange Dictionary(Int32, Utf8)
        ts_open Timestamp(µs, "UTC")
        ts_close Timestamp(µs, "UTC")
        peak_gross_bps Float64
        peak_net_bps Float64
        ask_price_at_peak Float64
        bid_price_at_peak Float64
        size_at_peak Float64
        max_leg_age_us Int64
        updates Int64
        "#);
    }

    #[test]
    fn gaps_are_as_promised() {
        insta::assert_snapshot!(columns(Table::Gaps), @r#"
        ts_from Timestamp(µs, "UTC")
        ts_to Timestamp(µs, "UTC")
        exchange Dictionary(Int32, Utf8)
        market Dictionary(Int32, Utf8)
        symbol Dictionary(Int32, Utf8) null
        stream Dictionary(Int32, Utf8) null
        reason Dictionary(Int32, Utf8)
        dropped Int64 null
        conn_id Int32 null
        "#);
    }

    #[test]
    fn times_floor() {
        for (nanos, floor) in [(1_999, 1), (1_000, 1), (999, 0), (0, 0), (-1, -1), (-1_001, -2)] {
            assert_eq!(micros(Nanos(nanos)), floor, "{nanos} ns");
        }
    }
}
