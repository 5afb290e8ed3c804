//! Numbers: prices, sizes, ids, codes.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use crate::exchange::DecodeError;

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
