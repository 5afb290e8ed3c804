//! Lists of currency pairs, contracts and tickers: bare arrays.

use serde_json::{Value, json};

use crate::{
    market::Market,
    simulator::{
        http::{Request, Response},
        listing::{self, Kind, Row},
        prices,
        world::{Served, World},
    },
};

pub(super) fn answer(world: &World, served: &Served, request: &Request) -> Response {
    let path = request.path.strip_prefix("/api/v4").unwrap_or_default();
    let (row, key): (&dyn Fn(&Row) -> Value, _) = match (served.venue.market, path) {
        (Market::Spot, "/spot/time") => {
            return Response::json(200, json!({"server_time": prices::now()}).to_string());
        }
        // What can be borrowed: nothing here.
        (Market::Spot, "/margin/currency_pairs") => return Response::json(200, "[]"),
        (Market::Spot, "/spot/currency_pairs") => (&pair, None),
        (Market::Spot, "/spot/tickers") => {
            (&|row| spot_ticker(world, served, row), Some("currency_pair"))
        }
        (Market::Perp, "/futures/usdt/contracts") => (&contract, None),
        (Market::Perp, "/futures/usdt/tickers") => {
            (&|row| futures_ticker(world, served, row), Some("contract"))
        }
        _ => return Response::json(404, error("NOT_FOUND", "no such path")),
    };
    let named = key.and_then(|key| request.parameter(key));
    if named.is_some_and(|it| served.row(it).is_none_or(|it| !it.listed())) {
        return Response::json(400, unknown(served.venue.market));
    }
    let number =
        |name, default| request.parameter(name).and_then(|it| it.parse().ok()).unwrap_or(default);
    let rows = served.listed().filter(|it| named.is_none_or(|name| it.native == name));
    let rows = rows.skip(number("offset", 0)).take(number("limit", usize::MAX));
    Response::json(200, rows.map(row).collect::<Value>().to_string())
        .header("X-Gate-RateLimit-Requests-Remain", "199")
        .header("X-Gate-RateLimit-Limit", "200")
}

pub(super) fn error(label: &str, message: &str) -> String {
    json!({"label": label, "message": message}).to_string()
}

/// Futures say no more than the label.
fn unknown(market: Market) -> String {
    match market {
        Market::Spot => error("INVALID_CURRENCY_PAIR", "Invalid currency pair"),
        Market::Perp => json!({"label": "CONTRACT_NOT_FOUND"}).to_string(),
    }
}

fn pair(row: &Row) -> Value {
    let halted = row.kind == Kind::Halted;
    let mut it = json!({
        "id": row.native, "base": row.base, "base_name": row.base, "quote": row.quote,
        "quote_name": row.quote, "fee": "0.2", "min_quote_amount": "3",
        "amount_precision": row.size_places, "precision": row.price_places,
        "trade_status": if halted { "untradable" } else { "tradable" },
        "sell_start": 0, "buy_start": 0, "delisting_time": if halted { 1_795_000_000 } else { 0 },
        "type": if row.kind == Kind::PreMarket { "premarket" } else { "normal" },
        "st_tag": halted || row.kind == Kind::Barred,
        "trade_url": format!("https://www.gate.com/trade/{}", row.native),
    });
    if row.index.is_multiple_of(2) {
        it["min_base_amount"] = row.lot().into();
    }
    it
}

fn spot_ticker(world: &World, served: &Served, row: &Row) -> Value {
    let price = world.prices.mid(served.slot, row, prices::now());
    let quoted = row.kind.moves();
    let volume = if quoted { row.volume } else { 0.0 };
    let side = |text: String| if quoted { text } else { String::new() };
    let mut it = json!({
        "currency_pair": row.native, "last": row.price(price),
        "lowest_ask": side(row.price(price + 1.0 / row.price_scale)),
        "highest_bid": row.price(price),
        "change_percentage": format!("{:.2}", 100.0 * (price / row.reference - 1.0)),
        "base_volume": format!("{:.4}", volume / price), "quote_volume": format!("{volume:.4}"),
        "high_24h": row.price(price * 1.01), "low_24h": row.price(price * 0.99),
    });
    if quoted {
        it["lowest_size"] = row.lot().into();
        it["highest_size"] = row.lot().into();
    }
    it
}

fn contract(row: &Row) -> Value {
    let decimal = 0 < row.size_places;
    let (least, most) =
        if decimal { (row.lot().into(), "1000000".into()) } else { (json!(1), json!(1_000_000)) };
    let mut it = json!({
        "name": row.native, "type": "direct",
        "contract_type": if row.kind == Kind::Stock { "stocks" } else { "" },
        "quanto_multiplier": listing::plain(row.contract), "order_price_round": row.tick(),
        "order_size_min": least, "order_size_max": most, "enable_decimal": decimal,
        "status": match row.kind {
            Kind::Halted => "delisted",
            Kind::Barred => "delisting",
            Kind::Pending => "prelaunch",
            _ => "trading",
        },
        "in_delisting": matches!(row.kind, Kind::Halted | Kind::Barred),
        "funding_rate": "0.0001", "funding_interval": 28_800,
    });
    if row.kind == Kind::PreMarket || row.index.is_multiple_of(2) {
        it["is_pre_market"] = (row.kind == Kind::PreMarket).into();
    }
    it
}

fn futures_ticker(world: &World, served: &Served, row: &Row) -> Value {
    let price = world.prices.mid(served.slot, row, prices::now());
    let quoted = row.kind.moves();
    let volume = if quoted { row.volume } else { 0.0 };
    let side = |text: String| if quoted { text } else { String::new() };
    let mut it = json!({
        "contract": row.native, "last": row.price(price),
        "volume_24h": format!("{:.0}", volume / row.unit_value),
        "volume_24h_settle": format!("{volume:.0}"),
        "highest_bid": side(row.price(price)),
        "lowest_ask": side(row.price(price + 1.0 / row.price_scale)),
    });
    if row.index.is_multiple_of(3) {
        return it;
    }
    it["volume_24h_base"] = format!("{:.0}", volume / price).into();
    it["volume_24h_quote"] = format!("{volume:.0}").into();
    for key in ["mark_price", "index_price"] {
        it[key] = row.price(price).into();
    }
    for key in ["highest_size", "lowest_size"] {
        it[key] = row.lot().into();
    }
    it["change_percentage"] = format!("{:.2}", 100.0 * (price / row.reference - 1.0)).into();
    it["funding_rate"] = "0.0001".into();
    it["quanto_multiplier"] = listing::plain(row.contract).into();
    it["total_size"] = "401234567".into();
    it
}
