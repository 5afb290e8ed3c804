//! A name that has no address for a while. The program has a `/etc/hosts` of its own.

use std::{collections::HashSet, fs, net::UdpSocket, path::Path, process::Command, time::Instant};

use spread_aggregator::{
    market::{Exchange, Market, Venue},
    simulator::Fault,
};

use super::super::support::{account::accounted_for, stage::Scene, world::PATIENCE};

/// Not resolved by anybody (RFC 2606).
const NAME: &str = "exchange.invalid";
/// By its WebSocket, by its lists, and not by this name at all.
const SOCKET: Venue = Venue::new(Exchange::Okx, Market::Spot);
const LISTS: Venue = Venue::new(Exchange::Bitget, Market::Spot);
const OTHER: Venue = Venue::new(Exchange::Gateio, Market::Spot);

/// Makes `dir` have the files, and returns what runs a program with them.
fn launcher(dir: &Path, resolver_conf: &str) -> Option<Vec<String>> {
    let [hosts, resolver] = ["hosts", "resolv.conf"].map(|it| dir.join(it).display().to_string());
    know(dir, false);
    fs::write(&resolver, resolver_conf).unwrap();
    let script = format!(
        "mount --bind {hosts:?} /etc/hosts && mount --bind {resolver:?} /etc/resolv.conf && \
         exec \"$0\" \"$@\""
    );
    let words = ["unshare", "--mount", "sh", "-c", &script].map(str::to_owned).to_vec();
    let tried = Command::new(&words[0]).args(&words[1..]).arg("true").output();
    tried.is_ok_and(|it| it.status.success()).then_some(words)
}

/// Has the name an address, or none.
fn know(dir: &Path, known: bool) {
    let line = if known { format!("127.0.0.1 {NAME}\n") } else { String::new() };
    fs::write(dir.join("hosts"), format!("127.0.0.1 localhost\n{line}")).unwrap();
}

/// Has the configuration call two of the exchanges by [`NAME`].
fn by_name(text: &str) -> String {
    let by_name = |line: &str| {
        let (key, venue) = if line.contains("okx-spot") {
            ("ws_url", true)
        } else {
            ("rest_url", line.contains("bitget-spot"))
        };
        if venue && line.starts_with(key) {
            line.replace("127.0.0.1", NAME)
        } else {
            line.to_owned()
        }
    };
    text.lines().map(by_name).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_name_without_an_address_is_named_and_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody listens there, so that a question is answered at once.
    let Some(launcher) =
        launcher(dir.path(), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    else {
        return eprintln!("skipped: a file system of one's own is not permitted here");
    };
    let mut sent = Vec::new();
    let launcher = launcher.iter().map(String::as_str).collect();
    let venues = vec![SOCKET, LISTS, OTHER];
    Scene { venues, launcher, edit: Box::new(|it| by_name(&it)), ..Scene::default() }.play(
        dir.path(),
        |stage| {
            stage.until_deliver(&[OTHER]);
            stage.program.until_says(&format!("feed-okx-spot-0: failed to resolve {NAME}"));
            stage.program.until_says(&format!("bitget-spot: failed to get http://{NAME}"));
            stage.until_deliver(&[OTHER]);
            for _ in 0..2 {
                know(dir.path(), true);
                let known = Instant::now();
                stage.until_all_deliver();
                println!("back in {:.1} s", known.elapsed().as_secs_f64());
                know(dir.path(), false);
                let resolved = || stage.program.stderr().matches("failed to resolve").count();
                let before = resolved();
                stage.simulator.inject(SOCKET, Fault::Eof);
                super::eventually("it cannot be resolved again", || before < resolved());
                stage.until_deliver(&[LISTS, OTHER]);
            }
            know(dir.path(), true);
            stage.until_all_deliver();
            sent = stage.end();
        },
    );
    let account = accounted_for(&dir.path().join("data"), &sent, &HashSet::new());
    println!("{account:?}");
}

/// Somebody is asked there, and never answers.
const SILENT: &str = "127.83.71.99:53";

#[test]
fn a_resolver_that_does_not_answer_holds_up_neither_the_others_nor_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let Ok(resolver) = UdpSocket::bind(SILENT) else {
        return eprintln!("skipped: {SILENT} cannot be had");
    };
    resolver.set_read_timeout(Some(PATIENCE)).unwrap();
    // The system would wait for longer than this test does.
    let asking = "nameserver 127.83.71.99\noptions timeout:30 attempts:5\n";
    let Some(launcher) = launcher(dir.path(), asking) else {
        return eprintln!("skipped: a file system of one's own is not permitted here");
    };
    let launcher = launcher.iter().map(String::as_str).collect();
    let venues = vec![SOCKET, LISTS, OTHER];
    let mut sent = Vec::new();
    Scene { venues, launcher, edit: Box::new(|it| by_name(&it)), ..Scene::default() }.play(
        dir.path(),
        |stage| {
            stage.until_deliver(&[OTHER]);
            resolver.recv(&mut [0; 512]).expect("a question");
            stage.program.until_says(&format!("failed to resolve {NAME}: timed out"));
            stage.until_deliver(&[OTHER]);
            // It ends in time, or this fails.
            sent = stage.end();
        },
    );
    let account = accounted_for(&dir.path().join("data"), &sent, &HashSet::new());
    println!("{account:?}");
}
