//! The one port, and who is let in.

use std::{
    any::Any,
    io::{self, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread::{self, Scope},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use socket2::SockRef;

use super::{
    STACK_BYTES,
    connection::attend,
    hub::Command,
    memory::Memory,
    response::Response,
    settings::Settings,
    writer::{WRITE_PATIENCE, is_patience},
};
use crate::{market::Venue, metrics::Metrics, registry::Registry, spreads::Spreads, stop::Stop};

/// How long accepting, and reading a head, may keep a thread from seeing that the program stops.
const PATIENCE: Duration = Duration::from_millis(250);
/// Connections besides those of WebSocket clients: a browser opens six.
const REQUESTS_AT_ONCE_MAX: usize = 128;
/// What may wait in the kernel for a client that does not read. More of it would be old by the time
/// it is read.
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// How often what health is judged by is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why clients cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The port cannot be had.
    #[error("failed to listen on {addr}: {cause}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
}

impl LiveError {
    /// Whether somebody else has the port.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        let Self::Listen { cause, .. } = self;
        cause.kind() == io::ErrorKind::AddrInUse
    }
}

/// A port that is listened on; nobody is let in yet.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    addr: SocketAddr,
}

impl Door {
    /// Listens on `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn open(addr: SocketAddr) -> Result<Self, LiveError> {
        let failed = |cause| LiveError::Listen { addr, cause };
        let listener = TcpListener::bind(addr).map_err(failed)?;
        // On Linux this bounds the wait for a connection too.
        SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, addr })
    }

    /// Where the dashboard is, for somebody at this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(if addr.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        format!("http://{addr}/")
    }
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) settings: &'a Settings,
    pub(super) metrics: &'a Metrics,
    pub(super) registry: &'a Registry,
    pub(super) spreads: Option<&'a Mutex<Spreads>>,
    pub(super) venues: Vec<Venue>,
    pub(super) storage: &'a Path,
    pub(super) stop: &'a Stop,
    pub(super) commands: crossbeam_channel::Sender<Command>,
    pub(super) memory: Mutex<Memory>,
    /// Connections of any kind.
    connections: AtomicUsize,
    /// WebSocket clients.
    clients: AtomicUsize,
    /// The number of the next connection.
    next: AtomicU32,
}

/// Lets clients in.
#[derive(Debug)]
pub struct Server<'a> {
    door: Door,
    shared: Shared<'a>,
}

/// What is served, beside what comes through queues.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Counted, and shown.
    pub metrics: &'a Metrics,
    /// The instruments.
    pub registry: &'a Registry,
    /// What compares quotes, if something does.
    pub spreads: Option<&'a Mutex<Spreads>>,
    /// What is collected from.
    pub venues: Vec<Venue>,
    /// The folder of the dataset.
    pub storage: &'a Path,
    /// When to end.
    pub stop: &'a Stop,
}

impl<'a> Server<'a> {
    pub(super) fn new(
        door: Door,
        settings: &'a Settings,
        facts: Facts<'a>,
        commands: crossbeam_channel::Sender<Command>,
    ) -> Self {
        Self { door, shared: Shared::new(settings, facts, commands) }
    }

    /// Serves until the program stops and the last connection has ended.
    pub fn run(self) {
        let Self { door, shared } = self;
        thread::scope(|scope| {
            let mut next_look = Instant::now();
            let mut troubled = false;
            while !shared.stop.requested() {
                match door.listener.accept() {
                    Ok((tcp, _)) => {
                        troubled = false;
                        welcome(scope, tcp, &shared);
                    }
                    Err(err) if is_patience(&err) => {}
                    Err(err) => {
                        // One line an episode: descriptors may be short for long.
                        if !std::mem::replace(&mut troubled, true) {
                            log::warn!("failed to accept a connection: {err}");
                        }
                        let _ = shared.stop.wait(PATIENCE);
                    }
                }
                let now = Instant::now();
                if next_look <= now {
                    next_look = now + LOOK_EVERY;
                    shared.memory.lock().look(shared.metrics, &shared.venues, now);
                }
            }
        });
    }
}

/// Starts a thread for a connection, unless there are too many.
fn welcome<'s>(scope: &'s Scope<'s, '_>, tcp: TcpStream, shared: &'s Shared<'_>) {
    let guest = Guest::new(&shared.connections);
    let most = shared.settings.max_clients + REQUESTS_AT_ONCE_MAX;
    if most < guest.number || prepare(&tcp).is_err() {
        // It fits into the socket's buffer, so nobody waits for it.
        let _ = (&tcp).write_all(&busy("too many connections").to_bytes(true));
        return;
    }
    let n = shared.next.fetch_add(1, Ordering::Relaxed);
    let body = move || {
        let _guest = guest;
        let attended = catch_unwind(AssertUnwindSafe(|| attend(n, &Arc::new(tcp), shared)));
        if let Err(panic) = attended {
            log::error!("a connection of a client panicked: {}", message(&*panic));
        }
    };
    let thread = thread::Builder::new().name(format!("live-{n}")).stack_size(STACK_BYTES);
    if let Err(err) = thread.spawn_scoped(scope, body) {
        // The client sees its socket close.
        log::warn!("failed to start a thread for a client: {err}");
    }
}

fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(WRITE_PATIENCE))?;
    SockRef::from(tcp).set_send_buffer_size(SEND_BUFFER_BYTES)
}

pub(super) fn busy(why: &str) -> Response {
    Response::refusal(503, why).with("Retry-After", "5")
}

impl<'a> Shared<'a> {
    /// Nobody is connected yet.
    pub(super) fn new(
        settings: &'a Settings,
        facts: Facts<'a>,
        commands: crossbeam_channel::Sender<Command>,
    ) -> Self {
        let Facts { metrics, registry, spreads, venues, storage, stop } = facts;
        Self {
            settings,
            metrics,
            registry,
            spreads,
            venues,
            storage,
            stop,
            commands,
            memory: Mutex::new(Memory::new(Instant::now())),
            connections: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            next: AtomicU32::new(0),
        }
    }

    /// A place for one more client, while there is one.
    pub(super) fn admit(&self) -> Option<Place<'_>> {
        let guest = Guest::new(&self.clients);
        let fits = guest.number <= self.settings.max_clients;
        fits.then(|| {
            self.metrics.live.clients.inc();
            Place { _guest: guest, metrics: self.metrics }
        })
    }
}

/// One of those there may be at once.
struct Guest<'a> {
    count: &'a AtomicUsize,
    /// How many there were when it came, with it.
    number: usize,
}

impl<'a> Guest<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self { count, number: count.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client that is counted.
pub(super) struct Place<'a> {
    _guest: Guest<'a>,
    metrics: &'a Metrics,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.metrics.live.clients.dec();
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
