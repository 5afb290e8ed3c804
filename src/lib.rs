//! Records best bid/ask quotes and trades of many crypto exchanges on one host.
//!
//! # The way of an event
//!
//! ```text
//! socket -> frame + ts_recv -> decode -> Inbox -> Quote/Trade -+-> queue -> writer: journal
//!                                                              |               |
//!                                                              |            sealer: Parquet
//!                                                              +-> queue -> spreads: episodes
//!                                                              +-> queue -> hub -> clients
//! ```
//!
//! 1. [`config`] makes a [`Plan`](config::Plan) of what is written in TOML; past it, nothing is optional and
//!    nothing has to be checked again. [`pipeline::run`] starts a named thread for each part of it and joins
//!    them all.
//! 2. [`feed`] is a connection's life: a thread owns its socket, stamps bytes as they leave it, keeps it
//!    alive, and replaces it. [`exchange`] says what differs between venues, as facts and pure functions: a
//!    [`Protocol`](exchange::Protocol) decodes a frame into its [`Inbox`](exchange::Inbox).
//! 3. What comes out is in the words of [`market`]: a [`Quote`](market::Quote) or a
//!    [`Trade`](market::Trade) of an instrument, which [`registry`] numbers. Times are nanoseconds since the
//!    Unix epoch, UTC; sizes are in the base asset.
//! 4. Each consumer has a bounded queue of its own ([`channel`]), in which the newest gets in. What is
//!    dropped is counted by [`metrics`] and declared to the [`ledger`].
//! 5. [`store`] writes: rows to journals at once, journals to Parquet in time. [`spreads`] compares what
//!    exchanges say of one symbol. [`live`] serves dashboards, WebSocket clients and Prometheus, with
//!    [`json`] as it is on the command line.
//! 6. [`stop`] ends it: feeds first, then queues, writers and files.
//!
//! [`simulator`] is the other side of all this: exchanges that speak the real protocols on loopback sockets,
//! for `demo`, tests and loads. [`cli`] has a file for each command.
//!
//! `ARCHITECTURE.md` gives the reasons, and `docs/` is the book for users.

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
