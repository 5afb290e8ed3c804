//! The program from outside: each module is a boundary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chaos;
mod config;
mod corpus;
mod decode;
mod gaps;
mod garbage;
mod handed_out;
mod handover;
mod kill;
mod ledger;
mod live;
mod outage;
mod pipeline;
mod process;
mod replay;
mod shards;
mod simulator;
mod spreads;
mod store;
mod support;
mod tidy;
mod tls;
