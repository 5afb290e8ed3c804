//! What several tests need.

pub(crate) mod account;
pub(crate) mod child;
pub(crate) mod decoded;
pub(crate) mod door;
pub(crate) mod events;
pub(crate) mod gaps;
pub(crate) mod log;
pub(crate) mod rows;
pub(crate) mod shim;
pub(crate) mod stage;
pub(crate) mod tls;
pub(crate) mod world;
