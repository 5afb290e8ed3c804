//! The program over TLS: it trusts whom it is told to, and nobody else.

use std::{fs, net::TcpListener, num::NonZeroUsize, path::Path, thread};

use spread_aggregator::{
    config,
    market::{Exchange, Market, Venue},
    metrics::{Metrics, ReconnectReason},
    pipeline,
    simulator::{Options, Simulator},
    stop::Stop,
};

use super::support::{
    account::{end, stored_is_sent},
    child::Process,
    tls::Certificates,
    world::{self, RequestOnDrop, World, eventually},
};

const OKX: Venue = Venue::new(Exchange::Okx, Market::Spot);

/// Simulated exchanges that speak TLS, as `server` names itself, and a configuration for them.
fn behind_tls(
    server: &str,
    options: Options,
    dir: &Path,
    trusted: bool,
    test: impl FnOnce(&str, &Simulator),
) {
    let certificates = Certificates::for_server(server);
    fs::write(dir.join("ca.pem"), &certificates.authority).unwrap();
    let venues = options.venues.clone();
    let simulator = Simulator::bind(Options { tls: Some(certificates.server), ..options }).unwrap();
    let ca = if trusted { "ca_file = \"ca.pem\"" } else { "" };
    let text = world::config(&simulator, &venues, &dir.join("data"), "", ca);
    let closing_time = Stop::default();
    thread::scope(|scope| {
        let _closing = RequestOnDrop(&closing_time);
        scope.spawn(|| simulator.serve(&closing_time));
        test(&text, &simulator);
    });
}

fn okx() -> Options {
    Options { venues: vec![OKX], symbols: 20, rate: 2_000.0, ..Options::default() }
}

#[test]
fn data_flows_over_tls_from_a_peer_whose_authority_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    behind_tls("localhost", okx(), dir.path(), true, |text, simulator| {
        let plan = config::parse(text, &dir.path().join("config.toml")).unwrap();
        let (metrics, stop) = (Metrics::new(), Stop::default());
        let summary = thread::scope(|scope| {
            let _stopping = RequestOnDrop(&stop);
            let running = scope.spawn(|| pipeline::run(&plan, &metrics, &stop));
            eventually("data flows", || 2_000 < metrics.venue(OKX).quotes.get());
            stop.request();
            running.join().unwrap().unwrap()
        });
        let decoded = metrics.venue(OKX).quotes.get() + metrics.venue(OKX).trades.get();
        assert_eq!(summary.written.rows_quotes + summary.written.rows_trades, decoded);
        assert_eq!(simulator.sent(OKX).connections, 1, "no reconnect");
    });
}

#[test]
fn all_that_was_sent_over_tls_is_stored_whether_a_record_holds_one_frame_or_many() {
    // One that hands out its address, one that sends bytes, one that asks for a lot of text.
    let venues = [Exchange::Kucoin, Exchange::Mexc, Exchange::Okx];
    let venues = venues.map(|it| Venue::new(it, Market::Spot)).to_vec();
    for frames_per_write in [NonZeroUsize::new(1), None] {
        let dir = tempfile::tempdir().unwrap();
        let (venues, limits) = (venues.clone(), false);
        let options =
            Options { venues, rate: 6_000.0, symbols: 20, limits, frames_per_write, ..okx() };
        behind_tls("localhost", options, dir.path(), true, |text, simulator| {
            let plan = config::parse(text, &dir.path().join("config.toml")).unwrap();
            let (metrics, stop) = (Metrics::new(), Stop::default());
            let venues: Vec<_> = plan.venues.iter().map(|it| it.protocol.venue).collect();
            let world = World { simulator, metrics: &metrics, stop: &stop, venues: &venues };
            let (summary, sent) = thread::scope(|scope| {
                let _stopping = RequestOnDrop(&stop);
                let running = scope.spawn(|| pipeline::run(&plan, &metrics, &stop));
                world.until_all_deliver(1_000);
                let sent = end(&world);
                stop.request();
                (running.join().unwrap().unwrap(), sent)
            });
            assert_eq!(summary.dropped, 0);
            stored_is_sent(&dir.path().join("data"), &sent);
        });
    }
}

/// Records hold many frames and parts of frames, and several are taken from the socket at a time.
#[test]
fn nothing_waits_in_the_tls_buffer_while_the_peer_is_silent() {
    let dir = tempfile::tempdir().unwrap();
    behind_tls("localhost", okx(), dir.path(), true, |text, simulator| {
        let plan = config::parse(text, &dir.path().join("config.toml")).unwrap();
        let (metrics, stop) = (Metrics::new(), Stop::default());
        thread::scope(|scope| {
            let _stopping = RequestOnDrop(&stop);
            scope.spawn(|| pipeline::run(&plan, &metrics, &stop));
            let decoded = || metrics.venue(OKX).quotes.get() + metrics.venue(OKX).trades.get();
            eventually("data flows", || 1_000 < decoded());
            for round in 1..=5 {
                simulator.set_rate(0.0);
                let sent = || simulator.sent(OKX).quotes + simulator.sent(OKX).trades;
                eventually("all that was sent is there", || decoded() == sent());
                let before = decoded();
                simulator.set_rate(2_000.0 * f64::from(round));
                eventually("data flows again", || before + 1_000 < decoded());
            }
        });
        assert_eq!(simulator.sent(OKX).connections, 1, "no reconnect");
    });
}

fn is_refused(server: &str, trusted: bool) {
    let dir = tempfile::tempdir().unwrap();
    behind_tls(server, okx(), dir.path(), trusted, |text, simulator| {
        let config = dir.path().join("config.toml");
        fs::write(&config, text).unwrap();
        let validate = Process::start(&["validate", "--online", "-c", config.to_str().unwrap()]);
        validate.until_says("certificate verify failed");
        assert_eq!(validate.end().0.code(), Some(1));
        assert_eq!(simulator.sent(OKX).connections, 0);
    });
}

#[test]
fn a_peer_whose_authority_is_not_trusted_is_refused() {
    is_refused("localhost", false);
}

#[test]
fn a_peer_of_another_name_is_refused() {
    is_refused("example.org", true);
}

#[test]
fn a_peer_that_stalls_in_the_handshake_does_not_hold_up_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { venues: vec![OKX], symbols: 20, ..Options::default() };
    let simulator = Simulator::bind(options).unwrap();
    // It accepts, by its backlog, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[live]\nenabled = false\n[storage]\ndir = {:?}\n[[exchange]]\nname = \"okx\"\nmin_quote_volume = 0\n\
         ws_url = \"wss://localhost:{}\"\nrest_url = \"{}\"",
        dir.path().display().to_string(),
        silent.local_addr().unwrap().port(),
        simulator.rest_url(OKX)
    );
    let plan = config::parse(&text, Path::new("test.toml")).unwrap();
    let (metrics, stop, closing_time) = (Metrics::new(), Stop::default(), Stop::default());
    thread::scope(|scope| {
        let _closing = RequestOnDrop(&closing_time);
        scope.spawn(|| simulator.serve(&closing_time));
        let running = scope.spawn(|| pipeline::run(&plan, &metrics, &stop));
        let (peer, _) = silent.accept().unwrap();
        stop.request();
        let summary = running.join().unwrap().unwrap();
        // The contract names the bound.
        assert!(summary.elapsed.as_secs() < 5, "{:?}", summary.elapsed);
        drop(peer);
    });
    let metrics = metrics.venue(OKX);
    assert_eq!(metrics.reconnects(ReconnectReason::Connect), 0, "a stop is no failure");
}
