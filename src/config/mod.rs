//! The configuration: as written in TOML, and as a [`Plan`] in which everything has been checked
//! and nothing is optional.

mod changes;
mod check;
mod written;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use log::LevelFilter;

pub use self::{
    changes::{Change, changes},
    written::Written,
};
use crate::{
    capture,
    exchange::Protocol,
    feed::{
        discovery::Filter,
        http::{CertificateError, Client},
        session::Patience,
        shard::Shard,
    },
    live,
    market::Channel,
    spreads, store,
};

/// What the program is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which lines are logged.
    pub log_level: LevelFilter,
    /// How files are written.
    pub storage: store::Settings,
    /// Writer threads; at least one.
    pub writers: usize,
    /// Which of all instruments are this host's.
    pub shard: Shard,
    /// Events each consumer's queue holds; at least one.
    pub queue_capacity: usize,
    /// How clients are served; `None` when they are not.
    pub live: Option<live::Settings>,
    /// How raw frames are kept; `None` when they are not.
    pub capture: Option<capture::Settings>,
    /// How quotes are compared between exchanges; `None` when they are not.
    pub spreads: Option<spreads::Settings>,
    /// The venues to collect from; at least one, each once.
    pub venues: Vec<VenuePlan>,
}

/// What to collect from one venue, and how.
#[derive(Clone, Debug)]
pub struct VenuePlan {
    /// The venue.
    pub protocol: &'static Protocol,
    /// What of its instruments; not empty.
    pub channels: Vec<Channel>,
    /// Which of its instruments.
    pub filter: Filter,
    /// Connections wished for; 0 for as few as the venue's limits need.
    pub threads: usize,
    /// When a silence is a fault.
    pub patience: Patience,
    /// How long a connection may be up before another takes over; `None` for as long as it lasts.
    pub lifetime: Option<Duration>,
    /// How often the instrument list is read again.
    pub rediscover: Duration,
    /// What stands for scheme, host and port of the venue's WebSocket addresses.
    pub ws_base: Option<String>,
    /// What stands for scheme, host and port of the venue's HTTP interface.
    pub rest_base: String,
    /// One more trusted root certificate, in PEM form.
    pub root: Option<Root>,
}

/// A root certificate and where it was read.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Root {
    pub path: PathBuf,
    pub pem: Vec<u8>,
}

impl VenuePlan {
    /// A client of the venue's HTTP interface that trusts what the configuration says.
    ///
    /// # Errors
    /// When the root certificate cannot be used.
    pub fn http(&self) -> Result<Client, CertificateError> {
        let root = self.root.as_ref().map(|it| (it.path.as_path(), it.pem.as_slice()));
        Client::new(&self.protocol.quirks, root)
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("failed to read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// It is not TOML, or has a key that is not known or a value of another type.
    #[error("{path}: {}", in_words_of_the_file(.cause))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, and what would be right.
        cause: Box<toml::de::Error>,
    },
    /// It has values that cannot be.
    #[error("{path}: {problems}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        problems: Problems,
    },
}

/// Values that cannot be, each with its key and what would be right.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [only] => f.write_str(only),
            all => {
                write!(f, "{} problems", all.len())?;
                all.iter().try_for_each(|it| write!(f, "\n  {it}"))
            }
        }
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// When it cannot be read, or is not valid; the message names the line or the key.
pub fn load(path: &Path) -> Result<Plan, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
    parse(&text, path)
}

/// Checks the text of a configuration; `path` is for messages, and relative files are looked for
/// beside it.
///
/// # Errors
/// When it is not valid.
pub fn parse(text: &str, path: &Path) -> Result<Plan, ConfigError> {
    let written: Written = toml::from_str(text).map_err(|mut cause| {
        hide_token(&mut cause, text);
        ConfigError::Syntax { path: path.to_owned(), cause: Box::new(cause) }
    })?;
    let beside = path.parent().unwrap_or(Path::new(""));
    check::plan(&written, beside)
        .map_err(|problems| ConfigError::Invalid { path: path.to_owned(), problems })
}

/// What the parser says, without the words of its own trade.
fn in_words_of_the_file(cause: &toml::de::Error) -> String {
    let said = cause.to_string();
    let said = said.replace("expected a sequence", "expected a list, in brackets: [ ]");
    said.replace("expected a boolean", "expected true or false").trim_end().to_owned()
}

/// Messages quote the line that is wrong, but for one that seems to hold a token.
fn hide_token(cause: &mut toml::de::Error, text: &str) {
    let Some(at) = cause.span().map(|it| it.start.min(text.len())) else { return };
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |it| it + 1);
    if text.get(start..).is_some_and(|it| it.trim_start().starts_with("tok")) {
        let line = 1 + before.matches('\n').count();
        let what = cause.message().to_owned();
        *cause = serde::de::Error::custom(format_args!("line {line}: {what}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan, String> {
        parse(text, Path::new("test.toml")).map_err(|it| it.to_string())
    }

    #[test]
    fn an_exchange_inherits_the_defaults_it_does_not_override() {
        let text = r#"
            [defaults]
            quote_assets = ["EUR"]
            stale_after = "7m"
            [[exchange]]
            name = "okx"
            stale_after = "9s"
            trades = false
        "#;
        let venue = plan(text).unwrap().venues.remove(0);
        assert_eq!(venue.filter.quote_assets, ["EUR"]);
        assert_eq!(venue.patience.stale_after, Duration::from_secs(9));
        assert_eq!(venue.patience.heartbeat_timeout, Duration::from_secs(30));
        assert_eq!(venue.channels, [Channel::Quotes]);
        assert_eq!(venue.rest_base, "https://www.okx.com");
    }
}
