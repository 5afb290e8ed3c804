//! What the configuration accepts, `config.toml` shows and `docs/configuration.md` lists is the same.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use spread_aggregator::config::parse;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
const SHIPPED: &str = include_str!("../../config.toml");
/// The least that is valid.
const LEAST: &str = "[[exchange]]\nname = \"okx\"\n";

/// One key of the shipped configuration.
struct Key {
    section: String,
    name: String,
    value: String,
    is_shown_only: bool,
    what: String,
}

/// A section as its head is written, with what is said above it.
struct Section {
    head: String,
    what: String,
}

/// Reads `config.toml` as far as the end of the first `[[exchange]]`.
fn shipped() -> (Vec<Section>, Vec<Key>) {
    let (mut sections, mut keys): (Vec<Section>, Vec<Key>) = (Vec::new(), Vec::new());
    let mut said = String::new();
    for line in SHIPPED.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let name = bare.split(" = ").next().unwrap();
        let is_key = bare.contains(" = ")
            && name.chars().all(|it| it.is_ascii_lowercase() || it == '_')
            && !sections.is_empty();
        if line.starts_with('[') {
            if sections.iter().any(|it| it.head == line) {
                break;
            }
            let what = std::mem::take(&mut said).trim().to_owned();
            sections.push(Section { head: line.to_owned(), what });
        } else if is_key {
            let rest = &bare[name.len() + 3..];
            let (value, beside) = rest.split_once(" #").unwrap_or((rest, ""));
            let above = std::mem::take(&mut said).trim().to_owned();
            let section = sections.last().unwrap().head.clone();
            let before = keys.last().filter(|it| it.section == section);
            let what = match (above.is_empty(), beside.is_empty()) {
                (true, true) => before.map(|it| it.what.clone()).unwrap_or_default(),
                _ => format!("{above} {}", beside.trim()).trim().to_owned(),
            };
            keys.push(Key {
                section,
                name: name.to_owned(),
                value: value.trim().to_owned(),
                is_shown_only: line.starts_with('#'),
                what,
            });
        } else if let Some(comment) = line.strip_prefix('#') {
            said.push(' ');
            said.push_str(comment.trim());
        } else {
            said.clear();
        }
    }
    (sections, keys)
}

/// The keys that are accepted there, as the parser itself lists them.
fn accepted(head: &str) -> BTreeSet<String> {
    let text = format!("{head}\nzz = 1\n");
    let said = parse(&text, Path::new("test.toml")).unwrap_err().to_string();
    let list = said.split("expected one of").last().unwrap();
    let list = if said.contains("expected one of") {
        list
    } else {
        said.split("expected").last().unwrap()
    };
    let names = list.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

fn page() -> String {
    let (sections, keys) = shipped();
    let mut page = String::from(
        "# Configuration\n\n\
         Made from `config.toml`, whose values are the defaults: \
         `UPDATE_DOCS=1 cargo test --test it reference` writes it anew. `validate` checks a \
         configuration and prints the plan. A key that is not known, a value that cannot be, or a venue \
         that is there twice is an error (exit code 2) that names the line or the key. Durations are \
         written like `\"15s\"`, `\"2m\"`, `\"1h\"`; sizes like `\"256MiB\"`.\n",
    );
    for section in sections {
        write!(page, "\n## `{}`\n\n", section.head).unwrap();
        if !section.what.is_empty() {
            write!(page, "{}\n\n", section.what).unwrap();
        }
        page.push_str("| key | default | |\n|---|---|---|\n");
        for key in keys.iter().filter(|it| it.section == section.head) {
            let default = if key.is_shown_only {
                format!("none; such as `{}`", key.value)
            } else {
                format!("`{}`", key.value)
            };
            writeln!(page, "| `{}` | {default} | {} |", key.name, key.what).unwrap();
        }
    }
    page
}

#[test]
fn every_key_that_is_accepted_is_shown_and_explained() {
    let (sections, keys) = shipped();
    let heads: BTreeSet<_> =
        sections.iter().map(|it| it.head.trim_matches(['[', ']']).to_owned()).collect();
    assert_eq!(heads, accepted(""));
    let of = |head: &str| -> BTreeSet<String> {
        keys.iter().filter(|it| it.section == head).map(|it| it.name.clone()).collect()
    };
    for section in &sections {
        let mut shown = of(&section.head);
        if section.head == "[[exchange]]" {
            shown.extend(of("[defaults]"));
        }
        assert_eq!(shown, accepted(&section.head), "{}", section.head);
    }
    let unexplained: Vec<_> =
        keys.iter().filter(|it| it.what.is_empty()).map(|it| &it.name).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
}

#[test]
fn the_values_shown_are_the_defaults() {
    let (_, keys) = shipped();
    let mut text = String::new();
    let mut head = "";
    for key in
        keys.iter().filter(|it| !it.is_shown_only && !["name", "market"].contains(&&*it.name))
    {
        if head != key.section {
            head = &key.section;
            writeln!(text, "{head}").unwrap();
            if head == "[[exchange]]" {
                text.push_str("name = \"okx\"\n");
            }
        }
        writeln!(text, "{} = {}", key.name, key.value).unwrap();
    }
    let plan = |text: &str| format!("{:?}", parse(text, Path::new("test.toml")).unwrap());
    assert_eq!(plan(&text), plan(LEAST), "{text}");
}

#[test]
fn what_is_shown_as_a_comment_can_be_uncommented() {
    let (_, keys) = shipped();
    let shown: Vec<_> = keys.iter().filter(|it| it.is_shown_only && it.name != "ca_file").collect();
    assert!(5 < shown.len());
    for key in shown {
        let text = match key.section.as_str() {
            "[[exchange]]" => format!("{LEAST}{} = {}\n", key.name, key.value),
            head => format!("{head}\n{} = {}\n{LEAST}", key.name, key.value),
        };
        parse(&text, Path::new("test.toml")).unwrap();
    }
}

#[test]
fn the_page_lists_what_the_program_accepts() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, page()).unwrap();
    }
    let written = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(written == page(), "UPDATE_DOCS=1 cargo test --test it reference writes {PAGE} anew");
}
