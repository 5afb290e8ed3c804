//! How `top` draws its board. All eight exchanges' two markets fit into 80 columns and 24 rows.

use bytesize::ByteSize;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::Line,
    widgets::{Paragraph, Row, Table},
};

use super::board::{Board, Health, Venue};

/// Columns between two queues.
const QUEUE_WIDTH: usize = 40;
const VENUE_COLUMNS: [(&str, u16); 10] = [
    ("venue", 12),
    ("state", 12),
    ("conn", 5),
    ("symbols", 7),
    ("mute", 5),
    ("msg/s", 7),
    ("lag p99", 8),
    ("age", 5),
    ("reconn", 6),
    ("gaps", 4),
];

/// Draws all there is to see.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board) {
    let Some(health) = board.health() else { return draw_nothing(frame, board) };
    let queues = u16::try_from(health.queues.len().div_ceil(2)).unwrap_or(u16::MAX);
    let [title, totals, venues, beside, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(queues),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(head(board, health), title);
    frame.render_widget(Line::from(all(board, health)), totals);
    draw_venues(frame, board, health, venues);
    let lines: Vec<_> = health
        .queues
        .chunks(2)
        .map(|pair| {
            let cells = pair.iter().map(|it| {
                let text = format!(
                    "{:<12} {:>6} {:>6} {:>7} lost",
                    it.name,
                    it.depth,
                    time(Some(it.age_seconds)),
                    it.dropped
                );
                format!("{text:<QUEUE_WIDTH$}")
            });
            let is_lossy = pair.iter().any(|it| 0 < it.dropped);
            Line::styled(cells.collect::<String>(), attention(is_lossy))
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), beside);
    frame.render_widget(foot_line(board, health), foot);
}

/// Before the first answer.
fn draw_nothing(frame: &mut Frame<'_>, board: &Board) {
    let said = match &board.trouble {
        None => Line::from(format!("asking {} …", board.url)),
        Some(why) => Line::from(format!("no collector at {}: {why}", board.url)).red(),
    };
    let then = "Trying again every second. Is it running, with [live] enabled? q: quit";
    let text = vec![said, Line::from(then).dark_gray()];
    let wrapped = Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true });
    frame.render_widget(wrapped, frame.area());
}

fn head(board: &Board, health: &Health) -> Line<'static> {
    let up = humantime::format_duration(std::time::Duration::from_secs(health.uptime_seconds));
    let name = format!("spread-aggregator {}  ", health.version);
    let state = match &board.trouble {
        Some(_) => "NOT REACHED".to_owned().red(),
        None if health.problems.is_empty() => health.status.clone().green(),
        None => health.status.clone().red(),
    };
    Line::from(vec![name.bold(), state, format!("  {}  up {up}", board.url).into()])
}

fn all(board: &Board, health: &Health) -> String {
    let bytes = |it: Option<f64>| it.map_or("-".to_owned(), size);
    let total = |name: &str| count(board.value(name, &[]));
    format!(
        "{} msg/s  {}/s  mem {}  threads {}  rows {}  files {}  errors {}  free {}",
        count(board.rate("messages_received_total", &[])),
        bytes(board.rate("bytes_received_total", &[])),
        bytes(board.value("resident_memory_bytes", &[])),
        total("threads"),
        total("rows_written_total"),
        total("files_written_total"),
        total("decode_errors_total"),
        health
            .disk
            .free_bytes
            .map_or("-".to_owned(), |it| ByteSize(it).display().iec_short().to_string()),
    )
}

fn draw_venues(frame: &mut Frame<'_>, board: &Board, health: &Health, area: Rect) {
    let rows = health.exchanges.iter().map(|it| venue(board, it));
    let widths = VENUE_COLUMNS.map(|(_, width)| Constraint::Length(width));
    let names = VENUE_COLUMNS.map(|(name, width)| aligned(name, width));
    let header = Row::new(names).style(Style::new().reversed());
    frame.render_widget(Table::new(rows, widths).header(header).column_spacing(1), area);
}

fn venue(board: &Board, it: &Venue) -> Row<'static> {
    let labels = [("exchange", it.exchange.as_str()), ("market", it.market.as_str())];
    let subscriptions: i64 = it.subscriptions.values().sum();
    let delivering = ["delivering", "quiet"].iter().filter_map(|of| it.subscriptions.get(*of));
    let mute = subscriptions - delivering.sum::<i64>();
    let cells = [
        format!("{}-{}", it.exchange, it.market),
        it.state.clone(),
        format!("{}/{}", it.connections.up, it.connections.wanted),
        it.instruments.to_string(),
        mute.to_string(),
        count(board.rate("messages_received_total", &labels)),
        lag(board.quantile("exchange_lag_seconds_bucket", &labels, 0.99)),
        time(it.last_message_age_seconds),
        it.reconnects.to_string(),
        count(board.value("gaps_total", &labels)),
    ];
    let is_well = matches!(it.state.as_str(), "delivering" | "quiet");
    let cells = cells.into_iter().zip(VENUE_COLUMNS);
    let cells = cells.map(|(text, (_, width))| aligned(&text, width));
    Row::new(cells.collect::<Vec<_>>()).style(attention(!is_well))
}

/// Words to the left, as they are wide; figures to the right.
fn aligned(text: &str, width: u16) -> String {
    const WORDS: u16 = 12;
    match width {
        WORDS => text.to_owned(),
        _ => format!("{text:>0$}", usize::from(width)),
    }
}

/// What is wrong, or how to leave.
fn foot_line(board: &Board, health: &Health) -> Line<'static> {
    let (first, more) = match (&board.trouble, &health.problems[..]) {
        (Some(why), _) => (format!("trying again: {why}"), 0),
        (None, [first, more @ ..]) => (first.clone(), more.len()),
        (None, []) => return Line::from("q: quit").dark_gray(),
    };
    let more = if more == 0 { String::new() } else { format!("  (and {more} more)") };
    Line::from(format!("{first}{more}")).red()
}

fn attention(is_needed: bool) -> Style {
    if is_needed { Style::new().fg(Color::Yellow) } else { Style::new() }
}

/// Whole and short: 950, 9512, 95k, 9.5M.
fn count(it: Option<f64>) -> String {
    match it {
        None => "-".to_owned(),
        Some(it) if it < 1e4 => format!("{it:.0}"),
        Some(it) if it < 1e6 => format!("{:.0}k", it / 1e3),
        Some(it) if it < 1e9 => format!("{:.1}M", it / 1e6),
        Some(it) => format!("{:.1}G", it / 1e9),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn size(bytes: f64) -> String {
    ByteSize(bytes as u64).display().iec_short().to_string()
}

/// Seconds, for people.
fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(it) if it < 1.0 => format!("{:.0}ms", it * 1e3),
        Some(it) if it < 100.0 => format!("{it:.1}s"),
        Some(it) if it < 6000.0 => format!("{:.0}m", it / 60.0),
        Some(it) => format!("{:.0}h", it / 3600.0),
    }
}

/// A bucket's bound: nothing is known but that it is not above it.
fn lag(bound: Option<f64>) -> String {
    match bound {
        None => "-".to_owned(),
        Some(f64::INFINITY) => ">1m".to_owned(),
        Some(it) if it < 0.001 => format!("<{:.0}µs", it * 1e6),
        Some(it) if it < 0.01 => format!("<{}ms", it * 1e3),
        Some(it) => format!("<{}", time(Some(it))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ratatui::{Terminal, backend::TestBackend};

    use super::{
        super::{board::Sample, scrape::Metrics},
        *,
    };

    const HEALTH: &str = include_str!("../../../tests/fixtures/top/healthz.json");
    const METRICS: &str = include_str!("../../../tests/fixtures/top/metrics.txt");

    /// A collector that has received as much as the page says within a second.
    fn board() -> Board {
        let start = Instant::now();
        let mut board = Board::new("http://127.0.0.1:8080");
        let health: Health = serde_json::from_str(HEALTH).expect("of a run");
        let zeros =
            METRICS.lines().filter_map(|it| Some(format!("{} 0\n", it.rsplit_once(' ')?.0)));
        let before = Metrics::parse(&zeros.collect::<String>());
        board.put(start, Sample { health: health.clone(), metrics: before });
        let metrics = Metrics::parse(METRICS);
        board.put(start + Duration::from_secs(1), Sample { health, metrics });
        board
    }

    fn drawn(board: &Board, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("in memory");
        terminal.draw(|frame| draw(frame, board)).expect("in memory");
        let cells = terminal.backend().buffer().content.chunks(usize::from(width.max(1)));
        let lines =
            cells.map(|it| it.iter().map(ratatui::buffer::Cell::symbol).collect::<String>());
        lines.map(|it| it.trim_end().to_owned() + "\n").collect()
    }

    fn check(name: &str, shown: &str) {
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../../tests/snapshots" }, {
            insta::assert_snapshot!(name, shown);
        });
    }

    #[test]
    fn all_venues_and_queues_fit_into_a_small_terminal() {
        let shown = drawn(&board(), 80, 24);
        check("top", &shown);
        for venue in &board().health().expect("put").exchanges {
            assert!(shown.contains(&format!("{}-{} ", venue.exchange, venue.market)), "{shown}");
        }
    }

    #[test]
    fn what_is_wrong_is_at_the_bottom() {
        let mut board = board();
        board.fail("connection refused".to_owned());
        let shown = drawn(&board, 80, 24);
        assert!(shown.contains("NOT REACHED"), "{shown}");
        assert!(shown.ends_with("trying again: connection refused\n"), "{shown}");
    }

    #[test]
    fn without_a_collector_it_says_where_it_looks() {
        let mut board = Board::new("http://127.0.0.1:1");
        assert!(drawn(&board, 80, 24).starts_with("asking http://127.0.0.1:1"));
        board.fail("connection refused".to_owned());
        let shown = drawn(&board, 80, 24);
        assert!(shown.starts_with("no collector at http://127.0.0.1:1: connection refused"));
        assert!(shown.contains("Trying again"), "{shown}");
    }

    #[test]
    fn no_terminal_is_too_small_or_too_large() {
        for (width, height) in [(1, 1), (3, 2), (20, 5), (79, 23), (300, 100)] {
            let shown = drawn(&board(), width, height);
            assert_eq!(shown.lines().count(), usize::from(height), "{shown}");
        }
    }

    #[test]
    fn figures_are_short() {
        let counts = [None, Some(0.4), Some(9_512.0), Some(95_120.0), Some(9.5e6), Some(2e10)];
        assert_eq!(counts.map(count), ["-", "0", "9512", "95k", "9.5M", "20.0G"]);
        let times = [None, Some(0.02), Some(12.34), Some(600.0), Some(7200.0)];
        assert_eq!(times.map(time), ["-", "20ms", "12.3s", "10m", "2h"]);
        let lags = [None, Some(0.00025), Some(0.0025), Some(0.05), Some(f64::INFINITY)];
        assert_eq!(lags.map(lag), ["-", "<250µs", "<2.5ms", "<50ms", ">1m"]);
    }
}
