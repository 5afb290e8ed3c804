//! How columns become pages.

use parquet::{
    basic::Encoding,
    file::{
        metadata::KeyValue,
        properties::{
            EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr,
        },
    },
};

use super::compression::Compression;

/// What the columns and the metadata of a file mean. A change that a reader must know is a new one.
pub(super) const FORMAT_VERSION: &str = "1";

/// Columns of integers that grow, or stay the same, from row to row.
const DELTAS: [&str; 8] =
    ["ts_event", "ts_recv", "ts_from", "ts_to", "ts_open", "ts_close", "sequence", "conn_id"];

/// Columns whose least and greatest value narrow no search, as all symbols are mixed in a file. To
/// compare strings for them takes a quarter of the writer's time.
const NO_STATISTICS: [&str; 6] =
    ["exchange", "market", "symbol", "symbol_native", "side", "trade_id"];

/// Columns of prices, sizes and spreads. They recur far more often than one would think, which any compression
/// finds out by itself, at less cost and, with zstd, in less room than a dictionary of them takes.
const NUMBERS: [&str; 11] = [
    "bid_price",
    "bid_size",
    "ask_price",
    "ask_size",
    "price",
    "size",
    "peak_gross_bps",
    "peak_net_bps",
    "ask_price_at_peak",
    "bid_price_at_peak",
    "size_at_peak",
];

/// The properties of the files of a run.
pub(super) fn properties(run: &str, compression: Compression) -> WriterPropertiesPtr {
    // Whoever writes ends the groups.
    builder(run, compression, []).set_max_row_group_row_count(None).build().into()
}

/// What all files have in common, and `more` lines of metadata. `run` is the one that writes them.
pub(super) fn builder<const N: usize>(
    run: &str,
    compression: Compression,
    more: [(&str, String); N],
) -> WriterPropertiesBuilder {
    let writer = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let lines = [("format_version", FORMAT_VERSION), ("writer", writer), ("run_id", run)];
    let lines = lines.map(|(key, value)| (key, value.to_owned())).into_iter().chain(more);
    let lines = lines.map(|(key, value)| say(key, value)).collect();
    let it = WriterProperties::builder()
        .set_created_by(writer.to_owned())
        .set_compression(compression.codec())
        .set_key_value_metadata(Some(lines));
    encode(it, compression)
}

/// Says of a file that its rows are sorted: by symbol, market and [`Table::time`].
///
/// [`Table::time`]: super::table::Table::time
pub(super) const COMPACTED: &str = "compacted";

/// How the keys of our lines of metadata start.
pub(super) const PREFIX: &str = "spread_aggregator.";

/// One line of the metadata.
pub(super) fn say(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue::new(format!("{PREFIX}{key}"), value.into())
}

/// The fastest of the encodings that are within a few percent of the smallest. What is not named
/// here has a dictionary. `BYTE_STREAM_SPLIT` makes files of quotes larger by a tenth to three quarters.
fn encode(mut it: WriterPropertiesBuilder, compression: Compression) -> WriterPropertiesBuilder {
    for column in DELTAS {
        it = it
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_encoding(column.into(), Encoding::DELTA_BINARY_PACKED);
    }
    for column in NO_STATISTICS {
        it = it.set_column_statistics_enabled(column.into(), EnabledStatistics::None);
    }
    let is_compressed = compression != Compression::None;
    for column in NUMBERS {
        it = it.set_column_dictionary_enabled(column.into(), !is_compressed);
    }
    it.set_column_dictionary_enabled("trade_id".into(), false)
        .set_column_encoding("trade_id".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
}
