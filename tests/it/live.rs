//! What clients are served, over real sockets.

mod api;
mod client;
mod crowd;
mod hostile;
mod http;
mod served;
mod slow;
mod subscriptions;
