//! The head of an HTTP request, read from bytes and nothing else.

/// The longest head; a browser with many cookies sends 8 KiB.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// The most header fields.
const FIELDS_MAX: usize = 64;

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// In upper case, for those there are.
    pub method: String,
    /// 0 or 1, of HTTP/1.
    pub minor: u8,
    /// From the first slash to the query, decoded.
    pub path: String,
    /// The query's parameters, decoded.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    /// How many bytes it took.
    pub len: usize,
}

/// Why bytes are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// It is no HTTP/1.
    Malformed,
    /// It is longer than [`HEAD_BYTES_MAX`], or has too many fields.
    TooLarge,
}

/// Reads the head at the start of `bytes`; `None` when its end is not among them.
///
/// # Errors
/// When it can be no head, whatever follows.
pub fn parse(bytes: &[u8]) -> Result<Option<Head>, BadHead> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => len,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLarge),
        Err(_) => return Err(BadHead::Malformed),
    };
    let target = request.path.ok_or(BadHead::Malformed)?;
    let (path, query) = split(target).ok_or(BadHead::Malformed)?;
    let text = |it: &[u8]| String::from_utf8_lossy(it).trim().to_owned();
    let head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        minor: request.version.unwrap_or_default(),
        path,
        query,
        fields: request
            .headers
            .iter()
            .map(|it| (it.name.to_ascii_lowercase(), text(it.value)))
            .collect(),
        len,
    };
    // Whoever is in between may have read another than we do.
    let once = ["host", "origin", "authorization", "sec-websocket-key"];
    if once.iter().any(|name| 1 < head.fields.iter().filter(|it| it.0 == *name).count()) {
        return Err(BadHead::Malformed);
    }
    Ok(Some(head))
}

impl Head {
    /// A header field by its name in lower case: the first of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// Whether a field that is a list, once or more often there, has `token` in it, in any case.
    #[must_use]
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let fields = self.fields.iter().filter(|it| it.0 == name);
        let mut tokens = fields.flat_map(|it| it.1.split(','));
        tokens.any(|it| it.trim().eq_ignore_ascii_case(token))
    }

    /// A parameter of the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }
}

/// Path and query of a target, which may be a whole address.
fn split(target: &str) -> Option<(String, Vec<(String, String)>)> {
    let target = match target.split_once("://") {
        Some(("http" | "https", rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    if !target.starts_with('/') {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|it| !it.is_empty());
    let pairs = pairs.map(|it| it.split_once('=').unwrap_or((it, "")));
    let pairs = pairs.map(|(name, value)| Some((decode(name)?, decode(value)?)));
    Some((decode(path)?, pairs.collect::<Option<_>>()?))
}

/// Undoes percent encoding. A plus is a plus: nothing here has spaces in it, and tokens may have
/// pluses.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> Head {
        parse(text.as_bytes()).expect("a head").expect("a whole one")
    }

    #[test]
    fn a_head_is_taken_apart() {
        let text = "GET /api/v1/quotes?symbol=BTC-USDT&x=%26+%3d&y HTTP/1.1\r\nHost: a:1\r\n\
                    CONNECTION: keep-alive, Upgrade\r\n\r\nrest";
        let head = head(text);
        assert_eq!((head.method.as_str(), head.minor), ("GET", 1));
        assert_eq!(head.path, "/api/v1/quotes");
        assert_eq!(head.parameter("symbol"), Some("BTC-USDT"));
        assert_eq!(head.parameter("x"), Some("&+="));
        assert_eq!(head.parameter("y"), Some(""));
        assert_eq!(head.parameter("z"), None);
        assert_eq!(head.field("host"), Some("a:1"));
        assert!(head.lists("connection", "upgrade"));
        assert!(!head.lists("connection", "close"));
        assert_eq!(&text[head.len..], "rest");
    }

    #[test]
    fn a_whole_address_is_a_target_too() {
        assert_eq!(head("GET http://a:1/b?c=d HTTP/1.1\r\n\r\n").path, "/b");
        assert_eq!(head("GET http://a HTTP/1.1\r\n\r\n").path, "/");
    }

    #[test]
    fn what_is_no_head_is_told_from_what_is_none_yet() {
        for (text, expected) in [
            ("", Ok(None)),
            ("GE", Ok(None)),
            ("GET / HTTP/1.1\r\nHost: a\r\n", Ok(None)),
            ("\u{16}\u{3}\u{1}", Err(BadHead::Malformed)),
            ("GET /\r\n\r\n", Err(BadHead::Malformed)),
            ("GET / HTTP/2.0\r\n\r\n", Err(BadHead::Malformed)),
            ("GET * HTTP/1.1\r\n\r\n", Err(BadHead::Malformed)),
            ("GET a HTTP/1.1\r\n\r\n", Err(BadHead::Malformed)),
            ("GET /%zz HTTP/1.1\r\n\r\n", Err(BadHead::Malformed)),
            ("GET /%f HTTP/1.1\r\n\r\n", Err(BadHead::Malformed)),
            ("GET /%ff HTTP/1.1\r\n\r\n", Err(BadHead::Malformed)),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Err(BadHead::Malformed)),
            ("GET / HTTP/1.1\r\nHo st: a\r\n\r\n", Err(BadHead::Malformed)),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS_MAX + 1));
        assert_eq!(parse(many.as_bytes()), Err(BadHead::TooLarge));
        let long = format!("GET /{}", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(parse(long.as_bytes()), Err(BadHead::TooLarge));
        let long = format!("{long} HTTP/1.1\r\n\r\n");
        assert_eq!(parse(long.as_bytes()), Err(BadHead::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_target_panics(target in "\\PC{0,60}", value in "\\PC{0,20}") {
            let text = format!("GET /{target} HTTP/1.1\r\nHost: {value}\r\n\r\n");
            let _ = parse(text.as_bytes());
        }
    }
}
