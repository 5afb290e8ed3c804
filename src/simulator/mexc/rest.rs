//! Lists of symbols, contracts and tickers.

use serde_json::{Value, json};

use crate::{
    market::Market,
    simulator::{
        http::{Request, Response},
        listing::{Kind, Row},
        prices,
        world::{Served, World},
    },
};

pub(super) fn answer(world: &World, served: &Served, request: &Request) -> Response {
    let response = match served.venue.market {
        Market::Spot => spot(world, served, request),
        Market::Perp => perp(world, served, request),
    };
    response.unwrap_or_else(|| Response::json(404, refusal(404)))
}

pub(super) fn refusal(status: u16) -> String {
    let (code, message) = match status {
        429 => (429, "Too Many Requests"),
        403 | 451 => (403, "Access Denied"),
        404 => (404, "Not Found"),
        _ => (500, "Internal Server Error"),
    };
    json!({"code": code, "msg": message}).to_string()
}

/// Bare JSON.
fn spot(world: &World, served: &Served, request: &Request) -> Option<Response> {
    let ticker: &dyn Fn(&Row) -> Value = match request.path.strip_prefix("/api/v3/")? {
        "ping" => return Some(Response::json(200, "{}")),
        "time" => {
            return Some(Response::json(200, json!({"serverTime": prices::now()}).to_string()));
        }
        "exchangeInfo" => return Some(exchange_info(served, request)),
        "defaultSymbols" => {
            let symbols: Value =
                served.listed().filter(|it| it.moves()).map(|it| it.native.clone()).collect();
            let it = json!({"code": 0, "msg": "success", "data": symbols,
                "timestamp": prices::now()});
            return Some(Response::json(200, it.to_string()));
        }
        "ticker/24hr" => &|row| spot_ticker(world, served, row),
        "ticker/bookTicker" => &|row| book_ticker(world, served, row),
        _ => return None,
    };
    let Some(name) = request.parameter("symbol") else {
        let all: Value = served.listed().map(ticker).collect();
        return Some(Response::json(200, all.to_string()));
    };
    Some(match served.row(name).filter(|it| it.listed()) {
        Some(row) => Response::json(200, ticker(row).to_string()),
        None => invalid_symbol(),
    })
}

fn invalid_symbol() -> Response {
    Response::json(400, json!({"code": -1121, "msg": "Invalid symbol."}).to_string())
}

fn exchange_info(served: &Served, request: &Request) -> Response {
    let named = request.parameter("symbol");
    let rows = served.listed().filter(|it| named.is_none_or(|name| it.native == name));
    let symbols: Vec<_> = rows.map(symbol).collect();
    if symbols.is_empty() && named.is_some() {
        return invalid_symbol();
    }
    let it = json!({
        "timezone": "CST", "serverTime": prices::now(), "rateLimits": [], "exchangeFilters": [],
        "symbols": symbols,
    });
    Response::json(200, it.to_string())
}

fn symbol(row: &Row) -> Value {
    let open = row.kind.moves();
    let status = match row.kind {
        Kind::Halted => "2",
        Kind::Pending => "3",
        // It is online, and not for this interface.
        _ => "1",
    };
    json!({
        "symbol": row.native, "status": status, "baseAsset": row.base,
        "baseAssetPrecision": row.size_places, "quoteAsset": row.quote,
        "quotePrecision": row.price_places, "quoteAssetPrecision": row.price_places,
        "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"], "isSpotTradingAllowed": open,
        "isMarginTradingAllowed": false, "quoteAmountPrecision": "1",
        "baseSizePrecision": if row.index.is_multiple_of(2) { row.lot() } else { "0".to_owned() },
        "permissions": ["SPOT"], "filters": [], "maxQuoteAmount": "4000000",
        "makerCommission": "0", "takerCommission": "0.0005", "quoteAmountPrecisionMarket": "1",
        "maxQuoteAmountMarket": "100000", "fullName": row.base,
        "tradeSideType": if open { 1 } else { 4 }, "contractAddress": "", "st": !open,
    })
}

fn spot_ticker(world: &World, served: &Served, row: &Row) -> Value {
    let now = prices::now();
    let price = world.prices.mid(served.slot, row, now);
    let open = row.kind.moves();
    let volume = if open { row.volume } else { 0.0 };
    let mut it = book_ticker(world, served, row);
    for (key, value) in [
        ("priceChange", row.price(price - row.reference)),
        ("priceChangePercent", format!("{:.4}", price / row.reference - 1.0)),
        ("prevClosePrice", row.price(row.reference)),
        ("lastPrice", row.price(price)),
        ("openPrice", row.price(row.reference)),
        ("highPrice", row.price(price * 1.01)),
        ("lowPrice", row.price(price * 0.99)),
        ("volume", format!("{:.4}", volume / price)),
    ] {
        it[key] = value.into();
    }
    it["quoteVolume"] = if open { format!("{volume:.4}").into() } else { Value::Null };
    it["openTime"] = (now - 86_400_000).into();
    it["closeTime"] = now.into();
    it["count"] = Value::Null;
    it
}

fn book_ticker(world: &World, served: &Served, row: &Row) -> Value {
    let price = world.prices.mid(served.slot, row, prices::now());
    let side = |text: String| if row.kind.moves() { text } else { String::new() };
    json!({
        "symbol": row.native, "bidPrice": side(row.price(price)), "bidQty": side(row.lot()),
        "askPrice": side(row.price(price + 1.0 / row.price_scale)), "askQty": side(row.lot()),
    })
}

/// In an envelope, with numbers.
fn perp(world: &World, served: &Served, request: &Request) -> Option<Response> {
    let row: &dyn Fn(&Row) -> Value = match request.path.strip_prefix("/api/v1/contract/")? {
        "ping" => return Some(Response::json(200, envelope(&prices::now().into()))),
        "detail" => &detail,
        "ticker" => &|row| perp_ticker(world, served, row),
        _ => return None,
    };
    let Some(name) = request.parameter("symbol") else {
        return Some(Response::json(200, envelope(&served.listed().map(row).collect())));
    };
    let body = match served.row(name).filter(|it| it.listed()) {
        Some(it) => envelope(&row(it)),
        None => json!({"success": false, "code": 1001, "message": "Contract does not exist"})
            .to_string(),
    };
    Some(Response::json(200, body))
}

fn envelope(data: &Value) -> String {
    json!({"success": true, "code": 0, "data": data}).to_string()
}

fn detail(row: &Row) -> Value {
    let inverse = row.kind == Kind::Inverse;
    json!({
        "symbol": row.native, "displayNameEn": format!("{} PERPETUAL", row.native),
        "baseCoin": row.base, "quoteCoin": row.quote,
        "settleCoin": if inverse { &row.base } else { &row.quote }, "contractSize": row.contract,
        "priceUnit": 1.0 / row.price_scale, "volUnit": 1, "minVol": 1, "maxVol": 5_000_000,
        "priceScale": row.price_places, "volScale": 0,
        "state": match row.kind {
            Kind::Halted => 4,
            Kind::Pending => 3,
            _ => 0,
        },
        "apiAllowed": row.kind.moves(), "isHidden": row.kind == Kind::Pending, "futureType": 1,
        "type": if row.kind == Kind::Stock { 2 } else { 1 },
    })
}

/// The turnover is in quote units, of inverse contracts too.
fn perp_ticker(world: &World, served: &Served, row: &Row) -> Value {
    let now = prices::now();
    let price = world.prices.mid(served.slot, row, now);
    let mut it = json!({
        "contractId": 10 + row.index, "symbol": row.native, "holdVol": 401_234_567,
        "timestamp": now,
    });
    if !row.kind.moves() {
        for key in ["lastPrice", "bid1", "ask1", "volume24", "amount24", "holdVol"] {
            it[key] = 0.into();
        }
        return it;
    }
    for (key, value) in [
        ("lastPrice", price),
        ("bid1", price),
        ("ask1", price + 1.0 / row.price_scale),
        ("lower24Price", price * 0.99),
        ("high24Price", price * 1.01),
        ("indexPrice", price),
        ("fairPrice", price),
        ("volume24", (row.volume / row.unit_value).floor()),
        ("amount24", row.volume),
        ("riseFallRate", price / row.reference - 1.0),
        ("fundingRate", 0.0001),
    ] {
        it[key] = value.into();
    }
    it
}
