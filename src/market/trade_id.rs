//! How exchanges name trades.

use std::fmt;

/// An exchange's name for a trade, kept without an allocation where its usual forms allow that.
///
/// Equal ids are spelled equally and the reverse: a form is only used when it prints back to the
/// very text it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum TradeId {
    /// The exchange names none.
    #[default]
    None,
    /// A decimal number without leading zeros.
    Number(u64),
    /// A lower-case hyphenated UUID, as its 16 bytes.
    Uuid([u8; 16]),
    /// Anything else.
    Text(Box<str>),
}

impl TradeId {
    /// Reads an id from the exchange's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.as_bytes() {
            [] => TradeId::None,
            [b'0'] => TradeId::Number(0),
            [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
                text.parse().map_or_else(|_| TradeId::Text(text.into()), TradeId::Number)
            }
            _ => parse_uuid(text).map_or_else(|| TradeId::Text(text.into()), TradeId::Uuid),
        }
    }

    /// Whether the exchange gave an id.
    #[must_use]
    pub fn is_some(&self) -> bool {
        *self != TradeId::None
    }
}

/// Where the hyphens of a UUID's text are.
const UUID_HYPHENS: [usize; 4] = [8, 13, 18, 23];

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != 36 || UUID_HYPHENS.iter().any(|&it| text[it] != b'-') {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digits = (0..36).filter(|it| !UUID_HYPHENS.contains(it)).map(|it| digit(text[it]));
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(bytes)
}

impl fmt::Display for TradeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TradeId::None => Ok(()),
            TradeId::Number(n) => n.fmt(f),
            TradeId::Text(text) => f.write_str(text),
            TradeId::Uuid(bytes) => {
                let mut text = [b'-'; 36];
                let digits = (0..36).filter(|it| !UUID_HYPHENS.contains(it));
                let nibbles = bytes.iter().flat_map(|it| [it >> 4, it & 15]);
                for (at, nibble) in digits.zip(nibbles) {
                    text[at] = b"0123456789abcdef"[usize::from(nibble)];
                }
                f.write_str(str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_trade_id_prints_what_it_was_read_from(
            text in prop_oneof![
                "[0-9]{1,25}",
                "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
                "[0-9A-Fa-f-]{36}",
                ".{0,40}",
            ]
        ) {
            prop_assert_eq!(TradeId::parse(&text).to_string(), text);
        }
    }

    #[test]
    fn usual_trade_ids_need_no_allocation() {
        assert_eq!(TradeId::parse("5123456789"), TradeId::Number(5_123_456_789));
        let uuid = TradeId::parse("20f43950-d8dd-5b31-9112-a178eb6023af");
        assert!(matches!(uuid, TradeId::Uuid(_)), "{uuid:?}");
    }
}
