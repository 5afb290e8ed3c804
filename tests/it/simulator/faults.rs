use super::*;

/// A client of OKX spot that receives data, and one fault.
fn with_fault(fault: &str, test: impl FnOnce(&Simulator, Client)) {
    with(Options { rate: 2_000.0, limits: false, ..of(OKX_SPOT) }, |simulator| {
        let mut client = Client::connect(simulator, OKX_SPOT);
        client.subscribe_all(simulator);
        client.data();
        simulator.inject(OKX_SPOT, fault.parse::<Fault>().unwrap());
        test(simulator, client);
    });
}

#[test]
fn a_drop_resets_once() {
    with_fault("drop", |simulator, mut client| {
        let end = client.end();
        let Got::Failed(tungstenite::Error::Io(e)) = end else { panic!("{end:?}") };
        assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
        let mut next = Client::connect(simulator, OKX_SPOT);
        next.subscribe_all(simulator);
        next.data();
    });
}

#[test]
fn an_eof_loses_nothing() {
    with_fault("eof", |simulator, mut client| {
        let end = client.end();
        let Got::Failed(tungstenite::Error::Protocol(e)) = end else { panic!("{end:?}") };
        assert_eq!(e, tungstenite::error::ProtocolError::ResetWithoutClosingHandshake);
        eventually("all is counted", || simulator.sent(OKX_SPOT).frames == client.got.frames);
    });
}

#[test]
fn a_close_says_goodbye() {
    with_fault("close", |simulator, mut client| {
        assert_eq!(ended(&client.end()), Some(1001));
        eventually("all is counted", || simulator.sent(OKX_SPOT).frames == client.got.frames);
    });
}

#[test]
fn a_mute_venue_answers_pings() {
    with_fault("mute", |simulator, mut client| {
        // What was under way when it fell silent may still come.
        eventually("it is mute", || {
            let before = client.got;
            for _ in 0..20 {
                client.catch_up();
            }
            client.got == before
        });
        simulator.clear(OKX_SPOT);
        client.data();
    });
}

#[test]
fn a_half_open_venue_answers_nothing_and_stays() {
    with_fault("half-open", |simulator, mut client| {
        client.socket.get_mut().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let end = client.end();
        assert!(matches!(&end, Got::Failed(tungstenite::Error::Io(_))), "{end:?}");
        client.ping();
        let end = client.end();
        assert!(matches!(&end, Got::Failed(tungstenite::Error::Io(_))), "{end:?}");
        assert_eq!(simulator.sent(OKX_SPOT).open, 1);
        simulator.clear(OKX_SPOT);
        client.socket.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
        client.catch_up();
    });
}

#[test]
fn garbage_comes_between_good_frames() {
    with_fault("garbage", |simulator, mut client| {
        while client.got.garbage < 200 {
            client.data();
        }
        simulator.set_rate(0.0);
        client.catch_up();
        eventually("good and bad are counted", || {
            let sent = simulator.sent(OKX_SPOT);
            (sent.frames, sent.garbage) == (client.got.frames, client.got.garbage)
        });
    });
}

#[test]
fn garbage_of_every_kind_is_told_from_good_frames() {
    for venue in [BITGET_SPOT, GATEIO_PERP, KUCOIN_SPOT, MEXC_SPOT, MEXC_PERP, BINGX_PERP] {
        with(Options { rate: 5_000.0, ..lax(venue) }, |simulator| {
            let mut client = Client::connect(simulator, venue);
            client.subscribe_all(simulator);
            simulator.inject(venue, Fault::Garbage);
            while client.got.garbage < 200 {
                client.data();
            }
            simulator.set_rate(0.0);
            client.catch_up();
            eventually(&format!("good and bad are counted: {venue} {:?}", client.got), || {
                let sent = simulator.sent(venue);
                let got = client.got;
                (sent.quotes, sent.trades, sent.garbage) == (got.quotes, got.trades, got.garbage)
            });
        });
    }
}

#[test]
fn torn_frames_arrive_whole() {
    with_fault("torn", |simulator, mut client| {
        for _ in 0..500 {
            client.data();
        }
        simulator.set_rate(0.0);
        client.catch_up();
        eventually("all is counted", || {
            let sent = simulator.sent(OKX_SPOT);
            (sent.frames, sent.bytes) == (client.got.frames, client.got.bytes)
        });
    });
}

#[test]
fn an_oversized_frame_is_announced() {
    with_fault("oversized", |simulator, mut client| {
        let end = client.end();
        assert!(matches!(&end, Got::Failed(tungstenite::Error::Capacity(_))), "{end:?}");
        drop(client);
        eventually("the connection is gone", || simulator.sent(OKX_SPOT).open == 0);
    });
}

#[test]
fn a_refusing_venue_answers_nobody() {
    with(Options::default(), |simulator| {
        simulator.inject(OKX_SPOT, Fault::Refuse);
        assert_eq!(get(simulator, &lists(OKX_SPOT)[0]).0, 0);
        assert!(Client::connect_to(simulator, OKX_SPOT, "/ws/v5/public").is_err());
        assert_eq!(get(simulator, &lists(OKX_PERP)[0]).0, 200, "the others do");
        simulator.clear(OKX_SPOT);
        assert_eq!(get(simulator, &lists(OKX_SPOT)[0]).0, 200);
    });
}

#[test]
fn a_status_answers_everything() {
    with(Options::default(), |simulator| {
        for status in [429, 451, 503] {
            simulator.inject(BINANCE_SPOT, Fault::Http(status));
            let (got, head, body) = get(simulator, &lists(BINANCE_SPOT)[0]);
            assert_eq!(got, status);
            assert_eq!(head.contains("Retry-After: 1"), status != 451, "{head}");
            assert!(status != 451 || body.contains("restricted location"), "{body}");
            let refused = Client::connect_to(simulator, BINANCE_SPOT, "/stream").err().unwrap();
            assert!(matches!(&*refused, tungstenite::Error::Http(it) if it.status() == status));
            simulator.clear(BINANCE_SPOT);
        }
        Client::connect(simulator, BINANCE_SPOT);
    });
}

#[test]
fn a_refused_symbol_is_listed_but_unknown() {
    for venue in VENUES {
        with(lax(venue), |simulator| {
            simulator.inject(venue, Fault::RefuseSymbol("ETH-USDT".to_owned()));
            assert!(simulator.symbols(venue).contains(&native(venue, "ETH")));
            let mut client = Client::connect(simulator, venue);
            client.request("subscribe", &topics(venue, &native(venue, "ETH"))[..1]);
            let silent = venue.exchange == Exchange::Binance || venue == tongue::KUCOIN_PERP;
            assert_eq!(is_ack(venue, &client.reply()), silent, "{venue}");
            client.subscribe(&topics(venue, &native(venue, "BTC"))[..1]);
            for _ in 0..20 {
                let data = client.data().to_string();
                let btc = data.contains("BTC") || data.contains("XBT");
                assert!(btc && !data.contains("ETH"), "{data}");
            }
        });
    }
}

#[test]
fn a_plan_begins_and_ends_by_itself() {
    let faults = ["http=503@okx-spot:for=200ms", "http=429@okx-spot:after=400ms"];
    let faults = faults.map(|it| it.parse().unwrap()).to_vec();
    with(Options { faults, ..of(OKX_SPOT) }, |simulator| {
        for wanted in [503, 200, 429] {
            let path = &lists(OKX_SPOT)[0];
            eventually("the status changes", || get(simulator, path).0 == wanted);
        }
    });
}
