//! Where a connection goes.

use super::http::{Client, HttpError};
use crate::exchange::Address;

/// An address of a venue, with what the configuration puts in place of the venue's own hosts.
#[derive(Clone, Debug)]
pub struct Target {
    address: Address,
    rest_base: String,
    ws_base: Option<String>,
}

impl Target {
    /// `rest_base` stands for scheme and host of the venue's HTTP interface, and `ws_base`, when
    /// there is one, for those of its WebSocket addresses.
    #[must_use]
    pub fn new(address: Address, rest_base: &str, ws_base: Option<&str>) -> Self {
        Self { address, rest_base: rest_base.to_owned(), ws_base: ws_base.map(str::to_owned) }
    }

    /// The URL to connect to now; `unique` tells our connections apart.
    ///
    /// # Errors
    /// When the venue does not hand one out.
    pub(super) fn url(&self, http: &Client, unique: u32) -> Result<String, HttpError> {
        match self.address {
            Address::Fixed(url) => Ok(self.rebased(url)),
            Address::Fetched { post, read } => {
                let post = format!("{}{post}", self.rest_base);
                Ok(self.rebased(&http.post(&post, |it| read(it, unique))?))
            }
        }
    }

    /// A URL of the venue, path and query kept, with our scheme, host and start of the path.
    fn rebased(&self, url: &str) -> String {
        let Some(base) = &self.ws_base else { return url.to_owned() };
        let after_scheme = url.find("://").map_or(0, |it| it + 3);
        let path = url[after_scheme..].find(['/', '?']).map_or("", |it| &url[after_scheme + it..]);
        format!("{}{path}", base.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::exchange::{DecodeError, Quirks};

    /// Answers one request with `answer` and returns what was asked.
    fn serve(listener: &TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap().to_ascii_lowercase()
    }

    #[test]
    fn an_address_is_asked_for_anew_and_a_refusal_says_how_long_to_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/venue", listener.local_addr().unwrap());
        let read = |body: &str, unique| match body.strip_prefix("to ") {
            Some(url) => Ok(format!("{url}?token=x&id={unique}")),
            None => Err(DecodeError::Value("no address")),
        };
        let address = Address::Fetched { post: "/token", read };
        let target = Target::new(address, &base, Some("ws://127.0.0.1:1/venue"));
        let quirks = Quirks { headers: &[("x-size", "1")], timestamp: true, ..Quirks::NONE };
        let http = Client::new(&quirks, None).unwrap();
        let ask = |unique, answer: &'static str| {
            thread::scope(|scope| {
                let request = scope.spawn(|| serve(&listener, answer));
                (target.url(&http, unique), request.join().unwrap())
            })
        };

        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\nto wss://x/";
        for unique in [1, 2] {
            let (url, request) = ask(unique, ok);
            assert_eq!(url.unwrap(), format!("ws://127.0.0.1:1/venue/?token=x&id={unique}"));
            assert!(request.starts_with("post /venue/token?timestamp="), "{request}");
            assert!(request.contains("x-size: 1\r\n"), "{request}");
            assert!(request.contains("content-length: 0\r\n"), "{request}");
        }
        let (err, _) = ask(3, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert!(err.unwrap_err().to_string().contains("no address"));
        let late =
            "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (err, _) = ask(4, late);
        assert_eq!(err.unwrap_err().at_least().as_secs(), 7);
    }

    #[test]
    fn an_override_keeps_the_path_and_the_query() {
        let rebased = |url, base| {
            let address = Address::Fixed("wss://unused");
            Target::new(address, "http://unused", base).rebased(url)
        };
        let published = "wss://fstream.binance.com/public/stream";
        assert_eq!(rebased(published, None), published);
        for base in ["ws://127.0.0.1:9001/binance-perp", "ws://127.0.0.1:9001/binance-perp/"] {
            let ours = "ws://127.0.0.1:9001/binance-perp/public/stream";
            assert_eq!(rebased(published, Some(base)), ours);
        }
        let handed_out = "wss://ws-api-spot.kucoin.com/?token=a/b==&connectId=7";
        let ours = "ws://127.0.0.1:9001/?token=a/b==&connectId=7";
        assert_eq!(rebased(handed_out, Some("ws://127.0.0.1:9001")), ours);
        let without_path = "wss://ws-api-spot.kucoin.com?token=a/b";
        assert_eq!(rebased(without_path, Some("ws://x/y")), "ws://x/y?token=a/b");
        assert_eq!(rebased("wss://ws-api-spot.kucoin.com", Some("ws://x/y")), "ws://x/y");
    }
}
