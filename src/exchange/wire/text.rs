//! Text, ids, and yes or no.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use crate::market::{Side, TradeId};

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

/// Text or a number, of which nothing has to be kept as text.
impl<'de> Deserialize<'de> for TradeId {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = TradeId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: text or a whole number")
            }
            fn visit_str<E: Error>(self, s: &str) -> Result<TradeId, E> {
                Ok(TradeId::parse(s))
            }
            fn visit_u64<E: Error>(self, n: u64) -> Result<TradeId, E> {
                Ok(TradeId::Number(n))
            }
            fn visit_i64<E: Error>(self, n: i64) -> Result<TradeId, E> {
                Ok(TradeId::parse(&n.to_string()))
            }
            fn visit_unit<E: Error>(self) -> Result<TradeId, E> {
                Ok(TradeId::None)
            }
        }
        de.deserialize_any(V)
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

/// The taker's side where it is spelled `buy` and `sell`.
#[must_use]
pub fn side(text: Option<&Text<'_>>) -> Side {
    match text.map(|it| &*it.0) {
        Some("buy") => Side::Buy,
        Some("sell") => Side::Sell,
        _ => Side::Unknown,
    }
}
