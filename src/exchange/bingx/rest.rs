//! What BingX lists.
//!
//! <https://bingx-api.github.io/docs-v3/#/en/Spot/Market%20Data/Spot%20trading%20symbols>
//! <https://bingx-api.github.io/docs-v3/#/en/Swap/Market%20Data/USDT-M%20Perp%20Futures%20symbols>

use crate::exchange::prelude::*;

fn data<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, DecodeError> {
    Envelope::open(body, "0")
}

/// The status of what can be traded.
const ONLINE: Int = Int(1);

pub(super) fn read_pairs(body: &str, to: &mut Vec<Listing>) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    struct Pairs {
        symbols: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        symbol: String,
        status: Int,
    }
    let Pairs { symbols } = data(body)?;
    for it in symbols.into_iter().filter(|it| it.status == ONLINE) {
        // A pair names its assets in no other way.
        let Some((base, quote)) = it.symbol.rsplit_once('-') else { continue };
        let (base, quote) = (base.to_owned(), quote.to_owned());
        to.push(Listing { symbol_native: it.symbol, base, quote, contract_size: 1.0 });
    }
    Ok(None)
}

pub(super) fn read_contracts(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    struct Row {
        symbol: String,
        asset: String,
        currency: String,
        status: Int,
    }
    let rows: Vec<Row> = data(body)?;
    // Sizes are in the base asset, whatever the `size` of a contract says.
    to.extend(rows.into_iter().filter(|it| it.status == ONLINE).map(|it| Listing {
        symbol_native: it.symbol,
        base: it.asset,
        quote: it.currency,
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
    let rows: Vec<Row> = data(body)?;
    to.extend(
        rows.into_iter().map(|it| Volume { symbol_native: it.symbol, last_day: it.quote_volume.0 }),
    );
    Ok(())
}
