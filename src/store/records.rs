//! What is recorded now and then, as batches.
//!
//! A batch has dictionaries of its own: there are few rows, and far fewer names.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringDictionaryBuilder,
        TimestampMicrosecondArray,
    },
    datatypes::Int32Type,
};

use super::{
    schema::{micros, schema},
    table::Table,
};
use crate::{
    market::{Channel, Cross, Episode, Gap, Instrument, InstrumentId, Nanos},
    registry::Registry,
};

/// `gaps` as rows of [`Table::Gaps`].
///
/// # Panics
/// When an instrument is not in the registry.
pub(super) fn gaps(gaps: &[Gap], registry: &Registry) -> RecordBatch {
    let symbol = |it: &Gap| it.instrument.map(|it| instrument(it, registry));
    let symbols: Vec<_> = gaps.iter().map(symbol).collect();
    batch(
        Table::Gaps,
        vec![
            times(gaps.iter().map(|it| it.from)),
            times(gaps.iter().map(|it| it.to)),
            names(gaps.iter().map(|it| Some(it.venue.exchange.name()))),
            names(gaps.iter().map(|it| Some(it.venue.market.name()))),
            names(symbols.iter().map(|it| it.as_ref().map(|it| it.symbol.as_str()))),
            names(gaps.iter().map(|it| it.channel.map(Channel::name))),
            names(gaps.iter().map(|it| Some(it.reason.name()))),
            Arc::new(gaps.iter().map(|it| it.dropped.map(count)).collect::<Int64Array>()),
            Arc::new(
                gaps.iter().map(|it| it.conn.map(|it| it.0.cast_signed())).collect::<Int32Array>(),
            ),
        ],
    )
}

/// `episodes` as rows of [`Table::Spreads`].
///
/// # Panics
/// When an instrument is not in the registry.
pub(super) fn episodes(episodes: &[Episode], registry: &Registry) -> RecordBatch {
    let legs = |it: &Episode| [it.buy, it.sell].map(|it| instrument(it, registry));
    let legs: Vec<_> = episodes.iter().map(legs).collect();
    let peak = |value: fn(&Cross) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(episodes.iter().map(|it| value(&it.peak))))
    };
    let leg_age = episodes.iter().map(|it| it.leg_age_max.div_euclid(1_000));
    let updates = episodes.iter().map(|it| count(it.updates));
    batch(
        Table::Spreads,
        vec![
            names(legs.iter().map(|[buy, _]| Some(buy.symbol.as_str()))),
            names(legs.iter().map(|[buy, _]| Some(buy.venue.market.name()))),
            names(legs.iter().map(|[buy, _]| Some(buy.venue.exchange.name()))),
            names(legs.iter().map(|[_, sell]| Some(sell.venue.exchange.name()))),
            times(episodes.iter().map(|it| it.open)),
            times(episodes.iter().map(|it| it.close)),
            peak(|it| it.gross_bps),
            peak(|it| it.net_bps),
            peak(|it| it.ask.price),
            peak(|it| it.bid.price),
            peak(Cross::size),
            Arc::new(Int64Array::from_iter_values(leg_age)),
            Arc::new(Int64Array::from_iter_values(updates)),
        ],
    )
}

fn batch(table: Table, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(schema(table), columns).expect("the columns are those of the schema")
}

fn instrument(id: InstrumentId, registry: &Registry) -> Arc<Instrument> {
    registry.get(id).expect("ids come from the registry")
}

fn times(times: impl Iterator<Item = Nanos>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(times.map(micros)).with_timezone("UTC"))
}

fn names<'a>(names: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut column = StringDictionaryBuilder::<Int32Type>::new();
    names.for_each(|it| column.append_option(it));
    Arc::new(column.finish())
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use arrow::{array::AsArray as _, util::display::array_value_to_string};

    use super::*;
    use crate::market::{ConnId, Exchange, GapReason, Level, Market, Venue};

    const OKX: Venue = Venue::new(Exchange::Okx, Market::Perp);

    fn registry() -> Registry {
        let registry = Registry::default();
        for exchange in [Exchange::Okx, Exchange::Bybit] {
            let venue = Venue::new(exchange, Market::Perp);
            let (symbol, symbol_native) = ("BTC-USDT".to_owned(), "BTC-USDT-SWAP".to_owned());
            let it = Instrument { venue, symbol, symbol_native, contract_size: 1.0 };
            registry.intern(it).expect("room");
        }
        registry
    }

    /// A line a row, times in microseconds.
    fn lines(batch: &RecordBatch) -> String {
        let cell = |column: &ArrayRef, row| match column.as_primitive_opt() {
            Some(times) => TimestampMicrosecondArray::value(times, row).to_string(),
            None => array_value_to_string(column, row).expect("it can be shown"),
        };
        let fields = batch.schema_ref().fields();
        let line = |row| -> String {
            let cells = fields.iter().zip(batch.columns()).map(|(field, it)| {
                let value = if it.is_null(row) { "null".to_owned() } else { cell(it, row) };
                format!("{} {value}\n", field.name())
            });
            cells.collect()
        };
        (0..batch.num_rows()).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_gap_is_a_row_in_which_what_is_not_known_is_null() {
        let all = Gap {
            from: Nanos(1_790_000_000_000_001_999),
            to: Nanos(1_790_000_001_000_000_000),
            venue: OKX,
            instrument: Some(InstrumentId(0)),
            channel: Some(Channel::Trades),
            reason: GapReason::SequenceGap,
            dropped: Some(7),
            conn: Some(ConnId(3)),
        };
        let none = Gap {
            instrument: None,
            channel: None,
            reason: GapReason::Crash,
            dropped: None,
            conn: None,
            ..all
        };
        insta::assert_snapshot!(lines(&gaps(&[all, none], &registry())), @r#"
        ts_from 1790000000000001
        ts_to 1790000001000000
        exchange okx
        market perp
        symbol BTC-USDT
        stream trades
        reason sequence_gap
        dropped 7
        conn_id 3

        ts_from 1790000000000001
        ts_to 1790000001000000
        exchange okx
        market perp
        symbol null
        stream null
        reason crash
        dropped null
        conn_id null
        "#);
    }

    #[test]
    fn an_episode_is_a_row() {
        let peak = Cross {
            buy: InstrumentId(0),
            sell: InstrumentId(1),
            ask: Level { price: 100.0, size: 2.0 },
            bid: Level { price: 100.5, size: 1.5 },
            gross_bps: 50.0,
            net_bps: 39.5,
            leg_age: 12_000_000,
            ts_recv: Nanos(1_790_000_000_500_000_000),
        };
        let episode = Episode {
            buy: InstrumentId(0),
            sell: InstrumentId(1),
            open: Nanos(1_790_000_000_000_000_000),
            close: Nanos(1_790_000_001_000_000_000),
            peak,
            leg_age_max: 1_500_999,
            updates: 42,
        };
        insta::assert_snapshot!(lines(&episodes(&[episode], &registry())), @r#"
        symbol BTC-USDT
        market perp
        buy_exchange okx
        sell_exchange bybit
        ts_open 1790000000000000
        ts_close 1790000001000000
        peak_gross_bps 50.0
        peak_net_bps 39.5
        ask_price_at_peak 100.0
        bid_price_at_peak 100.5
        size_at_peak 1.5
        max_leg_age_us 1500
        updates 42
        "#);
    }
}
