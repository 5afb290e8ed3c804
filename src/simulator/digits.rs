//! Decimal text without allocation: `core::fmt` would be most of the cost of a data frame.

/// The largest number of decimal places there is.
pub(super) const PLACES_MAX: u32 = 12;

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Appends `n`.
pub(super) fn integer(out: &mut Vec<u8>, n: u64) {
    digits(out, n, 1);
}

/// Appends `mantissa` × 10^-`places` with exactly `places` decimals.
pub(super) fn fixed(out: &mut Vec<u8>, mantissa: u64, places: u32) {
    let scale = 10_u64.pow(places.min(PLACES_MAX));
    digits(out, mantissa / scale, 1);
    if 0 < places {
        out.push(b'.');
        digits(out, mantissa % scale, places.min(PLACES_MAX) as usize);
    }
}

/// Like [`fixed`], with zeros up to `width` decimals.
pub(super) fn padded(out: &mut Vec<u8>, mantissa: u64, places: u32, width: u32) {
    fixed(out, mantissa, places);
    if places == 0 && 0 < width {
        out.push(b'.');
    }
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(places) as usize));
}

/// Like [`fixed`], without zeros at the end.
pub(super) fn trimmed(out: &mut Vec<u8>, mantissa: u64, places: u32) {
    fixed(out, mantissa, places);
    if 0 < places {
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
    }
}

/// Appends 16 lower-case hexadecimal digits.
pub(super) fn hex(out: &mut Vec<u8>, n: u64) {
    for shift in (0..64).step_by(4).rev() {
        out.push(b"0123456789abcdef"[(n >> shift & 15) as usize]);
    }
}

/// Appends 128 bits as a UUID.
pub(super) fn uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    let start = out.len();
    hex(out, high);
    hex(out, low);
    let mut text = [b'-'; 36];
    for (digits, at) in [(0..8, 0), (8..12, 9), (12..16, 14), (16..20, 19), (20..32, 24)] {
        text[at..at + digits.len()].copy_from_slice(&out[start..][digits]);
    }
    out.truncate(start);
    out.extend_from_slice(&text);
}

/// Writes a payload piece by piece.
pub(super) trait Pen {
    fn put(&mut self, text: &str) -> &mut Self;
    fn int(&mut self, n: u64) -> &mut Self;
    /// See [`fixed`].
    fn fixed(&mut self, mantissa: u64, places: u32) -> &mut Self;
    /// See [`trimmed`].
    fn trimmed(&mut self, mantissa: u64, places: u32) -> &mut Self;
}

impl Pen for Vec<u8> {
    fn put(&mut self, text: &str) -> &mut Self {
        self.extend_from_slice(text.as_bytes());
        self
    }

    fn int(&mut self, n: u64) -> &mut Self {
        integer(self, n);
        self
    }

    fn fixed(&mut self, mantissa: u64, places: u32) -> &mut Self {
        fixed(self, mantissa, places);
        self
    }

    fn trimmed(&mut self, mantissa: u64, places: u32) -> &mut Self {
        trimmed(self, mantissa, places);
        self
    }
}

/// Appends `n` with at least `width` digits.
fn digits(out: &mut Vec<u8>, n: u64, width: usize) {
    let mut text = [b'0'; 20];
    let (mut at, mut rest) = (text.len(), n);
    while 10 <= rest {
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if 0 < rest {
        at -= 1;
        text[at] = PAIRS[(rest % 10) as usize * 2 + 1];
    }
    out.extend_from_slice(&text[at.min(text.len() - width)..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_uuid_has_its_hyphens() {
        let uuid = text(|out| uuid(out, 0x20f4_3950_d8dd_5b31, 0x9112_a178_eb60_23af));
        assert_eq!(uuid, "20f43950-d8dd-5b31-9112-a178eb6023af");
    }

    proptest! {
        #[test]
        fn an_integer_reads_back(n: u64) {
            prop_assert_eq!(text(|out| integer(out, n)), n.to_string());
            prop_assert_eq!(text(|out| hex(out, n)), format!("{n:016x}"));
        }

        #[test]
        fn a_decimal_is_what_fmt_makes_of_it(n in 0..10_000_000_u32, places in 0..9_u32) {
            let value = f64::from(n) / 10_f64.powi(places.cast_signed());
            let want = format!("{value:.*}", places as usize);
            prop_assert_eq!(text(|out| fixed(out, n.into(), places)), want);
            let padded = text(|out| padded(out, n.into(), places, 8));
            prop_assert_eq!(padded, format!("{value:.8}"));
            let trimmed = text(|out| trimmed(out, n.into(), places));
            prop_assert_eq!(trimmed, format!("{value}"));
        }
    }
}
