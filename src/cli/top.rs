//! `top`: a running collector in a terminal, from what it says on /healthz and /metrics.

mod board;
mod scrape;
mod view;

use std::{
    io::{self, IsTerminal},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use clap::Args;
use parking_lot::Mutex;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};

use self::{
    board::{Board, Sample},
    scrape::Metrics,
};
use super::{Failure, signals::stopping_on_signals};
use crate::{exchange::Quirks, feed::http::Client, stop::Stop};

/// How often the collector is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How soon a key or a new answer is seen.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where the collector's dashboard is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = base)]
    url: String,
    /// The token of its [live], if it has one.
    #[arg(long, env = "SPREAD_AGGREGATOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// An address without its last slash.
fn base(text: &str) -> Result<String, String> {
    let scheme = ["http://", "https://"].iter().find_map(|it| text.strip_prefix(it));
    match scheme {
        Some(host) if !host.trim_matches('/').is_empty() && !host.contains(['?', '#', ' ']) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("must be like http://127.0.0.1:8080".to_owned()),
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        let what = "top draws on a terminal, and standard output is none: read";
        let url = &options.url;
        return Err(Failure::Usage(anyhow!("{what} {url}/healthz and {url}/metrics instead")));
    }
    let client = Client::new(&Quirks::NONE, None)?;
    let (board, stop) = (Mutex::new(Board::new(&options.url)), Stop::default());
    stopping_on_signals(&stop, || watch(options, &client, &board, &stop))
        .context("failed to handle signals")?
        .context("failed to use the terminal")?;
    Ok(())
}

/// Asks on a thread of its own, so that a collector that hangs does not keep anybody from leaving.
fn watch(options: &Options, client: &Client, board: &Mutex<Board>, stop: &Stop) -> io::Result<()> {
    // It also has a panic give the terminal back before it is told.
    let mut terminal = ratatui::try_init()?;
    let shown = thread::scope(|scope| {
        let asking = || {
            while !stop.wait(ask(options, client, board)) {}
        };
        thread::Builder::new().name("top".into()).spawn_scoped(scope, asking)?;
        let _end = StopOnDrop { stop, client };
        show(&mut terminal, board, stop)
    });
    ratatui::restore();
    shown
}

/// Ends asking on every way out, a panic too.
struct StopOnDrop<'a> {
    stop: &'a Stop,
    client: &'a Client,
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.stop.request();
        self.client.shutdown();
    }
}

/// Puts what the collector says on the board; returns how long to wait before asking again.
fn ask(options: &Options, client: &Client, board: &Mutex<Board>) -> Duration {
    let start = Instant::now();
    let said = sample(options, client);
    let mut board = board.lock();
    match said {
        Ok(sample) => board.put(Instant::now(), sample),
        Err(why) => board.fail(why),
    }
    EVERY.saturating_sub(start.elapsed())
}

fn sample(options: &Options, client: &Client) -> Result<Sample, String> {
    let get = |path: &str| {
        let url = format!("{}{path}", options.url);
        match client.page(&url, options.token.as_deref()) {
            Ok((200 | 503, body)) => Ok(body),
            Ok((401, _)) => {
                Err("it wants the token of its [live]: --token, or SPREAD_AGGREGATOR_TOKEN".into())
            }
            Ok((status, _)) => Err(format!("{url} answered HTTP {status}: is it a collector?")),
            Err(err) => Err(err.to_string()),
        }
    };
    let health = serde_json::from_str(&get("/healthz")?)
        .map_err(|err| format!("{}/healthz is not that of a collector: {err}", options.url))?;
    Ok(Sample { health, metrics: Metrics::parse(&get("/metrics")?) })
}

fn show(terminal: &mut DefaultTerminal, board: &Mutex<Board>, stop: &Stop) -> io::Result<()> {
    while !stop.requested() {
        terminal.draw(|frame| view::draw(frame, &board.lock()))?;
        if event::poll(LOOK)? && matches!(event::read()?, Event::Key(it) if quits(it)) {
            break;
        }
    }
    Ok(())
}

fn quits(key: KeyEvent) -> bool {
    let is_ctrl_c = key.code == KeyCode::Char('c') && key.modifiers == KeyModifiers::CONTROL;
    key.kind == KeyEventKind::Press
        && (is_ctrl_c || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        assert_eq!(base("http://127.0.0.1:8080/").as_deref(), Ok("http://127.0.0.1:8080"));
        assert_eq!(base("https://host/behind/").as_deref(), Ok("https://host/behind"));
        for wrong in ["", "localhost:8080", "ftp://host", "http://", "http:///", "http://a?b"] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn q_escape_and_ctrl_c_leave_and_nothing_else_does() {
        let key = |code, modifiers| quits(KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(key(KeyCode::Esc, KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(!key(KeyCode::Enter, KeyModifiers::NONE));
    }
}
