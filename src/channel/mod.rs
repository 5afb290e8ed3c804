//! Bounded queues in which the newest gets in.
//!
//! A producer never waits for its consumer: when a queue is full, the oldest items make room and are
//! handed to the producer to account for. The consumer takes all that is ready, so its cost an item
//! falls as load rises.
//!
//! [`newest`] is one queue for single items, on `crossbeam-channel`; a consumer can wait for the next
//! one. [`fair`] is for what comes in batches from many sources, none of which is to crowd out the
//! others.

pub mod fair;
mod newest;
mod sync;
#[cfg(test)]
mod tests;

pub use newest::{Receiver, Sender, Sent, newest};

/// What a consumer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a queue that nobody sends to any more must end its consumer"]
pub enum Received {
    /// At least one item.
    Items,
    /// Nothing yet.
    Nothing,
    /// Every sender is gone and nothing is left.
    Closed,
}
