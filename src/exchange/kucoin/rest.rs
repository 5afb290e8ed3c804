//! What KuCoin lists, and where it hands out addresses.
//!
//! <https://www.kucoin.com/docs/rest/spot-trading/market-data/get-symbols-list>
//! <https://www.kucoin.com/docs/rest/futures-trading/market-data/get-symbols-list>

use crate::exchange::prelude::*;

/// An address is about 300 characters, most of them token.
const ADDRESS_MAX: usize = 4096;

fn data<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, DecodeError> {
    Envelope::open(body, "200000")
}

pub(super) fn read_address(body: &str, unique: u32) -> Result<String, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Bullet<'a> {
        #[serde(borrow)]
        token: Text<'a>,
        instance_servers: Vec<Server>,
    }
    #[derive(Deserialize)]
    struct Server {
        endpoint: String,
    }
    let Bullet { token, instance_servers } = data(body)?;
    let Some(Server { endpoint }) = instance_servers.first() else {
        return Err(DecodeError::Value("no server"));
    };
    if !["wss://", "ws://"].iter().any(|it| endpoint.starts_with(it)) {
        return Err(DecodeError::Value("an address that is no WebSocket's"));
    }
    // Base64, with what it needs in a query.
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~=+/%".contains(&it);
    if token.0.is_empty() || !token.0.bytes().all(plain) {
        return Err(DecodeError::Value("a token that is none"));
    }
    let address = format!("{endpoint}?token={}&connectId={unique}", token.0);
    if ADDRESS_MAX < address.len() {
        return Err(DecodeError::Value("an address without an end"));
    }
    Ok(address)
}

pub(super) fn read_symbols(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        base_currency: String,
        quote_currency: String,
        enable_trading: bool,
    }
    let rows: Vec<Row> = data(body)?;
    to.extend(rows.into_iter().filter(|it| it.enable_trading).map(|it| Listing {
        symbol_native: it.symbol,
        base: it.base_currency,
        quote: it.quote_currency,
        contract_size: 1.0,
    }));
    Ok(None)
}

pub(super) fn read_contracts(
    body: &str,
    to: &mut Vec<Listing>,
) -> Result<Option<String>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        symbol: String,
        base_currency: String,
        quote_currency: String,
        #[serde(borrow, rename = "type")]
        kind: Option<Text<'a>>,
        #[serde(borrow)]
        status: Text<'a>,
        multiplier: Signed,
        #[serde(default)]
        is_inverse: bool,
    }
    let open = |it: &Row<'_>| {
        let perpetual = it.kind.as_ref().is_none_or(|it| it.0 == "FFWCSX");
        // The size of an inverse contract is in the quote asset.
        it.status.0 == "Open" && perpetual && !it.is_inverse
    };
    let rows: Vec<Row<'_>> = data(body)?;
    to.extend(rows.into_iter().filter(open).map(|it| Listing {
        symbol_native: it.symbol,
        base: if it.base_currency == "XBT" { "BTC".into() } else { it.base_currency },
        quote: it.quote_currency,
        contract_size: it.multiplier.0,
    }));
    Ok(None)
}

pub(super) fn read_tickers(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Tickers {
        ticker: Vec<Row>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        symbol: String,
        vol_value: Option<Num>,
    }
    let Tickers { ticker } = data(body)?;
    to.extend(ticker.into_iter().map(|it| {
        let last_day = it.vol_value.unwrap_or_default().0;
        Volume { symbol_native: it.symbol, last_day }
    }));
    Ok(())
}

pub(super) fn read_turnovers(body: &str, to: &mut Vec<Volume>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Row {
        symbol: String,
        #[serde(rename = "turnoverOf24h")]
        turnover: Option<Num>,
    }
    let rows: Vec<Row> = data(body)?;
    to.extend(rows.into_iter().map(|it| {
        let last_day = it.turnover.unwrap_or_default().0;
        Volume { symbol_native: it.symbol, last_day }
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(token: &str) -> Result<String, DecodeError> {
        let body = json!({ "code": "200000", "data": {
            "token": token,
            "instanceServers": [
                { "endpoint": "wss://somewhere.kucoin.com/", "protocol": "websocket" },
                { "endpoint": "wss://elsewhere.kucoin.com/" },
            ],
        } });
        read_address(&body.to_string(), 7)
    }

    #[test]
    fn an_address_is_that_of_the_first_server_with_the_token() {
        let url = "wss://somewhere.kucoin.com/?token=2neAiuYvAU_a==.b-c/d+e==&connectId=7";
        assert_eq!(address("2neAiuYvAU_a==.b-c/d+e==").unwrap(), url);
    }

    #[test]
    fn an_answer_without_an_address_is_refused() {
        for token in ["", "a b", "a&b=c", "a#b", "a\r\nHost: x", &"a".repeat(5000)] {
            assert!(address(token).is_err(), "{token}");
        }
        let none = r#"{"code":"200000","data":{"token":"x","instanceServers":[]}}"#;
        assert!(read_address(none, 7).unwrap_err().to_string().contains("no server"));
        let refused = r#"{"code":"429000","msg":"too many requests"}"#;
        assert!(read_address(refused, 7).unwrap_err().to_string().contains("429000"));
    }

    /// Found by fuzzing: the last one was handed on, and no connection could be made to it.
    #[test]
    fn an_address_is_one_of_a_websocket() {
        let read = |endpoint: &str| {
            let servers = json!([{ "endpoint": endpoint }]);
            let data = json!({ "token": "t", "instanceServers": servers });
            read_address(&json!({ "code": "200000", "data": data }).to_string(), 7).ok()
        };
        let expected = "wss://a/b?token=t&connectId=7";
        assert_eq!(read("wss://a/b").as_deref(), Some(expected));
        for endpoint in ["", "a/b", "https://a/b", "w*ss://a/b"] {
            assert_eq!(read(endpoint), None, "{endpoint}");
        }
    }
}
