//! RFC 6455 as the server keeps it: the classes of the Autobahn fuzzing client, which needs Python 2 and
//! a server that echoes. Where that one waits for an echo, this one waits for what is answered to a text
//! that is no request.

use std::{io::Write, net::SocketAddr};

use super::{
    frames::{Frames, frame, masked, raw},
    served::{serve, settings},
};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
/// Of a text that goes on.
const PART: u8 = 0x01;
/// The end of a message that was in parts, and what is between.
const LAST: u8 = 0x80;
const MORE: u8 = 0x00;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Every connection is closed in the end, with the code that the client gives or one that says what is
/// wrong.
const ORDERLY: u16 = 4321;

/// What comes of something that was sent, and then of a close with [`ORDERLY`].
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// Answers to texts that are no request. None of them is sent any more once the client is closed.
    answers: usize,
    pongs: Vec<Vec<u8>>,
    /// `None` for a close without one.
    code: Option<u16>,
}

fn closed(code: u16) -> Outcome {
    Outcome { answers: 0, pongs: Vec::new(), code: Some(code) }
}

fn answered(answers: usize) -> Outcome {
    Outcome { answers, pongs: Vec::new(), code: Some(ORDERLY) }
}

fn ponged(pongs: &[&[u8]]) -> Outcome {
    let pongs = pongs.iter().map(|it| it.to_vec()).collect();
    Outcome { answers: 0, pongs, code: Some(ORDERLY) }
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// What comes of `sent`, written in pieces of so many bytes.
fn outcome(addr: SocketAddr, sent: &[u8], piece: usize) -> Outcome {
    let tcp = raw(addr);
    let mut writing = tcp.try_clone().unwrap();
    // It may be closed on the way.
    let _ = sent.chunks(piece).try_for_each(|it| writing.write_all(it));
    let mut outcome = Outcome { answers: 0, pongs: Vec::new(), code: None };
    // An answer comes before the one of a later request; a pong may come before either.
    let _ = writing.write_all(&frame(TEXT, br#"{"op":"unsubscribe","channel":"quotes"}"#));
    for (opcode, payload) in Frames::new(tcp) {
        match opcode {
            1 if payload.starts_with(br#"{"type":"error""#) => outcome.answers += 1,
            1 if payload.starts_with(br#"{"type":"unsubscribed""#) => {
                let _ = writing.write_all(&close(ORDERLY, b""));
            }
            8 => {
                outcome.code = payload.first_chunk().map(|it| u16::from_be_bytes(*it));
                // Whoever was closed has been sent an end of what it asked or not: as it happened.
                if outcome.code != Some(ORDERLY) {
                    (outcome.answers, outcome.pongs) = (0, Vec::new());
                }
            }
            10 => outcome.pongs.push(payload),
            _ => panic!("{opcode}: {payload:?}"),
        }
    }
    outcome
}

/// Sends each in one piece, and in small ones.
fn check(cases: impl IntoIterator<Item = (String, Vec<u8>, Outcome)>) {
    let mut settings = settings();
    settings.max_request_bytes = 128 << 10;
    serve(&settings, |served| {
        for (what, sent, expected) in cases {
            for piece in [sent.len().max(1), if sent.len() < 300 { 1 } else { 997 }] {
                assert_eq!(outcome(served.addr, &sent, piece), expected, "{what}, by {piece}");
            }
        }
        served.until_clients(0);
        assert_eq!(served.metrics.live.dead.get(), 0);
    });
}

#[test]
fn messages_of_any_size_are_read() {
    let sizes = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 128 << 10];
    check(sizes.into_iter().flat_map(|size| {
        let payload = vec![b'*'; size];
        [
            (format!("a text of {size}"), frame(TEXT, &payload), answered(1)),
            (format!("a masked text of {size}"), masked(TEXT, &payload, *b"mask"), answered(1)),
            (format!("{size} bytes"), frame(BINARY, &payload), answered(1)),
        ]
    }));
    let long = vec![b'*'; (128 << 10) + 1];
    let (first, second) = long.split_at(65_536);
    let huge = |len: [u8; 8]| [&[TEXT, 0xff][..], &len, &[0; 4]].concat();
    check([
        ("one byte too long".to_owned(), frame(TEXT, &long), closed(1009)),
        (
            "parts that are too long together".to_owned(),
            [frame(PART, first), frame(LAST, second)].concat(),
            closed(1009),
        ),
        ("a huge one".to_owned(), huge([0x7f; 8]), closed(1009)),
        ("one of a negative length".to_owned(), huge([0xff; 8]), closed(1009)),
    ]);
}

#[test]
fn pings_are_answered_with_what_they_carry() {
    let most = [0xfe; 125];
    check([
        ("an empty one".to_owned(), frame(PING, b""), ponged(&[b""])),
        ("one of text".to_owned(), masked(PING, b"ping", *b"\xff\0\x80x"), ponged(&[b"ping"])),
        ("one of no text".to_owned(), frame(PING, b"\0\xff\xfe"), ponged(&[b"\0\xff\xfe"])),
        ("the longest".to_owned(), frame(PING, &most), ponged(&[&most])),
        ("one that is too long".to_owned(), frame(PING, &[0; 126]), closed(1002)),
        (
            "several".to_owned(),
            [b"1", b"2", b"3"].map(|it| frame(PING, it)).concat(),
            ponged(&[b"1", b"2", b"3"]),
        ),
        ("pongs that nobody asked for".to_owned(), frame(PONG, b"x").repeat(3), answered(0)),
        ("a pong that is too long".to_owned(), frame(PONG, &[0; 126]), closed(1002)),
        (
            "a pong, and a ping".to_owned(),
            [frame(PONG, b""), frame(PING, b"x")].concat(),
            ponged(&[b"x"]),
        ),
    ]);
}

#[test]
fn what_is_reserved_is_refused() {
    let bits = (1..8).flat_map(|bits| {
        [TEXT, BINARY, PING, PONG, CLOSE, PART].map(|first| {
            let sent = frame(first | bits << 4, b"");
            (format!("bits {bits} of {first:x}"), sent, closed(1002))
        })
    });
    let opcodes = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].into_iter().flat_map(|opcode| {
        let name = format!("opcode {opcode}");
        let sent = [
            frame(LAST | opcode, b""),
            frame(LAST | opcode, b"payload"),
            frame(opcode, b""),
            [frame(TEXT, b"*"), frame(LAST | opcode, b"")].concat(),
            [frame(PART, b"*"), frame(LAST | opcode, b"")].concat(),
        ];
        sent.map(|it| (name.clone(), it, closed(1002)))
    });
    check(bits.chain(opcodes));
}

#[test]
fn whoever_does_not_mask_is_refused() {
    check(
        [b"\x81\x02{}".to_vec(), b"\x82\0".into(), b"\x89\0".into(), b"\x88\x02\x03\xe8".into()]
            .map(|sent| (format!("{sent:x?}"), sent, closed(1002))),
    );
}

#[test]
fn messages_may_come_in_parts_with_control_frames_between_them() {
    let letters = |n: usize| -> Vec<Vec<u8>> {
        let first = frame(PART, b"a");
        [vec![first], vec![frame(MORE, b"b"); n], vec![frame(LAST, b"c")]].concat()
    };
    let with = |mut outcome: Outcome, pongs: usize| {
        outcome.pongs = vec![b"?".to_vec(); pongs];
        outcome
    };
    let ping = frame(PING, b"?");
    for_each_named(&[
        ("two parts", letters(0).concat(), answered(1)),
        ("many parts", letters(50).concat(), answered(1)),
        ("a ping after each part", letters(9).join(&ping[..]), with(answered(1), 10)),
        ("a pong after each part", letters(9).join(&frame(PONG, b"")[..]), answered(1)),
        (
            "empty parts",
            [frame(PART, b""), frame(MORE, b""), frame(LAST, b"")].concat(),
            answered(1),
        ),
        ("two messages", letters(1).concat().repeat(2), answered(2)),
        ("bytes in two parts", [frame(0x02, b"a"), frame(LAST, b"b")].concat(), answered(1)),
        ("an end of nothing", frame(LAST, b"a"), closed(1002)),
        ("a part of nothing", frame(MORE, b"a"), closed(1002)),
        ("an end of what has ended", [frame(TEXT, b"a"), frame(LAST, b"b")].concat(), closed(1002)),
        ("a text in a text", [frame(PART, b"a"), frame(TEXT, b"b")].concat(), closed(1002)),
        (
            "a part of another in a text",
            [frame(PART, b"a"), frame(PART, b"")].concat(),
            closed(1002),
        ),
        ("bytes in a text", [frame(PART, b"a"), frame(BINARY, b"b")].concat(), closed(1002)),
        ("a ping in parts", [frame(0x09, b"a"), frame(LAST, b"b")].concat(), closed(1002)),
        ("a pong in parts", frame(0x0a, b"a"), closed(1002)),
        ("a close in parts", frame(0x08, b"\x03\xe8"), closed(1002)),
        ("a close in a text", [frame(PART, b"a"), close(1000, b"")].concat(), closed(1000)),
    ]);
}

fn for_each_named(cases: &[(&str, Vec<u8>, Outcome)]) {
    check(
        cases
            .iter()
            .map(|(what, sent, expected)| ((*what).to_owned(), sent.clone(), expected.clone())),
    );
}

/// As one text, and in two parts, cut at each place.
fn as_texts(bytes: &[u8]) -> Vec<Vec<u8>> {
    let parted = (0..=bytes.len()).map(|at| {
        let (first, second) = bytes.split_at(at);
        [frame(PART, first), frame(LAST, second)].concat()
    });
    [frame(TEXT, bytes)].into_iter().chain(parted).collect()
}

#[test]
fn text_of_any_characters_is_read_wherever_it_is_cut() {
    let edges = "\0\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{fdd0}\u{feff}\u{fffd}\u{fffe}\u{ffff}\
                 \u{10000}\u{1fffe}\u{10ffff}";
    let words = ["κόσμε", edges, "a\u{300}\u{202e}", "🙂"];
    check(words.iter().flat_map(|it| {
        as_texts(it.as_bytes()).into_iter().map(move |sent| (format!("{it:?}"), sent, answered(1)))
    }));
}

#[test]
fn text_that_is_none_is_refused_wherever_it_is_cut() {
    let wrong: [&[u8]; 24] = [
        b"\x80",
        b"\xbf",
        b"\x80\xbf\x80",
        b"\xc0\x80",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xc2",
        b"\xc2A",
        b"\xe0\x80\x80",
        b"\xe0\x9f\xbf",
        b"\xe0\xa0",
        b"\xe0\xa0A",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xf0\x80\x80\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf0\x90\x80",
        b"\xf0\x90\x80A",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfe",
        b"\xff",
    ];
    check(wrong.iter().flat_map(|wrong| {
        let text = [b"\xce\xba{", *wrong].concat();
        as_texts(&text).into_iter().map(move |sent| (format!("{wrong:x?}"), sent, closed(1007)))
    }));
    // Nobody waits for the end of a text that cannot be one any more.
    let early = frame(PART, b"\xce\xba\xff");
    check([("a first part".to_owned(), early, closed(1007))]);
}

#[test]
fn a_close_is_answered_with_its_code_if_it_may_be_sent() {
    let good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    let bad = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535];
    let coded = good.map(|it| (it, it)).into_iter().chain(bad.map(|it| (it, 1002)));
    check(coded.map(|(code, answer)| (format!("{code}"), close(code, b"why"), closed(answer))));
    let reason = "é".repeat(61);
    let without = Outcome { answers: 0, pongs: Vec::new(), code: None };
    for_each_named(&[
        ("no code", frame(CLOSE, b""), without),
        ("half a code", frame(CLOSE, b"\x03"), closed(1002)),
        ("the longest reason", close(1000, format!("{reason}!").as_bytes()), closed(1000)),
        ("a reason that is too long", close(1000, &[b'a'; 124]), closed(1002)),
        ("a reason that is no text", close(1000, b"\xce\xba\xff"), closed(1007)),
        ("two", close(1000, b"").repeat(2), closed(1000)),
        ("a text afterwards", [close(1000, b""), frame(TEXT, b"*")].concat(), closed(1000)),
        ("a ping afterwards", [close(1000, b""), frame(PING, b"*")].concat(), closed(1000)),
        ("nonsense afterwards", [close(1000, b""), vec![0xff; 50]].concat(), closed(1000)),
    ]);
}
