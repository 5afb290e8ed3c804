//! UTC days, as people write them.

use std::{fmt, str::FromStr};

use arrow::datatypes::Date32Type;

use super::partition::day;
use crate::market::Nanos;

/// A UTC day, counted from the Unix epoch; `2026-11-23` in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(pub i32);

/// A text that is no date.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no date; a date is written 2026-11-23")]
pub struct InvalidDate(String);

impl From<Nanos> for Date {
    fn from(time: Nanos) -> Self {
        Date(time.day())
    }
}

impl FromStr for Date {
    type Err = InvalidDate;
    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        day(text).map(Date).ok_or_else(|| InvalidDate(text.to_owned()))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Date32Type::to_naive_date_opt(self.0) {
            Some(date) => f.pad(&date.to_string()),
            None => write!(f, "day {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_reads_back() {
        for (text, day) in [("1970-01-01", 0), ("2026-11-23", 20_780), ("1969-12-31", -1)] {
            assert_eq!(text.parse(), Ok(Date(day)));
            assert_eq!(Date(day).to_string(), text);
        }
        for text in
            ["", "today", "2026-11-31", "2026-1-1", "26-11-23", "2026-11-23T00", "+026-11-23"]
        {
            let error = text.parse::<Date>().expect_err(text).to_string();
            assert!(error.ends_with("a date is written 2026-11-23"), "{error}");
        }
    }
}
