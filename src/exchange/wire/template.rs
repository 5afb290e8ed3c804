//! Frames that always look the same but for a few values.
//!
//! Nearly all frames of a connection are of one or two shapes, down to the order of their keys. A
//! [`Template`] is such a shape; it finds the values in a third of the time that a JSON parser takes
//! to look at every key. A frame that deviates by a single byte, be it a space, an escape or a key
//! that is new, is none of its shape and goes to the parser. What both read is the same: tests
//! compare them on fixtures and on mutations of them.

use super::{Millis, Num, Stamp, level};
use crate::{
    exchange::Inbox,
    market::{Level, Nanos},
};

/// A frame with `N` holes, each written `~`.
#[derive(Clone, Copy, Debug)]
pub struct Template<const N: usize> {
    head: &'static str,
    /// What follows each hole.
    tails: [&'static str; N],
}

impl<const N: usize> Template<N> {
    /// A template from a frame in which each value that changes is a `~`, inside its quotes if it
    /// has any.
    ///
    /// # Panics
    /// In a constant, and so when it is compiled: when there are not `N` holes, or two without text
    /// between them.
    #[must_use]
    pub const fn new(frame: &'static str) -> Self {
        let (head, mut rest) = split(frame);
        let mut tails = [""; N];
        let mut n = 0;
        while n < N {
            (tails[n], rest) = split(rest);
            assert!(!tails[n].is_empty(), "a hole is followed by text");
            n += 1;
        }
        assert!(rest.is_empty(), "there are as many holes as values");
        Self { head, tails }
    }

    /// What is in the holes; `None` for a frame of another shape.
    ///
    /// A value ends where the text after its hole begins. Quoted ones have no escapes; what has no
    /// quotes can be anything but a list or an object, and is for the caller to read.
    #[must_use]
    pub fn values<'a>(&self, frame: &'a str) -> Option<[&'a str; N]> {
        let mut rest = frame.strip_prefix(self.head)?;
        let mut values = [""; N];
        for (value, tail) in values.iter_mut().zip(self.tails) {
            let end = rest.bytes().position(|it| it == tail.as_bytes()[0] || !is_plain(it))?;
            (*value, rest) = rest.split_at(end);
            rest = rest.strip_prefix(tail)?;
        }
        rest.is_empty().then_some(values)
    }
}

/// What is before the first `~`, and what is after it.
const fn split(text: &'static str) -> (&'static str, &'static str) {
    let mut n = 0;
    while n < text.len() {
        if text.as_bytes()[n] == b'~' {
            return (text.split_at(n).0, text.split_at(n + 1).1);
        }
        n += 1;
    }
    (text, "")
}

/// Whether a byte stands for itself in a JSON string.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, ..b' ' | b'"' | b'\\')
}

/// A whole number without a sign, as JSON spells it.
#[must_use]
pub fn whole(text: &str) -> Option<i64> {
    let digits = text.as_bytes();
    let leads = digits.first()?.is_ascii_digit() && (digits[0] != b'0' || digits.len() == 1);
    // What is left to refuse is what is no digit, and what does not fit.
    if leads { text.parse().ok() } else { None }
}

/// A time in Unix milliseconds; the inner `None` is for zero, which is no time.
#[must_use]
pub fn millis(text: &str) -> Option<Option<Nanos>> {
    Some(Millis::of(whole(text)?).ok()?.0)
}

/// [`millis`] of a time in Unix nanoseconds.
#[must_use]
pub fn stamp(text: &str) -> Option<Option<Nanos>> {
    Some(Stamp::of(whole(text)?).ok()?.0)
}

/// A level of quoted numbers; the inner `None` is for an empty side.
#[must_use]
pub fn quoted(price: &str, size: &str) -> Option<Option<Level>> {
    Some(level(Num::parse(price).ok()?, Num::parse(size).ok()?))
}

/// A quote of quoted numbers: bid, its size, ask, its size.
pub(in crate::exchange) fn quote(
    inbox: &mut Inbox,
    symbol: &str,
    ts_event: Option<Nanos>,
    sequence: Option<i64>,
    [bid, bid_size, ask, ask_size]: [&str; 4],
) -> Option<()> {
    let (bid, ask) = (quoted(bid, bid_size)?, quoted(ask, ask_size)?);
    inbox.quote(symbol, ts_event, sequence, bid, ask).ok()
}

/// A number without quotes, as JSON spells it, but for exponents.
#[must_use]
pub fn bare(text: &str) -> Option<Num> {
    let (units, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = !fraction.is_empty() && fraction.bytes().all(|it| it.is_ascii_digit());
    whole(units).filter(|_| digits)?;
    Num::parse(text).ok()
}

/// A truth value.
#[must_use]
pub fn flag(text: &str) -> Option<bool> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Template<2> = Template::new(r#"{"a":~,"b":"~"}"#);

    #[test]
    fn a_frame_of_the_shape_gives_its_values_and_no_other_does() {
        assert_eq!(PAIR.values(r#"{"a":1,"b":"x"}"#), Some(["1", "x"]));
        assert_eq!(
            PAIR.values(r#"{"a":,"b":""}"#),
            Some(["", ""]),
            "reading them is another matter"
        );
        for frame in [
            "",
            r#"{"a":1,"b":"x"} "#,
            r#"{ "a":1,"b":"x"}"#,
            r#"{"a":1,"b":"x","c":2}"#,
            r#"{"b":"x","a":1}"#,
            r#"{"a":1,"b":"x\u0041"}"#,
            r#"{"a":1,"b":"x\"}"#,
            "{\"a\":1,\"b\":\"x\n\"}",
            r#"{"a":"1","b":"x"}"#,
            r#"{"a":1,"b":"x"#,
        ] {
            assert_eq!(PAIR.values(frame), None, "{frame}");
        }
    }

    #[test]
    fn numbers_are_spelled_as_in_json() {
        for (text, n) in [("0", Some(0)), ("17", Some(17)), ("9223372036854775807", Some(i64::MAX))]
        {
            assert_eq!(whole(text), n, "{text}");
        }
        for text in ["", "01", "+1", "-1", "1.0", "1e3", " 1", "null", "9223372036854775808"] {
            assert_eq!(whole(text), None, "{text}");
        }
        assert_eq!((bare("0.25"), bare("12")), (Some(Num(0.25)), Some(Num(12.0))));
        for text in ["", ".5", "5.", "00.5", "1.5.5", "-1.5", "1e5", "NaN", "+1.5"] {
            assert_eq!(bare(text), None, "{text}");
        }
    }
}
