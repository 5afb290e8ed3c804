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
    let market = served.venue.market;
    let row: &dyn Fn(&Row) -> Value = match (market, request.path.as_str()) {
        (_, "/api/v2/public/time") => {
            return Response::json(
                200,
                envelope(&json!({"serverTime": prices::now().to_string()})),
            );
        }
        // What can be borrowed: nothing here.
        (Market::Spot, "/api/v2/margin/currencies") => {
            return Response::json(200, envelope(&json!([])));
        }
        (Market::Spot, "/api/v2/spot/public/symbols") => &symbol,
        (Market::Perp, "/api/v2/mix/market/contracts") => &contract,
        (Market::Spot, "/api/v2/spot/market/tickers")
        | (Market::Perp, "/api/v2/mix/market/tickers") => &|row| ticker(world, served, row),
        _ => return Response::json(404, error("40404", "Request URL NOT FOUND")),
    };
    let product = request.parameter("productType").unwrap_or_default();
    if market == Market::Perp && product.is_empty() {
        return Response::json(400, error("40019", "Parameter productType cannot be empty"));
    }
    let named = request.parameter("symbol").filter(|it| !it.is_empty());
    if let Some(name) = named.filter(|it| served.row(it).is_none_or(|it| !it.listed())) {
        return Response::json(400, error("40034", &format!("Parameter {name} does not exist")));
    }
    let here = market == Market::Spot || product.eq_ignore_ascii_case("USDT-FUTURES");
    let rows = served.listed().filter(|it| here && named.is_none_or(|name| it.native == name));
    Response::json(200, envelope(&rows.map(row).collect()))
}

pub(super) fn error(code: &str, message: &str) -> String {
    json!({"code": code, "msg": message, "requestTime": prices::now(), "data": null}).to_string()
}

fn envelope(data: &Value) -> String {
    json!({"code": "00000", "msg": "success", "requestTime": prices::now(), "data": data})
        .to_string()
}

fn symbol(row: &Row) -> Value {
    json!({
        "symbol": row.native, "baseCoin": row.base, "quoteCoin": row.quote,
        "minTradeAmount": "0", "maxTradeAmount": "900000000000000000000",
        "takerFeeRate": "0.002", "makerFeeRate": "0.002",
        "pricePrecision": row.price_places.to_string(),
        "quantityPrecision": row.size_places.to_string(),
        "quotePrecision": (row.price_places + row.size_places).to_string(),
        "status": match row.kind {
            Kind::Halted => "halt",
            Kind::Pending => "offline",
            Kind::Barred => "gray",
            _ => "online",
        },
        "minTradeUSDT": "1", "buyLimitPriceRatio": "0.05", "sellLimitPriceRatio": "0.05",
    })
}

fn contract(row: &Row) -> Value {
    let dated = row.kind == Kind::Dated;
    let mut it = json!({
        "symbol": row.native, "baseCoin": row.base, "quoteCoin": row.quote,
        "supportMarginCoins": [row.quote], "minTradeNum": row.lot(), "priceEndStep": "1",
        "volumePlace": row.size_places.to_string(), "pricePlace": row.price_places.to_string(),
        "sizeMultiplier": row.lot(),
        "symbolType": if dated { "delivery" } else { "perpetual" }, "minTradeUSDT": "5",
        "symbolStatus": match row.kind {
            Kind::Halted => "maintain",
            Kind::Pending => "listed",
            _ => "normal",
        },
        "offTime": "-1", "limitOpenTime": "-1",
        "deliveryTime": if dated { "1798185600000" } else { "" },
        "deliveryStartTime": "", "launchTime": "", "fundInterval": "8",
    });
    // It is newer than most contracts.
    if row.kind == Kind::Stock || row.index.is_multiple_of(2) {
        it["isRwa"] = if row.kind == Kind::Stock { "YES" } else { "NO" }.into();
    }
    it
}

fn ticker(world: &World, served: &Served, row: &Row) -> Value {
    let now = prices::now();
    let price = world.prices.mid(served.slot, row, now);
    let quoted = row.kind.moves();
    let side = |text: String| if quoted { text } else { String::new() };
    let volume = if quoted { row.volume } else { 0.0 };
    // Other quote assets are worth so much here, roughly.
    let dollars = match row.quote.as_str() {
        "BTC" => 91_234.5,
        "EUR" => 1.158,
        _ => 1.0,
    };
    let mut it = json!({
        "symbol": row.native, "lastPr": row.price(price), "high24h": row.price(price * 1.01),
        "low24h": row.price(price * 0.99), "quoteVolume": format!("{volume:.4}"),
        "baseVolume": format!("{:.4}", volume / price),
        "usdtVolume": format!("{:.4}", volume * dollars),
        "bidPr": side(row.price(price)), "askPr": side(row.price(price + 1.0 / row.price_scale)),
        "bidSz": side(row.lot()), "askSz": side(row.lot()), "openUtc": row.price(row.reference),
        "ts": now.to_string(), "changeUtc24h": "0.0028",
        "change24h": format!("{:.5}", price / row.reference - 1.0),
    });
    let open = row.price(row.reference);
    if served.venue.market == Market::Spot {
        it["open"] = open.into();
        return it;
    }
    it["open24h"] = open.into();
    for key in ["indexPrice", "markPrice"] {
        it[key] = row.price(price).into();
    }
    it["fundingRate"] = "0.0001".into();
    it["holdingAmount"] = "29123.4".into();
    it["deliveryStatus"] = "".into();
    it["deliveryStartTime"] = Value::Null;
    it["deliveryTime"] = Value::Null;
    it
}
