//! Records best bid/ask quotes and trades of many crypto exchanges on one host.

pub mod channel;
pub mod market;
pub mod metrics;
pub mod registry;
pub mod simulator;
pub mod stop;
