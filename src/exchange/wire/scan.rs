//! Frames whose shape is known, read from left to right.
//!
//! Nearly all frames of a connection are of one or two shapes, down to the order of their keys. A
//! [`Scan`] is told what comes before each value and looks at every byte once, where a JSON parser
//! looks up every key. A frame that deviates by a single byte, be it a space, an escape or a key
//! that is new, is none of its shape and goes to the parser. What both read is the same: tests
//! compare them on fixtures and on mutations of them.

use super::{
    Best, Ladder, Millis, Num, Stamp, level,
    number::{DIGITS_MAX, digits, exact},
};

/// What is left of a frame.
///
/// Each value is asked for with the text `before` it. `None` is for a frame of another shape, of
/// which nothing may be kept.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a>(&'a str);

// What is inlined compares with a text of known length, which takes an instruction or two where a
// call takes ten times as long.
#[expect(clippy::inline_always, reason = "measured: it is what makes this fast")]
impl<'a> Scan<'a> {
    /// All of a frame.
    #[must_use]
    pub const fn of(frame: &'a str) -> Self {
        Self(frame)
    }

    /// Goes past `text` if it is next, and says whether it was.
    #[inline(always)]
    pub fn skip(&mut self, text: &'static str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Goes past `text`, which has to be next.
    #[inline(always)]
    #[must_use]
    pub fn past(&mut self, text: &'static str) -> Option<()> {
        self.skip(text).then_some(())
    }

    /// Whether the frame ends after `last`.
    #[inline(always)]
    #[must_use]
    pub fn end(mut self, last: &'static str) -> Option<()> {
        (self.skip(last) && self.0.is_empty()).then_some(())
    }

    /// A quoted text without escapes.
    #[inline(always)]
    #[must_use]
    pub fn text(&mut self, before: &'static str) -> Option<&'a str> {
        self.past(before)?;
        self.quoted()
    }

    /// A whole number without a sign.
    #[inline(always)]
    #[must_use]
    pub fn whole(&mut self, before: &'static str) -> Option<i64> {
        self.past(before)?;
        self.integer()
    }

    /// A time in Unix milliseconds, quoted or not.
    #[inline(always)]
    #[must_use]
    pub fn millis(&mut self, before: &'static str) -> Option<Millis> {
        self.past(before)?;
        let quoted = self.skip("\"");
        let time = self.integer()?;
        if quoted {
            self.past("\"")?;
        }
        Millis::of(time).ok()
    }

    /// A time in Unix nanoseconds.
    #[inline(always)]
    #[must_use]
    pub fn stamp(&mut self, before: &'static str) -> Option<Stamp> {
        Stamp::of(self.whole(before)?).ok()
    }

    /// A truth value.
    #[inline(always)]
    #[must_use]
    pub fn flag(&mut self, before: &'static str) -> Option<bool> {
        self.past(before)?;
        let yes = self.skip("true");
        (yes || self.skip("false")).then_some(yes)
    }

    /// A price or a size, quoted or not.
    #[inline(always)]
    #[must_use]
    pub fn num(&mut self, before: &'static str) -> Option<Num> {
        self.past(before)?;
        self.number()
    }

    /// A level `[price, size, …]`, or an empty list for an empty side.
    #[inline(always)]
    #[must_use]
    pub fn best(&mut self, before: &'static str) -> Option<Best> {
        self.past(before)?;
        self.past("[")?;
        if self.skip("]") { Some(Best(None)) } else { self.pair() }
    }

    /// A list of levels `[[price, size, …], …]`.
    #[inline(always)]
    #[must_use]
    pub fn ladder(&mut self, before: &'static str) -> Option<Ladder> {
        self.past(before)?;
        self.levels()
    }

    fn levels(&mut self) -> Option<Ladder> {
        let mut ladder = Ladder::default();
        self.past("[")?;
        while !self.skip("]") {
            self.past(if ladder.listed == 0 { "[" } else { ",[" })?;
            ladder.best = ladder.best.or(self.pair()?.0);
            ladder.listed += 1;
        }
        Some(ladder)
    }

    /// What follows the bracket of a level.
    fn pair(&mut self) -> Option<Best> {
        let (price, size) = (self.number()?, self.num(",")?);
        while self.skip(",") {
            self.quoted()?;
        }
        self.past("]")?;
        Some(Best(level(price, size)))
    }

    fn number(&mut self) -> Option<Num> {
        if !self.skip("\"") {
            let (number, rest) = exact(self.0)?;
            self.0 = rest;
            return Some(Num(number));
        }
        if let Some((number, rest)) = exact(self.0)
            && let Some(rest) = rest.strip_prefix('"')
        {
            self.0 = rest;
            return Some(Num(number));
        }
        Num::parse(self.unquoted()?).ok()
    }

    fn quoted(&mut self) -> Option<&'a str> {
        self.past("\"")?;
        self.unquoted()
    }

    /// A text whose first quote has been gone past.
    fn unquoted(&mut self) -> Option<&'a str> {
        let len = self.0.bytes().position(|it| !is_plain(it))?;
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        self.past("\"")?;
        Some(text)
    }

    fn integer(&mut self) -> Option<i64> {
        let (number, rest) = digits(self.0, 0);
        let len = self.0.len() - rest.len();
        let leads = !self.0.starts_with('0') || len == 1;
        let fits = (1..=DIGITS_MAX).contains(&len);
        self.0 = rest;
        i64::try_from(number).ok().filter(|_| leads && fits)
    }
}

/// Whether a byte stands for itself in a JSON string.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, ..b' ' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::{Level, Nanos};

    fn pair(frame: &str) -> Option<(i64, &str)> {
        let mut it = Scan::of(frame);
        let read = (it.whole(r#"{"a":"#)?, it.text(r#","b":"#)?);
        it.end("}")?;
        Some(read)
    }

    #[test]
    fn a_frame_of_the_shape_gives_its_values_and_no_other_does() {
        assert_eq!(pair(r#"{"a":1,"b":"x"}"#), Some((1, "x")));
        assert_eq!(pair(r#"{"a":0,"b":"币"}"#), Some((0, "币")));
        for frame in [
            "",
            r#"{"a":1,"b":"x"} "#,
            r#"{ "a":1,"b":"x"}"#,
            r#"{"a":,"b":"x"}"#,
            r#"{"a":1,"b":"x","c":2}"#,
            r#"{"b":"x","a":1}"#,
            r#"{"a":1,"b":"x\u0041"}"#,
            r#"{"a":1,"b":"x\"}"#,
            "{\"a\":1,\"b\":\"x\n\"}",
            r#"{"a":"1","b":"x"}"#,
            r#"{"a":1,"b":"x"#,
            r#"{"a":01,"b":"x"}"#,
            r#"{"a":1.0,"b":"x"}"#,
            r#"{"a":1e3,"b":"x"}"#,
            r#"{"a":-1,"b":"x"}"#,
            r#"{"a":9223372036854775808,"b":"x"}"#,
            r#"{"a":10000000000000000000000001,"b":"x"}"#,
        ] {
            assert_eq!(pair(frame), None, "{frame}");
        }
        assert_eq!(pair(r#"{"a":9223372036854775807,"b":""}"#), Some((i64::MAX, "")));
    }

    #[test]
    fn sides_are_lists_of_any_length() {
        let ladder = |frame| Scan::of(frame).ladder("");
        let at = |price, size| Some(Level { price, size });
        assert_eq!(ladder("[]"), Some(Ladder { best: None, listed: 0 }));
        assert_eq!(
            ladder(r#"[["2","0"],["1.5","3","0","1"]]"#),
            Some(Ladder { best: at(1.5, 3.0), listed: 2 })
        );
        for frame in [
            "",
            "[",
            "[[]]",
            r#"[["1"]]"#,
            r#"[["1","2"]"#,
            r#"[["1","2"],]"#,
            r#"[["1","2"]["1","2"]]"#,
            r#"[,["1","2"]]"#,
        ] {
            assert_eq!(ladder(frame), None, "{frame}");
        }
        let best = |frame| Scan::of(frame).best("").map(|it| it.0);
        assert_eq!((best("[]"), best(r#"["1","2"]"#)), (Some(None), Some(at(1.0, 2.0))));
        assert_eq!((best(r#"["1"]"#), best(r#"["1",]"#)), (None, None));
    }

    #[test]
    fn times_may_be_quoted_and_truth_is_not() {
        let millis = |frame| Scan::of(frame).millis("").map(|it| it.0);
        assert_eq!((millis("7"), millis("\"7\"")), (Some(Some(Nanos(7_000_000))), millis("7")));
        assert_eq!((millis("0"), millis("\"7"), millis("\"\"")), (Some(None), None, None));
        assert_eq!(millis("9223372036854775807"), None, "that is too late");
        let flag = |frame| Scan::of(frame).flag("");
        assert_eq!(
            (flag("true"), flag("false"), flag("\"true\"")),
            (Some(true), Some(false), None)
        );
    }

    proptest! {
        /// What is made of a number is what others make of it, or nothing.
        #[test]
        fn numbers_are_those_of_the_parser(
            text in r"[-+0-9.eEN]{0,24}|[0-9]{1,12}\.[0-9]{1,12}|0\.0{0,12}[0-9]{1,8}",
        ) {
            let read = |text: &str| {
                let mut it = Scan::of(text);
                let number = it.num("")?;
                it.end("").map(|()| number.0.to_bits())
            };
            if let Some(bits) = read(&text) {
                let parsed: Num = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(bits, parsed.0.to_bits());
            }
            if let Some(bits) = read(&format!("\"{text}\"")) {
                let parsed: f64 = if text.is_empty() { 0.0 } else { text.parse().unwrap() };
                prop_assert_eq!(bits, parsed.to_bits());
            }
        }
    }
}
