//! Records best bid/ask quotes and trades of many crypto exchanges on one host.

pub mod capture;
pub mod channel;
pub mod cli;
pub mod config;
pub mod exchange;
pub mod feed;
pub mod json;
pub mod ledger;
pub mod live;
pub mod market;
pub mod metrics;
pub mod pipeline;
pub mod registry;
pub mod simulator;
pub mod spreads;
pub mod stop;
pub mod store;
