//! The spot socket: JSON requests and answers, pushes as `PushDataV3ApiWrapper`.
//! <https://github.com/mexcdevelop/websocket-proto>

use fastrand::Rng;
use serde_json::{Value, json};

use super::proto::{nested, number, text};
use crate::{
    market::Channel,
    simulator::{
        dialect::{Desk, Opened, Session, Update},
        digits::Pen,
        frame::Load,
        http::{Request, Response},
        prices::{Book, Print},
        world::Served,
    },
};

/// Topics of a connection.
const TOPICS_MAX: usize = 30;
/// One push of a book in so many has nothing in it.
const EMPTY_EVERY: u64 = 97;

/// Styles of topics with quotes.
const AGGREGATED: u8 = 0;
const BATCH: u8 = 1;

/// Numbers of the wrapper's fields.
mod wrapper {
    pub(super) const CHANNEL: u64 = 1;
    pub(super) const SYMBOL: u64 = 3;
    pub(super) const SYMBOL_ID: u64 = 4;
    pub(super) const CREATE_TIME: u64 = 5;
    pub(super) const SEND_TIME: u64 = 6;
    pub(super) const BOOK_TICKER_BATCH: u64 = 311;
    pub(super) const AGGRE_DEALS: u64 = 314;
    pub(super) const AGGRE_BOOK_TICKER: u64 = 315;
}

struct Spot;

pub(super) fn open(request: &Request) -> Opened {
    match request.path.as_str() {
        "/ws" => Ok(Box::new(Spot)),
        _ => Err(Response::json(404, super::rest::refusal(404))),
    }
}

impl Session for Spot {
    fn text(&mut self, text: &str, desk: &mut Desk<'_>) {
        let request: Value = serde_json::from_str(text).unwrap_or_default();
        let id = request["id"].as_u64().unwrap_or(0);
        let answer = match request["method"].as_str() {
            Some("PING") => {
                *desk.pinged = true;
                "PONG".to_owned()
            }
            Some("SUBSCRIPTION") => {
                let Some(names) = names(&request["params"]) else { return };
                subscribe(&names, desk).unwrap_or_else(|refused| {
                    format!("Not Subscribed successfully! [{refused}].  Reason： Blocked! ")
                })
            }
            Some("UNSUBSCRIPTION") => {
                let Some(names) = names(&request["params"]) else { return };
                for it in &names {
                    desk.topics.remove(it);
                }
                names.join(",")
            }
            _ => return,
        };
        desk.reply(json!({"id": id, "code": 0, "msg": answer}).to_string());
    }

    fn quote(&self, it: &Update<'_>, book: &Book, out: &mut Vec<u8>) -> Load {
        if book.update.is_multiple_of(EMPTY_EVERY) {
            wrap(it, out, |_| {});
            return Load::NO_QUOTE;
        }
        wrap(it, out, |out| {
            if it.topic.style == BATCH {
                nested(out, wrapper::BOOK_TICKER_BATCH, |out| {
                    nested(out, 1, |out| levels(it, book, out));
                    version(it, book, 2, out);
                });
            } else {
                nested(out, wrapper::AGGRE_BOOK_TICKER, |out| {
                    levels(it, book, out);
                    version(it, book, 5, out);
                });
            }
        });
        Load::QUOTE
    }

    fn trades(&self, it: &Update<'_>, prints: &[Print], _: &mut Rng, out: &mut Vec<u8>) -> Load {
        wrap(it, out, |out| {
            nested(out, wrapper::AGGRE_DEALS, |out| {
                for print in prints {
                    nested(out, 1, |out| deal(it, print, out));
                }
                let event = it.topic.name.rsplit_once('@').map_or("", |it| it.0);
                text(out, 2, event);
            });
        });
        Load::trades(prints.len())
    }
}

/// All of a request or nothing; what is refused of it.
fn subscribe(names: &[&str], desk: &mut Desk<'_>) -> Result<String, String> {
    let find = |it: &&&str| find(desk.served, it).is_none();
    let refused: Vec<_> = names.iter().filter(find).copied().collect();
    if !refused.is_empty() {
        return Err(refused.join(","));
    }
    let new = names.iter().filter(|it| !desk.topics.contains(it)).count();
    if desk.limits && TOPICS_MAX < desk.topics.len() + new {
        return Err(names.join(","));
    }
    for name in names {
        match self::find(desk.served, name) {
            Some(Topic::Live { row, channel, style }) => {
                desk.topics.add(name, row, channel, style, 1);
            }
            _ => desk.topics.add_silent(name),
        }
    }
    Ok(names.join(","))
}

fn names(params: &Value) -> Option<Vec<&str>> {
    let all = params.as_array().filter(|it| !it.is_empty())?;
    all.iter().map(Value::as_str).collect()
}

enum Topic {
    Live { row: usize, channel: Channel, style: u8 },
    Silent,
}

/// What a name stands for; `None` when it is blocked.
fn find(served: &Served, name: &str) -> Option<Topic> {
    let (stream, rest) = name.strip_prefix("spot@public.")?.split_once(".v3.api.pb@")?;
    let (symbol, channel, style) = match (stream, rest.split_once('@')) {
        ("aggre.bookTicker", Some(("100ms" | "10ms", it))) => (it, Channel::Quotes, AGGREGATED),
        ("aggre.deals", Some(("100ms" | "10ms", it))) => (it, Channel::Trades, AGGREGATED),
        ("bookTicker.batch", None) => (rest, Channel::Quotes, BATCH),
        ("aggre.depth", Some(("100ms" | "10ms", _)))
        | ("limit.depth", Some((_, "5" | "10" | "20")))
        | ("miniTickers", None) => return Some(Topic::Silent),
        _ => return None,
    };
    let row = served.row(symbol).filter(|it| it.listed() && !served.refuses(it))?;
    let live = row.moves();
    Some(if live { Topic::Live { row: row.index, channel, style } } else { Topic::Silent })
}

/// Appends a wrapper. Instruments differ in what it has and in which order, as versions do.
fn wrap(it: &Update<'_>, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let body_first = it.row.index % 4 == 2;
    text(out, wrapper::CHANNEL, &it.topic.name);
    text(out, wrapper::SYMBOL, &it.row.native);
    if body_first {
        body(out);
        number(out, wrapper::CREATE_TIME, it.now - 1);
        return number(out, wrapper::SEND_TIME, it.now);
    }
    if it.row.index % 4 == 3 {
        nested(out, wrapper::SYMBOL_ID, |out| _ = out.int(it.row.index as u64));
    }
    number(out, wrapper::SEND_TIME, it.now);
    body(out);
}

/// Whether there are the fields that were added last.
fn is_recent(it: &Update<'_>) -> bool {
    it.row.index.is_multiple_of(2)
}

/// The best bid and ask. A missing side is missing fields.
fn levels(it: &Update<'_>, book: &Book, out: &mut Vec<u8>) {
    for (field, price, size) in [(1, book.bid, book.bid_size), (3, book.ask, book.ask_size)] {
        if price != 0 {
            nested(out, field, |out| _ = out.trimmed(price, it.row.price_places));
            nested(out, field + 1, |out| _ = out.trimmed(size, it.row.size_places));
        }
    }
}

fn version(it: &Update<'_>, book: &Book, field: u64, out: &mut Vec<u8>) {
    if is_recent(it) {
        nested(out, field, |out| _ = out.int(book.update));
        number(out, field + 1, book.time);
    }
}

fn deal(it: &Update<'_>, print: &Print, out: &mut Vec<u8>) {
    nested(out, 1, |out| _ = out.trimmed(print.price, it.row.price_places));
    nested(out, 2, |out| _ = out.trimmed(print.size, it.row.size_places));
    number(out, 3, if print.buy { 1 } else { 2 });
    number(out, 4, print.time);
    if is_recent(it) {
        nested(out, 5, |out| _ = out.int(print.id).put("X0_").int(print.id + 1).put("X0"));
    }
}
