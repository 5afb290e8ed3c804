//! From the listener to a client's connection, and the calendar of faults.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, Scope},
    time::{Duration, Instant},
};

use super::{
    FaultPlan, Sent,
    connection::Connection,
    dialect::Session,
    fault::parse_venue,
    http::{Request, Response, read_head},
    socket::Socket,
    world::{Served, World},
};
use crate::stop::Stop;

/// Clients at once, those that have not said what they want included.
const CLIENTS_MAX: usize = 4096;
/// Between attempts to accept when the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How often a half-open connection looks whether it still is.
const HALF_OPEN_LOOK: Duration = Duration::from_millis(50);

/// Serves until stop is requested and all threads have ended.
pub(super) fn serve(
    world: &World,
    listener: &TcpListener,
    addr: SocketAddr,
    plans: &[FaultPlan],
    stop: &Stop,
) {
    let clients = AtomicUsize::new(0);
    let clients = &clients;
    thread::scope(|scope| {
        let greeter = Greeter { world, clients, stop };
        let accept = move || greeter.accept(listener, scope);
        match thread::Builder::new().name("sim-accept".to_owned()).spawn_scoped(scope, accept) {
            Ok(acceptor) => {
                keep_calendar(world, plans, stop);
                while !acceptor.is_finished() {
                    wake(addr);
                }
            }
            Err(e) => log::error!("failed to start the simulator's accept thread: {e}"),
        }
    });
}

/// Has the accept thread look whether it should stop.
fn wake(mut addr: SocketAddr) {
    match addr {
        SocketAddr::V4(it) if it.ip().is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(it) if it.ip().is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    // A full backlog wakes it as well.
    let _ = TcpStream::connect_timeout(&addr, ACCEPT_PAUSE);
    thread::park_timeout(Duration::from_millis(1));
}

/// Begins and ends the planned faults; returns when stop is requested.
fn keep_calendar(world: &World, plans: &[FaultPlan], stop: &Stop) {
    let start = Instant::now();
    let mut calendar: Vec<(Duration, &FaultPlan, bool)> = vec![];
    for plan in plans {
        calendar.push((plan.after, plan, true));
        calendar.extend(plan.lasting.map(|it| (plan.after.saturating_add(it), plan, false)));
    }
    calendar.sort_by_key(|it| it.0);
    for (at, plan, begins) in calendar {
        if stop.wait(at.saturating_sub(start.elapsed())) {
            return;
        }
        for served in world.at(plan.venue) {
            if begins {
                served.faults.inject(plan.fault.clone());
            } else {
                served.faults.end(&plan.fault);
            }
        }
    }
    while !stop.wait(Duration::from_hours(1)) {}
}

/// Finds out what a client wants.
#[derive(Clone, Copy)]
struct Greeter<'a> {
    world: &'a World,
    clients: &'a AtomicUsize,
    stop: &'a Stop,
}

impl<'a> Greeter<'a> {
    fn accept<'s>(self, listener: &TcpListener, scope: &'s Scope<'s, 'a>) {
        loop {
            let accepted = listener.accept();
            if self.stop.requested() {
                return;
            }
            match accepted {
                Ok((socket, _)) if !self.turns_away() => self.greet_aside(socket, scope),
                Ok(_) => {}
                Err(e) => {
                    log::debug!("the simulator failed to accept a connection: {e}");
                    let _ = self.stop.wait(ACCEPT_PAUSE);
                }
            }
        }
    }

    fn turns_away(self) -> bool {
        let venues = &self.world.venues;
        CLIENTS_MAX <= self.clients.load(Ordering::Relaxed)
            || !venues.is_empty() && venues.iter().all(|it| it.faults.refuses())
    }

    fn greet_aside<'s>(self, socket: TcpStream, scope: &'s Scope<'s, 'a>) {
        let client = self.world.next_client();
        let guest = Guest::new(self.clients);
        let greet = move || {
            // A client that fails to ask is of no interest.
            let _ = self.greet(guest, socket, client, scope);
        };
        spawn(scope, &format!("sim-greet-{client}"), greet);
    }

    fn greet<'s>(
        self,
        guest: Guest<'a>,
        socket: TcpStream,
        client: u64,
        scope: &'s Scope<'s, 'a>,
    ) -> io::Result<()> {
        let mut socket = Socket::accept(socket, self.world.acceptor.as_ref(), self.stop)?;
        let (mut request, tail) = read_head(&mut socket, self.stop)?;
        let name = request.take_segment();
        let venue = parse_venue(&name).ok().and_then(|it| self.world.find(it));
        let Some(served) = venue else {
            return self.elsewhere(&name, &request).write_to(&mut socket, self.stop);
        };
        while served.faults.holding().half_open {
            if self.stop.wait(HALF_OPEN_LOOK) {
                return Ok(());
            }
        }
        if served.faults.refuses() {
            return Ok(());
        }
        if let Some(status) = served.faults.status() {
            return refusal(served, status).write_to(&mut socket, self.stop);
        }
        if !request.is_upgrade() {
            request.skip_body(&mut socket, tail.len(), self.stop)?;
            return self.rest(served, &request).write_to(&mut socket, self.stop);
        }
        let session = match self.upgrade(served, &request, client) {
            Ok((head, session)) => {
                io::Write::write_all(&mut socket, head.as_bytes()).map(|()| session)?
            }
            Err(response) => return response.write_to(&mut socket, self.stop),
        };
        let Greeter { world, stop, .. } = self;
        let connection = Connection::new(world, served, stop, session, (socket, tail), client)?;
        let run = move || {
            let _guest = guest;
            connection.run();
        };
        spawn(scope, &format!("sim-{}-{client}", served.venue), run);
        Ok(())
    }

    fn elsewhere(self, name: &str, request: &Request) -> Response {
        match name {
            "stats" => self.stats(),
            "rate" => self.rate(request),
            _ => Response::json(404, r#"{"error":"no such venue"}"#),
        }
    }

    /// The rate, or another one: `/rate?0`.
    fn rate(self, request: &Request) -> Response {
        if let Some((rate, _)) = request.query.first() {
            match rate.parse() {
                Ok(rate) if (0.0..f64::INFINITY).contains(&rate) => self.world.set_rate(rate),
                _ => return Response::json(400, r#"{"error":"the rate must be a number"}"#),
            }
        }
        Response::json(200, format!("{{\"rate\":{}}}", self.world.rate()))
    }

    fn stats(self) -> Response {
        let sent = |it: &Served| (it.venue.to_string(), it.counters.read());
        let stats: BTreeMap<String, Sent> = self.world.venues.iter().map(sent).collect();
        Response::json(200, serde_json::to_string(&stats).unwrap_or_default())
    }

    fn rest(self, served: &Served, request: &Request) -> Response {
        let posted = served.dialect.posts.contains(&&*request.path);
        if request.method == if posted { "POST" } else { "GET" } {
            (served.dialect.rest)(self.world, served, request)
        } else {
            refusal(served, 405)
        }
    }

    fn upgrade(
        self,
        served: &Served,
        request: &Request,
        client: u64,
    ) -> Result<(String, Box<dyn Session>), Response> {
        let rules = &served.rules;
        if self.world.limits && !served.admits(rules.connects, rules.sockets_max) {
            return Err(refusal(served, rules.connects_status));
        }
        let head = request.accept_upgrade().ok_or_else(|| refusal(served, 400))?;
        Ok((head, (served.dialect.open)(served, request, client)?))
    }
}

fn refusal(served: &Served, status: u16) -> Response {
    let response = Response::json(status, (served.dialect.refusal)(status));
    if matches!(status, 418 | 429 | 503) { response.header("Retry-After", "1") } else { response }
}

/// One of the clients there may be at once.
struct Guest<'a>(&'a AtomicUsize);

impl<'a> Guest<'a> {
    fn new(clients: &'a AtomicUsize) -> Self {
        clients.fetch_add(1, Ordering::Relaxed);
        Self(clients)
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn spawn<'s>(scope: &'s Scope<'s, '_>, name: &str, run: impl FnOnce() + Send + 's) {
    if let Err(e) = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run) {
        // The client sees its socket close.
        log::warn!("failed to start thread {name}: {e}");
    }
}
