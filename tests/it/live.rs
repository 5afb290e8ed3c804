//! What clients are served, over real sockets.

mod api;
mod client;
mod conformance;
mod crowd;
mod frames;
mod hostile;
mod http;
mod served;
mod slow;
mod subscriptions;
