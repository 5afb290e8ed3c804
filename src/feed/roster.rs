//! Which connection carries which instrument, and how that changes when the lists do.

use std::{collections::HashSet, sync::Arc};

use super::plan::plan;
use crate::{
    exchange::{Address, Protocol},
    market::{Channel, Instrument, InstrumentId},
};

/// An instrument by its number.
pub type Known = (InstrumentId, Arc<Instrument>);

/// The connections of one venue, in the order in which they came to be.
#[derive(Debug)]
pub struct Roster {
    slots: Vec<Slot>,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Where it goes.
    pub address: Address,
    /// What of its instruments it carries.
    pub channels: Vec<Channel>,
    /// Its instruments.
    pub instruments: Vec<Known>,
    /// How many instruments it may carry.
    fit: usize,
}

impl Roster {
    /// Spreads `instruments`, the busiest first, as [`plan`] says.
    #[must_use]
    pub fn new(
        protocol: &Protocol,
        channels: &[Channel],
        instruments: &[Known],
        threads: usize,
    ) -> Self {
        let shares = plan(protocol, channels, instruments.len(), threads);
        let slots = shares.into_iter().flat_map(|share| {
            let fit = (protocol.limits.topics_per_connection / share.channels.len()).max(1);
            share.connections.into_iter().map(move |places| Slot {
                address: share.address,
                channels: share.channels.clone(),
                instruments: places.into_iter().map(|it| instruments[it].clone()).collect(),
                fit,
            })
        });
        Self { slots: slots.collect() }
    }

    /// The connections.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The native symbols of all instruments.
    #[must_use]
    pub fn symbols(&self) -> HashSet<String> {
        let all = self.slots.iter().flat_map(|it| &it.instruments);
        all.map(|(_, it)| it.symbol_native.clone()).collect()
    }

    /// Takes the instruments of these native symbols off their connections; returns the places of
    /// the connections that carry something else now.
    pub fn remove(&mut self, gone: &HashSet<&str>) -> Vec<usize> {
        let mut changed = Vec::new();
        for (n, slot) in self.slots.iter_mut().enumerate() {
            let before = slot.instruments.len();
            slot.instruments.retain(|(_, it)| !gone.contains(it.symbol_native.as_str()));
            if slot.instruments.len() != before {
                changed.push(n);
            }
        }
        changed
    }

    /// Puts new instruments where there is room, the emptiest connection first, and makes
    /// connections for the rest; returns the places of those that carry something else now.
    pub fn add(
        &mut self,
        protocol: &Protocol,
        channels: &[Channel],
        instruments: &[Known],
    ) -> Vec<usize> {
        let mut changed = HashSet::new();
        for endpoint in protocol.endpoints {
            let wanted = |it: &&Channel| endpoint.channels.contains(it);
            let carried: Vec<_> = channels.iter().filter(wanted).copied().collect();
            if !carried.is_empty() {
                let fit = (protocol.limits.topics_per_connection / carried.len()).max(1);
                for instrument in instruments {
                    let slot = self.emptiest(&carried).unwrap_or_else(|| {
                        let (address, channels) = (endpoint.address, carried.clone());
                        self.slots.push(Slot { address, channels, instruments: Vec::new(), fit });
                        self.slots.len() - 1
                    });
                    self.slots[slot].instruments.push(instrument.clone());
                    changed.insert(slot);
                }
            }
        }
        let mut changed: Vec<_> = changed.into_iter().collect();
        changed.sort_unstable();
        changed
    }

    /// The connection for `channels` with the fewest instruments, if it has room.
    fn emptiest(&self, channels: &[Channel]) -> Option<usize> {
        let room =
            |it: &(usize, &Slot)| it.1.channels == channels && it.1.instruments.len() < it.1.fit;
        let slots = self.slots.iter().enumerate().filter(room);
        slots.min_by_key(|(_, it)| it.instruments.len()).map(|(n, _)| n)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::exchange::ALL;

    fn known(protocol: &Protocol, n: u32) -> Known {
        let symbol = format!("C{n}");
        let instrument = Instrument {
            venue: protocol.venue,
            symbol: symbol.clone(),
            symbol_native: symbol,
            contract_size: 1.0,
        };
        (InstrumentId(n), Arc::new(instrument))
    }

    /// How often each topic is carried.
    fn carried(roster: &Roster) -> BTreeMap<(Channel, u32), usize> {
        let mut carried = BTreeMap::new();
        for slot in roster.slots() {
            for channel in &slot.channels {
                for (id, _) in &slot.instruments {
                    *carried.entry((*channel, id.0)).or_default() += 1;
                }
            }
        }
        carried
    }

    proptest! {
        #[test]
        fn whatever_comes_and_goes_each_topic_is_carried_once_and_within_the_limits(
            venue in 0..ALL.len(),
            first in 0..400_u32,
            steps in prop::collection::vec((0..200_u32, 0..200_u32), 0..6),
        ) {
            let protocol = ALL[venue];
            let mut listed: BTreeMap<u32, Known> =
                (0..first).map(|n| (n, known(protocol, n))).collect();
            let all: Vec<_> = listed.values().cloned().collect();
            let mut roster = Roster::new(protocol, &Channel::ALL, &all, 0);
            let mut next = first;
            for (gone, new) in steps {
                let before: Vec<_> = roster.slots().iter().map(|it| it.instruments.clone()).collect();
                let gone: Vec<_> = listed.keys().copied().take(gone as usize).collect();
                let gone: Vec<_> = gone.iter().filter_map(|it| listed.remove(it)).collect();
                let names = gone.iter().map(|(_, it)| it.symbol_native.as_str()).collect();
                let mut changed = roster.remove(&names);
                let new: Vec<_> = (next..next + new).map(|n| known(protocol, n)).collect();
                next += u32::try_from(new.len()).unwrap();
                changed.extend(roster.add(protocol, &Channel::ALL, &new));
                listed.extend(new.into_iter().map(|it| (it.0.0, it)));
                for (n, slot) in roster.slots().iter().enumerate() {
                    let same = before.get(n).is_some_and(|it| *it == slot.instruments);
                    prop_assert!(same || changed.contains(&n), "{n} changed without a word");
                }
            }
            let carried = carried(&roster);
            prop_assert_eq!(carried.len(), listed.len() * 2);
            prop_assert!(carried.values().all(|&it| it == 1));
            for slot in roster.slots() {
                let topics = slot.instruments.len() * slot.channels.len();
                prop_assert!(topics <= protocol.limits.topics_per_connection);
            }
        }
    }
}
