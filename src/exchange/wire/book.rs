//! Sides of a book.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};

use super::Num;
use crate::market::Level;

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

/// One side of the book from two numbers: an empty one when either is zero.
#[must_use]
pub fn level(Num(price): Num, Num(size): Num) -> Option<Level> {
    (0.0 < price && 0.0 < size).then_some(Level { price, size })
}
