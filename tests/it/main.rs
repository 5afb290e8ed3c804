//! The program from outside: each module is a boundary.

mod config;
mod corpus;
mod decode;
mod garbage;
mod simulator;
mod store;
mod support;
