//! What one connection's thread knows to be missing.

use super::{roster::Known, sequences::Sequences};
use crate::{
    exchange::Protocol,
    ledger::Ledger,
    market::{ConnId, Gap, GapReason, Nanos, Trade, Venue},
};

/// The losses that no single connection can know of, since they lie between two of them. It outlives
/// connections, and panics.
#[derive(Debug)]
pub struct Losses {
    venue: Venue,
    ledger: Ledger,
    outage: Outage,
    /// For venues that number trades one by one.
    sequences: Option<Sequences>,
}

impl Losses {
    /// Nothing is missing yet, unless it is `late`: then all is since `since`.
    #[must_use]
    pub fn new(protocol: &Protocol, ledger: Ledger, since: Nanos, late: bool) -> Self {
        let venue = protocol.venue;
        let consecutive = protocol.quirks.consecutive_trade_ids;
        let sequences = consecutive.then(|| Sequences::new(venue));
        Self { venue, ledger, outage: Outage::new(since, late), sequences }
    }

    /// No connection is up, and another is about to be tried. Every one after the first has a reason.
    pub(super) fn connecting(&mut self) {
        self.outage.down |= self.outage.tried;
        self.outage.tried = true;
        self.outage.open = false;
    }

    /// A connection has been made, which carries these.
    pub(super) fn opened(&mut self, instruments: &[Known], now: Nanos) {
        self.outage.open = true;
        self.carry(instruments, now);
    }

    /// No connection is up, and not because the program stops.
    pub fn down(&mut self) {
        self.outage.down = true;
        self.outage.open = false;
    }

    /// `conn` has ended before the one that is to take over from it had subscribed to everything.
    pub(super) fn lost(&mut self, conn: ConnId) {
        self.outage.conn = Some(conn);
        self.outage.down = true;
    }

    /// Data has come.
    pub(super) fn data(&mut self, conn: ConnId, ts_recv: Nanos) {
        if self.outage.down {
            self.declare_outage(ts_recv);
        }
        self.outage.last = ts_recv;
        self.outage.conn = Some(conn);
    }

    /// A trade has come, for the first time.
    pub(super) fn trade(&mut self, trade: &Trade) {
        if let Some(sequences) = &mut self.sequences
            && let Some(gap) = sequences.trade(trade)
        {
            self.ledger.declare(gap);
        }
    }

    pub(super) fn tick(&mut self, now: Nanos) {
        if let Some(sequences) = &mut self.sequences {
            sequences.tick(now, |gap| self.ledger.declare(gap));
        }
    }

    /// These are carried from now on. What is taken off on purpose is not missing.
    pub(super) fn carry(&mut self, instruments: &[Known], now: Nanos) {
        if let Some(sequences) = &mut self.sequences {
            sequences.keep(instruments.iter().map(|(id, _)| *id));
        }
        if instruments.is_empty() {
            self.outage = Outage { open: self.outage.open, ..Outage::new(now, false) };
        }
    }

    /// Declares the rest, when the program stops. Without any `instruments`, nothing is missing.
    pub fn finish(&mut self, instruments: &[Known], now: Nanos) {
        if !instruments.is_empty() && (self.outage.down || !self.outage.open) {
            self.declare_outage(now);
        }
        if let Some(sequences) = &mut self.sequences {
            sequences.flush(|gap| self.ledger.declare(gap));
        }
    }

    #[cold]
    fn declare_outage(&mut self, to: Nanos) {
        self.outage.down = false;
        self.ledger.declare(Gap {
            from: self.outage.last,
            to,
            venue: self.venue,
            instrument: None,
            channel: None,
            reason: GapReason::Disconnect,
            dropped: None,
            conn: self.outage.conn,
        });
    }
}

/// Whether data is expected that does not come, and since when.
#[derive(Debug)]
struct Outage {
    /// When the last data came; when data was expected first, before that.
    last: Nanos,
    /// What it came over.
    conn: Option<ConnId>,
    /// Whether a connection has been tried.
    tried: bool,
    /// Whether it is known already that there is something to declare.
    down: bool,
    /// Whether there is a connection, from which data may come any time.
    open: bool,
}

impl Outage {
    fn new(since: Nanos, down: bool) -> Self {
        Self { last: since, conn: None, tried: false, down, open: false }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        channel::{Receiver, newest},
        exchange,
        market::{Exchange, Instrument, InstrumentId, Market, Record, Side, TradeId},
        metrics::Metrics,
    };

    const START: Nanos = Nanos(100);
    const VENUE: Venue = Venue::new(Exchange::Binance, Market::Spot);

    fn losses(late: bool) -> (Losses, Receiver<Record>) {
        let (queue, records) = newest(99);
        let protocol = exchange::find(VENUE).expect("there is code for it");
        let ledger = Ledger::new(queue, &Metrics::new());
        (Losses::new(protocol, ledger, START, late), records)
    }

    fn known() -> [Known; 1] {
        let (symbol, symbol_native) = ("A-B".to_owned(), "AB".to_owned());
        let instrument = Instrument { venue: VENUE, symbol, symbol_native, contract_size: 1.0 };
        [(InstrumentId(3), Arc::new(instrument))]
    }

    /// From, to and connection of the rows there are; all are outages.
    fn outages(records: &Receiver<Record>) -> Vec<(i64, i64, Option<u32>)> {
        let mut rows = Vec::new();
        let _ = records.drain(&mut rows, 99);
        let of = |it: &Record| match it {
            Record::Gap(it) => {
                let expected = Gap {
                    venue: VENUE,
                    instrument: None,
                    channel: None,
                    reason: GapReason::Disconnect,
                    dropped: None,
                    ..*it
                };
                assert_eq!(*it, expected);
                (it.from.0, it.to.0, it.conn.map(|it| it.0))
            }
            Record::Episode(it) => panic!("{it:?}"),
        };
        rows.iter().map(of).collect()
    }

    #[test]
    fn an_outage_is_one_row_whatever_is_tried_meanwhile() {
        let (mut it, records) = losses(false);
        it.connecting();
        it.opened(&known(), Nanos(105));
        for ts_recv in [110, 120, 130] {
            it.data(ConnId(4), Nanos(ts_recv));
        }
        for _ in 0..3 {
            it.down();
            it.connecting();
        }
        it.opened(&known(), Nanos(180));
        it.data(ConnId(8), Nanos(190));
        it.data(ConnId(8), Nanos(195));
        it.finish(&known(), Nanos(200));
        assert_eq!(outages(&records), [(130, 190, Some(4))]);
    }

    #[test]
    fn a_connection_that_comes_up_at_once_and_stays_up_has_lost_nothing() {
        let (mut it, records) = losses(false);
        it.connecting();
        it.opened(&known(), Nanos(103));
        it.finish(&known(), Nanos(105));
        it.data(ConnId(4), Nanos(110));
        it.finish(&known(), Nanos(200));
        assert_eq!(outages(&records), []);
    }

    #[test]
    fn what_comes_up_late_has_been_missing_since_the_start() {
        let (mut it, records) = losses(false);
        it.connecting();
        it.down();
        it.connecting();
        it.data(ConnId(4), Nanos(150));
        let (mut other, others) = losses(true);
        other.connecting();
        other.data(ConnId(5), Nanos(160));
        assert_eq!(outages(&records), [(100, 150, None)]);
        assert_eq!(outages(&others), [(100, 160, None)]);
    }

    #[test]
    fn what_is_down_when_the_program_stops_is_missing_until_then() {
        let (mut it, records) = losses(false);
        it.connecting();
        it.data(ConnId(4), Nanos(110));
        it.down();
        it.finish(&known(), Nanos(200));
        // One that has not even been made, and one whose turn has not come.
        let (mut other, others) = losses(false);
        other.connecting();
        other.finish(&known(), Nanos(200));
        let (mut third, thirds) = losses(false);
        third.finish(&known(), Nanos(200));
        assert_eq!(outages(&records), [(110, 200, Some(4))]);
        assert_eq!(outages(&others), [(100, 200, None)]);
        assert_eq!(outages(&thirds), [(100, 200, None)]);
    }

    #[test]
    fn a_connection_that_ends_in_a_panic_is_one_that_was_lost() {
        let (mut it, records) = losses(false);
        it.connecting();
        it.data(ConnId(4), Nanos(110));
        // Nobody says that it has ended.
        it.connecting();
        it.data(ConnId(5), Nanos(170));
        assert_eq!(outages(&records), [(110, 170, Some(4))]);
    }

    #[test]
    fn a_connection_that_takes_over_leaves_no_row_unless_the_old_one_was_lost() {
        let (mut it, records) = losses(false);
        it.connecting();
        for (conn, ts_recv) in [(4, 110), (5, 120), (4, 130), (5, 140)] {
            it.data(ConnId(conn), Nanos(ts_recv));
        }
        assert_eq!(outages(&records), []);
        it.data(ConnId(6), Nanos(150));
        it.lost(ConnId(5));
        it.data(ConnId(6), Nanos(160));
        assert_eq!(outages(&records), [(150, 160, Some(5))]);
    }

    #[test]
    fn a_connection_that_carries_nothing_misses_nothing() {
        let (mut it, records) = losses(false);
        it.connecting();
        it.data(ConnId(4), Nanos(110));
        it.carry(&[], Nanos(120));
        it.connecting();
        it.down();
        it.finish(&[], Nanos(200));
        assert_eq!(outages(&records), []);
    }

    #[test]
    fn trades_missed_in_an_outage_are_counted_beside_it_and_only_there() {
        let (mut it, records) = losses(false);
        let trade = |number, conn, ts_recv| Trade {
            instrument: InstrumentId(3),
            conn: ConnId(conn),
            ts_event: None,
            ts_recv: Nanos(ts_recv),
            price: 1.0,
            size: 1.0,
            side: Side::Sell,
            id: TradeId::Number(number),
        };
        it.connecting();
        it.data(ConnId(4), Nanos(110));
        it.trade(&trade(70, 4, 110));
        it.down();
        it.connecting();
        it.opened(&known(), Nanos(150));
        it.data(ConnId(5), Nanos(160));
        it.trade(&trade(75, 5, 160));
        it.finish(&known(), Nanos(200));
        let mut rows = Vec::new();
        let _ = records.drain(&mut rows, 99);
        let rows: Vec<_> = rows
            .iter()
            .map(|it| match it {
                Record::Gap(it) => (it.reason, it.dropped, it.from.0, it.to.0, it.conn),
                Record::Episode(it) => panic!("{it:?}"),
            })
            .collect();
        assert_eq!(
            rows,
            [
                (GapReason::Disconnect, None, 110, 160, Some(ConnId(4))),
                (GapReason::SequenceGap, Some(4), 110, 160, None),
            ]
        );
    }
}
