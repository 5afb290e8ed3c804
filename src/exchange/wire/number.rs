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
        if let Some((x, "")) = exact(s) {
            return Ok(x);
        }
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

/// The decimal that `text` begins with, and what follows it; `None` if it is not spelled as in JSON
/// without an exponent, or has more digits than are surely exact.
///
/// It is what [`str::parse`] makes of it, in less time: two numbers that an f64 holds as they are,
/// here one up to 2^53 and a power of ten up to 10^22, give a quotient that is rounded once.
pub(super) fn exact(text: &str) -> Option<(f64, &str)> {
    let (units, mut rest) = digits(text, 0);
    let len = text.len() - rest.len();
    if len == 0 || (text.starts_with('0') && len != 1) {
        return None;
    }
    let (mut number, mut places) = (units, 0);
    if let Some(fraction) = rest.strip_prefix('.') {
        (number, rest) = digits(fraction, units);
        places = fraction.len() - rest.len();
        if places == 0 {
            return None;
        }
    }
    if DIGITS_MAX < len + places || 1 << 53 < number {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "it is not above 2^53")]
    let number = number as f64;
    Some((number / POWERS[places], rest))
}

/// The number made of `so_far` and the digits that `text` begins with, and what follows them. The
/// number is wrong if these are more than [`DIGITS_MAX`] in all.
pub(super) fn digits(text: &str, so_far: u64) -> (u64, &str) {
    let mut number = so_far;
    for (at, byte) in text.bytes().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if 9 < digit {
            return (number, &text[at..]);
        }
        number = number.wrapping_mul(10).wrapping_add(digit.into());
    }
    (number, "")
}

/// As many digits as always fit into a `u64`.
pub(super) const DIGITS_MAX: usize = 19;

/// Of ten, by the digits of a fraction.
const POWERS: [f64; DIGITS_MAX] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

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
