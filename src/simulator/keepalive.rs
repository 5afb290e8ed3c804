//! Whether a connection lives by its venue's rules. It is told the time.

use std::time::{Duration, Instant};

use super::{
    dialect::{Proof, Rules},
    pace::{Pace, Times},
};

/// Where keepalive periods are overridden, a client is missed after so many of them.
const PERIODS: u32 = 3;

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// Send a ping frame.
    Ping,
    /// End the connection.
    Cut,
}

#[derive(Debug)]
pub(super) struct Keepalive {
    ping_every: Option<Duration>,
    pong_within: Duration,
    idle_max: Option<Duration>,
    unsubscribed_max: Option<Duration>,
    proof: Proof,
    /// The periods are not the venue's.
    overridden: bool,
    pace: Option<Pace>,
    frames: Times,
    our_ping: Instant,
    unanswered: Option<Instant>,
    their_ping: Instant,
    data: Instant,
    subscribed: Instant,
}

impl Keepalive {
    /// `period` overrides the periods of the rules; `limits` is whether frames are counted.
    pub(super) fn new(rules: &Rules, period: Option<Duration>, limits: bool, now: Instant) -> Self {
        let demanded = |rule: Option<Duration>| rule.map(|it| period.map_or(it, |d| d * PERIODS));
        Self {
            ping_every: rules.ping_every.map(|it| period.unwrap_or(it)),
            pong_within: period.map_or(rules.pong_within, |it| it * PERIODS),
            idle_max: demanded(rules.idle_max),
            unsubscribed_max: demanded(rules.unsubscribed_max),
            proof: rules.proof,
            overridden: period.is_some(),
            pace: rules.frames.filter(|_| limits),
            frames: Times::default(),
            our_ping: now,
            unanswered: None,
            their_ping: now,
            data: now,
            subscribed: now,
        }
    }

    /// A frame came; says whether they are within the limit.
    pub(super) fn frame(&mut self, now: Instant) -> bool {
        if self.proof == Proof::Anything {
            self.their_ping = now;
        }
        self.pace.is_none_or(|pace| self.frames.admit(pace, now))
    }

    /// A pong came; says whether it counts as a frame. Those we have asked for more often than the
    /// venue does are not held against the client.
    pub(super) fn pong(&mut self) -> bool {
        self.unanswered.take().is_none() || !self.overridden
    }

    pub(super) fn pinged(&mut self, now: Instant) {
        self.their_ping = now;
    }

    pub(super) fn pushed(&mut self, now: Instant) {
        self.data = now;
    }

    /// Judges the connection, and takes it that a ping asked for is sent.
    pub(super) fn check(&mut self, subscribed: bool, now: Instant) -> Verdict {
        if subscribed {
            self.subscribed = now;
        }
        let data_counts = self.proof != Proof::Pings && !self.overridden;
        let alive = if data_counts { self.data.max(self.their_ping) } else { self.their_ping };
        let useful = match self.proof {
            Proof::Anything => self.subscribed.max(self.their_ping),
            Proof::Pings | Proof::PingsOrData => self.subscribed,
        };
        let over = |since: Instant, most: Option<Duration>| most.is_some_and(|it| it < now - since);
        if over(alive, self.idle_max)
            || over(useful, self.unsubscribed_max)
            || self.unanswered.is_some_and(|it| self.pong_within < now - it)
        {
            return Verdict::Cut;
        }
        if over(self.our_ping, self.ping_every) {
            self.our_ping = now;
            self.unanswered.get_or_insert(now);
            return Verdict::Ping;
        }
        Verdict::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        market::{Exchange, Market},
        simulator::dialect::Dialect,
    };

    fn keepalive(exchange: Exchange, period: Option<Duration>, now: Instant) -> Keepalive {
        of(exchange, Market::Spot, period, now)
    }

    fn of(exchange: Exchange, market: Market, period: Option<Duration>, now: Instant) -> Keepalive {
        let rules = (Dialect::of(exchange).rules)(market);
        Keepalive::new(&rules, period, true, now)
    }

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn binance_pings_and_misses_the_pong() {
        let start = Instant::now();
        let mut it = keepalive(Exchange::Binance, None, start);
        assert_eq!(it.check(false, start + secs(20)), Verdict::Fine);
        assert_eq!(it.check(false, start + secs(21)), Verdict::Ping);
        it.pong();
        assert_eq!(it.check(false, start + secs(42)), Verdict::Ping);
        assert_eq!(it.check(false, start + secs(63)), Verdict::Ping);
        assert_eq!(it.check(false, start + secs(103)), Verdict::Cut);
    }

    #[test]
    fn binance_counts_frames_in_a_rolling_second() {
        let start = Instant::now();
        let mut it = keepalive(Exchange::Binance, None, start);
        let at = |ms| start + Duration::from_millis(ms);
        assert!([0, 300, 600, 700, 800].iter().all(|&ms| it.frame(at(ms))));
        assert!(it.frame(at(1000)), "the first has left the window");
        assert!(!it.frame(at(1001)), "five a second");
    }

    #[test]
    fn okx_cuts_the_idle_and_the_unsubscribed() {
        let start = Instant::now();
        let mut it = keepalive(Exchange::Okx, None, start);
        it.pinged(start + secs(25));
        assert_eq!(it.check(true, start + secs(29)), Verdict::Fine);
        it.pushed(start + secs(50));
        assert_eq!(it.check(true, start + secs(80)), Verdict::Fine);
        assert_eq!(it.check(true, start + secs(81)), Verdict::Cut);

        let mut it = keepalive(Exchange::Okx, None, start);
        it.pinged(start + secs(25));
        assert_eq!(it.check(false, start + secs(31)), Verdict::Cut);
    }

    #[test]
    fn some_want_pings_whatever_flows() {
        let start = Instant::now();
        for (exchange, market, most) in [
            (Exchange::Bitget, Market::Spot, 130),
            (Exchange::Kucoin, Market::Perp, 60),
            (Exchange::Mexc, Market::Perp, 60),
        ] {
            let mut it = of(exchange, market, None, start);
            it.pinged(start + secs(10));
            it.pushed(start + secs(most + 9));
            assert_eq!(it.check(true, start + secs(most + 9)), Verdict::Fine, "{exchange}");
            assert_eq!(it.check(true, start + secs(most + 11)), Verdict::Cut, "{exchange}");
        }
    }

    #[test]
    fn gateio_takes_any_frame_for_a_sign_of_life() {
        let start = Instant::now();
        let mut it = keepalive(Exchange::Gateio, None, start);
        assert!(it.frame(start + secs(25)));
        assert_eq!(it.check(false, start + secs(54)), Verdict::Fine);
        assert_eq!(it.check(false, start + secs(56)), Verdict::Cut);
        let mut it = keepalive(Exchange::Gateio, None, start);
        it.pushed(start + secs(50));
        assert_eq!(it.check(true, start + secs(109)), Verdict::Fine);
        assert_eq!(it.check(true, start + secs(111)), Verdict::Cut);
    }

    #[test]
    fn mexc_spot_wants_a_subscription_and_data_or_pings() {
        let start = Instant::now();
        let mut it = keepalive(Exchange::Mexc, None, start);
        it.pinged(start + secs(25));
        assert_eq!(it.check(false, start + secs(31)), Verdict::Cut);
        let mut it = keepalive(Exchange::Mexc, None, start);
        it.pushed(start + secs(30));
        assert_eq!(it.check(true, start + secs(89)), Verdict::Fine);
        assert_eq!(it.check(true, start + secs(91)), Verdict::Cut);
    }

    #[test]
    fn bingx_closes_half_a_minute_after_it_began_to_ask() {
        let start = Instant::now();
        let mut it = keepalive(Exchange::Bingx, None, start);
        for at in [5.1, 10.2, 15.3, 20.4, 25.5] {
            let now = start + Duration::from_secs_f64(at);
            assert_eq!(it.check(false, now), Verdict::Ping);
        }
        assert_eq!(it.check(false, start + secs(30)), Verdict::Fine);
        assert_eq!(it.check(false, start + secs(31)), Verdict::Cut);
    }

    #[test]
    fn an_overridden_period_wants_pings_whatever_flows() {
        let start = Instant::now();
        let mut it = keepalive(Exchange::Bybit, Some(secs(1)), start);
        it.pushed(start + secs(4));
        assert_eq!(it.check(true, start + secs(3)), Verdict::Fine);
        assert_eq!(it.check(true, start + secs(4)), Verdict::Cut);
    }
}
