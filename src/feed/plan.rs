//! Symbols onto connections, within what a venue allows.

use crate::{
    exchange::{Address, Endpoint, Protocol},
    market::Channel,
};

/// The connections to one address of a venue.
#[derive(Clone, Debug)]
pub struct Share {
    /// The address, as the venue publishes it.
    pub address: Address,
    /// What is subscribed to there.
    pub channels: Vec<Channel>,
    /// For each connection the places of its instruments in the list that was planned for.
    pub connections: Vec<Vec<usize>>,
}

/// Spreads `instruments` many instruments, the busiest first, over as few connections as the venue
/// allows, or over `threads` where that is more. Neighbours in the list go to different
/// connections, so that the busiest do not share one.
#[must_use]
pub fn plan(
    protocol: &Protocol,
    channels: &[Channel],
    instruments: usize,
    threads: usize,
) -> Vec<Share> {
    let wanted = |it: &Endpoint| -> Vec<Channel> {
        it.channels.iter().copied().filter(|it| channels.contains(it)).collect()
    };
    let used: Vec<_> = protocol
        .endpoints
        .iter()
        .map(|it| (it.address, wanted(it)))
        .filter(|(_, channels)| !channels.is_empty())
        .collect();
    let wished = threads.div_ceil(used.len().max(1));
    used.into_iter()
        .map(|(address, channels)| {
            let fit = (protocol.limits.topics_per_connection / channels.len()).max(1);
            let connections = instruments.div_ceil(fit).max(wished.min(instruments));
            let mine = |n| (n..instruments).step_by(connections).collect();
            Share { address, channels, connections: (0..connections).map(mine).collect() }
        })
        .collect()
}

/// How many connections, and so threads, a plan has.
#[must_use]
pub fn connections(plan: &[Share]) -> usize {
    plan.iter().map(|it| it.connections.len()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exchange::ALL;

    proptest! {
        #[test]
        fn every_topic_is_planned_once_and_within_the_limits(
            venue in 0..ALL.len(),
            instruments in 0..3000_usize,
            threads in 0..50_usize,
            both in any::<bool>(),
        ) {
            let protocol = ALL[venue];
            let channels = if both { &Channel::ALL[..] } else { &Channel::ALL[..1] };
            let plan = plan(protocol, channels, instruments, threads);
            for &channel in channels {
                let mut planned: Vec<_> = plan
                    .iter()
                    .filter(|it| it.channels.contains(&channel))
                    .flat_map(|it| it.connections.iter().flatten().copied())
                    .collect();
                planned.sort_unstable();
                prop_assert_eq!(planned, (0..instruments).collect::<Vec<_>>());
            }
            for share in &plan {
                for connection in &share.connections {
                    let topics = connection.len() * share.channels.len();
                    prop_assert!(0 < topics && topics <= protocol.limits.topics_per_connection);
                }
            }
        }
    }

    #[test]
    fn more_threads_than_needed_are_more_connections() {
        let protocol = ALL[0];
        let planned = |threads| connections(&plan(protocol, &Channel::ALL, 1000, threads));
        assert_eq!(planned(0), planned(1), "a wish for less than is needed changes nothing");
        assert_eq!(planned(8), 8);
    }
}
