//! One venue that sends far more than the writer takes.

use spread_aggregator::{
    channel::fair,
    feed::{
        drops::Drops,
        sinks::{Lane, Scratch, Sinks},
    },
    market::{Channel, Event, Exchange, Instrument, Market, Quote, Venue},
    metrics::Metrics,
    registry::Registry,
};

use super::super::support::events::{NOON, events, registry};

const FLOODING: Venue = Venue::new(Exchange::Binance, Market::Spot);
const OTHER: Venue = Venue::new(Exchange::Okx, Market::Spot);

const CAPACITY: usize = 1_000;
/// Events of a round: those of the two venues, and those that the writer takes.
const FLOOD: usize = 490;
const TRICKLE: usize = 10;
const TAKEN: usize = 250;
const ROUNDS: usize = 400;

/// Each venue has its share of the queue. What is lost is the flood's alone, and declared to the row.
#[test]
fn a_flood_costs_the_venue_that_floods_and_no_other() {
    let (metrics, registry) = (Metrics::new(), registry());
    let other = Instrument {
        venue: OTHER,
        symbol: "BTC-USDT".to_owned(),
        symbol_native: "BTC-USDT".to_owned(),
        contract_size: 1.0,
    };
    let other = registry.intern(other).unwrap();
    let drops = Drops::new(&registry);
    let (queue, consumer) = fair::queue(Venue::COUNT, CAPACITY);
    let sinks =
        Sinks::new(vec![Lane { queue, metrics: metrics.queue("writer-0") }], vec![], &drops);
    let Event::Quote(like) = events(Channel::Quotes, NOON, 1).remove(0) else { unreachable!() };
    let quote = Event::Quote(Quote { instrument: other, ..like });
    let (mut scratch, mut stored) = (Scratch::default(), [0; 2]);
    for round in 0..ROUNDS {
        for _ in 0..TRICKLE {
            sinks.send(FLOODING, &mut events(Channel::Quotes, NOON, FLOOD / TRICKLE), &mut scratch);
            sinks.send(OTHER, &mut vec![quote.clone()], &mut scratch);
        }
        let mut taken = Vec::new();
        let rest = if round + 1 == ROUNDS { CAPACITY } else { TAKEN };
        let _ = consumer.drain(&mut taken, rest);
        for it in &taken {
            stored[usize::from(venue(&registry, it) == OTHER)] += 1;
        }
    }
    let lost = [FLOODING, OTHER].map(|it| drops.take(it, Channel::Quotes).count);
    assert_eq!(lost[1], 0, "the flood has cost another venue rows");
    assert_eq!(stored[1], TRICKLE * ROUNDS);
    assert!(0 < lost[0], "there was no flood");
    let all = FLOOD * ROUNDS;
    assert_eq!(stored[0] + usize::try_from(lost[0]).unwrap(), all, "not all is declared");
    println!("lost of the flood {} of {all}, of the other venue nothing", lost[0]);
}

fn venue(registry: &Registry, event: &Event) -> Venue {
    registry.venue(event.instrument()).unwrap()
}
