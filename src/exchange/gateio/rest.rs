//! What Gate.io lists.
//!
//! <https://www.gate.com/docs/developers/apiv4/en/#list-all-currency-pairs-supported>
//! <https://www.gate.com/docs/developers/apiv4/en/#list-all-futures-contracts>

use crate::exchange::prelude::*;

/// Whether the WebSocket takes the name: the list has some in other scripts that it refuses.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_')
}

pub(super) fn read_pairs(body: &str, to: &mut Vec<Listing>) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    struct Row<'a> {
        id: String,
        base: String,
        quote: String,
        #[serde(borrow)]
        trade_status: Text<'a>,
    }
    let rows: Vec<Row<'_>> = from_str(body)?;
    let open = |it: &Row<'_>| it.trade_status.0 == "tradable" && is_plain(&it.id);
    to.extend(rows.into_iter().filter(open).map(|it| Listing {
        symbol_native: it.id,
        base: it.base,
        quote: it.quote,
        contract_size: 1.0,
    }));
    Ok(None)
}

pub(super) fn read_contracts(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    struct Row<'a> {
        name: String,
        #[serde(borrow, rename = "type")]
        kind: Option<Text<'a>>,
        quanto_multiplier: Num,
        #[serde(borrow)]
        status: Option<Text<'a>>,
        #[serde(default)]
        in_delisting: bool,
    }
    let rows: Vec<Row<'_>> = from_str(body)?;
    let open = |it: &Row<'_>| {
        let linear = it.kind.as_ref().is_none_or(|it| it.0 == "direct");
        let trading = it.status.as_ref().is_none_or(|it| it.0 == "trading");
        linear && trading && !it.in_delisting && is_plain(&it.name)
    };
    for it in rows.into_iter().filter(open) {
        // A contract names its pair in no other way.
        let Some((base, quote)) = it.name.rsplit_once('_') else { continue };
        let (base, quote) = (base.to_owned(), quote.to_owned());
        let contract_size = it.quanto_multiplier.0;
        to.push(Listing { symbol_native: it.name, base, quote, contract_size });
    }
    Ok(None)
}

pub(super) fn read_volumes(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(alias = "contract")]
        currency_pair: String,
        quote_volume: Option<Num>,
        volume_24h_settle: Option<Num>,
        volume_24h_quote: Option<Num>,
    }
    let rows: Vec<Row> = from_str(body)?;
    to.extend(rows.into_iter().map(|it| {
        let volume = it.quote_volume.or(it.volume_24h_settle).or(it.volume_24h_quote);
        let last_day = volume.unwrap_or_default().0;
        Volume { symbol_native: it.currency_pair, last_day }
    }));
    Ok(())
}
