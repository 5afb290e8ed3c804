//! The program's queue, built on its own.

#[path = "../../../src/channel/mod.rs"]
pub mod channel;
