//! Peers that are not who they should be, or do not get to the point.

use std::{collections::HashSet, fs, thread, time::Instant};

use spread_aggregator::{
    market::{Exchange, Market, Venue},
    simulator::{Fault, Options, Simulator},
    stop::Stop,
};

use super::super::support::{
    account::accounted_for,
    door::{Behind, Door},
    stage::Scene,
    tls::Authority,
    world::{RequestOnDrop, eventually},
};

const VENUES: [Venue; 6] = [
    Venue::new(Exchange::Okx, Market::Spot),
    Venue::new(Exchange::Bybit, Market::Spot),
    Venue::new(Exchange::Binance, Market::Spot),
    Venue::new(Exchange::Gateio, Market::Spot),
    Venue::new(Exchange::Bitget, Market::Spot),
    Venue::new(Exchange::Mexc, Market::Spot),
];

/// What is said of each peer, in the order of the venues. The last one has nothing to be blamed for, the
/// one before is asked for its lists.
const SAID: [&str; 5] = [
    "feed-okx-spot-0: TLS with localhost failed",
    "feed-bybit-spot-0: TLS with localhost failed",
    "feed-binance-spot-0: TLS with localhost failed",
    "feed-gateio-spot-0: the handshake with localhost took longer than 10s",
    "bitget-spot: failed to get https://localhost",
];
const WHY: [&str; 3] = ["self-signed certificate", "certificate has expired", "ostname mismatch"];

#[test]
fn who_cannot_prove_who_it_is_gets_nothing_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    // Behind each door, at first.
    let bad = [
        Authority::self_signed("localhost"),
        authority.sign("localhost", -2, -1),
        authority.sign("example.org", 0, 1),
        authority.sign("localhost", 0, 1),
        Authority::new().sign("localhost", 0, 1),
    ];
    let serve = |tls| {
        let (venues, symbols, limits) = (VENUES.to_vec(), 5, false);
        Simulator::bind(Options { venues, symbols, limits, tls: Some(tls), ..Options::default() })
    };
    let bad = bad.map(|it| serve(it).unwrap());
    let good = serve(authority.sign("localhost", 0, 1)).unwrap();
    let doors: Vec<_> = bad.iter().map(|it| Door::new(Behind::Server(it.addr()))).collect();
    doors[3].lead_to(Behind::Nobody);
    let stop = Stop::default();
    let mut account = None;
    thread::scope(|scope| {
        let _closing = RequestOnDrop(&stop);
        let stop = &stop;
        for it in bad.iter().chain([&good]) {
            scope.spawn(move || it.serve(stop));
        }
        for it in &doors {
            scope.spawn(move || it.serve(scope, stop));
        }
        let edit = |mut text: String| {
            for (n, venue) in VENUES.iter().enumerate() {
                let (ws, rest) =
                    (format!("ws_url = \"{}\"", good.ws_url(*venue)), good.rest_url(*venue));
                let plain = |key: &str| {
                    let is = |it: &&str| it.starts_with(key) && it.contains(&venue.to_string());
                    text.lines().find(is).unwrap().to_owned()
                };
                let door = |scheme: &str| {
                    doors.get(n).map(|it| {
                        let port = it.addr().port();
                        format!("{scheme}://localhost:{port}/{venue}")
                    })
                };
                let (old_ws, old_rest) = (plain("ws_url"), plain("rest_url"));
                let ws = door("wss").filter(|_| n < 4).map_or(ws, |it| format!("ws_url = {it:?}"));
                let rest = door("https").filter(|_| n == 4).unwrap_or(rest);
                text = text.replace(&old_ws, &ws);
                text =
                    text.replace(&old_rest, &format!("rest_url = {rest:?}\nca_file = \"ca.pem\""));
            }
            text
        };
        let scene = Scene { venues: VENUES.to_vec(), edit: Box::new(edit), ..Scene::default() };
        scene.play(dir.path(), |stage| {
            stage.until_deliver(&VENUES[5..]);
            SAID.iter().chain(&WHY).for_each(|it| stage.program.until_says(it));
            stage.until_deliver(&VENUES[5..]);
            for it in &bad {
                assert!(
                    VENUES.iter().all(|venue| it.sent(*venue).connections == 0),
                    "it was trusted"
                );
            }
            for it in &doors {
                it.lead_to(Behind::Server(good.addr()));
            }
            let mended = Instant::now();
            stage.until_all_deliver();
            println!("back in {:.1} s", mended.elapsed().as_secs_f64());
            good.set_rate(0.0);
            let mut before = (0, 0);
            eventually("nothing is under way", || {
                let frames = VENUES.iter().map(|it| good.sent(*it).frames).sum();
                before = if before.0 == frames { (frames, before.1 + 1) } else { (frames, 0) };
                20 <= before.1
            });
            for venue in VENUES {
                good.inject(venue, Fault::Http(503));
                good.inject(venue, Fault::Eof);
            }
            stage.until_connections("all have ended", |it| it == 0);
            stage.end();
            let sent: Vec<_> = VENUES.iter().map(|it| (*it, good.sent(*it))).collect();
            account = Some(accounted_for(&dir.path().join("data"), &sent, &HashSet::new()));
        });
    });
    println!("{account:?}");
}
