//! Protocol buffers, as much as the spot pushes need, written by hand.
//! <https://protobuf.dev/programming-guides/encoding/>

/// Wire types.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;

/// Appends a field that is a positive number. Zero is what a missing field says.
pub(super) fn number(out: &mut Vec<u8>, field: u64, n: u64) {
    if 0 < n {
        varint(out, field << 3 | VARINT);
        varint(out, n);
    }
}

/// Appends a field that is a string.
pub(super) fn text(out: &mut Vec<u8>, field: u64, text: &str) {
    varint(out, field << 3 | LENGTH);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a field, a string or a message, whose content `write` appends.
pub(super) fn nested(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    varint(out, field << 3 | LENGTH);
    let start = out.len();
    write(out);
    let end = out.len();
    varint(out, (end - start) as u64);
    let length = out.len() - end;
    out[start..].rotate_right(length);
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    loop {
        let [seven, ..] = (n & 0x7f).to_le_bytes();
        n >>= 7;
        if n == 0 {
            return out.push(seven);
        }
        out.push(seven | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        for (n, bytes) in [
            (1, &[0x30, 1][..]),
            (127, &[0x30, 127]),
            (150, &[0x30, 0x96, 1]),
            (u64::MAX, &[0x30, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut out = vec![];
            number(&mut out, 6, n);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn the_length_comes_first_however_long() {
        for (len, head) in [(0, vec![0xda, 0x13, 0]), (300, vec![0xda, 0x13, 0xac, 2])] {
            let mut out = vec![];
            nested(&mut out, 315, |out| out.resize(out.len() + len, 7));
            assert_eq!(out, [head, vec![7; len]].concat());
        }
    }
}
