//! Instrument lists and tickers.

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
    let prefix = match served.venue.market {
        Market::Spot => "/api/v3/",
        Market::Perp => "/fapi/v1/",
    };
    let body = match request.path.strip_prefix(prefix) {
        Some("ping") => Ok(json!({})),
        Some("time") => Ok(json!({"serverTime": prices::now()})),
        Some("exchangeInfo") => exchange_info(served, request),
        Some("ticker/24hr") => {
            tickers(served, request, |row| day_ticker(world, served, row, request))
        }
        Some("ticker/bookTicker") => {
            tickers(served, request, |row| book_ticker(world, served, row))
        }
        _ => Err((404, -1000, "Unknown path.")),
    };
    let response = match body {
        Ok(body) => Response::json(200, body.to_string()),
        Err((status, code, msg)) => {
            Response::json(status, json!({"code": code, "msg": msg}).to_string())
        }
    };
    response.header("X-MBX-USED-WEIGHT-1M", "20")
}

type Rest = Result<Value, (u16, i32, &'static str)>;

/// The rows asked for, and whether one was asked for by name.
fn selected<'s>(
    served: &'s Served,
    request: &Request,
) -> Result<(Vec<&'s Row>, bool), (u16, i32, &'static str)> {
    let find = |name: &str| {
        served.row(name).filter(|it| it.listed()).ok_or((400, -1121, "Invalid symbol."))
    };
    if let Some(name) = request.parameter("symbol") {
        return Ok((vec![find(name)?], true));
    }
    let Some(names) = request.parameter("symbols") else {
        return Ok((served.listed().collect(), false));
    };
    let names: Vec<String> = serde_json::from_str(names).map_err(|_| {
        (
            400,
            -1100,
            "Illegal characters found in parameter 'symbols'; legal range is a JSON array.",
        )
    })?;
    Ok((names.iter().map(|it| find(it)).collect::<Result<_, _>>()?, false))
}

fn exchange_info(served: &Served, request: &Request) -> Rest {
    let (rows, _) = selected(served, request)?;
    let status = request.parameter("symbolStatus");
    let named = request.parameter("symbol").or(request.parameter("symbols"));
    if status.is_some() && named.is_some() {
        return Err((400, -1128, "Combination of optional parameters invalid."));
    }
    let spot_only = request.parameter("permissions") == Some("SPOT");
    let wanted = |row: &&Row| {
        status.is_none_or(|it| it == status_of(served.venue.market, row))
            && !(spot_only && row.kind == Kind::Barred)
    };
    let symbols = rows.into_iter().filter(wanted).map(|row| match served.venue.market {
        Market::Spot => spot_symbol(row, request),
        Market::Perp => perp_symbol(row),
    });
    Ok(json!({
        "timezone": "UTC",
        "serverTime": prices::now(),
        "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": if served.venue.market == Market::Spot { 6000 } else { 2400 }}],
        "exchangeFilters": [],
        "symbols": symbols.collect::<Vec<_>>(),
    }))
}

fn status_of(market: Market, row: &Row) -> &'static str {
    match (market, row.kind) {
        (Market::Spot, Kind::Halted) => "BREAK",
        (Market::Perp, Kind::Halted) => "SETTLING",
        (_, Kind::Pending) => "PENDING_TRADING",
        _ => "TRADING",
    }
}

fn spot_symbol(row: &Row, request: &Request) -> Value {
    let open = row.kind != Kind::Barred;
    let sets = match request.parameter("showPermissionSets") {
        Some("false") => json!([]),
        _ if open => json!([["SPOT", "MARGIN"]]),
        _ => json!([["TRD_GRP_002"]]),
    };
    let (tick, step) = (padded(&row.tick()), padded(&row.lot()));
    json!({
        "symbol": row.native, "status": status_of(Market::Spot, row),
        "baseAsset": row.base, "baseAssetPrecision": 8,
        "quoteAsset": row.quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
        "isSpotTradingAllowed": open, "isMarginTradingAllowed": open,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000", "stepSize": step},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": true},
        ],
        "permissions": [], "permissionSets": sets,
    })
}

fn perp_symbol(row: &Row) -> Value {
    let (kind, pair, delivery) = match row.kind {
        Kind::Dated => ("CURRENT_QUARTER", row.native.split('_').next(), 1_798_185_600_000_u64),
        Kind::Stock => ("TRADIFI_PERPETUAL", None, 4_133_404_800_000),
        Kind::Pending => ("", None, 4_133_404_800_000),
        _ => ("PERPETUAL", None, 4_133_404_800_000),
    };
    let tick = format!("{}0", row.tick());
    let stock = row.kind == Kind::Stock;
    json!({
        "symbol": row.native, "pair": pair.unwrap_or(&row.native), "contractType": kind,
        "deliveryDate": delivery, "onboardDate": 1_569_398_400_000_u64,
        "status": status_of(Market::Perp, row),
        "baseAsset": row.base, "quoteAsset": row.quote, "marginAsset": row.quote,
        "pricePrecision": row.price_places + 1, "quantityPrecision": row.size_places,
        "underlyingType": if stock { "EQUITY" } else { "COIN" },
        "underlyingSubType": if stock { json!(["TradFi"]) } else { json!(["PoW"]) },
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": row.lot(), "maxQty": "90000000", "stepSize": row.lot()},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
    })
}

fn tickers(served: &Served, request: &Request, ticker: impl Fn(&Row) -> Value) -> Rest {
    let (rows, one) = selected(served, request)?;
    let mut all = rows.into_iter().map(ticker);
    Ok(if one { all.next().unwrap_or_default() } else { all.collect() })
}

fn day_ticker(world: &World, served: &Served, row: &Row, request: &Request) -> Value {
    let now = prices::now();
    let price = world.prices.mid(served.slot, row, now);
    let text = |x: f64| match served.venue.market {
        Market::Spot => padded(&row.price(x)),
        Market::Perp => row.price(x),
    };
    let mut it = json!({
        "symbol": row.native, "openPrice": text(row.reference), "highPrice": text(price * 1.01),
        "lowPrice": text(price * 0.99), "lastPrice": text(price),
        "volume": format!("{:.8}", row.volume / price), "quoteVolume": format!("{:.8}", row.volume),
        "openTime": now - 86_400_000, "closeTime": now,
        "firstId": 5_121_000_000_u64, "lastId": 5_123_456_789_u64, "count": 2_456_790,
    });
    if request.parameter("type") != Some("MINI") {
        let change = price - row.reference;
        it["priceChange"] = text(change).into();
        it["priceChangePercent"] = format!("{:.3}", 100.0 * change / row.reference).into();
        it["weightedAvgPrice"] = text(price).into();
        it["lastQty"] = row.lot().into();
        if served.venue.market == Market::Spot {
            it["prevClosePrice"] = text(row.reference).into();
            let book = book_ticker(world, served, row);
            for key in ["bidPrice", "bidQty", "askPrice", "askQty"] {
                it[key] = book[key].clone();
            }
        }
    }
    it
}

fn book_ticker(world: &World, served: &Served, row: &Row) -> Value {
    let price = world.prices.mid(served.slot, row, prices::now());
    let tick = 1.0 / row.price_scale;
    json!({
        "symbol": row.native,
        "bidPrice": row.price(price), "bidQty": row.lot(),
        "askPrice": row.price(price + tick), "askQty": row.lot(),
    })
}

/// Spot spells numbers with eight decimals.
fn padded(number: &str) -> String {
    number.parse().map_or_else(|_| number.to_owned(), |it: f64| format!("{it:.8}"))
}
