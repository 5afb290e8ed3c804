//! Spreads of a run: what is stored is what the stored quotes make.

use std::{path::Path, sync::Arc};

use spread_aggregator::{
    config,
    market::{Channel, ConnId, Exchange, Market, Nanos, Quote, Venue},
    registry::Registry,
    simulator::Options,
    spreads::{Out, Spreads},
};

use super::support::{
    rows::{EpisodeRow, episodes, rows},
    world::{Setting, eventually},
};

const VENUES: [Venue; 4] = [
    Venue::new(Exchange::Binance, Market::Spot),
    Venue::new(Exchange::Bybit, Market::Spot),
    Venue::new(Exchange::Okx, Market::Spot),
    Venue::new(Exchange::Okx, Market::Perp),
];

/// So small a fee and so narrow a guard that both decide now and then; quotes wait for longer than
/// a thread does for its turn.
const TOP: &str = r#"[spreads]
hysteresis_bps = 1
max_quote_age = "300ms"
identity_guard = 0.0008
identity_after = "1s"
reorder = "5s""#;
const EACH: &str = "taker_fee_bps = 1\n";

#[test]
fn what_is_stored_can_be_made_again_from_stored_quotes() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        Options { venues: VENUES.to_vec(), symbols: 100, rate: 6_000.0, ..Options::default() };
    let setting = Setting { options, top: TOP, each: EACH };
    let summary = setting.run(dir.path(), |world| {
        let spreads = world.metrics.spreads();
        eventually("enough has been earned", || 100 < spreads.episodes.get());
        eventually("something is suspected", || 0 < spreads.quarantined.get());
    });
    assert_eq!(summary.unwrap().dropped, 0);
    let mut stored = episodes(dir.path());
    let (mut made, still_open) = make_again(dir.path());
    assert!(100 < made.len() + still_open.len());
    // What the end of the run closes is closed at a time that no file knows.
    for row in &mut stored {
        if still_open.iter().any(|it| it.names == row.names && it.open == row.open) {
            assert!(still_open.iter().any(|it| it.names == row.names && it.close <= row.close));
            row.close = i64::MAX;
        }
    }
    made.extend(still_open.into_iter().map(|it| EpisodeRow { close: i64::MAX, ..it }));
    let order = |a: &EpisodeRow, b: &EpisodeRow| a.partial_cmp(b).unwrap();
    stored.sort_by(order);
    made.sort_by(order);
    assert_eq!(stored, made);
}

/// The episodes that stored quotes make, and those that are open at their end.
fn make_again(dir: &Path) -> (Vec<EpisodeRow>, Vec<EpisodeRow>) {
    let exchange = |it: &Venue| {
        format!("[[exchange]]\nname = \"{}\"\nmarket = \"{}\"\n{EACH}", it.exchange, it.market)
    };
    let text: String = VENUES.iter().map(exchange).collect();
    let plan = config::parse(&format!("{TOP}\n{text}"), "again.toml".as_ref()).unwrap();
    let mut engine = Spreads::new(&plan.spreads.unwrap());
    let (registry, mut out) = (Registry::default(), Out::default());
    let mut quotes = rows(dir, Channel::Quotes);
    quotes.sort_by_key(|it| (it.ts_recv, it.instrument().venue.exchange));
    for row in &quotes {
        let instrument = row.instrument();
        let id = registry.intern(instrument.clone()).unwrap();
        if !engine.knows(id) {
            engine.list(id, &Arc::new(instrument), &mut out);
        }
        let [bid, ask] = row.levels();
        let (conn, ts_event, sequence) = (ConnId(0), None, None);
        let ts_recv = Nanos(row.ts_recv * 1_000);
        let quote = Quote { instrument: id, conn, ts_event, ts_recv, bid, ask, sequence };
        engine.on_quote(&quote, &mut out);
    }
    engine.tick(engine.now(), &mut out);
    let ended = out.episodes.len();
    engine.finish(&mut out);
    let row = |it| EpisodeRow::of(it, &registry);
    let mut made: Vec<_> = out.episodes.iter().map(row).collect();
    let open = made.split_off(ended);
    (made, open)
}

#[test]
fn nothing_is_compared_that_is_not_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let venues = VENUES[..2].to_vec();
    let options = Options { venues, symbols: 5, rate: 2_000.0, ..Options::default() };
    let setting =
        Setting { options, top: "[spreads]\nenabled = false\nmin_net_bps = -1e4", each: "" };
    let summary = setting.run(dir.path(), |world| {
        world.until_all_deliver(500);
        assert_eq!(world.metrics.spreads().updates.get(), 0);
    });
    assert_eq!(summary.unwrap().written.records, 0);
}
