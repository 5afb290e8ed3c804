//! What MEXC lists.
//!
//! <https://www.mexc.com/api-docs/spot-v3/market-data-endpoints>
//! <https://www.mexc.com/api-docs/futures/market-endpoints>

use crate::exchange::prelude::*;

pub(super) fn read_symbols(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        symbols: Vec<Row<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        symbol: String,
        #[serde(borrow)]
        status: Id<'a>,
        base_asset: String,
        quote_asset: String,
        is_spot_trading_allowed: Option<bool>,
        trade_side_type: Option<Int>,
    }
    let open = |it: &Row<'_>| {
        let closed = it.trade_side_type == Some(Int(4));
        let allowed = it.is_spot_trading_allowed.unwrap_or(true) && !closed;
        matches!(&*it.status.0, "1" | "ENABLED") && allowed
    };
    let Body { symbols } = from_str(body)?;
    to.extend(symbols.into_iter().filter(open).map(|it| Listing {
        symbol_native: it.symbol,
        base: it.base_asset,
        quote: it.quote_asset,
        contract_size: 1.0,
    }));
    Ok(None)
}

pub(super) fn read_tickers(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        last_price: Option<Num>,
        volume: Option<Num>,
        quote_volume: Option<Num>,
    }
    let rows: Vec<Row> = from_str(body)?;
    to.extend(rows.into_iter().map(|it| {
        let estimate = it.volume.unwrap_or_default().0 * it.last_price.unwrap_or_default().0;
        let last_day = it.quote_volume.map_or(estimate, |it| it.0);
        Volume { symbol_native: it.symbol, last_day }
    }));
    Ok(())
}

/// A failure, too, is an answer of HTTP status 200.
fn rows<'a, T: Deserialize<'a>>(body: &'a str) -> Result<Vec<T>, DecodeError> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        code: Option<Int>,
        #[serde(borrow)]
        message: Option<Text<'a>>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let Reply { code, message, data } = from_str(body)?;
    match (code.map_or(0, |it| it.0), data) {
        (0, Some(data)) => read(data),
        (code, _) => {
            let message = message.unwrap_or_default().0.into_owned();
            Err(DecodeError::Refused { code: code.to_string(), message })
        }
    }
}

pub(super) fn read_contracts(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        base_coin: String,
        quote_coin: String,
        settle_coin: String,
        contract_size: Num,
        state: Int,
        #[serde(default)]
        is_hidden: bool,
        future_type: Option<Int>,
    }
    let open = |it: &Row| {
        let perpetual = it.future_type.is_none_or(|it| it.0 == 1);
        // The size of an inverse contract is in the quote asset.
        let linear = it.settle_coin == it.quote_coin;
        it.state.0 == 0 && !it.is_hidden && perpetual && linear
    };
    to.extend(rows::<Row>(body)?.into_iter().filter(open).map(|it| Listing {
        symbol_native: it.symbol,
        base: it.base_coin,
        quote: it.quote_coin,
        contract_size: it.contract_size.0,
    }));
    Ok(None)
}

pub(super) fn read_amounts(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Row {
        symbol: String,
        amount24: Option<Num>,
    }
    to.extend(rows::<Row>(body)?.into_iter().map(|it| {
        let last_day = it.amount24.unwrap_or_default().0;
        Volume { symbol_native: it.symbol, last_day }
    }));
    Ok(())
}
