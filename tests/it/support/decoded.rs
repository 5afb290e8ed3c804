//! What was decoded against what is stored or declared dropped, by venue and channel.

use std::{collections::BTreeMap, path::Path};

use spread_aggregator::{
    market::{Channel, GapReason, Venue},
    metrics::Metrics,
};

use super::{gaps::gaps, rows::rows};

/// Events of each channel of each venue that have been decoded.
pub(crate) fn events_by_stream(
    metrics: &Metrics,
    venues: &[Venue],
) -> BTreeMap<(String, String), u64> {
    let mut events = BTreeMap::new();
    for &venue in venues {
        let it = metrics.venue(venue);
        for (channel, counter) in [(Channel::Quotes, &it.quotes), (Channel::Trades, &it.trades)] {
            events.insert((venue.to_string(), channel.to_string()), counter.get());
        }
    }
    events
}

/// Events of each channel of each venue that are stored, or that the ledger says have had to make
/// room; these are `dropped` in all.
pub(crate) fn stored_or_dropped(dir: &Path, dropped: u64) -> BTreeMap<(String, String), u64> {
    let mut events = BTreeMap::new();
    for channel in Channel::ALL {
        for row in rows(dir, channel) {
            *events.entry((row.venue(), channel.to_string())).or_default() += 1;
        }
    }
    let mut declared = 0;
    for gap in gaps(dir).into_iter().filter(|it| it.is(GapReason::QueueDrop)) {
        let count = u64::try_from(gap.dropped.expect("a number")).unwrap();
        let stream = gap.stream.clone().expect("one channel");
        assert!(gap.symbol.is_none() && gap.conn_id.is_none(), "{gap:?}");
        *events.entry((gap.venue, stream)).or_default() += count;
        declared += count;
    }
    assert_eq!(declared, dropped);
    events
}
