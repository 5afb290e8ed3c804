//! Instrument lists and tickers.

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

/// Kinds of instruments there are, if not here.
const TYPES: [&str; 6] = ["SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS"];

pub(super) fn answer(world: &World, served: &Served, request: &Request) -> Response {
    let row: &dyn Fn(&Row) -> Value = match request.path.as_str() {
        "/api/v5/public/time" => {
            return Response::json(200, envelope(&json!([{"ts": prices::now().to_string()}])));
        }
        "/api/v5/public/instruments" => &|row| instrument(served.venue.market, row),
        "/api/v5/market/tickers" => &|row| ticker(world, served, row),
        _ => return Response::json(404, error("50001", "no such path")),
    };
    let wanted = request.parameter("instType").unwrap_or_default();
    if !TYPES.contains(&wanted) {
        return Response::json(400, error("51000", "Parameter instType error"));
    }
    let named = request.parameter("instId");
    let rows = served.listed().filter(|it| {
        wanted == type_of(served.venue.market) && named.is_none_or(|name| it.native == name)
    });
    Response::json(200, envelope(&rows.map(row).collect()))
}

pub(super) fn error(code: &str, message: &str) -> String {
    json!({"code": code, "msg": message, "data": []}).to_string()
}

fn envelope(data: &Value) -> String {
    json!({"code": "0", "msg": "", "data": data}).to_string()
}

fn type_of(market: Market) -> &'static str {
    match market {
        Market::Spot => "SPOT",
        Market::Perp => "SWAP",
    }
}

fn instrument(market: Market, row: &Row) -> Value {
    let pending = row.kind == Kind::Pending;
    let known = |text: String| if pending { String::new() } else { text };
    let mut it = json!({
        "instType": type_of(market), "instId": row.native, "uly": "", "instFamily": "",
        "baseCcy": row.base, "quoteCcy": row.quote, "settleCcy": "", "ctVal": "", "ctMult": "",
        "ctValCcy": "", "ctType": "", "tickSz": known(row.tick()), "lotSz": known(row.lot()),
        "minSz": known(row.lot()), "state": state(row), "listTime": "1548133413000",
        "expTime": "",
        "ruleType": if row.kind == Kind::PreMarket { "pre_market" } else { "normal" },
        "instIdCode": 33 + row.index, "tradeQuoteCcyList": [row.quote], "lever": "10",
        "alias": "", "optType": "", "stk": "",
    });
    if market == Market::Perp {
        make_swap(&mut it, row);
    }
    it
}

fn state(row: &Row) -> &'static str {
    match row.kind {
        Kind::Halted => "suspend",
        Kind::Pending => "preopen",
        _ => "live",
    }
}

fn make_swap(it: &mut Value, row: &Row) {
    let inverse = row.kind == Kind::Inverse;
    it["uly"] = row.symbol.clone().into();
    it["instFamily"] = row.symbol.clone().into();
    it["baseCcy"] = "".into();
    it["quoteCcy"] = "".into();
    it["settleCcy"] = if inverse { &row.base } else { &row.quote }.clone().into();
    it["ctVal"] = listing::plain(row.contract).into();
    it["ctMult"] = "1".into();
    it["ctValCcy"] = if inverse { &row.quote } else { &row.base }.clone().into();
    it["ctType"] = if inverse { "inverse" } else { "linear" }.into();
    it["tradeQuoteCcyList"] = json!([]);
}

/// The volume in currency is in quote units on spot and in base units for swaps.
fn ticker(world: &World, served: &Served, row: &Row) -> Value {
    let now = prices::now();
    let price = world.prices.mid(served.slot, row, now);
    let (currency, units) = match served.venue.market {
        Market::Spot => (row.volume, row.volume / price),
        Market::Perp => (row.volume / price, row.volume / row.unit_value),
    };
    let quoted = row.kind.moves();
    let side = |text: String| if quoted { text } else { String::new() };
    json!({
        "instType": type_of(served.venue.market), "instId": row.native,
        "last": row.price(price), "lastSz": row.lot(),
        "askPx": side(row.price(price + 1.0 / row.price_scale)), "askSz": side(row.lot()),
        "bidPx": side(row.price(price)), "bidSz": side(row.lot()),
        "open24h": row.price(row.reference), "high24h": row.price(price * 1.01),
        "low24h": row.price(price * 0.99), "volCcy24h": format!("{currency:.4}"),
        "vol24h": format!("{units:.4}"), "ts": now.to_string(),
        "sodUtc0": row.price(row.reference), "sodUtc8": row.price(row.reference),
    })
}
