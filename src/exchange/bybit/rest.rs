//! What Bybit lists.
//!
//! <https://bybit-exchange.github.io/docs/v5/market/instrument>
//! <https://bybit-exchange.github.io/docs/v5/market/tickers>

use crate::exchange::prelude::*;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    ret_code: Int,
    #[serde(borrow)]
    ret_msg: Option<Text<'a>>,
    #[serde(borrow)]
    result: &'a RawValue,
}

fn result<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, DecodeError> {
    let reply: Reply<'_> = from_str(body)?;
    if reply.ret_code.0 != 0 {
        let message = reply.ret_msg.unwrap_or_default().0.into_owned();
        return Err(DecodeError::Refused { code: reply.ret_code.0.to_string(), message });
    }
    read(reply.result)
}

pub(super) fn read_instruments(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a> {
        #[serde(borrow)]
        list: Vec<Row<'a>>,
        next_page_cursor: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        symbol: String,
        base_coin: String,
        quote_coin: String,
        #[serde(borrow)]
        status: Text<'a>,
        #[serde(borrow)]
        contract_type: Option<Text<'a>>,
    }
    let open = |it: &Row<'_>| {
        let perpetual = it.contract_type.as_ref().is_none_or(|it| it.0 == "LinearPerpetual");
        it.status.0 == "Trading" && perpetual
    };
    let List { list, next_page_cursor } = result(body)?;
    to.extend(list.into_iter().filter(open).map(|it| Listing {
        symbol_native: it.symbol,
        base: it.base_coin,
        quote: it.quote_coin,
        contract_size: 1.0,
    }));
    // The cursor comes percent-encoded already.
    let cursor = next_page_cursor.filter(|it| !it.is_empty());
    Ok(cursor.map(|it| format!("{}&cursor={it}", super::PERP_INSTRUMENTS)))
}

pub(super) fn read_volumes(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct List {
        list: Vec<Row>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        turnover24h: Num,
    }
    let List { list } = result(body)?;
    to.extend(
        list.into_iter().map(|it| Volume { symbol_native: it.symbol, last_day: it.turnover24h.0 }),
    );
    Ok(())
}
