//! How exchanges spell values.
//!
//! Numbers come quoted or not, times as numbers or strings, books as lists of lists. Everything is
//! read without an allocation, and what is no number, no time or no level is refused here, so that
//! nobody checks again.

mod book;
mod envelope;
mod gzip;
mod number;
mod protobuf;
mod scan;
mod text;
mod time;

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

pub use self::{
    book::{Best, Ladder, level},
    envelope::Envelope,
    gzip::Gunzip,
    number::{Int, Num, Signed},
    protobuf::{Field, Fields},
    scan::Scan,
    text::{Flag, Id, Text, side},
    time::{Millis, Seconds, Stamp, Time},
};
use super::DecodeError;

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
    use crate::market::{Level, Nanos};

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
