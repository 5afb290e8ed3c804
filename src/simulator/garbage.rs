//! Frames that are broken in the ways that frames are broken.

use fastrand::Rng;
use serde_json::Value;

use super::{frame::Wire, gzip::Gzip};

/// A payload like this good one that nobody can take for good, and how it travels.
pub(super) fn broken(wire: Wire, good: &[u8], rng: &mut Rng) -> (Wire, Vec<u8>) {
    match wire {
        Wire::Text => (Wire::Text, broken_json(good, rng)),
        Wire::Binary => (Wire::Binary, broken_message(good, rng)),
        Wire::Gzip => match rng.u8(..6) {
            0 => (Wire::Binary, good.to_vec()),
            // The beginning of a member without a name or a time, and nothing of its content.
            1 => (Wire::Binary, vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]),
            _ => (Wire::Gzip, broken_json(good, rng)),
        },
    }
}

/// The payload of a good frame in an encoding that is not the venue's, and how it travels.
pub(super) fn wrongly_encoded(wire: Wire, good: &[u8], rng: &mut Rng) -> (Wire, Vec<u8>) {
    let cut = || {
        let mut member = Vec::new();
        Gzip::default().member(good, &mut member);
        member.truncate(member.len() / 2);
        (Wire::Binary, member)
    };
    // No continuation of anything: a text frame with it is against the protocol.
    let no_utf8 = || (Wire::Text, [good, &[0xff, 0xfe]].concat());
    match (wire, rng.u8(..4)) {
        (_, 0) => no_utf8(),
        (_, 1) => cut(),
        (Wire::Binary, _) => (Wire::Text, b"0a0b2f73706f74".to_vec()),
        (Wire::Gzip, 2) => (Wire::Text, good[..good.len() / 2].to_vec()),
        (Wire::Text | Wire::Gzip, _) => (Wire::Binary, good.to_vec()),
    }
}

fn broken_json(good: &[u8], rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..5) {
        0 => good[..good.len() / 2].to_vec(),
        1 => good.iter().map(|it| if it.is_ascii_digit() { b'x' } else { *it }).collect(),
        2 => [b"[", good, b"]"].concat(),
        3 => wrong_types(good),
        _ => rng
            .choice([&b"null"[..], b"{}", b"[]", b"\"\"", b"", b"not json", b"{\"data\":"])
            .unwrap_or_default()
            .to_vec(),
    }
}

/// A protocol buffer that ends too early, has a field of no wire type there is, or is none.
fn broken_message(good: &[u8], rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..3) {
        0 => good[..good.len().saturating_sub(1)].to_vec(),
        1 => [&[0x0f], good].concat(),
        _ => b"{\"data\":1}".to_vec(),
    }
}

/// The same JSON with booleans for numbers, whether these are spelled as strings or not.
fn wrong_types(good: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(good).unwrap_or_default();
    spoil(&mut value);
    value.to_string().into_bytes()
}

fn spoil(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(spoil),
        Value::Object(all) => all.values_mut().for_each(spoil),
        Value::Number(_) => *value = Value::Bool(true),
        Value::String(text) if text.parse::<f64>().is_ok() => *value = Value::Bool(false),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_booleans() {
        let broken = wrong_types(br#"{"s":"BTC","b":"1.5","u":7,"a":[["2","3"]]}"#);
        let expected = r#"{"a":[[false,false]],"b":false,"s":"BTC","u":true}"#;
        assert_eq!(String::from_utf8(broken).unwrap(), expected);
    }

    #[test]
    fn nothing_is_too_short_to_break() {
        let mut rng = Rng::with_seed(1);
        for good in [&b""[..], b"{", "é".as_bytes()] {
            for wire in [Wire::Text, Wire::Binary, Wire::Gzip] {
                for _ in 0..50 {
                    broken(wire, good, &mut rng);
                    wrongly_encoded(wire, good, &mut rng);
                }
            }
        }
    }
}
