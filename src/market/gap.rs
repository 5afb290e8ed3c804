//! What is known to be missing.

use super::{Channel, ConnId, InstrumentId, Nanos, Venue};

/// A stretch of time of which data is missing: a row of the loss ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last that is known to be there, by time of receipt.
    pub from: Nanos,
    /// The first that is there again.
    pub to: Nanos,
    /// Where it would have come from.
    pub venue: Venue,
    /// Of which instrument; `None` for all of the connection, or of the venue without one.
    pub instrument: Option<InstrumentId>,
    /// Of which channel; `None` for all.
    pub channel: Option<Channel>,
    /// How it got lost.
    pub reason: GapReason,
    /// How many events, exactly; `None` when that cannot be known.
    pub dropped: Option<u64>,
    /// Over which connection; `None` for several or none.
    pub conn: Option<ConnId>,
}

/// How data got lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GapReason {
    /// The connection was down.
    Disconnect,
    /// A queue was full, and the oldest in it made room.
    QueueDrop,
    /// The exchange's own numbers left some out.
    SequenceGap,
    /// The subscription went mute and was made anew.
    Stale,
    /// Frames could not be read.
    DecodeError,
    /// The disk refused rows.
    WriteError,
    /// The collector died.
    Crash,
}

impl GapReason {
    /// Every reason.
    pub const ALL: [GapReason; 7] = [
        GapReason::Disconnect,
        GapReason::QueueDrop,
        GapReason::SequenceGap,
        GapReason::Stale,
        GapReason::DecodeError,
        GapReason::WriteError,
        GapReason::Crash,
    ];

    /// The name in files, metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            GapReason::Disconnect => "disconnect",
            GapReason::QueueDrop => "queue_drop",
            GapReason::SequenceGap => "sequence_gap",
            GapReason::Stale => "stale",
            GapReason::DecodeError => "decode_error",
            GapReason::WriteError => "write_error",
            GapReason::Crash => "crash",
        }
    }
}
