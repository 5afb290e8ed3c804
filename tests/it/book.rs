//! docs/ as a book: every page is in its summary, and no link leads nowhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pages(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    entries.filter(|it| it.extension().is_some_and(|it| it == "md")).collect()
}

/// The text without what is fenced.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect()
}

/// What a page links to, without addresses elsewhere.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).filter_map(|it| it.split_once(')'));
    let targets = targets.map(|(it, _)| it.to_owned());
    targets.filter(|it| !it.contains("://")).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|it| it.starts_with('#'));
    let anchor = |it: &str| -> String {
        let words = it.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|it| it.is_alphanumeric() || "-_".contains(*it)).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn the_summary_names_every_page_once() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let named: Vec<_> = links(&summary).iter().map(|it| docs.join(it)).collect();
    let mut there = pages(&docs);
    there.remove(&docs.join("SUMMARY.md"));
    assert_eq!(named.iter().cloned().collect::<BTreeSet<_>>(), there);
    assert_eq!(named.len(), there.len());
}

#[test]
fn no_link_leads_nowhere() {
    let mut seen = 0;
    let docs = root().join("docs");
    let folders = [root(), docs.clone(), root().join("examples")];
    for page in folders.iter().flat_map(|it| pages(it)) {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let shown = page.display();
            // The book holds nothing but docs/.
            let inside = !page.starts_with(&docs) || !file.starts_with("../");
            assert!(inside, "{shown} links to {link}, which the book does not hold");
            let target = page.parent().unwrap().join(file);
            let target = if file.is_empty() { page.clone() } else { target };
            assert!(target.exists(), "{shown} links to {link}");
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{shown} links to {link}: {there:?}");
            }
            seen += 1;
        }
    }
    assert!(20 < seen, "only {seen} links were seen");
}
