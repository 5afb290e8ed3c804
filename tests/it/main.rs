//! The program from outside: each module is a boundary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allocations;
mod book;
mod chaos;
mod config;
mod corpus;
mod decode;
mod errors;
mod faults;
mod format;
mod gaps;
mod garbage;
mod handed_out;
mod handover;
mod kill;
mod ledger;
mod live;
mod operations;
mod outage;
mod overload;
mod pipeline;
mod process;
mod reference;
mod replay;
mod shards;
mod shell;
mod simulator;
mod spreads;
mod store;
mod support;
mod tidy;
mod tls;
