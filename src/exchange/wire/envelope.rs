//! What several exchanges put their lists into: `{"code": ..., "msg": ..., "data": ...}`.

use serde::Deserialize;
use serde_json::{from_str, value::RawValue};

use super::{Id, Text, read};
use crate::exchange::DecodeError;

/// An answer with its code. A failure, too, may be one of HTTP status 200.
#[derive(Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    code: Id<'a>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// What is in `body`.
    ///
    /// # Errors
    /// It is refused unless its code is `ok` and there is data, which has to be of its type.
    pub fn open<T: Deserialize<'a>>(body: &'a str, ok: &str) -> Result<T, DecodeError> {
        let it: Self = from_str(body)?;
        match it.data {
            Some(data) if it.code.0 == ok => read(data),
            _ => Err(it.refused()),
        }
    }

    /// The same of an exchange that leaves out data when there is none.
    ///
    /// # Errors
    /// It is refused unless its code is `ok`.
    pub fn open_list<T: Deserialize<'a>>(body: &'a str, ok: &str) -> Result<Vec<T>, DecodeError> {
        let it: Self = from_str(body)?;
        if it.code.0 != ok {
            return Err(it.refused());
        }
        it.data.map_or_else(|| Ok(Vec::new()), read)
    }

    fn refused(self) -> DecodeError {
        let message = self.msg.unwrap_or_default().0.into_owned();
        DecodeError::Refused { code: self.code.0.into_owned(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(opened: Result<T, DecodeError>) -> (String, String) {
        match opened {
            Err(DecodeError::Refused { code, message }) => (code, message),
            _ => panic!("not refused"),
        }
    }

    #[test]
    fn a_code_is_text_or_a_number_and_decides() {
        for body in [r#"{"code":"0","data":[1,2]}"#, r#"{"code":0,"msg":"","data":[1,2]}"#] {
            assert_eq!(Envelope::open::<Vec<u8>>(body, "0").expect("data"), [1, 2]);
            assert_eq!(Envelope::open_list::<u8>(body, "0").expect("data"), [1, 2]);
            assert_eq!(refused(Envelope::open::<Vec<u8>>(body, "200000")).0, "0");
        }
        let body = r#"{"code":50011,"msg":"Too Many Requests","data":[]}"#;
        let expected = ("50011".to_owned(), "Too Many Requests".to_owned());
        assert_eq!(refused(Envelope::open::<Vec<u8>>(body, "0")), expected);
        assert_eq!(refused(Envelope::open_list::<u8>(body, "0")), expected);
    }

    #[test]
    fn without_data_a_list_is_empty_and_all_else_is_refused() {
        for body in [r#"{"code":"0"}"#, r#"{"code":"0","data":null}"#] {
            assert!(Envelope::open_list::<u8>(body, "0").expect("a list").is_empty());
            assert_eq!(refused(Envelope::open::<Vec<u8>>(body, "0")).0, "0");
        }
    }
}
