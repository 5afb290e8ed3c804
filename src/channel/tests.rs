//! The invariants of the queues: against a model, under stress, and (with `--cfg loom`) under every
//! interleaving.

mod fair;

use std::time::Duration;

use super::{Received, Sent, newest};

const FOREVER: Duration = Duration::from_hours(1);

#[cfg(not(loom))]
mod real {
    use std::{
        collections::{BTreeSet, VecDeque},
        thread,
    };

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Send(u32),
        Drain(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![3 => any::<u32>().prop_map(Step::Send), 1 => (0..12_usize).prop_map(Step::Drain)]
    }

    /// The same operations on a queue nobody could get wrong.
    fn check(capacity: usize, steps: &[Step]) {
        let (tx, rx) = newest(capacity);
        let mut model = VecDeque::new();
        for &step in steps {
            match step {
                Step::Send(item) => {
                    let oldest: Vec<_> = (model.len() == capacity)
                        .then(|| model.pop_front())
                        .flatten()
                        .into_iter()
                        .collect();
                    model.push_back(item);
                    let mut evicted = Vec::new();
                    let sent = tx.send(item, &mut evicted);
                    assert_eq!(
                        sent,
                        if oldest.is_empty() { Sent::Queued } else { Sent::Evicted(1) }
                    );
                    assert_eq!(evicted, oldest);
                }
                Step::Drain(at_most) => {
                    let expected: Vec<_> = model.drain(..at_most.min(model.len())).collect();
                    let mut batch = Vec::new();
                    let received = rx.drain(&mut batch, at_most);
                    assert_eq!(batch, expected);
                    assert_eq!(received == Received::Items, !expected.is_empty());
                }
            }
            assert_eq!(rx.len(), model.len());
            assert!(rx.len() <= capacity);
        }
        drop(tx);
        let mut rest = Vec::new();
        while rx.drain(&mut rest, 1) != Received::Closed {}
        assert_eq!(rest, Vec::from(model));
    }

    proptest! {
        #[test]
        fn the_queue_behaves_like_its_model(
            capacity in 1..9_usize,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            check(capacity, &steps);
        }
    }

    #[test]
    fn under_stress_every_item_is_seen_exactly_once_and_in_order() {
        const PRODUCERS: u64 = 8;
        const ITEMS: u64 = 20_000;
        let (tx, rx) = newest(64);
        let (received, evicted) = thread::scope(|scope| {
            let producers: Vec<_> = (0..PRODUCERS)
                .map(|producer| {
                    let tx = tx.clone();
                    scope.spawn(move || {
                        let mut evicted = Vec::new();
                        let mut counted = 0;
                        for n in 0..ITEMS {
                            match tx.send(producer * ITEMS + n, &mut evicted) {
                                Sent::Queued => {}
                                Sent::Evicted(n) => counted += n,
                                Sent::Closed(_) => panic!("the consumer is there"),
                            }
                        }
                        assert_eq!(
                            counted,
                            evicted.len(),
                            "what is reported is what was taken out"
                        );
                        evicted
                    })
                })
                .collect();
            drop(tx);
            let mut received = Vec::new();
            while rx.recv_all(&mut received, 16, FOREVER) != Received::Closed {}
            let evicted: Vec<_> =
                producers.into_iter().flat_map(|it| it.join().expect("no panic")).collect();
            (received, evicted)
        });
        for producer in 0..PRODUCERS {
            let mine: Vec<_> = received.iter().filter(|&it| it / ITEMS == producer).collect();
            assert!(mine.is_sorted(), "producer {producer} was reordered");
        }
        assert_eq!(
            received.len() + evicted.len(),
            usize::try_from(PRODUCERS * ITEMS).expect("small")
        );
        let all: BTreeSet<_> = received.into_iter().chain(evicted).collect();
        assert_eq!(all, (0..PRODUCERS * ITEMS).collect());
    }

    #[test]
    fn a_gone_consumer_hands_the_item_back() {
        let (tx, rx) = newest(1);
        drop(rx);
        assert_eq!(tx.send(7, &mut Vec::new()), Sent::Closed(7));
    }

    #[test]
    fn gone_producers_end_the_consumer_after_the_last_item() {
        let (tx, rx) = newest(2);
        assert_eq!(tx.send(7, &mut Vec::new()), Sent::Queued);
        drop(tx);
        let mut batch = Vec::new();
        assert_eq!(rx.recv_all(&mut batch, 9, FOREVER), Received::Items);
        assert_eq!(rx.recv_all(&mut batch, 9, FOREVER), Received::Closed);
        assert_eq!(batch, [7]);
    }

    #[test]
    fn patience_ends() {
        let (_tx, rx) = newest::<u8>(1);
        assert_eq!(rx.recv_all(&mut Vec::new(), 9, Duration::from_millis(1)), Received::Nothing);
    }
}

/// Checks what became of the items 1 and 2 of one producer, and 11 and 12 of another.
#[cfg(loom)]
fn check_all(received: Vec<i32>, evicted: impl Iterator<Item = i32>) {
    for lane in [0, 10] {
        let mine: Vec<_> = received.iter().filter(|&&it| it / 10 * 10 == lane).collect();
        assert!(mine.is_sorted());
    }
    let mut all = received;
    all.extend(evicted);
    all.sort_unstable();
    assert_eq!(all, [1, 2, 11, 12]);
}

#[cfg(loom)]
mod model {
    use loom::thread;

    use super::*;

    #[test]
    fn every_item_is_received_or_evicted_once_and_in_order() {
        loom::model(|| {
            let (tx, rx) = newest(1);
            let producers: Vec<_> = [[1, 2], [11, 12]]
                .into_iter()
                .map(|items| {
                    let tx = tx.clone();
                    thread::spawn(move || {
                        let mut evicted = Vec::new();
                        for item in items {
                            assert!(!matches!(tx.send(item, &mut evicted), Sent::Closed(_)));
                        }
                        evicted
                    })
                })
                .collect();
            drop(tx);
            let mut received = Vec::new();
            while rx.recv_all(&mut received, 9, FOREVER) != Received::Closed {}
            let evicted = producers.into_iter().flat_map(|it| it.join().expect("no panic"));
            check_all(received, evicted);
        });
    }

    #[test]
    fn a_waiting_consumer_hears_of_each_item() {
        loom::model(|| {
            let (request, requests) = newest(1);
            let (reply, replies) = newest(1);
            let echo = thread::spawn(move || {
                let mut batch = Vec::new();
                while requests.recv_all(&mut batch, 9, FOREVER) != Received::Closed {
                    for it in batch.drain(..) {
                        assert_eq!(reply.send(it, &mut Vec::new()), Sent::Queued);
                    }
                }
            });
            let mut batch = Vec::new();
            for it in [1, 2] {
                assert_eq!(request.send(it, &mut Vec::new()), Sent::Queued);
                assert_eq!(replies.recv_all(&mut batch, 9, FOREVER), Received::Items);
            }
            assert_eq!(batch, [1, 2]);
            drop(request);
            echo.join().expect("no panic");
        });
    }

    #[test]
    fn an_item_sent_to_a_leaving_consumer_is_queued_or_handed_back() {
        loom::model(|| {
            let (tx, rx) = newest(1);
            let leaving = thread::spawn(move || drop(rx));
            let mut evicted = Vec::new();
            assert!(!matches!(tx.send(1, &mut evicted), Sent::Evicted(_)));
            leaving.join().expect("no panic");
            assert_eq!(tx.send(2, &mut evicted), Sent::Closed(2));
        });
    }
}
