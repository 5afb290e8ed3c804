//! How exchanges spell values.
//!
//! Numbers come quoted or not, times as numbers or strings, books as lists of lists. Everything is
//! read without an allocation, and what is no number, no time or no level is refused here, so that
//! nobody checks again.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, SeqAccess, Unexpected, Visitor},
};
use serde_json::value::RawValue;

use super::DecodeError;
use crate::market::{Level, Nanos};

/// A price or a size: finite and not negative, quoted or not. An empty string is zero, which is
/// how exchanges spell "none".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Num(pub f64);

impl Num {
    fn new<E: Error>(x: f64, seen: Unexpected<'_>) -> Result<Self, E> {
        // `f64` also parses "NaN" and "inf"; no exchange means them.
        if x.is_finite() && 0.0 <= x {
            Ok(Num(x))
        } else {
            Err(E::invalid_value(seen, &"a number that is finite and not negative"))
        }
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Num;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal, quoted or not")
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<Num, E> {
                match s.parse() {
                    Ok(x) => Num::new(x, Unexpected::Str(s)),
                    Err(_) if s.is_empty() => Ok(Num(0.0)),
                    Err(_) => Err(E::invalid_value(Unexpected::Str(s), &self)),
                }
            }
            fn visit_f64<E: Error>(self, x: f64) -> Result<Num, E> {
                Num::new(x, Unexpected::Float(x))
            }
            #[expect(clippy::cast_precision_loss, reason = "as exact as an f64 can hold it")]
            fn visit_u64<E: Error>(self, x: u64) -> Result<Num, E> {
                Ok(Num(x as f64))
            }
        }
        de.deserialize_any(V)
    }
}

/// A whole number, quoted or not: an id, a sequence number, a code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Int(pub i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Int;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, quoted or not")
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<Int, E> {
                s.parse().map(Int).map_err(|_| E::invalid_value(Unexpected::Str(s), &self))
            }
            fn visit_i64<E: Error>(self, n: i64) -> Result<Int, E> {
                Ok(Int(n))
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Int, E> {
                i64::try_from(n)
                    .map(Int)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(n), &self))
            }
        }
        de.deserialize_any(V)
    }
}

/// A time in Unix milliseconds, quoted or not. Zero is no time.
#[derive(Clone, Copy, Debug)]
pub struct Millis(pub Option<Nanos>);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let Int(millis) = Int::deserialize(de)?;
        let nanos = millis.checked_mul(1_000_000).ok_or_else(|| {
            D::Error::invalid_value(Unexpected::Signed(millis), &"milliseconds since 1970")
        })?;
        Ok(Millis((millis != 0).then_some(Nanos(nanos))))
    }
}

/// Text from an exchange: borrowed when it can be, owned when the JSON had escapes in it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Text or a number, as text: an id that is spelled either way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Id<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Id<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: text or a whole number")
            }
            fn visit_borrowed_str<E: Error>(self, s: &'de str) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Borrowed(s)))
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Owned(s.to_owned())))
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Owned(n.to_string())))
            }
            fn visit_i64<E: Error>(self, n: i64) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Owned(n.to_string())))
            }
            fn visit_unit<E: Error>(self) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Borrowed("")))
            }
        }
        de.deserialize_any(V)
    }
}

/// One side of a book as a list `[[price, size, …], …]`, best level first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ladder {
    /// The first level that has a size: in an update, a level of size zero is one that went away.
    pub best: Option<Level>,
    /// How many levels were listed, those of size zero included.
    pub listed: usize,
}

impl<'de> Deserialize<'de> for Ladder {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Ladder;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of [price, size, …]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ladder, A::Error> {
                let mut ladder = Ladder::default();
                while let Some(Pair(price, size)) = seq.next_element()? {
                    ladder.best = ladder.best.or(level(price, size));
                    ladder.listed += 1;
                }
                Ok(ladder)
            }
        }
        de.deserialize_seq(V)
    }
}

/// `[price, size, …]`, ignoring whatever an exchange appends.
struct Pair(Num, Num);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Pair;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[price, size, …]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Pair, A::Error> {
                let mut next =
                    |i| seq.next_element()?.ok_or_else(|| A::Error::invalid_length(i, &self));
                let pair = Pair(next(0)?, next(1)?);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(pair)
            }
        }
        de.deserialize_seq(V)
    }
}

/// One side of the book from two numbers: an empty one when either is zero.
#[must_use]
pub fn level(Num(price): Num, Num(size): Num) -> Option<Level> {
    (0.0 < price && 0.0 < size).then_some(Level { price, size })
}

/// Reads a part of a frame whose envelope has said what it is.
///
/// # Errors
/// When it is something else.
pub fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, DecodeError> {
    Ok(serde_json::from_str(raw.get())?)
}

/// Reads a JSON array and hands each item to `act`, keeping none.
///
/// # Errors
/// When it is no array of those items, or the first error of `act`.
pub fn each<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    act: impl FnMut(T) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    struct Each<T, F> {
        act: F,
        failed: Option<DecodeError>,
        item: std::marker::PhantomData<T>,
    }
    impl<'de, T, F> Visitor<'de> for &mut Each<T, F>
    where
        T: Deserialize<'de>,
        F: FnMut(T) -> Result<(), DecodeError>,
    {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while let Some(item) = seq.next_element()? {
                (self.act)(item).map_err(|err| {
                    let text = err.to_string();
                    self.failed = Some(err);
                    A::Error::custom(text)
                })?;
            }
            Ok(())
        }
    }
    impl<'de, T, F> DeserializeSeed<'de> for &mut Each<T, F>
    where
        T: Deserialize<'de>,
        F: FnMut(T) -> Result<(), DecodeError>,
    {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
            de.deserialize_seq(self)
        }
    }
    let mut each = Each { act, failed: None, item: std::marker::PhantomData };
    let result = each.deserialize(&mut serde_json::Deserializer::from_str(raw.get()));
    match each.failed {
        Some(err) => Err(err),
        None => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn num(json: &str) -> Option<f64> {
        serde_json::from_str(json).ok().map(|Num(x)| x)
    }

    #[test]
    fn a_number_is_finite_and_not_negative_however_it_is_spelled() {
        for (json, expected) in [
            (r#""64000.10""#, Some(64000.1)),
            ("64000.10", Some(64000.1)),
            ("7.548E+4", Some(75480.0)),
            ("0.1234567890123456789", Some(0.123_456_789_012_345_68)),
            ("42", Some(42.0)),
            (r#""""#, Some(0.0)),
            (r#""NaN""#, None),
            (r#""inf""#, None),
            ("1e999", None),
            ("-1", None),
            (r#""-0.5""#, None),
            (r#""12a""#, None),
            ("null", None),
            ("[1]", None),
        ] {
            assert_eq!(num(json), expected, "{json}");
        }
    }

    #[test]
    fn a_time_that_does_not_fit_is_refused_and_zero_is_none() {
        let time = |json| serde_json::from_str(json).ok().map(|Millis(it)| it);
        assert_eq!(time("1790000000001"), Some(Some(Nanos(1_790_000_000_001_000_000))));
        assert_eq!(time(r#""1790000000001""#), Some(Some(Nanos(1_790_000_000_001_000_000))));
        assert_eq!(time("0"), Some(None));
        for json in ["9223372036854775807", "-9223372036854775808", "18446744073709551615", "1.5"] {
            assert_eq!(time(json), None, "{json}");
        }
    }

    #[test]
    fn the_best_level_is_the_first_that_is_there() {
        let ladder = |json| serde_json::from_str::<Ladder>(json).ok();
        let best = Level { price: 2.0, size: 3.0 };
        let found = ladder(r#"[["1.0","0"],["2.0","3","0","7"],[9,9]]"#);
        assert_eq!(found, Some(Ladder { best: Some(best), listed: 3 }));
        assert_eq!(ladder("[]"), Some(Ladder::default()));
        assert_eq!(ladder(r#"[["1"]]"#), None);
    }

    #[test]
    fn the_error_of_an_item_is_the_error_of_the_list() {
        let raw: Box<RawValue> = serde_json::from_str("[1,2,3]").unwrap();
        let mut seen = Vec::new();
        let err = each(&raw, |Int(n)| {
            seen.push(n);
            if n == 2 { Err(DecodeError::Value("two")) } else { Ok(()) }
        });
        assert!(matches!(err, Err(DecodeError::Value("two"))));
        assert_eq!(seen, [1, 2]);
    }
}
