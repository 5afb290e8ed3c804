//! Events as Binance writes them.

use super::Binance;
use crate::{
    market::Market,
    simulator::{
        dialect::Update,
        digits,
        listing::Row,
        prices::{Book, Print},
    },
};

impl Binance {
    pub(super) fn wrap(
        &self,
        it: &Update<'_>,
        out: &mut Vec<u8>,
        event: impl FnOnce(&mut Vec<u8>),
    ) {
        if !self.combined {
            return event(out);
        }
        out.extend_from_slice(b"{\"stream\":\"");
        out.extend_from_slice(it.topic.name.as_bytes());
        out.extend_from_slice(b"\",\"data\":");
        event(out);
        out.push(b'}');
    }

    pub(super) fn book_ticker(&self, out: &mut Vec<u8>, it: &Update<'_>, book: &Book) {
        let head: &[u8] = match self.market {
            Market::Spot => b"{\"u\":",
            Market::Perp => b"{\"e\":\"bookTicker\",\"u\":",
        };
        out.extend_from_slice(head);
        digits::integer(out, book.update);
        name(out, it.row);
        if self.market == Market::Perp {
            out.extend_from_slice(b",\"ps\":\"");
            out.extend_from_slice(it.row.native.as_bytes());
            out.push(b'"');
        }
        self.number(out, b",\"b\":\"", book.bid, it.row.price_places, true);
        self.number(out, b",\"B\":\"", book.bid_size, it.row.size_places, false);
        self.number(out, b",\"a\":\"", book.ask, it.row.price_places, true);
        self.number(out, b",\"A\":\"", book.ask_size, it.row.size_places, false);
        if self.market == Market::Perp {
            out.extend_from_slice(b",\"T\":");
            digits::integer(out, book.time);
            out.extend_from_slice(b",\"E\":");
            digits::integer(out, it.now);
            out.extend_from_slice(b",\"st\":1");
        }
        out.push(b'}');
    }

    pub(super) fn trade(&self, out: &mut Vec<u8>, it: &Update<'_>, print: &Print, kind: &[u8]) {
        out.extend_from_slice(b"{\"e\":\"trade\",\"E\":");
        self.time(out, it.now);
        if self.market == Market::Perp {
            out.extend_from_slice(b",\"T\":");
            self.time(out, print.time);
        }
        name(out, it.row);
        out.extend_from_slice(b",\"t\":");
        digits::integer(out, print.id);
        self.number(out, b",\"p\":\"", print.price, it.row.price_places, true);
        self.number(out, b",\"q\":\"", print.size, it.row.size_places, false);
        if self.market == Market::Perp {
            out.extend_from_slice(b",\"X\":\"");
            out.extend_from_slice(kind);
            out.push(b'"');
        } else {
            out.extend_from_slice(b",\"T\":");
            self.time(out, print.time);
        }
        self.finish(out, print);
    }

    pub(super) fn agg_trade(&self, out: &mut Vec<u8>, it: &Update<'_>, print: &Print) {
        out.extend_from_slice(b"{\"e\":\"aggTrade\",\"E\":");
        self.time(out, it.now);
        out.extend_from_slice(b",\"a\":");
        digits::integer(out, print.aggregate);
        name(out, it.row);
        self.number(out, b",\"p\":\"", print.price, it.row.price_places, true);
        self.number(out, b",\"q\":\"", print.size, it.row.size_places, false);
        if self.market == Market::Perp {
            self.number(out, b",\"nq\":\"", print.size, it.row.size_places, false);
        }
        out.extend_from_slice(b",\"f\":");
        digits::integer(out, print.id + 1 - print.fills);
        out.extend_from_slice(b",\"l\":");
        digits::integer(out, print.id);
        out.extend_from_slice(b",\"T\":");
        self.time(out, print.time);
        self.finish(out, print);
    }

    /// Says whether the buyer was there first, and closes the object.
    fn finish(&self, out: &mut Vec<u8>, print: &Print) {
        out.extend_from_slice(if print.buy { b",\"m\":false" } else { b",\"m\":true" });
        let last: &[u8] = match self.market {
            Market::Spot => b",\"M\":true}",
            Market::Perp => b",\"st\":1}",
        };
        out.extend_from_slice(last);
    }

    fn time(&self, out: &mut Vec<u8>, millis: u64) {
        digits::integer(out, if self.micros { millis * 1000 } else { millis });
    }

    /// Spot writes eight decimals, futures as many as a precision that is no tick size.
    fn number(&self, out: &mut Vec<u8>, key: &[u8], mantissa: u64, places: u32, is_price: bool) {
        out.extend_from_slice(key);
        let width = match self.market {
            Market::Spot => 8,
            Market::Perp => places + u32::from(is_price),
        };
        digits::padded(out, mantissa, places, width);
        out.push(b'"');
    }
}

fn name(out: &mut Vec<u8>, row: &Row) {
    out.extend_from_slice(b",\"s\":\"");
    out.extend_from_slice(row.native.as_bytes());
    out.push(b'"');
}
