//! The engine against a model that looks at everything, every time.

use proptest::{prelude::*, strategy::ValueTree as _};

use super::*;

/// What is traded: exchange, market, symbol and how many of the asset a unit is.
const LISTED: [(usize, Market, &str, f64); 7] = [
    (A, Market::Spot, "X-USDT", 1.0),
    (B, Market::Spot, "X-USDT", 1.0),
    (C, Market::Spot, "X-USDT", 1.0),
    (3, Market::Spot, "1000X-USDT", 1000.0),
    (A, Market::Spot, "X-USDC", 1.0),
    (B, Market::Spot, "X-USDC", 1.0),
    (B, Market::Perp, "X-USDT", 1.0),
];

const MAX_AGE: i64 = 2_000_000;
const MINUTE: i64 = 60_000_000;

/// A quote, in microseconds, per unit of the asset.
#[derive(Clone, Copy)]
struct Book {
    at: i64,
    bid: Option<f64>,
    ask: Option<f64>,
}

impl Book {
    /// Its sides, if they are in order.
    fn sides(self) -> (Option<f64>, Option<f64>) {
        match (self.bid, self.ask) {
            (Some(bid), Some(ask)) if ask <= bid => (None, None),
            sides => sides,
        }
    }

    fn mid(self) -> Option<f64> {
        match self.sides() {
            (Some(bid), Some(ask)) => Some(f64::midpoint(bid, ask)),
            (bid, ask) => bid.or(ask),
        }
    }
}

#[derive(Default)]
struct Pair {
    /// Open, updates, peak net, oldest leg.
    open: Option<(i64, u64, f64, i64)>,
    apart_since: Option<i64>,
    quarantined: bool,
    agrees_since: Option<i64>,
}

/// Open, close, buy, sell, updates, peak net, oldest leg.
type Row = (i64, i64, usize, usize, u64, f64, i64);

#[derive(Default)]
struct Model {
    books: [Option<Book>; LISTED.len()],
    pairs: std::collections::HashMap<(usize, usize), Pair>,
    rows: Vec<Row>,
    crosses: Vec<(usize, usize)>,
    min: f64,
    hysteresis: f64,
}

/// Both directions of all that may be compared.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = (0..LISTED.len()).flat_map(|a| (0..LISTED.len()).map(move |b| (a, b)));
    all.filter(|&(a, b)| {
        let ((a, market_a, symbol_a, _), (b, market_b, symbol_b, _)) = (LISTED[a], LISTED[b]);
        let name = |it: &'static str| it.trim_start_matches("1000");
        a != b && market_a == market_b && name(symbol_a) == name(symbol_b)
    })
}

impl Model {
    fn net(&self, buy: usize, sell: usize) -> Option<f64> {
        let (ask, bid) = (self.books[buy]?.sides().1?, self.books[sell]?.sides().0?);
        Some((bid - ask) / ask * 10_000.0 - 5.0 - 5.0)
    }

    fn expire(&mut self, now: i64) {
        for (buy, sell) in pairs() {
            let both = [buy, sell].map(|it| self.books[it].map_or(i64::MIN / 2, |it| it.at));
            let end = both[0].min(both[1]) + MAX_AGE;
            if end < now {
                self.close(buy, sell, end);
            }
        }
    }

    fn close(&mut self, buy: usize, sell: usize, at: i64) {
        let pair = self.pairs.entry((buy, sell)).or_default();
        if let Some((open, updates, peak, age)) = pair.open.take() {
            self.rows.push((open, at, buy, sell, updates, peak, age));
        }
    }

    /// Whether the two may be two assets.
    fn is_held(&mut self, a: usize, b: usize, now: i64) -> bool {
        let mids = [a, b].map(|it| self.books[it].and_then(Book::mid));
        let pair = self.pairs.entry((a.min(b), a.max(b))).or_default();
        let [Some(a), Some(b)] = mids else { return pair.apart_since.is_some() };
        let within = |part: f64| a.max(b) <= a.min(b) * (1.0 + part);
        if pair.quarantined {
            pair.agrees_since =
                if within(0.2 * 0.75) { pair.agrees_since.or(Some(now)) } else { None };
            if pair.agrees_since.is_some_and(|it| MINUTE <= now - it) {
                (pair.apart_since, pair.quarantined, pair.agrees_since) = (None, false, None);
            }
        } else {
            pair.apart_since = if within(0.2) { None } else { pair.apart_since.or(Some(now)) };
            pair.quarantined = pair.apart_since.is_some_and(|it| MINUTE <= now - it);
        }
        pair.apart_since.is_some()
    }

    fn quote(&mut self, it: usize, book: Book) {
        let now = book.at;
        self.expire(now);
        self.books[it] = Some(book);
        let fresh =
            |books: &[Option<Book>], it: usize| books[it].is_some_and(|it| now - it.at <= MAX_AGE);
        let mut judged = [None; LISTED.len()];
        for (buy, sell) in pairs().filter(|&(a, b)| a == it || b == it) {
            let other = if buy == it { sell } else { buy };
            if !fresh(&self.books, other) {
                continue;
            }
            let held = *judged[other].get_or_insert_with(|| self.is_held(it, other, now));
            let net = if held { None } else { self.net(buy, sell) };
            self.crosses.extend(net.map(|_| (buy, sell)));
            let age = now - self.books[other].expect("fresh").at;
            let pair = self.pairs.entry((buy, sell)).or_default();
            match (&mut pair.open, net) {
                (None, Some(net)) if self.min < net => pair.open = Some((now, 1, net, age)),
                (Some((_, updates, peak, oldest)), Some(net))
                    if self.min - self.hysteresis < net =>
                {
                    *updates += 1;
                    *peak = peak.max(net);
                    *oldest = age.max(*oldest);
                }
                (Some(_), _) => self.close(buy, sell, now),
                _ => {}
            }
        }
    }

    fn finish(&mut self, now: i64) {
        self.expire(now);
        pairs().for_each(|(buy, sell)| self.close(buy, sell, now));
    }
}

/// Pause in microseconds, instrument, bid and ask as multiples of one price, whether to tick.
type Step = (i64, usize, Option<f64>, Option<f64>, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![
        4 => 0..3_i64,
        30 => 0..400_000_i64,
        2 => 1_999_998..2_000_003_i64,
        1 => 0..70_000_000_i64,
    ];
    // Much that is near, some that is at the edge of the guard or far beyond it.
    let level = prop_oneof![
        60 => (0_i32..12).prop_map(|it| 1.0 + f64::from(it) * 0.000_5),
        1 => (0_i32..9).prop_map(|it| 1.12 + f64::from(it) * 0.01),
        1 => Just(1.5),
    ];
    let side = prop_oneof![15 => level.prop_map(Some), 1 => Just(None)];
    let width = (0_i32..4).prop_map(|it| f64::from(it) * 0.000_5);
    let book = (side, width, prop::bool::weighted(0.93));
    let step = (pause, 0..LISTED.len(), book, prop::bool::weighted(0.1));
    let step = step.prop_map(|(pause, it, (bid, width, has_ask), tick)| {
        (pause, it, bid, has_ask.then(|| bid.unwrap_or(1.0) + width), tick)
    });
    prop::collection::vec(step, 1..800)
}

/// For how many steps one instrument is another asset, and at what price.
fn impostor() -> impl Strategy<Value = (usize, f64)> {
    (0_usize..600, prop_oneof![Just(1.0), Just(1.3), Just(1.19)])
}

fn check(
    steps: &[Step],
    (until, factor): (usize, f64),
    [min, hysteresis]: [f64; 2],
) -> (usize, u64) {
    let mut engine =
        Spreads::new(&Settings { min_net_bps: min, hysteresis_bps: hysteresis, ..settings() });
    let mut out = Out { wanted: true, ..Out::default() };
    for (n, (exchange, market, symbol, _)) in LISTED.into_iter().enumerate() {
        let id = InstrumentId(u32::try_from(n).expect("few"));
        engine.list(id, &instrument(exchange, market, symbol), &mut out);
    }
    let mut model = Model { min, hysteresis, ..Model::default() };
    let mut now = START * 1_000;
    let mut quarantined = 0;
    for (n, &(pause, it, bid, ask, tick)) in steps.iter().enumerate() {
        now += pause;
        if tick {
            engine.tick(Nanos(now * 1_000), &mut out);
        }
        let factor = if n < until && it == 1 { factor } else { 1.0 };
        let multiple = LISTED[it].3;
        let price = |it: Option<f64>| it.map(|it| it * factor * multiple);
        let level = |it: f64| Level { price: it, size: 1.0 };
        // What files cut off changes nothing.
        let ts_recv = Nanos(now * 1_000 + pause % 1_000);
        let (bid, ask) = (price(bid), price(ask));
        engine.on_quote(&quote(it, ts_recv, bid.map(level), ask.map(level)), &mut out);
        let unit = |it: Option<f64>| it.map(|it| it / multiple);
        model.quote(it, Book { at: now, bid: unit(bid), ask: unit(ask) });
        let pair = |it: Cross| (it.buy.0 as usize, it.sell.0 as usize);
        let mut crosses: Vec<_> = out.crosses.drain(..).map(pair).collect();
        crosses.sort_unstable();
        model.crosses.sort_unstable();
        assert_eq!(crosses, model.crosses, "at step {n}");
        model.crosses.clear();
        quarantined = engine.counts().quarantined.max(quarantined);
    }
    engine.finish(&mut out);
    model.finish(now);
    let micros = |it: Nanos| it.0 / 1_000;
    let row = |it: &Episode| -> Row {
        let (buy, sell) = (it.buy.0 as usize, it.sell.0 as usize);
        let age = it.leg_age_max / 1_000;
        (micros(it.open), micros(it.close), buy, sell, it.updates, it.peak.net_bps, age)
    };
    let mut rows: Vec<_> = out.episodes.iter().map(row).collect();
    rows.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    model.rows.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    assert_eq!(rows, model.rows);
    (rows.len(), quarantined)
}

proptest! {
    #[test]
    fn the_engine_is_the_model(
        steps in steps(),
        impostor in impostor(),
        // With the last, both directions may be open at once.
        bounds in prop_oneof![Just([0.0, 0.0]), Just([2.0, 3.0]), Just([-12.0, 1.0])],
    ) {
        check(&steps, impostor, bounds);
    }
}

#[test]
fn the_model_has_seen_what_matters() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut episodes, mut quarantined) = (0, 0);
    for _ in 0..50 {
        let steps = steps().new_tree(&mut runner).expect("a tree").current();
        let (rows, held) = check(&steps, (600, 1.3), [0.0, 0.0]);
        episodes += rows;
        quarantined += held;
    }
    assert!(200 < episodes, "{episodes}");
    assert!(20 < quarantined, "{quarantined}");
}
