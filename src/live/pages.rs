//! What a browser is served. Pages hold no data, and so need no token.

use super::response::Response;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Path, media type, content; asked for anew each time, since they change with the program.
const PAGES: [(&str, &str, &[u8]); 14] = [
    ("/", HTML, include_bytes!("assets/index.html")),
    ("/assets/style.css", STYLE, include_bytes!("assets/style.css")),
    ("/assets/chart.css", STYLE, include_bytes!("assets/chart.css")),
    ("/assets/icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    ("/assets/access.js", SCRIPT, include_bytes!("assets/access.js")),
    ("/assets/app.js", SCRIPT, include_bytes!("assets/app.js")),
    ("/assets/chart.js", SCRIPT, include_bytes!("assets/chart.js")),
    ("/assets/format.js", SCRIPT, include_bytes!("assets/format.js")),
    ("/assets/health.js", SCRIPT, include_bytes!("assets/health.js")),
    ("/assets/screener.js", SCRIPT, include_bytes!("assets/screener.js")),
    ("/assets/series.js", SCRIPT, include_bytes!("assets/series.js")),
    ("/assets/socket.js", SCRIPT, include_bytes!("assets/socket.js")),
    ("/assets/symbol.js", SCRIPT, include_bytes!("assets/symbol.js")),
    ("/assets/table.js", SCRIPT, include_bytes!("assets/table.js")),
];

/// plotly.js, packed by the build script, which makes sure of the version in the name.
const LIBRARY: (&str, &[u8]) =
    ("/assets/plotly-3.js", include_bytes!(concat!(env!("OUT_DIR"), "/plotly.js.gz")));

/// The page at a path.
pub(super) fn page(path: &str) -> Option<Response> {
    if path == LIBRARY.0 {
        let library = Response::new(200, SCRIPT, LIBRARY.1).with("Content-Encoding", "gzip");
        return Some(library.with("Cache-Control", "public, max-age=2592000, immutable"));
    }
    let (_, kind, content) = PAGES.into_iter().find(|it| it.0 == path)?;
    Some(Response::new(200, kind, content).with("Cache-Control", "no-cache"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn all_that_the_page_loads_is_there() {
        let mut loaded = 0;
        for (_, kind, content) in PAGES {
            if kind == "image/svg+xml" {
                continue;
            }
            let text = std::str::from_utf8(content).expect("UTF-8");
            for stem in text.split(['"', '`']).filter_map(|it| it.strip_suffix(".js")) {
                let name = stem.trim_start_matches("./").trim_start_matches("assets/");
                assert!(page(&format!("/assets/{name}.js")).is_some(), "{name}");
                loaded += 1;
            }
        }
        assert!(10 < loaded, "{loaded}");
    }

    #[test]
    fn nothing_in_the_page_asks_for_what_the_policy_forbids() {
        for (path, _, content) in PAGES {
            let text = std::str::from_utf8(content).expect("UTF-8");
            for word in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "style=", "<script>"]
            {
                assert!(!text.contains(word), "{path} has {word}");
            }
            let foreign = text.split("://").count() - 1;
            let named = text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(foreign, named, "{path} loads from elsewhere");
        }
    }

    #[test]
    fn the_library_is_what_the_script_packed() {
        let mut text = String::new();
        flate2::read::GzDecoder::new(LIBRARY.1).read_to_string(&mut text).expect("gzip");
        assert!(text.contains("Licensed under the MIT license"), "its notice goes with it");
        assert!(!text.contains("</script>\n"), "nothing but the script");
    }
}
