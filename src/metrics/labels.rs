//! Labels: exchange, market, channel, queue, reason and state, never a symbol.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::market::Venue;

/// What a metric is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VenueLabels {
    pub(super) exchange: &'static str,
    pub(super) market: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ChannelLabels {
    pub(super) exchange: &'static str,
    pub(super) market: &'static str,
    pub(super) channel: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) exchange: &'static str,
    pub(super) market: &'static str,
    pub(super) reason: ReconnectReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct GapLabels {
    pub(super) exchange: &'static str,
    pub(super) market: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) exchange: &'static str,
    pub(super) market: &'static str,
    pub(super) state: SubscriptionState,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct QueueLabels {
    pub(super) queue: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FileLabels {
    pub(super) channel: &'static str,
}

impl From<Venue> for VenueLabels {
    fn from(it: Venue) -> Self {
        Self { exchange: it.exchange.name(), market: it.market.name() }
    }
}

/// Names the values of a label, so that an alert can list them all.
macro_rules! label_values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The value of the label.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                self.name().encode(encoder)
            }
        }
    };
}

label_values! {
    /// Why a connection had to be replaced.
    ReconnectReason {
        /// It could not be made: name, TCP, TLS or WebSocket handshake.
        Connect = "connect",
        /// The exchange closed it, cleanly or not.
        Closed = "closed",
        /// No proof of life within the heartbeat timeout.
        Silent = "silent",
        /// Pings are answered, but no data comes.
        Mute = "mute",
        /// It broke while reading or writing.
        Io = "io",
        /// The exchange sent what is no WebSocket frame, or one beyond our limits.
        Protocol = "protocol",
        /// The exchange announced that it would close it.
        Notice = "notice",
        /// It came near the longest that the exchange lets one last.
        Lifetime = "lifetime",
        /// Our own code panicked on it.
        Panic = "panic",
    }
}

label_values! {
    /// How far a subscription has come.
    SubscriptionState {
        /// Asked for, not yet answered.
        Requested = "requested",
        /// Accepted, no data yet.
        Acknowledged = "acknowledged",
        /// Data comes.
        Delivering = "delivering",
        /// No data for a while, as has happened before.
        Quiet = "quiet",
        /// No data for far longer than ever before.
        Stale = "stale",
        /// The exchange refused it.
        Refused = "refused",
    }
}
