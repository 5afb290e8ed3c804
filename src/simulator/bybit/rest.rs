//! Instrument lists, page by page, and tickers.

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

/// Rows of a page of linear instruments.
const LIMIT: usize = 500;
const LIMIT_MAX: usize = 1000;

pub(super) fn answer(world: &World, served: &Served, request: &Request) -> Response {
    let body = match request.path.as_str() {
        "/v5/market/time" => Ok(json!({"timeSecond": (prices::now() / 1000).to_string()})),
        "/v5/market/instruments-info" => {
            checked(served, request).map(|()| instruments(served, request))
        }
        "/v5/market/tickers" => {
            checked(served, request).and_then(|()| tickers(world, served, request))
        }
        _ => return Response::json(404, error(10000, "not found")),
    };
    Response::json(
        200,
        match body {
            Ok(result) => envelope(0, "OK", &result),
            Err((code, message)) => error(code, message),
        },
    )
}

pub(super) fn error(code: i32, message: &str) -> String {
    envelope(code, message, &json!({}))
}

fn envelope(code: i32, message: &str, result: &Value) -> String {
    json!({
        "retCode": code, "retMsg": message, "result": result, "retExtInfo": {},
        "time": prices::now(),
    })
    .to_string()
}

fn category(market: Market) -> &'static str {
    match market {
        Market::Spot => "spot",
        Market::Perp => "linear",
    }
}

fn checked(served: &Served, request: &Request) -> Result<(), (i32, &'static str)> {
    if request.parameter("category") == Some(category(served.venue.market)) {
        Ok(())
    } else {
        Err((10001, "params error: Category is invalid"))
    }
}

fn instruments(served: &Served, request: &Request) -> Value {
    let market = served.venue.market;
    let named = request.parameter("symbol");
    let status = request.parameter("status").unwrap_or("Trading");
    let mut rows: Vec<_> = served
        .listed()
        .filter(|it| status == "Trading" && named.is_none_or(|name| it.native == name))
        .collect();
    let mut next = String::new();
    if market == Market::Perp {
        (rows, next) = page(&rows, request);
    }
    let mut result = json!({"category": category(market)});
    result["list"] = rows.into_iter().map(|row| instrument(market, row)).collect();
    if market == Market::Perp {
        result["nextPageCursor"] = next.into();
    }
    result
}

/// The rows after the cursor's, and the cursor of the next page. It is percent-encoded already,
/// and a client may encode it again or not.
fn page<'s>(rows: &[&'s Row], request: &Request) -> (Vec<&'s Row>, String) {
    let limit = request.parameter("limit").and_then(|it| it.parse().ok()).unwrap_or(LIMIT);
    let cursor = request.parameter("cursor").unwrap_or_default().replace("%3D", "=");
    let last = cursor.split_once("last=").map(|(_, last)| last);
    let at = last.and_then(|it| rows.iter().position(|row| row.native == it));
    let from = at.map_or(0, |it| it + 1);
    let end = (from + limit.clamp(1, LIMIT_MAX)).min(rows.len());
    let page = rows[from..end].to_vec();
    let next = match page.as_slice() {
        [first, .., last] | [first @ last] if end < rows.len() => {
            format!("first%3D{}%26last%3D{}", first.native, last.native)
        }
        _ => String::new(),
    };
    (page, next)
}

fn instrument(market: Market, row: &Row) -> Value {
    match market {
        Market::Spot => json!({
            "symbol": row.native, "symbolId": row.index + 1, "baseCoin": row.base,
            "quoteCoin": row.quote, "innovation": "0", "status": "Trading",
            "marginTrading": "utaOnly", "stTag": "0",
            "lotSizeFilter": {"basePrecision": row.lot(), "quotePrecision": "0.0000001",
                "minOrderQty": row.lot(), "maxOrderQty": "8300000", "minOrderAmt": "5",
                "maxOrderAmt": "8000000"},
            "priceFilter": {"tickSize": row.tick()},
            "symbolType": if row.kind == Kind::Stock { "xstocks" } else { "" },
        }),
        Market::Perp => contract(row),
    }
}

fn contract(row: &Row) -> Value {
    let dated = row.kind == Kind::Dated;
    let symbol_type = match (row.kind, row.base.as_str()) {
        (Kind::Stock, "XAU") => "commodity",
        (Kind::Stock, _) => "stock",
        _ => "",
    };
    json!({
        "symbol": row.native,
        "contractType": if dated { "LinearFutures" } else { "LinearPerpetual" },
        "status": "Trading", "baseCoin": row.base, "quoteCoin": row.quote,
        "settleCoin": row.quote, "launchTime": "1584230400000",
        "deliveryTime": if dated { "1798185600000" } else { "0" }, "deliveryFeeRate": "",
        "priceScale": row.price_places.to_string(),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": row.tick(), "maxPrice": "1999999.80", "tickSize": row.tick()},
        "lotSizeFilter": {"maxOrderQty": "99000000", "minOrderQty": row.lot(),
            "qtyStep": row.lot(), "minNotionalValue": "5"},
        "fundingInterval": 480, "symbolType": symbol_type, "isPreListing": false,
        "preListingInfo": null,
    })
}

fn tickers(
    world: &World,
    served: &Served,
    request: &Request,
) -> Result<Value, (i32, &'static str)> {
    let named = request.parameter("symbol");
    let rows = served.listed().filter(|it| named.is_none_or(|name| it.native == name));
    let list: Vec<_> = rows.map(|row| ticker(world, served, row)).collect();
    if list.is_empty() && named.is_some() {
        return Err((10001, "params error: symbol invalid"));
    }
    Ok(json!({"category": category(served.venue.market), "list": list}))
}

fn ticker(world: &World, served: &Served, row: &Row) -> Value {
    let price = world.prices.mid(served.slot, row, prices::now());
    let change = price / row.reference - 1.0;
    let mut it = json!({
        "symbol": row.native, "lastPrice": row.price(price),
        "bid1Price": row.price(price), "bid1Size": row.lot(),
        "ask1Price": row.price(price + 1.0 / row.price_scale), "ask1Size": row.lot(),
        "prevPrice24h": row.price(row.reference), "price24hPcnt": format!("{change:.6}"),
        "highPrice24h": row.price(price * 1.01), "lowPrice24h": row.price(price * 0.99),
        "turnover24h": format!("{:.4}", row.volume),
        "volume24h": format!("{:.4}", row.volume / price),
    });
    if served.venue.market == Market::Spot {
        it["usdIndexPrice"] = "".into();
        return it;
    }
    for key in ["indexPrice", "markPrice", "prevPrice1h"] {
        it[key] = row.price(price).into();
    }
    for key in [
        "predictedDeliveryPrice",
        "basisRate",
        "deliveryFeeRate",
        "basis",
        "preOpenPrice",
        "preQty",
        "curPreListingPhase",
    ] {
        it[key] = "".into();
    }
    it["openInterest"] = "49123.881".into();
    it["openInterestValue"] = "4481592211.05".into();
    it["fundingRate"] = "0.0001".into();
    it["nextFundingTime"] =
        (prices::now() / 28_800_000 * 28_800_000 + 28_800_000).to_string().into();
    it["deliveryTime"] = "0".into();
    it
}
