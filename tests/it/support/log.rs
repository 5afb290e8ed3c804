//! What was logged.

use std::{path::Path, sync::Once};

use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

struct Keep;

impl Log for Keep {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        LINES.lock().push((record.level(), record.args().to_string()));
    }
    fn flush(&self) {}
}

/// Keeps what is logged from now on.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Keep).expect("no other logger");
        log::set_max_level(LevelFilter::Info);
    });
}

/// The lines about files below `dir`. Other tests log at the same time.
pub(crate) fn lines_about(dir: &Path) -> Vec<(Level, String)> {
    let dir = dir.to_str().expect("a temporary folder is UTF-8");
    LINES.lock().iter().filter(|(_, line)| line.contains(dir)).cloned().collect()
}

/// Whether a line with all of `words` has been logged.
pub(crate) fn has(words: &[&str]) -> bool {
    LINES.lock().iter().any(|(_, line)| words.iter().all(|it| line.contains(it)))
}
