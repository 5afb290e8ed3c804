//! What Bitget lists.
//!
//! <https://www.bitget.com/api-doc/spot/market/Get-Symbols>
//! <https://www.bitget.com/api-doc/contract/market/Get-All-Symbols-Contracts>

use crate::exchange::prelude::*;

fn rows<'a, T: Deserialize<'a>>(body: &'a str) -> Result<Vec<T>, DecodeError> {
    Envelope::open_list(body, "00000")
}

pub(super) fn read_instruments(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        symbol: String,
        base_coin: String,
        quote_coin: String,
        /// Of a spot pair.
        #[serde(borrow)]
        status: Option<Text<'a>>,
        /// Of a contract.
        #[serde(borrow)]
        symbol_status: Option<Text<'a>>,
        #[serde(borrow)]
        symbol_type: Option<Text<'a>>,
    }
    let open = |it: &Row<'_>| match (&it.status, &it.symbol_status) {
        (Some(status), _) => status.0 == "online",
        (None, Some(status)) => {
            let perpetual = it.symbol_type.as_ref().is_none_or(|it| it.0 == "perpetual");
            status.0 == "normal" && perpetual
        }
        (None, None) => false,
    };
    // A `sizeMultiplier` is the least step of a size: sizes are in the base asset.
    to.extend(rows::<Row<'_>>(body)?.into_iter().filter(open).map(|it| Listing {
        symbol_native: it.symbol,
        base: it.base_coin,
        quote: it.quote_coin,
        contract_size: 1.0,
    }));
    Ok(None)
}

pub(super) fn read_volumes(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        quote_volume: Option<Num>,
        usdt_volume: Option<Num>,
    }
    to.extend(rows::<Row>(body)?.into_iter().map(|it| {
        let last_day = it.quote_volume.or(it.usdt_volume).unwrap_or_default().0;
        Volume { symbol_native: it.symbol, last_day }
    }));
    Ok(())
}
