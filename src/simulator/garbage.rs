//! Frames that are broken in the ways that frames are broken.

use fastrand::Rng;
use serde_json::Value;

/// A frame like this good one that nobody can take for good.
pub(super) fn broken(good: &[u8], rng: &mut Rng) -> Vec<u8> {
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
            for _ in 0..50 {
                broken(good, &mut rng);
            }
        }
    }
}
