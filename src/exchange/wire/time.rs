//! Times since the Unix epoch.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use crate::{exchange::DecodeError, market::Nanos};

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
