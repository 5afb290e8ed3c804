//! The HTTP client of one venue: every wait and every body is bounded.

use std::{path::Path, time::Duration};

use ureq::{
    Agent, AsSendBody,
    http::{
        self, HeaderValue, Method, Request,
        header::{AUTHORIZATION, RETRY_AFTER},
    },
    tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
};

use super::socket::now;
use crate::exchange::{DecodeError, Quirks};

const RESOLVE_MAX: Duration = Duration::from_secs(3);
const CONNECT_MAX: Duration = Duration::from_secs(3);
const ANSWER_MAX: Duration = Duration::from_secs(10);
const BODY_MAX: Duration = Duration::from_mins(1);
/// The largest list there is, Binance's with all filters, is about 20 MiB.
const BODY_BYTES_MAX: u64 = 128 << 20;
/// What a collector says of itself is some 100 KiB.
const PAGE_BYTES_MAX: u64 = 16 << 20;
/// A venue that says it does not serve us is asked again this late. It is also the longest that a
/// venue can have us wait.
const REFUSED_WAIT: Duration = Duration::from_mins(10);
/// A venue that says we ask too often, and not for how long to stop, is asked again this late.
const EASE_WAIT: Duration = Duration::from_secs(5);

/// The least time to wait after an answer of `status`, whatever the backoff says, which may be no time
/// at all.
pub(super) fn wait_after(status: u16, retry_after: Option<Duration>) -> Duration {
    match (status, retry_after) {
        (403 | 451, _) => REFUSED_WAIT,
        (_, Some(wait)) => wait.min(REFUSED_WAIT),
        (418 | 429, None) => EASE_WAIT,
        _ => Duration::ZERO,
    }
}

/// What a status says of us, to be put after it.
pub(super) fn meaning(status: u16) -> &'static str {
    match status {
        403 | 451 => " (it does not serve us from here)",
        418 | 429 => " (we ask too often)",
        _ => "",
    }
}

/// Why there is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No answer.
    #[error("failed to get {url}: {cause}")]
    Call {
        /// What was asked for.
        url: String,
        /// What went wrong.
        cause: Box<ureq::Error>,
    },
    /// An answer that is another than was asked for.
    #[error("{url} answered HTTP {status}{}: {body}", meaning(*status))]
    Status {
        /// What was asked for.
        url: String,
        /// 403 and 451: it does not serve us; 418 and 429: we ask too often.
        status: u16,
        /// How long it wants us to wait.
        retry_after: Option<Duration>,
        /// The beginning of what it said.
        body: String,
    },
    /// An answer that cannot be read.
    #[error("failed to read the answer of {url}: {cause}")]
    Decode {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        cause: DecodeError,
    },
}

impl HttpError {
    /// The least time to wait before trying again, whatever the backoff says.
    pub(super) fn at_least(&self) -> Duration {
        match self {
            HttpError::Status { status, retry_after, .. } => wait_after(*status, *retry_after),
            _ => Duration::ZERO,
        }
    }
}

/// The beginning of what a peer says, on one line.
fn beginning(body: &str) -> String {
    const SHOWN: usize = 200;
    let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|it| !it.is_control()).take(SHOWN).collect()
}

/// A root certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}: no certificate in PEM form")]
pub struct CertificateError(String);

/// An HTTP client. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    headers: &'static [(&'static str, &'static str)],
    timestamp: bool,
}

impl Client {
    /// A client for a venue of these `quirks` that trusts what the system trusts, and `root` (PEM,
    /// read from `path`).
    ///
    /// # Errors
    /// When `root` holds no certificate.
    pub fn new(quirks: &Quirks, root: Option<(&Path, &[u8])>) -> Result<Self, CertificateError> {
        let roots = match root {
            None => RootCerts::PlatformVerifier,
            Some((path, pem)) => {
                let ours = certificates(pem);
                if ours.is_empty() {
                    return Err(CertificateError(path.display().to_string()));
                }
                let system = openssl_probe::probe().cert_file.and_then(|it| std::fs::read(it).ok());
                let system = system.as_deref().map(certificates).unwrap_or_default();
                RootCerts::from(ours.into_iter().chain(system))
            }
        };
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
        let config = Agent::config_builder()
            // It makes the client resolve names on a thread that nobody joins: the system gives no
            // deadline for it, and a stop is not to wait for that.
            .timeout_resolve(Some(RESOLVE_MAX))
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_recv_response(Some(ANSWER_MAX))
            .timeout_recv_body(Some(BODY_MAX))
            // Calls are minutes apart: the venue has closed an idle connection long before it could
            // be of use, and its socket would stay until then.
            .max_idle_connections(0)
            .http_status_as_error(false)
            .user_agent(concat!("spread-aggregator/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        let agent = Agent::new_with_config(config);
        Ok(Self { agent, headers: quirks.headers, timestamp: quirks.timestamp })
    }

    /// Ends all calls, those under way too, with an error.
    pub fn shutdown(&self) {
        self.agent.clone().shutdown();
    }

    /// Gets a page of a collector: its status, whatever it is, and its text. `token`, if any, is
    /// shown as a bearer's.
    ///
    /// # Errors
    /// When there is no answer, or none that is text.
    pub fn page(&self, url: &str, token: Option<&str>) -> Result<(u16, String), HttpError> {
        let failed = |cause| HttpError::Call { url: url.to_owned(), cause: Box::new(cause) };
        let mut request = self.request(Method::GET, url, ()).map_err(|it| failed(it.into()))?;
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let value = value.map_err(|it| failed(http::Error::from(it).into()))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let mut answer = self.agent.run(request).map_err(failed)?;
        let body = answer.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_string();
        Ok((answer.status().as_u16(), body.map_err(failed)?))
    }

    /// Gets `url` and has the answer read.
    pub(super) fn get<T>(
        &self,
        url: &str,
        read: impl FnOnce(&str) -> Result<T, DecodeError>,
    ) -> Result<T, HttpError> {
        self.call(Method::GET, url, (), read)
    }

    /// Posts nothing to `url` and has the answer read.
    pub(super) fn post<T>(
        &self,
        url: &str,
        read: impl FnOnce(&str) -> Result<T, DecodeError>,
    ) -> Result<T, HttpError> {
        self.call(Method::POST, url, "", read)
    }

    fn call<T>(
        &self,
        method: Method,
        url: &str,
        body: impl AsSendBody,
        read: impl FnOnce(&str) -> Result<T, DecodeError>,
    ) -> Result<T, HttpError> {
        let failed = |cause| HttpError::Call { url: url.to_owned(), cause: Box::new(cause) };
        let request = self.request(method, url, body).map_err(|it| failed(it.into()))?;
        let mut answer = self.agent.run(request).map_err(failed)?;
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|it| it.to_str().ok()?.parse().ok());
        let body = answer.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_string();
        if !status.is_success() {
            return Err(HttpError::Status {
                url: url.to_owned(),
                status: status.as_u16(),
                retry_after: retry_after.map(Duration::from_secs),
                body: beginning(&body.unwrap_or_default()),
            });
        }
        read(&body.map_err(failed)?)
            .map_err(|cause| HttpError::Decode { url: url.to_owned(), cause })
    }

    fn request<B>(&self, method: Method, url: &str, body: B) -> Result<Request<B>, http::Error> {
        let time = now().0 / 1_000_000;
        let uri = match url.contains('?') {
            _ if !self.timestamp => url.to_owned(),
            false => format!("{url}?timestamp={time}"),
            true => format!("{url}&timestamp={time}"),
        };
        let request = Request::builder().method(method).uri(uri);
        self.headers.iter().fold(request, |it, &(name, value)| it.header(name, value)).body(body)
    }
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let certificate = |it| match it {
        Ok(PemItem::Certificate(it)) => Some(it),
        _ => None,
    };
    parse_pem(pem).filter_map(certificate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_of_an_error_is_shown_on_one_line() {
        assert_eq!(
            beginning("<html>\n  <p>no\u{1b}[31m\r\nsuch page"),
            "<html> <p>no[31m such page"
        );
        assert_eq!(beginning(&"ä".repeat(1000)).chars().count(), 200);
    }

    #[test]
    fn a_refusal_is_waited_out_for_as_long_as_it_asks_for() {
        let seconds = |status, retry_after: Option<u64>| {
            wait_after(status, retry_after.map(Duration::from_secs)).as_secs()
        };
        assert_eq!(seconds(429, Some(30)), 30);
        assert_eq!(seconds(418, Some(259_200)), 600, "a bound on what a venue can ask for");
        assert_eq!(seconds(429, None), 5);
        assert_eq!(seconds(503, Some(7)), 7);
        assert_eq!(seconds(503, None), 0, "the backoff decides");
        assert_eq!([403, 451].map(|it| seconds(it, Some(1))), [600, 600]);
    }
}
