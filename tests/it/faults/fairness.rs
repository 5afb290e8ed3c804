//! One venue that sends far more than the writer takes.

use fastrand::Rng;
use spread_aggregator::{
    channel::newest,
    feed::{
        drops::Drops,
        sinks::{Lane, Sinks},
    },
    market::{Channel, Event, Exchange, Instrument, Market, Nanos, Quote, Venue},
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

/// The queue is one, and the oldest goes whosever it is. So a flood costs every venue the same part of its
/// rows, and not the one that floods alone; and each loss is told of the venue that it hit, to the row.
#[test]
fn a_flood_costs_every_venue_the_same_part_of_its_rows_and_each_is_declared() {
    let (metrics, registry) = (Metrics::new(), registry());
    let other = Instrument {
        venue: OTHER,
        symbol: "BTC-USDT".to_owned(),
        symbol_native: "BTC-USDT".to_owned(),
        contract_size: 1.0,
    };
    let other = registry.intern(other).unwrap();
    let drops = Drops::new(&registry);
    let (queue, consumer) = newest(CAPACITY);
    let sinks =
        Sinks::new(vec![Lane { queue, metrics: metrics.queue("writer-0") }], vec![], &drops);
    let Event::Quote(like) = events(Channel::Quotes, NOON, 1).remove(0) else { unreachable!() };
    let (mut rng, mut scratch, mut stored) = (Rng::with_seed(8), Vec::new(), [0; 2]);
    for round in 0..ROUNDS {
        let mut sent = events(Channel::Quotes, NOON, FLOOD);
        for n in 0..TRICKLE {
            let ts_recv = Nanos(NOON.0 + i64::try_from(round * TRICKLE + n).unwrap());
            let quote = Quote { instrument: other, ts_recv, ..like };
            sent.insert(rng.usize(..=sent.len()), Event::Quote(quote));
        }
        sinks.send(&mut sent, &mut scratch);
        let mut taken = Vec::new();
        let rest = if round + 1 == ROUNDS { CAPACITY } else { TAKEN };
        let _ = consumer.drain(&mut taken, rest);
        for it in &taken {
            stored[usize::from(venue(&registry, it) == OTHER)] += 1;
        }
    }
    let sent = [FLOOD, TRICKLE].map(|it| it * ROUNDS);
    let lost = [FLOODING, OTHER].map(|it| drops.take(it, Channel::Quotes).count);
    for n in 0..2 {
        assert_eq!(stored[n] + usize::try_from(lost[n]).unwrap(), sent[n], "not all is declared");
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let parts = [0, 1].map(|n| lost[n] as f64 / sent[n] as f64);
    println!("lost of the flood {:.3}, of the other venue {:.3}", parts[0], parts[1]);
    assert!((parts[0] - parts[1]).abs() < 0.05, "{parts:?}");
}

fn venue(registry: &Registry, event: &Event) -> Venue {
    registry.venue(event.instrument()).unwrap()
}
