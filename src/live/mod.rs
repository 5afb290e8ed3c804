//! Serves what is collected while it is collected: one port for HTTP and WebSocket.
//!
//! ```text
//! tap -> hub: JSON once -> each client's queue -> its writer -> socket
//!                 ^------------ requests -------- its reader <-'
//! ```
//!
//! Nobody waits for a client. The hub fills bounded queues that drop the oldest; a client has two
//! threads, one blocked on its socket and one on its queue. Everything a peer can make large has a
//! bound: heads, requests, their number and rate, subscriptions, clients, what waits for them.

mod allowance;
mod api;
mod client;
mod clock;
mod connection;
mod encoder;
mod frame;
mod guard;
mod handshake;
mod healthz;
mod hub;
mod interest;
mod listener;
mod memory;
#[cfg(any(test, fuzzing))]
pub mod offline;
mod outbox;
mod pages;
pub mod process;
pub mod protocol;
pub mod request;
mod response;
mod routes;
mod screener;
mod settings;
mod source;
mod subscriber;
mod writer;

pub use self::{
    hub::Hub,
    listener::{Door, Facts, LiveError, Server},
    settings::{NoOrigin, Origin, Settings, Token},
    source::Source,
};
use crate::market::{Cross, Event};

/// The stack of a connection's thread. There are two for each client, and they do not go deep.
const STACK_BYTES: usize = 256 << 10;

/// What lets clients in at `door`, and what serves them from the two sources; each is to be run by
/// a thread.
#[must_use]
pub fn open<'a>(
    door: Door,
    settings: &'a Settings,
    facts: Facts<'a>,
    events: Source<Event>,
    crosses: Source<Cross>,
) -> (Server<'a>, Hub<'a>) {
    let (commands, to_obey) = crossbeam_channel::bounded(hub::COMMANDS_MAX);
    let ends = hub::Ends {
        commands: to_obey,
        events,
        crosses,
        spreads: facts.spreads,
        registry: facts.registry,
        metrics: &facts.metrics.live,
        names_max: settings.max_subscriptions,
        stop: facts.stop,
    };
    (Server::new(door, settings, facts, commands), Hub { ends })
}
