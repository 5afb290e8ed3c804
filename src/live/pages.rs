//! What a browser is served. Pages hold no data, and so need no token.

use super::response::Response;

/// Path, media type, content.
const PAGES: [(&str, &str, &[u8]); 1] =
    [("/", "text/html; charset=utf-8", include_bytes!("assets/index.html"))];

/// The page at a path.
pub(super) fn page(path: &str) -> Option<Response> {
    let (_, kind, content) = PAGES.into_iter().find(|it| it.0 == path)?;
    Some(Response::new(200, kind, content).with("Cache-Control", "no-cache"))
}
