//! The program from outside: each module is a boundary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config;
mod corpus;
mod decode;
mod garbage;
mod handed_out;
mod kill;
mod live;
mod pipeline;
mod process;
mod simulator;
mod spreads;
mod store;
mod support;
mod tidy;
mod tls;
