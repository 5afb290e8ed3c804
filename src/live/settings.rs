//! How clients are served, as configured.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

/// How clients are served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Messages each client's queue holds; at least one.
    pub client_queue: usize,
    /// WebSocket clients at a time; at least one.
    pub max_clients: usize,
    /// How often a client has to show that it lives; not zero.
    pub ping_interval: Duration,
    /// Names in the subscriptions of one client, of each channel; at least one.
    pub max_subscriptions: usize,
    /// Requests of one client in a second; at least one.
    pub max_requests: u32,
    /// The size of a request, in bytes.
    pub max_request_bytes: usize,
    /// What clients have to show; `None` to let everybody in.
    pub token: Option<Token>,
    /// Pages of other hosts that may use the interface.
    pub origins: Vec<Origin>,
}

/// A secret that clients show. It does not appear in what is logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token of visible ASCII characters; `None` of anything else.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Whether `shown` is the token. How long that takes says nothing of where they differ.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), shown.as_bytes());
        let differing = ours.iter().zip(theirs).fold(0, |sum, (a, b)| sum | (a ^ b));
        ours.len() == theirs.len() && std::hint::black_box(differing) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Where a page comes from: scheme, host and, unless it is the scheme's own, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `https://host:8443`, in lower case.
    pub text: String,
    /// `host`
    pub host: String,
}

/// A text that is no [`Origin`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin such as \"https://host:8443\"")]
pub struct NoOrigin(String);

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let lower = text.to_ascii_lowercase();
        let authority = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://"));
        let host = authority.and_then(host_of).ok_or_else(|| NoOrigin(text.to_owned()))?.to_owned();
        Ok(Self { text: lower, host })
    }
}

/// The host of `host`, `host:port` or `[::1]:port`; `None` when it is none of these.
pub(super) fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        (host, rest.strip_prefix(':').or(rest.is_empty().then_some("0"))?)
    } else {
        authority.split_once(':').unwrap_or((authority, "0"))
    };
    let named = |it: char| it.is_ascii_alphanumeric() || "-._:".contains(it);
    let fits = !host.is_empty() && host.chars().all(named) && port.parse::<u16>().is_ok();
    fits.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_is_not_shown() {
        let token = Token::new("a+b/c=").expect("visible");
        assert!(token.is("a+b/c="));
        for wrong in ["", "a", "a+b/c", "a+b/c=d", "A+b/c=", "a+b/c\0"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
        assert!(!format!("{token:?}").contains("a+b"));
        assert!(Token::new("").is_none());
        assert!(Token::new("two words").is_none());
    }

    #[test]
    fn an_origin_has_a_scheme_and_a_host() {
        for (text, host) in [
            ("https://Dash.example.com", "dash.example.com"),
            ("http://10.0.0.1:8080", "10.0.0.1"),
            ("http://[::1]:80", "::1"),
            ("http://[::1]", "::1"),
        ] {
            assert_eq!(text.parse::<Origin>().expect(text).host, host);
        }
        for wrong in [
            "",
            "null",
            "*",
            "example.com",
            "ftp://a",
            "http://",
            "http://a/",
            "http://a:b",
            "http://a:1:2",
            "http://[::1",
            "http://[::1]x",
            "http://a b",
            "http://u@a",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
