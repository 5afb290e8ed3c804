//! How columns become pages.

use parquet::{
    basic::Encoding,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr},
    },
};

use super::{batch::BATCH_ROWS, compression::Compression};

/// Rows in a row group. All of a group is in memory until it is written, and writing it is the
/// longest pause of the writer: 1M rows took 20 MB and 22 ms a file, an eighth of that an eighth.
pub(super) const ROW_GROUP_ROWS: usize = 131_072;

/// The version of the columns and of the metadata; the first is "1".
const FORMAT_VERSION: &str = "1";

/// The properties of the files of a run.
pub(super) fn properties(run: &str, compression: Compression) -> WriterPropertiesPtr {
    const { assert!(ROW_GROUP_ROWS.is_multiple_of(BATCH_ROWS), "a batch would be cut in two") };
    let mode = std::env::var("ENC").unwrap_or_default();
    let version = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let say = |key: &str, value: &str| {
        KeyValue::new(format!("spread_aggregator.{key}"), value.to_owned())
    };
    let mut it = WriterProperties::builder()
        .set_created_by(version.to_owned())
        .set_compression(compression.codec())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(vec![
            say("format_version", FORMAT_VERSION),
            say("writer", version),
            say("run_id", run),
        ]));
    if mode.contains("chunkstats") {
        it = it.set_statistics_enabled(EnabledStatistics::Chunk);
    }
    if mode.contains("v2") {
        it = it.set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0);
    }
    for column in ["ts_event", "ts_recv", "sequence", "conn_id"] {
        let dict = column == "conn_id" && mode.contains("conndict");
        it = it.set_column_dictionary_enabled(column.into(), dict).set_column_encoding(
            column.into(),
            if dict { Encoding::PLAIN } else { Encoding::DELTA_BINARY_PACKED },
        );
    }
    for column in ["bid_price", "bid_size", "ask_price", "ask_size", "price", "size"] {
        if mode.contains("bss") {
            it = it
                .set_column_dictionary_enabled(column.into(), false)
                .set_column_encoding(column.into(), Encoding::BYTE_STREAM_SPLIT);
        } else if mode.contains("f64plain") {
            it = it.set_column_dictionary_enabled(column.into(), false);
        } else if mode.contains("dictfallbackbss") {
            it = it.set_column_encoding(column.into(), Encoding::BYTE_STREAM_SPLIT);
        }
        if mode.contains("bigdict") {
            it = it.set_column_dictionary_page_size_limit(column.into(), 4 << 20);
        }
        if mode.contains("nofstat") {
            it = it.set_column_statistics_enabled(column.into(), EnabledStatistics::None);
        }
        if mode.contains("mixbss") && column.ends_with("price") {
            it = it
                .set_column_dictionary_enabled(column.into(), false)
                .set_column_encoding(column.into(), Encoding::BYTE_STREAM_SPLIT);
        }
        if mode.contains("mixplain") && column.ends_with("price") {
            it = it.set_column_dictionary_enabled(column.into(), false);
        }
    }
    if mode.contains("iddict") {
    } else if mode.contains("idplain") {
        it = it.set_column_dictionary_enabled("trade_id".into(), false);
    } else if mode.contains("iddlen") {
        it = it
            .set_column_dictionary_enabled("trade_id".into(), false)
            .set_column_encoding("trade_id".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    } else {
        it = it
            .set_column_dictionary_enabled("trade_id".into(), false)
            .set_column_encoding("trade_id".into(), Encoding::DELTA_BYTE_ARRAY);
    }
    it.build().into()
}
