//! Peers that never come to the end of what they say.

use std::{
    io::{self, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use spread_aggregator::{
    market::{Exchange, Market, Venue},
    stop::Stop,
};

use super::super::support::{
    door::{Behind, Door},
    stage::{Scene, Stage},
    world::{RequestOnDrop, eventually},
};

const OKX: Venue = Venue::new(Exchange::Okx, Market::Spot);
const GATEIO: Venue = Venue::new(Exchange::Gateio, Market::Spot);

/// Less than the longest wait for a byte, so that no read ever ends without one.
const PAUSE: Duration = Duration::from_millis(50);

/// The head of a TLS record of 16 KiB, and its body, which would take a quarter of an hour.
static RECORD: [u8; 16_389] = {
    let mut record = [0; 16_389];
    record[0] = 0x16;
    record[1] = 3;
    record[2] = 3;
    record[3] = 0x40;
    record
};

fn staged(url: &str, test: impl FnOnce(Stage<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    let edit = |text: String| {
        let line = text.lines().find(|it| it.starts_with("ws_url") && it.contains("okx-spot"));
        text.replace(line.unwrap(), &format!("ws_url = \"{url}\""))
    };
    let (venues, each) = (vec![OKX, GATEIO], "heartbeat_timeout = \"1s\"");
    Scene { venues, each, edit: Box::new(edit), ..Scene::default() }.play(dir.path(), test);
}

/// The contract names the bound.
fn stops_in_time(stage: Stage<'_>) {
    stage.until_deliver(&[GATEIO]);
    stage.program.signal("TERM");
    let asked = Instant::now();
    let (status, _) = stage.program.end();
    assert!(status.success(), "{status}");
    assert!(asked.elapsed().as_secs() < 5, "a stop took {:?}", asked.elapsed());
}

#[test]
fn a_handshake_of_which_a_byte_comes_now_and_then_does_not_hold_up_a_stop() {
    for (scheme, said) in
        [("ws", &b"HTTP/1.1 101 Switching Protocols\r\nX: y\r\n"[..]), ("wss", &RECORD)]
    {
        let door = Door::new(Behind::Slow(said, PAUSE));
        let stop = Stop::default();
        thread::scope(|scope| {
            let _closing = RequestOnDrop(&stop);
            scope.spawn(|| door.serve(scope, &stop));
            staged(&format!("{scheme}://localhost:{}", door.addr().port()), |stage| {
                eventually("it has come", || !door.knocks().is_empty());
                stops_in_time(stage);
            });
        });
    }
}

/// Takes one connection, shakes hands and begins a frame of 1 MiB, which comes byte by byte.
fn serve_slowly(listener: &TcpListener, stop: &Stop) -> io::Result<()> {
    while !stop.requested() {
        let (guest, _) = listener.accept()?;
        if stop.requested() {
            break;
        }
        let Ok(mut socket) = tungstenite::accept(guest) else { continue };
        let guest = socket.get_mut();
        guest.set_nodelay(true)?;
        let mut sent = guest.write_all(&[0x81, 127, 0, 0, 0, 0, 0, 0x10, 0, 0]);
        while sent.is_ok() && !stop.wait(PAUSE) {
            sent = guest.write_all(b" ");
        }
    }
    Ok(())
}

#[test]
fn a_frame_of_which_a_byte_comes_now_and_then_is_no_sign_of_life() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = Stop::default();
    thread::scope(|scope| {
        scope.spawn(|| serve_slowly(&listener, &stop));
        let closing = RequestOnDrop(&stop);
        staged(&format!("ws://{addr}"), |stage| {
            stage.program.until_says("feed-okx-spot-0: silent for 1");
            stops_in_time(stage);
        });
        drop(closing);
        // It waits for a guest.
        let _ = std::net::TcpStream::connect(addr);
    });
}
