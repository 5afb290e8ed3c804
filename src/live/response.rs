//! HTTP answers.

use std::borrow::Cow;

use serde_json::json;

/// What no page may do, whoever wrote into it: nothing is loaded from elsewhere, nothing that is
/// written into the page runs, and no other page shows it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri \
                      'none'; form-action 'none'; frame-ancestors 'none'";

/// On every answer. The address of a page may hold a token, and so is told to nobody.
const FIELDS: [(&str, &str); 7] = [
    ("Content-Security-Policy", POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Connection", "close"),
];

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    kind: &'static str,
    body: Cow<'static, [u8]>,
    fields: Vec<(&'static str, String)>,
}

impl Response {
    /// An answer with a body of a media type.
    pub(super) fn new(
        status: u16,
        kind: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        Self { status, kind, body: body.into(), fields: Vec::new() }
    }

    /// An answer in JSON.
    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        let body = body.to_string().into_bytes();
        Self::new(status, "application/json", body).with("Cache-Control", "no-store")
    }

    /// A refusal that says what would be right.
    pub(super) fn refusal(status: u16, why: &str) -> Self {
        Self::json(status, &json!({ "error": why, "status": status }))
    }

    /// The same with one more header field.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The same, as a success.
    pub(super) fn into_success(self) -> Self {
        Self { status: 200, ..self }
    }

    /// As it goes over the wire; an answer to HEAD has no body.
    pub(super) fn to_bytes(&self, with_body: bool) -> Vec<u8> {
        let (status, reason) = (self.status, reason(self.status));
        let mut head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            self.kind,
            self.body.len()
        );
        let own = self.fields.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in FIELDS.into_iter().chain(own) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !self.fields.iter().any(|it| it.0 == "Access-Control-Allow-Origin") {
            head += "Cross-Origin-Resource-Policy: same-origin\r\n";
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    }
}
