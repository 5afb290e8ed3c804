//! What several tests need.

pub(crate) mod events;
pub(crate) mod log;
pub(crate) mod rows;
