//! Tokens, lists of symbols and contracts, tickers.

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

/// Where tokens are asked for.
pub(super) const BULLET: &str = "/api/v1/bullet-public";

pub(super) fn answer(world: &World, served: &Served, request: &Request) -> Response {
    let rows = |row: &dyn Fn(&Row) -> Value| served.listed().map(row).collect::<Value>();
    let data = match (served.venue.market, request.path.as_str()) {
        (_, BULLET) => bullet(world, served, request),
        (_, "/api/v1/timestamp") => prices::now().into(),
        (Market::Spot, "/api/v2/symbols") => rows(&symbol),
        (Market::Spot, "/api/v1/market/allTickers") => {
            let tickers = rows(&|row| ticker(world, served, row));
            json!({"time": prices::now(), "ticker": tickers})
        }
        (Market::Perp, "/api/v1/contracts/active") => rows(&|row| contract(world, served, row)),
        _ => return Response::json(404, error("404000", "Not Found")),
    };
    Response::json(200, json!({"code": "200000", "data": data}).to_string())
        .header("gw-ratelimit-remaining", "1990")
}

pub(super) fn error(code: &str, message: &str) -> String {
    json!({"code": code, "msg": message}).to_string()
}

/// A token, and where to go with it: back here, under the name that the client knows us by.
fn bullet(world: &World, served: &Served, request: &Request) -> Value {
    let scheme = if world.acceptor.is_some() { "wss" } else { "ws" };
    let host = request.header("host").unwrap_or("127.0.0.1");
    json!({"token": served.tokens.issue(), "instanceServers": [{
        "endpoint": format!("{scheme}://{host}/{}/", served.venue),
        "encrypt": world.acceptor.is_some(),
        "protocol": "websocket", "pingInterval": 18_000, "pingTimeout": 10_000,
    }]})
}

/// When the contracts began, and when the dated ones end.
const FIRST_OPEN: u64 = 1_585_555_200_000;
const EXPIRES: u64 = 1_798_185_600_000;
const FUNDING_EVERY: u64 = 8 * 3_600_000;

/// A currency as the futures call it.
pub(super) fn currency(name: &str) -> &str {
    if name == "BTC" { "XBT" } else { name }
}

fn symbol(row: &Row) -> Value {
    json!({
        "symbol": row.native, "name": shown(row), "baseCurrency": row.base,
        "quoteCurrency": row.quote, "feeCurrency": row.quote, "market": "USDS",
        "baseMinSize": row.lot(), "quoteMinSize": "0.1", "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999", "baseIncrement": row.lot(), "quoteIncrement": "0.000001",
        "priceIncrement": row.tick(), "priceLimitRate": "0.1",
        "minFunds": if row.index.is_multiple_of(3) { Value::Null } else { "0.1".into() },
        "isMarginEnabled": row.kind.moves(), "enableTrading": row.kind.moves(), "feeCategory": 1,
        "st": row.kind == Kind::Halted, "callauctionIsEnabled": row.kind == Kind::Pending,
        "tradingStartTime": Value::Null,
    })
}

/// The name that is shown of a symbol: it changes, the symbol does not.
fn shown(row: &Row) -> String {
    if row.base == "BCHSV" { format!("BSV-{}", row.quote) } else { row.native.clone() }
}

fn ticker(world: &World, served: &Served, row: &Row) -> Value {
    let price = world.prices.mid(served.slot, row, prices::now());
    let quoted = row.kind.moves();
    let known = |text: String| if quoted { Value::from(text) } else { Value::Null };
    let volume = if quoted { row.volume } else { 0.0 };
    json!({
        "symbol": row.native, "symbolName": shown(row),
        "buy": known(row.price(price)), "bestBidSize": known(row.lot()),
        "sell": known(row.price(price + 1.0 / row.price_scale)), "bestAskSize": known(row.lot()),
        "changeRate": format!("{:.4}", price / row.reference - 1.0),
        "changePrice": row.price(price - row.reference),
        "high": known(row.price(price * 1.01)), "low": known(row.price(price * 0.99)),
        "vol": format!("{:.4}", volume / price), "volValue": format!("{volume:.4}"),
        "last": known(row.price(price)), "averagePrice": known(row.price(row.reference)),
        "takerFeeRate": "0.001", "makerFeeRate": "0.001", "takerCoefficient": "1",
        "makerCoefficient": "1",
    })
}

/// The volume is in base units and, unlike the turnover, not in quote units.
fn contract(world: &World, served: &Served, row: &Row) -> Value {
    let price = world.prices.mid(served.slot, row, prices::now());
    let inverse = matches!(row.kind, Kind::Inverse | Kind::Dated);
    let dated = row.kind == Kind::Dated;
    let quote = row.quote.as_str();
    let volume = if row.kind.moves() { row.volume } else { 0.0 };
    json!({
        "symbol": row.native, "rootSymbol": if inverse { currency(&row.base) } else { quote },
        "type": if dated { "FFICSX" } else { "FFWCSX" }, "baseCurrency": currency(&row.base),
        "quoteCurrency": quote, "settleCurrency": if inverse { currency(&row.base) } else { quote },
        "lotSize": 1, "tickSize": 1.0 / row.price_scale, "maxOrderQty": 1_000_000,
        "maxPrice": 1_000_000.0, "maxLeverage": 75, "makerFeeRate": 0.0002,
        "takerFeeRate": 0.0006, "firstOpenDate": FIRST_OPEN,
        "multiplier": if inverse { -1.0 } else { row.contract }, "isInverse": inverse,
        "status": match row.kind {
            Kind::Halted => "Paused",
            Kind::Pending => "Init",
            _ => "Open",
        },
        "marketStage": if row.kind == Kind::PreMarket { "PRE_MARKET" } else { "NORMAL" },
        "volumeOf24h": if inverse { volume } else { volume / price },
        "turnoverOf24h": if inverse { volume / price } else { volume },
        "markPrice": price, "indexPrice": price,
        "expireDate": if dated { json!(EXPIRES) } else { Value::Null },
        // Of perpetual contracts; by its absence some clients tell the dated ones.
        "fundingFeeRate": if dated { Value::Null } else { json!(0.0001) },
        "nextFundingRateTime": if dated { Value::Null } else { json!(until_funding()) },
    })
}

/// Milliseconds, not a time as its name says.
fn until_funding() -> u64 {
    FUNDING_EVERY - prices::now() % FUNDING_EVERY
}
