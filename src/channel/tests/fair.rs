//! The queue of many flows.

use super::super::{
    Received,
    fair::{Gone, queue},
};

#[cfg(not(loom))]
mod real {
    use std::{
        collections::{BTreeSet, VecDeque},
        thread,
    };

    use proptest::prelude::*;

    use super::*;

    const FLOWS: usize = 4;

    #[derive(Clone, Debug)]
    enum Step {
        Send { flow: usize, items: usize },
        Drain(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..FLOWS, 0..7_usize).prop_map(|(flow, items)| Step::Send { flow, items }),
            1 => (0..12_usize).prop_map(Step::Drain),
        ]
    }

    /// What each flow holds, as numbers that say which flow they are of and in which order they came.
    type Model = [VecDeque<u64>; FLOWS];

    fn queued(model: &Model) -> usize {
        model.iter().map(VecDeque::len).sum()
    }

    fn flow(item: u64) -> usize {
        usize::try_from(item % FLOWS as u64).expect("small")
    }

    /// Takes `items` off the fronts of their flows; how many of each is returned.
    fn take_out(model: &mut Model, items: &[u64]) -> [usize; FLOWS] {
        let mut counts = [0; FLOWS];
        for &item in items {
            assert_eq!(model[flow(item)].pop_front(), Some(item), "not the oldest of its flow");
            counts[flow(item)] += 1;
        }
        counts
    }

    fn check(capacity: usize, steps: &[Step]) {
        let (tx, rx) = queue(FLOWS, capacity);
        let mut model = Model::default();
        let mut n = 0;
        for step in steps {
            match *step {
                Step::Send { flow, items } => {
                    let number = |n| n * FLOWS as u64 + flow as u64;
                    let mut batch: Vec<_> = (n..n + items as u64).map(number).collect();
                    n += items as u64;
                    model[flow].extend(&batch);
                    let over = queued(&model).saturating_sub(capacity);
                    let mut evicted = Vec::new();
                    assert_eq!(tx.send(flow, &mut batch, &mut evicted), Ok(over));
                    assert_eq!((batch.len(), evicted.len()), (0, over));
                    let lost = take_out(&mut model, &evicted);
                    let longest = model.iter().map(VecDeque::len).max().expect("some");
                    for (lost, left) in lost.into_iter().zip(&model) {
                        assert!(lost == 0 || longest <= left.len() + 1, "not of the longest flow");
                    }
                }
                Step::Drain(at_most) => {
                    let mut batch = Vec::new();
                    let received = rx.drain(&mut batch, at_most);
                    assert_eq!(batch.len(), at_most.min(queued(&model)));
                    assert_eq!(received == Received::Nothing, queued(&model) == 0);
                    let taken = take_out(&mut model, &batch);
                    for (taken, left) in taken.into_iter().zip(&model) {
                        assert!(left.is_empty() || at_most / FLOWS <= taken, "not its share");
                    }
                }
            }
            assert_eq!((rx.len(), tx.len()), (queued(&model), queued(&model)));
            assert!(rx.len() <= capacity);
        }
        drop(tx);
        let mut rest = Vec::new();
        while rx.drain(&mut rest, 1) != Received::Closed {}
        take_out(&mut model, &rest);
        assert_eq!(queued(&model), 0);
    }

    proptest! {
        #[test]
        fn the_queue_behaves_like_its_model(
            capacity in 1..20_usize,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            check(capacity, &steps);
        }
    }

    #[test]
    fn a_flow_within_its_share_loses_nothing_to_one_that_floods() {
        let (tx, rx) = queue(FLOWS, 100);
        let (mut evicted, mut received) = (Vec::new(), Vec::new());
        for round in 0..1_000 {
            // The share of a flow is 25: the flood sends many times that before the consumer looks.
            assert!(tx.send(0, &mut vec![0; 90], &mut evicted).is_ok());
            for quiet in 1..FLOWS {
                assert!(tx.send(quiet, &mut vec![quiet; 8], &mut evicted).is_ok());
            }
            assert!(tx.send(0, &mut vec![0; 90], &mut evicted).is_ok());
            assert_eq!(rx.drain(&mut received, 40), Received::Items, "round {round}");
        }
        while rx.drain(&mut received, 40) == Received::Items {}
        assert!(evicted.iter().all(|it| *it == 0), "others have lost something");
        for quiet in 1..FLOWS {
            assert_eq!(received.iter().filter(|it| **it == quiet).count(), 8_000);
        }
        assert_eq!(received.len() + evicted.len(), 1_000 * (180 + 24));
    }

    #[test]
    fn few_at_a_time_are_taken_from_all_in_turn() {
        let (tx, rx) = queue(FLOWS, 100);
        for flow in 0..FLOWS {
            assert_eq!(tx.send(flow, &mut vec![flow; 10], &mut Vec::new()), Ok(0));
        }
        let mut received = Vec::new();
        for _ in 0..FLOWS {
            assert_eq!(rx.drain(&mut received, 1), Received::Items);
        }
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2, 3]);
    }

    #[test]
    fn under_stress_every_item_is_seen_exactly_once_and_in_order() {
        const PRODUCERS: u64 = 8;
        const BATCHES: u64 = 2_000;
        const ITEMS: u64 = 10;
        let (tx, rx) = queue(FLOWS, 64);
        let (received, evicted) = thread::scope(|scope| {
            let producers: Vec<_> = (0..PRODUCERS)
                .map(|producer| {
                    let tx = tx.clone();
                    scope.spawn(move || {
                        let (mut evicted, mut counted) = (Vec::new(), 0);
                        for n in 0..BATCHES {
                            let first = (producer * BATCHES + n) * ITEMS;
                            let mut batch: Vec<_> = (first..first + ITEMS).collect();
                            let flow = flow(producer);
                            counted +=
                                tx.send(flow, &mut batch, &mut evicted).expect("it is there");
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
            while rx.drain(&mut received, 16) != Received::Closed {
                thread::yield_now();
            }
            let evicted: Vec<_> =
                producers.into_iter().flat_map(|it| it.join().expect("no panic")).collect();
            (received, evicted)
        });
        for producer in 0..PRODUCERS {
            let is_mine = |it: &&u64| **it / (BATCHES * ITEMS) == producer;
            assert!(received.iter().filter(is_mine).is_sorted(), "{producer} was reordered");
        }
        let all = PRODUCERS * BATCHES * ITEMS;
        assert_eq!((received.len() + evicted.len()) as u64, all);
        let seen: BTreeSet<_> = received.into_iter().chain(evicted).collect();
        assert_eq!(seen, (0..all).collect());
    }

    #[test]
    fn a_gone_consumer_leaves_the_items_with_the_producer() {
        let (tx, rx) = queue(1, 1);
        drop(rx);
        let mut batch = vec![7, 8];
        assert_eq!(tx.send(0, &mut batch, &mut Vec::new()), Err(Gone));
        assert_eq!(batch, [7, 8]);
    }
}

#[cfg(loom)]
mod model {
    use loom::thread;

    use super::{super::check_all, *};

    #[test]
    fn every_item_is_received_or_evicted_once_and_in_order() {
        loom::model(|| {
            let (tx, rx) = queue(2, 2);
            let producers: Vec<_> = [vec![1, 2], vec![11, 12]]
                .into_iter()
                .enumerate()
                .map(|(flow, mut items)| {
                    let tx = tx.clone();
                    thread::spawn(move || {
                        let mut evicted = Vec::new();
                        assert!(tx.send(flow, &mut items, &mut evicted).is_ok());
                        evicted
                    })
                })
                .collect();
            drop(tx);
            let mut received = Vec::new();
            while rx.drain(&mut received, 9) != Received::Closed {
                thread::yield_now();
            }
            let evicted = producers.into_iter().flat_map(|it| it.join().expect("no panic"));
            check_all(received, evicted);
        });
    }

    #[test]
    fn items_sent_to_a_leaving_consumer_are_queued_or_stay() {
        loom::model(|| {
            let (tx, rx) = queue(1, 1);
            let leaving = thread::spawn(move || drop(rx));
            let mut evicted = Vec::new();
            let mut batch = vec![1];
            let sent = tx.send(0, &mut batch, &mut evicted);
            assert_eq!((sent.is_ok(), evicted.len()), (batch.is_empty(), 0));
            leaving.join().expect("no panic");
            assert_eq!(tx.send(0, &mut vec![2], &mut evicted), Err(Gone));
        });
    }
}
