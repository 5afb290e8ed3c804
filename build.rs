//! Takes plotly.js out of the crate that carries it and packs it, so that the dashboard needs
//! neither a network nor a copy in the repository.

use std::{env, error::Error, fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use plotly::Plot;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let sources = Plot::offline_js_sources();
    let script = first_script(&sources).ok_or("no plotly.js in what the crate `plotly` embeds")?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(script.as_bytes())?;
    let path = Path::new(&env::var("OUT_DIR")?).join("plotly.js.gz");
    fs::write(path, gzip.finish()?)?;
    Ok(())
}

/// The text of the first script of a page's head, if it is plotly.js.
fn first_script(html: &str) -> Option<&str> {
    let (_, from) = html.split_once("<script type=\"text/javascript\">")?;
    // The script itself may say `</script>`, but no line of it ends with that.
    let (script, _) = from.split_once("</script>\n")?;
    script.starts_with("/**\n* plotly.js v3").then_some(script)
}
