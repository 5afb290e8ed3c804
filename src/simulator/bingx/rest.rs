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
    let named = request.parameter("symbol");
    let known = |name: &str| served.row(name).is_some_and(Row::listed);
    if named.is_some_and(|it| !known(it)) {
        return Response::json(200, error(109_425, "symbol not exist"));
    }
    let rows = |row: &dyn Fn(&Row) -> Value| -> Value {
        let wanted = |it: &&Row| named.is_none_or(|name| it.native == name);
        served.listed().filter(wanted).map(row).collect()
    };
    // Only what is open has a ticker of the swaps.
    let open = |row: &Row| status(row.kind) == 1;
    let data = match (served.venue.market, request.path.as_str()) {
        (Market::Spot, "/openApi/spot/v1/common/symbols") => json!({"symbols": rows(&symbol)}),
        (Market::Spot, "/openApi/spot/v1/ticker/24hr") => {
            rows(&|row| spot_ticker(world, served, row))
        }
        (Market::Perp, "/openApi/swap/v2/server/time") => json!({"serverTime": prices::now()}),
        (Market::Perp, "/openApi/swap/v2/quote/contracts") => rows(&contract),
        (Market::Perp, "/openApi/swap/v2/quote/ticker") => {
            let wanted = |it: &&Row| open(it) && named.is_none_or(|name| it.native == name);
            served.listed().filter(wanted).map(|row| swap_ticker(world, served, row)).collect()
        }
        _ => return Response::json(200, error(100_400, "this api is not exist")),
    };
    let mut it = json!({"code": 0, "msg": "", "data": data});
    if served.venue.market == Market::Spot {
        it["timestamp"] = prices::now().into();
        it["debugMsg"] = "".into();
    }
    Response::json(200, it.to_string()).header("x-ratelimit-requests-remain", "499")
}

pub(super) fn error(code: u32, message: &str) -> String {
    json!({"code": code, "msg": message, "data": {}}).to_string()
}

fn status(kind: Kind) -> u32 {
    match kind {
        Kind::Halted => 25,
        Kind::Pending => 5,
        Kind::Barred => 0,
        _ => 1,
    }
}

fn symbol(row: &Row) -> Value {
    let open = row.kind.moves();
    json!({
        "symbol": row.native, "displayName": row.native, "minQty": step(row.size_places),
        "maxQty": 100_000, "minNotional": 5, "maxNotional": 1_000_000, "maxMarketNotional": 500_000,
        "status": status(row.kind), "tickSize": step(row.price_places),
        "stepSize": step(row.size_places), "apiStateSell": open, "apiStateBuy": open,
        "timeOnline": if open { 0_u64 } else { 1_690_000_000_000 }, "offTime": 0, "maintainTime": 0,
    })
}

fn step(places: u32) -> f64 {
    10_f64.powi(-places.cast_signed())
}

/// Numbers, of every third row as strings.
fn spot_ticker(world: &World, served: &Served, row: &Row) -> Value {
    let now = prices::now();
    let price = world.prices.mid(served.slot, row, now);
    let open = row.kind.moves();
    let volume = if open { row.volume } else { 0.0 };
    let side = |x: f64| if open { x } else { 0.0 };
    let change = price - row.reference;
    let mut it = json!({
        "symbol": row.native, "priceChangePercent": format!("{:.2}%", 100.0 * change / row.reference),
        "openTime": now - 86_400_000, "closeTime": now,
    });
    for (key, value) in [
        ("openPrice", row.reference),
        ("highPrice", price * 1.01),
        ("lowPrice", price * 0.99),
        ("lastPrice", price),
        ("priceChange", change),
        ("volume", volume / price),
        ("quoteVolume", volume),
        ("askPrice", side(price + step(row.price_places))),
        ("askQty", side(step(row.size_places))),
        ("bidPrice", side(price)),
        ("bidQty", side(step(row.size_places))),
    ] {
        let text = row.index % 3 == 2;
        it[key] = if text { value.to_string().into() } else { value.into() };
    }
    it
}

fn contract(row: &Row) -> Value {
    let open = row.kind.moves() && row.kind != Kind::PreMarket;
    json!({
        "contractId": (100 + row.index).to_string(), "symbol": row.native,
        "displayName": if row.base == "NEIROCTO" { "NEIRO-USDT" } else { &row.native },
        "size": row.lot(), "quantityPrecision": row.size_places,
        "pricePrecision": row.price_places, "feeRate": 0.0005, "makerFeeRate": 0.0002,
        "takerFeeRate": 0.0005, "tradeMinLimit": 0, "tradeMinQuantity": step(row.size_places),
        "tradeMinUSDT": 2, "currency": row.quote, "asset": row.base, "status": status(row.kind),
        "apiStateOpen": open.to_string(), "apiStateClose": "true", "ensureTrigger": true,
        "triggerFeeRate": "0.0005", "launchTime": 1_586_275_200_000_u64, "maintainTime": 0,
        "offTime": 0,
    })
}

fn swap_ticker(world: &World, served: &Served, row: &Row) -> Value {
    let now = prices::now();
    let price = world.prices.mid(served.slot, row, now);
    let change = price - row.reference;
    json!({
        "symbol": row.native, "priceChange": row.price(change),
        "priceChangePercent": format!("{:.2}", 100.0 * change / row.reference),
        "lastPrice": row.price(price), "lastQty": row.lot(), "highPrice": row.price(price * 1.01),
        "lowPrice": row.price(price * 0.99), "volume": format!("{:.4}", row.volume / price),
        "quoteVolume": format!("{:.2}", row.volume), "openPrice": row.price(row.reference),
        "openTime": now - 86_400_000, "closeTime": now,
        "askPrice": row.price(price + step(row.price_places)), "askQty": row.lot(),
        "bidPrice": row.price(price), "bidQty": row.lot(),
    })
}
