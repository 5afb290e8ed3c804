//! What Binance lists.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints>
//! <https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Exchange-Information>

use crate::exchange::prelude::*;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    symbol: String,
    #[serde(borrow)]
    status: Text<'a>,
    base_asset: String,
    quote_asset: String,
    is_spot_trading_allowed: Option<bool>,
    #[serde(borrow)]
    contract_type: Option<Text<'a>>,
}

pub(super) fn read_instruments(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        symbols: Vec<Info<'a>>,
    }
    let open = |it: &Info<'_>| {
        // Dated futures and shares are contracts of other types.
        let perpetual = it.contract_type.as_ref().is_none_or(|it| it.0 == "PERPETUAL");
        it.status.0 == "TRADING" && perpetual && it.is_spot_trading_allowed.unwrap_or(true)
    };
    let body: Body<'_> = from_str(body)?;
    to.extend(body.symbols.into_iter().filter(open).map(|it| Listing {
        symbol_native: it.symbol,
        base: it.base_asset,
        quote: it.quote_asset,
        contract_size: 1.0,
    }));
    Ok(None)
}

pub(super) fn read_volumes(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        quote_volume: Num,
    }
    let rows: Vec<Row> = from_str(body)?;
    to.extend(
        rows.into_iter().map(|it| Volume { symbol_native: it.symbol, last_day: it.quote_volume.0 }),
    );
    Ok(())
}
