//! Protocol buffers, read in place.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

use std::str::from_utf8;

use crate::exchange::DecodeError;

/// The fields of a message, in the order in which they were written.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// A number or a truth value.
    Varint(u64),
    /// A text, or a message.
    Bytes(&'a [u8]),
    /// Four or eight bytes, which nobody uses here.
    Fixed,
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    #[must_use]
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The number of the next field, and its value.
    ///
    /// # Errors
    /// When what is left is no field.
    pub fn read(&mut self) -> Result<Option<(u64, Field<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => self.take(8).map(|_| Field::Fixed)?,
            2 => {
                let len = self.varint()?;
                Field::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            5 => self.take(4).map(|_| Field::Fixed)?,
            _ => return Err(broken("a field of a type that is none")),
        };
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or_else(|| broken("a field cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (n, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * n);
            if *byte < 0x80 {
                self.0 = &self.0[n + 1..];
                return Ok(value);
            }
        }
        Err(broken("a number without an end"))
    }
}

impl<'a> Field<'a> {
    /// A text.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(self) -> Result<&'a str, DecodeError> {
        from_utf8(self.message()?).map_err(|err| DecodeError::Binary(err.to_string()))
    }

    /// What is in it.
    ///
    /// # Errors
    /// When it is a number.
    pub fn message(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Field::Bytes(it) => Ok(it),
            _ => Err(broken("a number where text or a message should be")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is none.
    pub fn int(self) -> Result<i64, DecodeError> {
        match self {
            Field::Varint(it) => Ok(it.cast_signed()),
            _ => Err(broken("something else where a number should be")),
        }
    }
}

fn broken(what: &str) -> DecodeError {
    DecodeError::Binary(what.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct Theirs {
        #[prost(string, tag = "1")]
        text: String,
        #[prost(int64, tag = "2")]
        number: i64,
        #[prost(fixed64, tag = "3")]
        eight: u64,
        #[prost(fixed32, tag = "400")]
        four: u32,
        #[prost(bytes, tag = "5")]
        bytes: Vec<u8>,
    }

    fn ours(message: &[u8]) -> Result<Vec<(u64, Field<'_>)>, DecodeError> {
        let mut fields = Fields::of(message);
        let mut all = Vec::new();
        while let Some(field) = fields.read()? {
            all.push(field);
        }
        Ok(all)
    }

    #[test]
    fn the_example_of_the_page_is_read() {
        assert_eq!(ours(&[0x08, 0x96, 0x01]).unwrap(), [(1, Field::Varint(150))]);
        assert_eq!(ours(b"\x12\x07testing").unwrap()[0].1.text().unwrap(), "testing");
    }

    #[test]
    fn what_is_no_message_is_an_error_that_says_why() {
        let says = |message: &[u8]| ours(message).unwrap_err().to_string();
        assert!(says(&[0x12, 7, b't']).contains("cut off"));
        assert!(says(&[0x80; 11]).contains("without an end"));
        assert!(says(&[0x0b]).contains("a type that is none"));
        assert!(
            says(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).contains("cut")
        );
        assert!(Field::Varint(1).text().is_err() && Field::Bytes(b"\xff").text().is_err());
        assert!(Field::Fixed.int().is_err());
    }

    proptest! {
        #[test]
        fn what_another_writes_is_read(
            (text, number, bytes) in (".+", any::<i64>(), prop::collection::vec(any::<u8>(), 1..300)),
            (eight, four) in (1_u64.., 1_u32..),
        ) {
            prop_assume!(number != 0);
            let theirs = Theirs { text: text.clone(), number, eight, four, bytes: bytes.clone() };
            let message = theirs.encode_to_vec();
            let all = ours(&message).unwrap();
            prop_assert_eq!(all.len(), 5);
            for (tag, field) in all {
                match tag {
                    1 => prop_assert_eq!(field.text().unwrap(), &text),
                    2 => prop_assert_eq!(field.int().unwrap(), number),
                    5 => prop_assert_eq!(field.message().unwrap(), &bytes),
                    _ => prop_assert_eq!(field, Field::Fixed),
                }
            }
        }

        #[test]
        fn nothing_breaks_it(bytes: Vec<u8>) {
            let all = ours(&bytes).unwrap_or_default();
            prop_assert!(all.len() <= bytes.len());
        }
    }
}
