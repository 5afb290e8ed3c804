//! What the wire says: small readers that share nothing with the program.

use std::io::Read;

use serde_json::{Value, json};

/// The content of one gzip member, and nothing after it.
pub(super) fn gunzip(member: &[u8]) -> Option<String> {
    let mut reader = flate2::bufread::GzDecoder::new(member);
    let mut text = String::new();
    reader.read_to_string(&mut text).ok()?;
    assert!(reader.into_inner().is_empty(), "something follows the member");
    Some(text)
}

/// A message of protocol buffers, field by field.
struct Fields<'a>(&'a [u8]);

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            n |= u64::from(first & 0x7f) << shift;
            if *first < 0x80 {
                return Some(n);
            }
        }
        None
    }

    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(len)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    /// All fields as an object from their numbers; repeated ones as the last.
    fn object(mut self, nested: &[u64]) -> Option<Value> {
        let mut it = json!({});
        while !self.0.is_empty() {
            let (number, field) = self.next()?;
            it[number.to_string()] = match field {
                Field::Number(n) => n.into(),
                Field::Bytes(bytes) if nested.contains(&number) => {
                    let mut all = it[number.to_string()].as_array().cloned().unwrap_or_default();
                    let inner: &[u64] = if number == 314 { &[1] } else { &[] };
                    all.push(Fields(bytes).object(inner)?);
                    all.into()
                }
                Field::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.into(),
            };
        }
        Some(it)
    }
}

/// A `PushDataV3ApiWrapper` with its fields under their numbers; `None` when it is none.
pub(super) fn wrapper(bytes: &[u8]) -> Option<Value> {
    Fields(bytes).object(&[314, 315]).filter(|it| it["1"].is_string())
}

#[test]
fn the_example_of_the_page_is_read() {
    let hex = "0a2f73706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d7340425443555344541a074254435553445430fc8e809fef33d2138f010a470a0836323338332e35371207302e3030313231180120b88e809fef332a2936393831363535343935363933393637333658305f36393831363535343935363933393637333758300a1b0a0836323338332e35361206302e30313435180220e68e809fef33122773706f74407075626c69632e61676772652e6465616c732e76332e6170692e7062403130306d73";
    let bytes: Vec<_> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let it = wrapper(&bytes).unwrap();
    let deals = &it["314"][0]["1"];
    assert_eq!((&deals[0]["1"], &deals[1]["2"]), (&json!("62383.57"), &json!("0.0145")));
    assert_eq!((&deals[1]["3"], &it["6"]), (&json!(2), &json!(1_782_208_006_012_u64)));
    assert_eq!(wrapper(&bytes[..bytes.len() - 1]), None);
}
