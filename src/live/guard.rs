//! Who may ask.
//!
//! A page from anywhere runs in a browser that can reach this machine. What it may do is decided
//! by what browsers say of it: `Origin`, which names the page's host, and `Host`, which names the
//! one it believes to talk to. A host of its own that resolves to this machine is found out by the
//! latter.

use std::net::IpAddr;

use super::{
    request::Head,
    response::Response,
    settings::{Origin, Settings, Token, host_of},
};

/// Lets requests in or refuses them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard<'a> {
    token: Option<&'a Token>,
    origins: &'a [Origin],
}

impl<'a> Guard<'a> {
    /// A guard as configured.
    #[must_use]
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { token: settings.token.as_ref(), origins: &settings.origins }
    }

    /// Whether the request comes from somebody who may see anything at all.
    ///
    /// # Errors
    /// With the refusal.
    pub(super) fn check_origin(&self, head: &Head) -> Result<(), Response> {
        let host = head.field("host");
        match host {
            None if head.minor == 1 => {
                return Err(Response::refusal(400, "a request of HTTP/1.1 has a Host"));
            }
            // A token is a better proof than a name, and no page has it that should not.
            Some(host) if self.token.is_none() && !self.is_ours(host) => {
                let why = "this server is not known by that name: use localhost or an IP address, \
                           or add the name to origins in [live], as \"http://name\"";
                return Err(Response::refusal(403, why));
            }
            _ => {}
        }
        let Some(origin) = head.field("origin") else { return Ok(()) };
        let same = origin
            .split_once("://")
            .is_some_and(|(_, it)| host.is_some_and(|host| host.eq_ignore_ascii_case(it)));
        if same || self.is_listed(origin) {
            return Ok(());
        }
        let why = "pages of that origin may not use this server; add it to origins in [live]";
        Err(Response::refusal(403, why))
    }

    /// Whether the request shows the token, if there is one.
    ///
    /// # Errors
    /// With the refusal.
    pub(super) fn check_token(&self, head: &Head) -> Result<(), Response> {
        let Some(token) = self.token else { return Ok(()) };
        let bearer = head.field("authorization").and_then(|it| {
            let (scheme, token) = it.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        if bearer.or_else(|| head.parameter("token")).is_some_and(|it| token.is(it)) {
            return Ok(());
        }
        let why = "show the token of [live] as \"Authorization: Bearer ...\" or as ?token=...";
        Err(Response::refusal(401, why).with("WWW-Authenticate", "Bearer"))
    }

    /// The origin that a browser has to be told may read the answer: one of another host that is
    /// listed.
    #[must_use]
    pub(super) fn listed_origin<'h>(&self, head: &'h Head) -> Option<&'h str> {
        head.field("origin").filter(|it| self.is_listed(it))
    }

    fn is_listed(&self, origin: &str) -> bool {
        self.origins.iter().any(|it| it.text.eq_ignore_ascii_case(origin))
    }

    fn is_ours(&self, host: &str) -> bool {
        let Some(host) = host_of(host) else { return false };
        let host = host.to_ascii_lowercase();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok()
            || self.origins.iter().any(|it| it.host == host)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::request, *};

    fn head(fields: &str) -> Head {
        let text = format!("GET /ws?token=from-query HTTP/1.1\r\n{fields}\r\n");
        request::parse(text.as_bytes()).expect("a head").expect("a whole one")
    }

    fn guard<'a>(token: Option<&'a Token>, origins: &'a [Origin]) -> Guard<'a> {
        Guard { token, origins }
    }

    fn status(checked: Result<(), Response>) -> u16 {
        checked.map_or_else(|it| it.status, |()| 200)
    }

    #[test]
    fn a_page_of_another_host_is_refused_unless_it_is_listed() {
        let origins = ["https://dash.example.com".parse().expect("an origin")];
        let listed = guard(None, &origins);
        for (fields, expected) in [
            ("Host: 127.0.0.1:8080\r\n", 200),
            ("Host: localhost:8080\r\n", 200),
            ("Host: LOCALHOST\r\n", 200),
            ("Host: [::1]:8080\r\n", 200),
            ("Host: dash.example.com\r\n", 200),
            ("Host: evil.example.com:8080\r\n", 403),
            ("Host: localhost.evil.com\r\n", 403),
            ("Host: 127.0.0.1.evil.com\r\n", 403),
            ("Host: \r\n", 403),
            ("Host: a b\r\n", 403),
            ("", 400),
            ("Host: localhost:8080\r\nOrigin: http://localhost:8080\r\n", 200),
            ("Host: localhost:8080\r\nOrigin: https://dash.example.com\r\n", 200),
            ("Host: localhost:8080\r\nOrigin: https://DASH.example.com\r\n", 200),
            ("Host: localhost:8080\r\nOrigin: http://localhost:8081\r\n", 403),
            ("Host: localhost:8080\r\nOrigin: http://dash.example.com\r\n", 403),
            ("Host: localhost:8080\r\nOrigin: https://evil.example.com\r\n", 403),
            ("Host: localhost:8080\r\nOrigin: null\r\n", 403),
            ("Host: localhost:8080\r\nOrigin: \r\n", 403),
            ("Host: evil.com\r\nOrigin: http://evil.com\r\n", 403),
        ] {
            assert_eq!(status(listed.check_origin(&head(fields))), expected, "{fields:?}");
        }
        assert_eq!(listed.listed_origin(&head("Origin: http://localhost\r\n")), None);
    }

    #[test]
    fn with_a_token_the_name_does_not_matter_and_the_page_still_does() {
        let token = Token::new("secret").expect("visible");
        let guard = guard(Some(&token), &[]);
        assert_eq!(status(guard.check_origin(&head("Host: collector.lan\r\n"))), 200);
        let fields = "Host: collector.lan\r\nOrigin: http://evil.com\r\n";
        assert_eq!(status(guard.check_origin(&head(fields))), 403);
    }

    #[test]
    fn a_token_is_shown_in_the_head_or_in_the_address() {
        let token = Token::new("secret").expect("visible");
        let with_token = guard(Some(&token), &[]);
        for (fields, expected) in [
            ("", 401),
            ("Authorization: Bearer secret\r\n", 200),
            ("Authorization: bearer  secret\r\n", 200),
            ("Authorization: Basic secret\r\n", 401),
            ("Authorization: Bearer secre\r\n", 401),
            ("Authorization: Bearer\r\n", 401),
        ] {
            assert_eq!(status(with_token.check_token(&head(fields))), expected, "{fields:?}");
        }
        let token = Token::new("from-query").expect("visible");
        assert_eq!(status(guard(Some(&token), &[]).check_token(&head(""))), 200);
        assert_eq!(status(guard(None, &[]).check_token(&head(""))), 200);
    }
}
