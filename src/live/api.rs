//! `/api/v1`: what is known, for those who ask once.

use std::collections::HashSet;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{listener::Shared, request::Head, response::Response};
use crate::{
    json::Object,
    market::{Cross, Event, Exchange, Instrument, Market},
    spreads::{Bands, CrossHistory, History, Latest, Spreads},
};

/// The most instruments in one answer: 3 MB.
const INSTRUMENTS_MAX: usize = 20_000;
/// The most spreads in one answer.
const SPREADS_MAX: usize = 1_000;
/// Spreads in an answer to one who does not say.
const SPREADS: usize = 50;

/// What the query narrows an answer down to.
struct Wanted<'a> {
    symbol: Option<&'a str>,
    exchange: Option<Exchange>,
    market: Option<Market>,
}

impl<'a> Wanted<'a> {
    fn new(head: &'a Head) -> Result<Self, Response> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| {
            Response::refusal(400, &format!("{what}: {why}"))
        };
        let given = |name| head.parameter(name).filter(|it| !it.is_empty() && *it != "*");
        Ok(Self {
            symbol: given("symbol"),
            exchange: given("exchange")
                .map(|it| it.parse().map_err(|err| wrong("exchange", &err)))
                .transpose()?,
            market: given("market")
                .map(|it| it.parse().map_err(|err| wrong("market", &err)))
                .transpose()?,
        })
    }

    fn has(&self, it: &Instrument) -> bool {
        self.symbol.is_none_or(|symbol| symbol == it.symbol) && self.has_venue(it)
    }

    fn has_venue(&self, it: &Instrument) -> bool {
        self.exchange.is_none_or(|exchange| exchange == it.venue.exchange)
            && self.market.is_none_or(|market| market == it.venue.market)
    }

    fn symbol(&self) -> Result<&'a str, Response> {
        let why = "symbol: which one, as in ?symbol=BTC-USDT";
        self.symbol.ok_or_else(|| Response::refusal(400, why))
    }
}

/// A number of the query from 1 to `most`.
fn limit(head: &Head, unless_given: usize, most: usize) -> Result<usize, Response> {
    let Some(text) = head.parameter("limit") else { return Ok(unless_given) };
    let wrong =
        || Response::refusal(400, &format!("limit: must be from 1 to {most}, not {text:?}"));
    text.parse().ok().filter(|it| (1..=most).contains(it)).ok_or_else(wrong)
}

fn engine<'a>(shared: &Shared<'a>) -> Result<&'a Mutex<Spreads>, Response> {
    let why = "quotes are not compared: enabled = false in [spreads]";
    shared.spreads.ok_or_else(|| Response::refusal(503, why))
}

fn unknown(symbol: &str) -> Response {
    Response::refusal(404, &format!("symbol: {symbol:?} is not collected; see /api/v1/instruments"))
}

/// `/api/v1/instruments`
pub(super) fn instruments(head: &Head, shared: &Shared<'_>) -> Result<Response, Response> {
    let (wanted, limit) = (Wanted::new(head)?, limit(head, INSTRUMENTS_MAX, INSTRUMENTS_MAX)?);
    let mut found = shared.registry.current();
    found.retain(|it| wanted.has(it));
    let total = found.len();
    let shown = found.iter().take(limit).map(|it| {
        json!({
            "exchange": it.venue.exchange.name(),
            "market": it.venue.market.name(),
            "symbol": it.symbol,
            "symbol_native": it.symbol_native,
            "contract_size": it.contract_size,
        })
    });
    let shown: Vec<_> = shown.collect();
    Ok(Response::json(200, &json!({ "total": total, "instruments": shown })))
}

/// `/api/v1/quotes?symbol=`
pub(super) fn quotes(head: &Head, shared: &Shared<'_>) -> Result<Response, Response> {
    let wanted = Wanted::new(head)?;
    let symbol = wanted.symbol()?;
    let mut quotes = engine(shared)?.lock().quotes_of(symbol);
    if quotes.is_empty() && !shared.registry.current().iter().any(|it| it.symbol == symbol) {
        return Err(unknown(symbol));
    }
    quotes.retain(|it| wanted.has_venue(&it.instrument));
    let quotes: Vec<_> = quotes.iter().map(quote).collect();
    Ok(Response::json(200, &json!({ "symbol": symbol, "quotes": quotes })))
}

fn quote(latest: &Latest) -> Value {
    let event = Event::Quote(latest.quote);
    let mut value = value(&Object::event(&event, &latest.instrument));
    value["age_us"] = (latest.age / 1_000).into();
    value["fresh"] = latest.is_fresh.into();
    value
}

fn value(object: &Object<'_>) -> Value {
    serde_json::to_value(object).expect("plain values")
}

/// `/api/v1/spreads?limit=`
pub(super) fn spreads(head: &Head, shared: &Shared<'_>) -> Result<Response, Response> {
    let (wanted, limit) = (Wanted::new(head)?, limit(head, SPREADS, SPREADS_MAX)?);
    let engine = engine(shared)?;
    let is_wanted = |buy: &Instrument, sell: &Instrument| wanted.has(buy) || wanted.has(sell);
    let (crosses, open, quarantined) = {
        let engine = engine.lock();
        let quarantined: Vec<_> = engine.quarantined().take(SPREADS_MAX).collect();
        (engine.crosses(limit, is_wanted), engine.open_count(), quarantined)
    };
    let crosses: Vec<_> = crosses.iter().filter_map(|it| cross(it, shared)).collect();
    let quarantined: Vec<_> = quarantined
        .iter()
        .map(|it| {
            let [a, b] = &it.instruments;
            json!({
                "symbol": a.symbol,
                "market": a.venue.market.name(),
                "exchanges": [a.venue.exchange.name(), b.venue.exchange.name()],
                "since": it.since.0,
                "ratio": it.ratio,
                "judged": it.is_judged,
            })
        })
        .collect();
    Ok(Response::json(
        200,
        &json!({ "spreads": crosses, "open_episodes": open, "quarantined": quarantined }),
    ))
}

fn cross(cross: &Cross, shared: &Shared<'_>) -> Option<Value> {
    let (buy, sell) = (shared.registry.get(cross.buy)?, shared.registry.get(cross.sell)?);
    Some(value(&Object::cross(cross, &buy, &sell)))
}

/// `/api/v1/history?symbol=&exchange=`
pub(super) fn history(head: &Head, shared: &Shared<'_>) -> Result<Response, Response> {
    let wanted = Wanted::new(head)?;
    let symbol = wanted.symbol()?;
    let markets = wanted.market.map_or(Market::ALL.to_vec(), |it| vec![it]);
    let exchanges = wanted.exchange.map_or(Exchange::ALL.to_vec(), |it| vec![it]);
    let engine = engine(shared)?;
    let (mut histories, mut crosses) = (Vec::new(), Vec::new());
    for market in markets {
        // One lock each: the engine waits meanwhile.
        let of = exchanges.iter().filter_map(|&it| engine.lock().history(symbol, market, it));
        histories.extend(of);
        crosses.extend(engine.lock().cross_histories(symbol, market, wanted.exchange));
    }
    let known: HashSet<_> = histories.iter().map(|it| it.instrument.venue).collect();
    if known.is_empty() && !shared.registry.current().iter().any(|it| it.symbol == symbol) {
        return Err(unknown(symbol));
    }
    Ok(Response::json(
        200,
        &json!({
            "symbol": symbol,
            "histories": histories.iter().map(past).collect::<Vec<_>>(),
            "crosses": crosses.iter().map(past_cross).collect::<Vec<_>>(),
        }),
    ))
}

fn past(it: &History) -> Value {
    let samples = it.samples.iter().map(|it| json!([it.ts.0, it.mid, it.spread_bps]));
    json!({
        "exchange": it.instrument.venue.exchange.name(),
        "market": it.instrument.venue.market.name(),
        "mid": bands(it.mid),
        "spread_bps": bands(it.spread_bps),
        "columns": ["ts", "mid", "spread_bps"],
        "samples": samples.collect::<Vec<_>>(),
    })
}

fn past_cross(it: &CrossHistory) -> Value {
    let samples = it.gross_bps.iter().map(|(ts, bps)| json!([ts.0, bps]));
    json!({
        "market": it.buy.venue.market.name(),
        "buy_exchange": it.buy.venue.exchange.name(),
        "sell_exchange": it.sell.venue.exchange.name(),
        "fees_bps": it.fees_bps,
        "gross_bps": bands(it.bands),
        "columns": ["ts", "gross_bps"],
        "samples": samples.collect::<Vec<_>>(),
    })
}

fn bands(it: Option<Bands>) -> Value {
    it.map_or(Value::Null, |it| json!({ "p3": it.low, "p50": it.median, "p97": it.high }))
}
