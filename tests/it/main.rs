//! Tests of the layers together, over real sockets and files.

mod simulator;
