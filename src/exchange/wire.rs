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
    /// A number that is not in JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let parsed = Decimal { signed: false }.visit_str(text);
        Ok(Num(parsed.map_err(DecodeError::Json)?))
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_any(Decimal { signed: false }).map(Num)
    }
}

/// A size whose sign is the side of the taker: finite, quoted or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signed(pub f64);

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_any(Decimal { signed: true }).map(Signed)
    }
}

struct Decimal {
    signed: bool,
}

impl Decimal {
    fn check<E: Error>(&self, x: f64, seen: Unexpected<'_>) -> Result<f64, E> {
        // `f64` also parses "NaN" and "inf"; no exchange means them.
        if x.is_finite() && (self.signed || 0.0 <= x) {
            return Ok(x);
        }
        let not_negative = if self.signed { "" } else { " and not negative" };
        Err(E::invalid_value(seen, &&*format!("a number that is finite{not_negative}")))
    }
}

impl Visitor<'_> for Decimal {
    type Value = f64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal, quoted or not")
    }
    fn visit_str<E: Error>(self, s: &str) -> Result<f64, E> {
        match s.parse() {
            Ok(x) => self.check(x, Unexpected::Str(s)),
            Err(_) if s.is_empty() => Ok(0.0),
            Err(_) => Err(E::invalid_value(Unexpected::Str(s), &self)),
        }
    }
    fn visit_f64<E: Error>(self, x: f64) -> Result<f64, E> {
        self.check(x, Unexpected::Float(x))
    }
    #[expect(clippy::cast_precision_loss, reason = "as exact as an f64 can hold it")]
    fn visit_u64<E: Error>(self, x: u64) -> Result<f64, E> {
        Ok(x as f64)
    }
    #[expect(clippy::cast_precision_loss, reason = "as exact as an f64 can hold it")]
    fn visit_i64<E: Error>(self, x: i64) -> Result<f64, E> {
        self.check(x as f64, Unexpected::Signed(x))
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

/// A time since the Unix epoch in units of so many nanoseconds, quoted or not, with a fraction or
/// without. Zero is no time.
#[derive(Clone, Copy, Debug)]
pub struct Time<const UNIT: i64>(pub Option<Nanos>);

/// A time in Unix seconds.
pub type Seconds = Time<1_000_000_000>;
/// A time in Unix milliseconds.
pub type Millis = Time<1_000_000>;
/// A time in Unix nanoseconds.
pub type Stamp = Time<1>;

impl<const UNIT: i64> Time<UNIT> {
    /// A time that is not in JSON.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn of(units: i64) -> Result<Self, DecodeError> {
        Ok(Self::new::<serde_json::Error>(units, 0, Unexpected::Signed(units))?)
    }

    fn new<E: Error>(units: i64, fraction: i64, seen: Unexpected<'_>) -> Result<Self, E> {
        let nanos = units.checked_mul(UNIT).and_then(|it| it.checked_add(fraction));
        let nanos = nanos.ok_or_else(|| E::invalid_value(seen, &"a time since 1970"))?;
        Ok(Time((nanos != 0).then_some(Nanos(nanos))))
    }
}

impl<'de, const UNIT: i64> Deserialize<'de> for Time<UNIT> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V<const UNIT: i64>;
        impl<const UNIT: i64> Visitor<'_> for V<UNIT> {
            type Value = Time<UNIT>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time since 1970, quoted or not")
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<Time<UNIT>, E> {
                let (units, fraction) = s.split_once('.').unwrap_or((s, ""));
                let (mut nanos, mut place) = (0, UNIT / 10);
                for digit in fraction.bytes() {
                    nanos += i64::from(digit.wrapping_sub(b'0')) * place;
                    place /= 10;
                }
                match units.parse() {
                    Ok(units) if fraction.bytes().all(|it| it.is_ascii_digit()) => {
                        Time::new(units, nanos, Unexpected::Str(s))
                    }
                    _ => Err(E::invalid_value(Unexpected::Str(s), &self)),
                }
            }
            fn visit_i64<E: Error>(self, n: i64) -> Result<Time<UNIT>, E> {
                Time::new(n, 0, Unexpected::Signed(n))
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<Time<UNIT>, E> {
                let seen = Unexpected::Unsigned(n);
                i64::try_from(n)
                    .map_err(|_| E::invalid_value(seen, &self))
                    .and_then(|n| Time::new(n, 0, seen))
            }
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            #[expect(clippy::cast_precision_loss, reason = "as exact as an f64 can hold it")]
            fn visit_f64<E: Error>(self, x: f64) -> Result<Time<UNIT>, E> {
                let nanos = x * UNIT as f64;
                if nanos.abs() < i64::MAX as f64 {
                    Ok(Time(Some(Nanos(nanos as i64)).filter(|it| it.0 != 0)))
                } else {
                    Err(E::invalid_value(Unexpected::Float(x), &self))
                }
            }
        }
        de.deserialize_any(V)
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

/// One level `[price, size]`, or an empty list for an empty side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Best(pub Option<Level>);

impl<'de> Deserialize<'de> for Best {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Best;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[price, size] or []")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Best, A::Error> {
                let Some(price) = seq.next_element()? else { return Ok(Best(None)) };
                let size = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Best(level(price, size)))
            }
        }
        de.deserialize_seq(V)
    }
}

/// Yes or no, quoted or not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false, quoted or not")
            }
            fn visit_bool<E: Error>(self, it: bool) -> Result<Flag, E> {
                Ok(Flag(it))
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<Flag, E> {
                match s {
                    "true" => Ok(Flag(true)),
                    "false" => Ok(Flag(false)),
                    _ => Err(E::invalid_value(Unexpected::Str(s), &self)),
                }
            }
        }
        de.deserialize_any(V)
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

/// [`each`] of a list, or of a single item that is not in one.
///
/// # Errors
/// As for [`each`].
pub fn one_or_each<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    mut act: impl FnMut(T) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    if raw.get().starts_with('[') { each(raw, act) } else { act(read(raw)?) }
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
    fn a_signed_number_is_finite() {
        let signed = |json| serde_json::from_str(json).ok().map(|Signed(x)| x);
        assert_eq!(signed("-108"), Some(-108.0));
        assert_eq!(signed(r#""-0.25""#), Some(-0.25));
        assert_eq!(signed("7"), Some(7.0));
        for json in [r#""-inf""#, r#""NaN""#, "-1e999", "null", r#""-""#] {
            assert_eq!(signed(json), None, "{json}");
        }
    }

    #[test]
    fn a_time_keeps_its_fraction_in_any_unit() {
        fn nanos<const UNIT: i64>(json: &str) -> Option<i64> {
            let Time::<UNIT>(time) = serde_json::from_str(json).ok()?;
            time.map(|it| it.0)
        }
        const MILLIS: i64 = 1_000_000;
        let fraction = r#""1606292218213.4578""#;
        assert_eq!(nanos::<MILLIS>(fraction), Some(1_606_292_218_213_457_800));
        assert_eq!(nanos::<MILLIS>(r#""1.1234567899""#), Some(1_123_456));
        assert_eq!(nanos::<1>("1795420803399000001"), Some(1_795_420_803_399_000_001));
        assert_eq!(nanos::<1>(r#""1795420803099033203""#), Some(1_795_420_803_099_033_203));
        assert_eq!(nanos::<1_000_000_000>("1795420803"), Some(1_795_420_803_000_000_000));
        assert_eq!(nanos::<MILLIS>("1.5"), Some(1_500_000));
        assert_eq!(nanos::<1>("1e19"), None);
        for json in [r#""1.x""#, r#""1.5.5""#, r#"".5""#, r#""""#, "1e30", "-1e30", "null"] {
            assert_eq!(nanos::<MILLIS>(json), None, "{json}");
        }
    }

    #[test]
    fn a_flag_and_a_level_come_in_many_spellings() {
        let flag = |json| serde_json::from_str(json).ok().map(|Flag(it)| it);
        assert_eq!((flag("true"), flag(r#""false""#), flag("1")), (Some(true), Some(false), None));
        let best = |json| serde_json::from_str(json).ok().map(|Best(it)| it);
        let level = Level { price: 2.0, size: 3.0 };
        assert_eq!(best(r#"["2.0",3,"x"]"#), Some(Some(level)));
        assert_eq!((best("[]"), best(r#"["2"]"#), best("{}")), (Some(None), None, None));
    }

    #[test]
    fn one_is_as_good_as_a_list_of_one() {
        for json in ["7", "[7]"] {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            let mut seen = Vec::new();
            one_or_each(&raw, |Int(n)| {
                seen.push(n);
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, [7]);
        }
    }

    #[test]
    fn a_time_that_does_not_fit_is_refused_and_zero_is_none() {
        let time = |json| {
            let time: Option<Millis> = serde_json::from_str(json).ok();
            time.map(|it| it.0)
        };
        assert_eq!(time("1790000000001"), Some(Some(Nanos(1_790_000_000_001_000_000))));
        assert_eq!(time(r#""1790000000001""#), Some(Some(Nanos(1_790_000_000_001_000_000))));
        assert_eq!(time("0"), Some(None));
        for json in ["9223372036854775807", "-9223372036854775808", "18446744073709551615", "1e300"]
        {
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
