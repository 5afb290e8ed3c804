//! What OKX lists.
//!
//! <https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments>
//! <https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-tickers>

use crate::exchange::prelude::*;

fn rows<'a, T: Deserialize<'a>>(body: &'a str) -> Result<Vec<T>, DecodeError> {
    Envelope::open_list(body, "0")
}

pub(super) fn read_instruments(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        inst_type: String,
        inst_id: String,
        base_ccy: String,
        quote_ccy: String,
        #[serde(default)]
        inst_family: String,
        #[serde(default)]
        uly: String,
        ct_type: String,
        ct_val: Num,
        ct_mult: Num,
        state: String,
        rule_type: Option<String>,
    }
    for it in rows::<Row>(body)? {
        let normal = it.rule_type.as_ref().is_none_or(|it| it == "normal");
        if it.state != "live" || !normal {
            continue;
        }
        let (base, quote, contract_size) = if it.inst_type == "SPOT" {
            (it.base_ccy, it.quote_ccy, 1.0)
        } else if it.ct_type == "linear" {
            // A swap names its pair only as "BTC-USDT".
            let family = if it.inst_family.is_empty() { &it.uly } else { &it.inst_family };
            let Some((base, quote)) = family.split_once('-') else { continue };
            (base.to_owned(), quote.to_owned(), it.ct_val.0 * it.ct_mult.0)
        } else {
            // The size of an inverse contract is in the quote asset.
            continue;
        };
        to.push(Listing { symbol_native: it.inst_id, base, quote, contract_size });
    }
    Ok(None)
}

pub(super) fn read_volumes(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        inst_type: String,
        inst_id: String,
        last: Num,
        vol_ccy24h: Num,
    }
    to.extend(rows::<Row>(body)?.into_iter().map(|it| {
        // Spot counts it in the quote asset, swaps in the base asset.
        let price = if it.inst_type == "SPOT" { 1.0 } else { it.last.0 };
        Volume { symbol_native: it.inst_id, last_day: it.vol_ccy24h.0 * price }
    }));
    Ok(())
}
