//! What the rows of one exchange and day say of its instruments.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch},
    datatypes::Int32Type,
};
use hashbrown::HashMap;

use super::{
    super::{
        error::{Cause, StoreError},
        gaps::one_of,
        read::{names, read, times},
        table::Table,
    },
    spans::Spans,
};
use crate::{
    market::{Channel, Market},
    registry::INSTRUMENTS_MAX,
};

/// Connections that are told apart for an instrument, of which one has a handful a day.
const CONNS_MAX: usize = 10_000;

/// A connection: its run, where that is known, and its number there.
pub(super) type Conn = (Option<Arc<str>>, i32);

/// The instruments of an exchange that have had a row on a day.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    all: BTreeMap<(String, Market), Symbol>,
    /// The first and the last row of each run.
    runs: BTreeMap<Option<Arc<str>>, (i64, i64)>,
}

/// What is known of one of them.
#[derive(Debug)]
pub(super) struct Symbol {
    /// Its first row.
    pub(super) first: i64,
    /// Which channels have had a row.
    pub(super) channels: [bool; Channel::ALL.len()],
    /// What its rows came over; `None` when that is too many to tell.
    conns: Option<BTreeSet<Conn>>,
}

impl Symbols {
    /// Takes in the rows of a file.
    pub(super) fn read(
        &mut self,
        path: &Path,
        table: Table,
        channel: Channel,
    ) -> Result<(), StoreError> {
        let mut of = None;
        read(path, table, &["ts_recv", "market", "symbol", "conn_id"], |run, batch| {
            let of: &Option<Arc<str>> = of.get_or_insert_with(|| run.map(Arc::from));
            self.add(of.as_ref(), batch, channel)
        })
    }

    /// When a run was collecting.
    pub(super) fn collected(&self) -> Spans {
        Spans::of(self.runs.values().copied().collect())
    }

    /// By symbol and market.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Market, &str, &Symbol)> {
        self.all.iter().map(|((symbol, market), it)| (*market, symbol.as_str(), it))
    }

    fn add(
        &mut self,
        run: Option<&Arc<str>>,
        batch: &RecordBatch,
        channel: Channel,
    ) -> Result<(), Cause> {
        let times = times(batch, "ts_recv")?;
        let conns = batch["conn_id"].as_primitive::<Int32Type>().values();
        let (Some(&first), Some(&last)) = (times.iter().min(), times.iter().max()) else {
            return Ok(());
        };
        let collected = self.runs.entry(run.cloned()).or_insert((first, last));
        *collected = (collected.0.min(first), collected.1.max(last));
        for ((market, symbol), part) in summary(batch, times, conns)? {
            let market = value(batch, "market", market);
            let market = one_of("market", &Market::ALL, Market::name, market)?;
            let key = (value(batch, "symbol", symbol).to_owned(), market);
            if self.all.len() == INSTRUMENTS_MAX && !self.all.contains_key(&key) {
                return Err(Cause::Instruments);
            }
            let all = self.all.entry(key).or_insert_with(|| Symbol::new(part.first));
            all.add(&part, run, channel);
        }
        Ok(())
    }
}

impl Symbol {
    fn new(first: i64) -> Self {
        Self { first, channels: [false; 2], conns: Some(BTreeSet::new()) }
    }

    fn add(&mut self, part: &Part, run: Option<&Arc<str>>, channel: Channel) {
        self.first = self.first.min(part.first);
        self.channels[channel as usize] = true;
        if let Some(conns) = &mut self.conns {
            conns.extend(part.conns.iter().map(|&it| (run.cloned(), it)));
            if CONNS_MAX < conns.len() {
                self.conns = None;
            }
        }
    }

    /// Whether a row came over the connection of this number in this run; runs that are not known are
    /// taken for the same.
    pub(super) fn came_over(&self, run: Option<&str>, conn: i32) -> bool {
        let same =
            |it: &Conn| it.1 == conn && (it.0.is_none() || run.is_none() || it.0.as_deref() == run);
        self.conns.as_ref().is_none_or(|it| it.iter().any(same))
    }
}

/// What a batch says of one instrument.
struct Part {
    first: i64,
    last_conn: i32,
    conns: BTreeSet<i32>,
}

/// What a batch says of its instruments, by the keys of their markets and symbols. Names are not
/// looked at.
fn summary(
    batch: &RecordBatch,
    times: &[i64],
    conns: &[i32],
) -> Result<HashMap<(i32, i32), Part, foldhash::fast::RandomState>, Cause> {
    let (markets, symbols) = (keys(batch, "market")?, keys(batch, "symbol")?);
    let mut summary = HashMap::default();
    for row in 0..batch.num_rows() {
        let (time, conn) = (times[row], conns[row]);
        let part = summary.entry((markets[row], symbols[row])).or_insert_with(|| Part {
            first: time,
            last_conn: conn,
            conns: BTreeSet::from([conn]),
        });
        part.first = part.first.min(time);
        if part.last_conn != conn {
            part.last_conn = conn;
            part.conns.insert(conn);
        }
    }
    Ok(summary)
}

fn keys<'a>(batch: &'a RecordBatch, column: &'static str) -> Result<&'a [i32], Cause> {
    let keys = names(batch, column).keys();
    if keys.null_count() == 0 { Ok(keys.values()) } else { Err(Cause::Null(column)) }
}

/// The name of a key.
fn value<'a>(batch: &'a RecordBatch, column: &'static str, key: i32) -> &'a str {
    let values = names(batch, column).values().as_string::<i32>();
    values.value(usize::try_from(key).expect("a key of this batch"))
}
