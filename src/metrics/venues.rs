//! What is counted of a venue and its connections.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    Histogram, ReconnectReason, Seconds, SubscriptionState,
    clock::{ClockOffset, Lowest},
    health::VenueHealth,
    labels::{ChannelLabels, ReasonLabels, StateLabels, VenueLabels},
};
use crate::market::{Channel, Venue};

/// The metrics of one venue's connections.
#[derive(Clone, Debug)]
pub struct VenueMetrics {
    venue: Venue,
    reconnects: Family<ReasonLabels, Counter>,
    subscriptions: Family<StateLabels, Gauge>,
    /// WebSocket messages received.
    pub messages: Counter,
    /// Bytes received, as they came from the socket.
    pub bytes: Counter,
    /// Quotes decoded.
    pub quotes: Counter,
    /// Trades decoded.
    pub trades: Counter,
    /// Events that came again and were dropped.
    pub repeated: Counter,
    /// Frames that could not be decoded.
    pub decode_errors: Counter,
    /// Frames of a kind, or for a symbol, that we do not know.
    pub unknown_frames: Counter,
    /// Connections that are up.
    pub connections: Gauge,
    /// Time of receipt minus the exchange's own time, where it gives one.
    pub lag: Histogram,
    /// Seconds since market data was received last, when somebody last looked.
    pub last_message_age: Seconds,
    /// How far our clock is ahead of the venue's.
    pub clock: ClockOffset,
    /// How it is doing.
    pub health: Arc<VenueHealth>,
}

impl VenueMetrics {
    /// Counts one connection that had to be replaced.
    pub fn reconnected(&self, reason: ReconnectReason) {
        self.reconnects.get_or_create(&self.reason(reason)).inc();
    }

    /// How many connections have been replaced for `reason`.
    #[must_use]
    pub fn reconnects(&self, reason: ReconnectReason) -> u64 {
        self.reconnects.get(&self.reason(reason)).map_or(0, |it| it.get())
    }

    /// How many subscriptions are in `state`.
    #[must_use]
    pub fn subscriptions(&self, state: SubscriptionState) -> Gauge {
        let VenueLabels { exchange, market } = self.venue.into();
        self.subscriptions.get_or_create_owned(&StateLabels { exchange, market, state })
    }

    fn reason(&self, reason: ReconnectReason) -> ReasonLabels {
        let VenueLabels { exchange, market } = self.venue.into();
        ReasonLabels { exchange, market, reason }
    }
}

/// Those of all venues.
#[derive(Debug, Default)]
pub(super) struct VenueFamilies {
    messages: Family<VenueLabels, Counter>,
    bytes: Family<VenueLabels, Counter>,
    events: Family<ChannelLabels, Counter>,
    repeated: Family<VenueLabels, Counter>,
    decode_errors: Family<VenueLabels, Counter>,
    unknown_frames: Family<VenueLabels, Counter>,
    reconnects: Family<ReasonLabels, Counter>,
    connections: Family<VenueLabels, Gauge>,
    subscriptions: Family<StateLabels, Gauge>,
    lag: Family<VenueLabels, Histogram>,
    last_message_age: Family<VenueLabels, Seconds>,
    clock_offset: Family<VenueLabels, Seconds>,
    boards: Mutex<HashMap<Venue, Board>>,
}

/// What of a venue is no number.
#[derive(Clone, Debug, Default)]
struct Board {
    health: Arc<VenueHealth>,
    lowest: Arc<Mutex<Lowest>>,
}

impl VenueFamilies {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register("messages_received", "WebSocket messages received", self.messages.clone());
        to.register("bytes_received", "Bytes received from sockets", self.bytes.clone());
        to.register("events", "Quotes and trades decoded", self.events.clone());
        let help = "Events that came again and were dropped";
        to.register("repeated_events", help, self.repeated.clone());
        to.register("decode_errors", "Frames not decoded", self.decode_errors.clone());
        let help = "Frames of a kind, or for a symbol, that is not known";
        to.register("unknown_frames", help, self.unknown_frames.clone());
        to.register("reconnects", "Connections replaced, by reason", self.reconnects.clone());
        to.register("connections_up", "Connections that are up", self.connections.clone());
        to.register("subscriptions", "Subscriptions by state", self.subscriptions.clone());
        let help = "Time of receipt minus the exchange's own time";
        to.register("exchange_lag_seconds", help, self.lag.clone());
        let help =
            "Seconds since market data was received last, or since the start if none ever was";
        to.register("last_message_age_seconds", help, self.last_message_age.clone());
        let help = "How far our clock is ahead of the exchange's: the smallest time of receipt minus \
                    the exchange's own time in the last three minutes, so too high by the fastest way \
                    of a message";
        to.register("clock_offset_seconds", help, self.clock_offset.clone());
    }

    pub(super) fn of(&self, venue: Venue) -> VenueMetrics {
        let labels = VenueLabels::from(venue);
        let events = |channel: Channel| {
            let VenueLabels { exchange, market } = labels;
            let labels = ChannelLabels { exchange, market, channel: channel.name() };
            self.events.get_or_create_owned(&labels)
        };
        let board = self.boards.lock().entry(venue).or_default().clone();
        let metrics = VenueMetrics {
            venue,
            reconnects: self.reconnects.clone(),
            subscriptions: self.subscriptions.clone(),
            messages: self.messages.get_or_create_owned(&labels),
            bytes: self.bytes.get_or_create_owned(&labels),
            quotes: events(Channel::Quotes),
            trades: events(Channel::Trades),
            repeated: self.repeated.get_or_create_owned(&labels),
            decode_errors: self.decode_errors.get_or_create_owned(&labels),
            unknown_frames: self.unknown_frames.get_or_create_owned(&labels),
            connections: self.connections.get_or_create_owned(&labels),
            lag: self.lag.get_or_create_owned(&labels),
            last_message_age: self.last_message_age.get_or_create_owned(&labels),
            clock: ClockOffset { gauges: self.clock_offset.clone(), labels, lowest: board.lowest },
            health: board.health,
        };
        // There from the start, so that the first of each is an increase.
        for &reason in ReconnectReason::ALL {
            drop(metrics.reconnects.get_or_create(&metrics.reason(reason)));
        }
        for &state in SubscriptionState::ALL {
            drop(metrics.subscriptions(state));
        }
        metrics
    }
}
