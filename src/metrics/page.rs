//! The Prometheus text format, version 0.0.4.

use prometheus_client::{encoding::text, registry::Registry};

pub(super) fn page(registry: &Registry) -> String {
    let mut page = String::new();
    text::encode_registry(&mut page, registry).expect("writing to a String does not fail");
    without_families(&page)
}

/// Gives a page of the other text format, which types a counter by the name of its family, the
/// names of samples.
fn without_families(page: &str) -> String {
    let mut plain = String::with_capacity(page.len() + 1024);
    let mut help = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|it| it.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                plain.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            plain.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else {
            plain += line;
            plain.push('\n');
        }
    }
    plain
}
