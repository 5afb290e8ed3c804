//! Venues that answer, and say no.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use spread_aggregator::{
    market::{Exchange, Market, Venue},
    stop::Stop,
};

use super::{
    super::support::{
        account::accounted_for,
        door::{Behind, Door},
        stage::{Scene, Stage, from_env},
        world::{RequestOnDrop, eventually},
    },
    hold,
};

const OKX: Venue = Venue::new(Exchange::Okx, Market::Spot);
const GATEIO: Venue = Venue::new(Exchange::Gateio, Market::Spot);

/// A key of a venue's configuration.
const SOCKET: &str = "ws_url";
const LISTS: &str = "rest_url";

/// Collects from two venues. The one behind the door answers `answer` where `key` says; `test` is called
/// when the other one delivers.
fn refused(key: &str, answer: &'static str, test: impl FnOnce(&Stage<'_>, &Door)) {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::new(Behind::Answer(answer));
    let stop = Stop::default();
    let mut sent = Vec::new();
    thread::scope(|scope| {
        let _closing = RequestOnDrop(&stop);
        scope.spawn(|| door.serve(scope, &stop));
        let edit = |text: String| {
            let line = text.lines().find(|it| it.starts_with(key) && it.contains("okx-spot"));
            let line = line.unwrap();
            let scheme = if key == SOCKET { "ws" } else { "http" };
            text.replace(line, &format!("{key} = \"{scheme}://{}/okx-spot\"", door.addr()))
        };
        let scene = Scene { venues: vec![OKX, GATEIO], edit: Box::new(edit), ..Scene::default() };
        scene.play(dir.path(), |stage| {
            stage.until_deliver(&[GATEIO]);
            test(&stage, &door);
            sent = stage.end();
        });
    });
    let account = accounted_for(&dir.path().join("data"), &sent, &HashSet::new());
    println!("{answer:?} at {key}: {account:?}");
}

fn open(stage: &Stage<'_>, door: &Door) {
    door.lead_to(Behind::Server(stage.simulator.addr()));
    let opened = Instant::now();
    stage.until_deliver(&[OKX]);
    println!("back in {:.1} s", opened.elapsed().as_secs_f64());
}

/// The shortest time between two attempts of so many.
fn shortest(door: &Door, attempts: usize) -> Duration {
    eventually("it is tried again", || attempts <= door.knocks().len());
    let knocks = door.knocks();
    knocks.windows(2).map(|it| it[1] - it[0]).min().unwrap()
}

/// The problems that `/healthz` has, as text.
fn problems(stage: &Stage<'_>) -> String {
    let health = stage.health();
    assert_eq!(health["status"], "failing", "{health}");
    health["problems"].to_string()
}

#[test]
fn a_venue_that_says_when_to_come_again_is_left_alone_until_then() {
    for key in [SOCKET, LISTS] {
        let answer =
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
        refused(key, answer, |stage, door| {
            stage.program.until_says("answered HTTP 429 (we ask too often)");
            assert!(Duration::from_secs(2) <= shortest(door, 3), "{:?}", door.knocks());
            open(stage, door);
        });
    }
}

#[test]
fn a_venue_that_finds_us_too_frequent_is_left_alone_for_a_while() {
    let answer = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    refused(SOCKET, answer, |stage, door| {
        assert!(Duration::from_secs(5) <= shortest(door, 2), "{:?}", door.knocks());
        open(stage, door);
    });
}

#[test]
fn a_venue_that_is_out_of_service_is_tried_again() {
    for key in [SOCKET, LISTS] {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nlater";
        refused(key, answer, |stage, door| {
            stage.program.until_says("answered HTTP 503");
            shortest(door, 2);
            open(stage, door);
        });
    }
}

/// `REFUSED=1` waits until the program asks again, which it does after ten minutes.
#[test]
fn a_venue_that_does_not_serve_us_is_named_and_asked_again_much_later() {
    let answer = "HTTP/1.1 451 Unavailable For Legal Reasons\r\nContent-Length: 0\r\n\r\n";
    for key in [SOCKET, LISTS] {
        refused(key, answer, |stage, door| {
            stage.program.until_says("answered HTTP 451 (it does not serve us from here)");
            stage.program.until_says("trying again in 600.0 s");
            eventually("it is said why", || problems(stage).contains("HTTP 451"));
            hold(2_000);
            stage.until_deliver(&[GATEIO]);
            assert_eq!(door.knocks().len(), 1, "it was asked again");
            if key == SOCKET && from_env("REFUSED").is_some() {
                door.lead_to(Behind::Server(stage.simulator.addr()));
                let start = Instant::now();
                let limit = Duration::from_mins(11);
                while door.knocks().len() < 2 && start.elapsed() < limit {
                    hold(1_000);
                }
                println!("asked again after {:.0} s", start.elapsed().as_secs_f64());
                open(stage, door);
            }
        });
    }
}
