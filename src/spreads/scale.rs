//! Symbols that count an asset by the thousand.
//!
//! Where the unit price of an asset is tiny, some exchanges list a multiple of it and say so in the
//! name of the base asset (`1000PEPE`, `1000000MOG`, `1MBABYDOGE`), while others list the asset
//! itself, or contracts of which the list gives the size. No list has a field for the multiple.

/// Fewer zeros are part of a name.
const ZEROS_MIN: usize = 3;
/// More zeros are no multiple that anybody lists.
const ZEROS_MAX: usize = 9;

/// The symbol of the asset itself, and how many units of it one unit of `symbol` is.
///
/// The identity guard finds out the names that only look like multiples.
pub(super) fn split(symbol: &str) -> (&str, f64) {
    let Some(rest) = symbol.strip_prefix('1') else { return (symbol, 1.0) };
    let unprefixed = rest.trim_start_matches('0');
    let zeros = rest.len() - unprefixed.len();
    if let Some(millions) = rest.strip_prefix('M')
        && is_base(millions)
    {
        return (millions, 1e6);
    }
    if (ZEROS_MIN..=ZEROS_MAX).contains(&zeros) && is_base(unprefixed) {
        return (unprefixed, 10_f64.powi(i32::try_from(zeros).expect("at most nine")));
    }
    (symbol, 1.0)
}

fn is_base(rest: &str) -> bool {
    rest.starts_with(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiple_is_a_power_of_ten_before_a_name() {
        for (symbol, asset, multiple) in [
            ("1000PEPE-USDT", "PEPE-USDT", 1e3),
            ("10000SATS-USDT", "SATS-USDT", 1e4),
            ("1000000MOG-USDT", "MOG-USDT", 1e6),
            ("1MBABYDOGE-USDT", "BABYDOGE-USDT", 1e6),
            ("BTC-USDT", "BTC-USDT", 1.0),
            ("1INCH-USDT", "1INCH-USDT", 1.0),
            ("100X-USDT", "100X-USDT", 1.0),
            ("1000-USDT", "1000-USDT", 1.0),
            ("1M-USDT", "1M-USDT", 1.0),
            ("2000ABC-USDT", "2000ABC-USDT", 1.0),
            ("", "", 1.0),
        ] {
            assert_eq!(split(symbol), (asset, multiple));
        }
    }
}
