//! One WebSocket client: its thread reads, a second one writes.
//!
//! Both block, each on its own matter: a client that does not read keeps nobody from hearing that
//! it closes, and one that says nothing keeps nobody from telling it something.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tungstenite::{
    Error, Message, WebSocket,
    error::ProtocolError,
    protocol::{Role, WebSocketConfig, frame::coding::CloseCode},
};

use super::{
    allowance::Allowance,
    frame,
    hub::Command,
    listener::Shared,
    outbox::{Outbox, outbox},
    protocol::{self, Answer, SCHEMA},
    writer::{Writer, is_patience},
};

/// How long a read may keep the thread from seeing that the program stops.
const READ_PATIENCE: Duration = Duration::from_secs(1);
/// How long a client that has been told goodbye may go on sending.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// Requests are short: a large buffer would only cost memory.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Requests that are none, in the life of a client.
const ERRORS_MAX: u32 = 100;
/// Requests of the greatest size that a client may make in a second, in bytes: in small pieces it
/// could keep a thread busy otherwise.
const LARGE_REQUESTS_PER_SECOND: usize = 4;

/// Serves client `id`, at the other end of `tcp`, of which `rest` has been read already, until it
/// ends.
pub(super) fn serve(
    id: u32,
    tcp: &Arc<TcpStream>,
    rest: Vec<u8>,
    shared: &Shared<'_>,
) -> io::Result<()> {
    tcp.set_read_timeout(Some(READ_PATIENCE))?;
    let now = Instant::now();
    let (outbox, mail) = outbox(shared.settings.client_queue, now);
    outbox.connect(Arc::clone(tcp));
    let writer = Writer {
        tcp,
        mail,
        ping_interval: shared.settings.ping_interval,
        metrics: &shared.metrics.live,
    };
    thread::scope(|scope| {
        let name = format!("live-{id}-write");
        let spawned = thread::Builder::new()
            .name(name)
            .stack_size(super::STACK_BYTES)
            .spawn_scoped(scope, || writer.run());
        let writing = spawned?;
        Reader::new(id, tcp.as_ref(), outbox, shared).run(rest, now);
        // Its panic is one of this client, and no others.
        writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(())
    })
}

/// Reads what a client says out of `T`, which is a socket but where it is tried out.
pub(super) struct Reader<'a, T> {
    id: u32,
    tcp: T,
    outbox: Outbox,
    shared: &'a Shared<'a>,
    errors: u32,
}

impl<'a, T: Read + Copy> Reader<'a, T> {
    /// A reader for client `id`.
    pub(super) fn new(id: u32, tcp: T, outbox: Outbox, shared: &'a Shared<'a>) -> Self {
        Self { id, tcp, outbox, shared, errors: 0 }
    }

    /// Reads until the client has ended, and has been told goodbye to. `rest` has been read already.
    pub(super) fn run(mut self, rest: Vec<u8>, now: Instant) {
        let settings = self.shared.settings;
        self.outbox.answer(&Answer::Hello {
            version: env!("CARGO_PKG_VERSION"),
            schema: SCHEMA,
            ping_interval_ms: settings.ping_interval.as_millis(),
            max_subscriptions: settings.max_subscriptions,
        });
        self.ask(Command::Join(self.id, self.outbox.clone()));
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_frame_size(Some(settings.max_request_bytes))
            .max_message_size(Some(settings.max_request_bytes));
        let ear = Ear::new(self.tcp, settings.max_request_bytes, now);
        let mut ws = WebSocket::from_partially_read(ear, rest, Role::Server, Some(config));
        let mut requests = Allowance::new(f64::from(settings.max_requests), now);
        while let Some(message) = self.read(&mut ws) {
            if !matches!(message, Message::Pong(_)) && !requests.take(1.0, Instant::now()) {
                let why = format!("more than {} requests a second", settings.max_requests);
                self.outbox.close(CloseCode::Policy, why);
                break;
            }
            if !self.on_message(message) {
                break;
            }
        }
        self.linger();
    }

    /// The next message; `None` when there will be none. A client that waits for it waits here.
    fn read(&self, ws: &mut WebSocket<Ear<T>>) -> Option<Message> {
        loop {
            let (code, why) = match ws.read() {
                Ok(message) => return Some(message),
                Err(Error::Io(err)) if is_patience(&err) => {
                    if self.shared.stop.requested() {
                        // One that came too late for the hub has not heard.
                        self.outbox.close(CloseCode::Away, "the collector stops");
                        return None;
                    }
                    if self.outbox.farewell().is_some() {
                        return None;
                    }
                    continue;
                }
                Err(Error::Io(err)) if err.kind() == io::ErrorKind::QuotaExceeded => {
                    (CloseCode::Policy, err.to_string())
                }
                Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return None,
                Err(err @ Error::Protocol(_)) => (CloseCode::Protocol, err.to_string()),
                Err(Error::Utf8(_)) => (CloseCode::Invalid, "text must be UTF-8".to_owned()),
                Err(Error::Capacity(_)) => {
                    let most = self.shared.settings.max_request_bytes;
                    (CloseCode::Size, format!("a request may have {most} bytes"))
                }
                Err(_) => return None,
            };
            self.outbox.close(code, why);
            return None;
        }
    }

    /// Deals with a message; `false` when it was the last.
    fn on_message(&mut self, message: Message) -> bool {
        match message {
            Message::Text(text) => match protocol::parse(&text) {
                Ok(request) => self.ask(Command::Request(self.id, request)),
                Err(detail) => return self.refuse(&detail),
            },
            Message::Binary(_) => return self.refuse("requests are text frames of JSON"),
            Message::Ping(payload) => self.outbox.hurry(frame::pong(&payload)),
            Message::Pong(_) => self.outbox.pong(Instant::now()),
            Message::Close(said) => {
                let code = said.map_or(CloseCode::Status, |it| it.code);
                self.outbox.close(code, "");
                return false;
            }
            Message::Frame(_) => {}
        }
        true
    }

    fn refuse(&mut self, detail: &str) -> bool {
        // By way of the hub, so that answers come in the order of requests.
        self.ask(Command::Refuse(self.id, detail.to_owned()));
        self.errors += 1;
        if self.errors == ERRORS_MAX {
            self.outbox.close(CloseCode::Policy, format!("{ERRORS_MAX} requests that are none"));
        }
        self.errors < ERRORS_MAX
    }

    /// Waits for the hub when it is behind: that is no harm to anybody else.
    fn ask(&self, command: Command) {
        if self.shared.commands.send(command).is_err() {
            self.outbox.close(CloseCode::Away, "the collector stops");
        }
    }

    /// Lets a client that has been told goodbye say what it has begun to say: a socket closed with
    /// something unread is reset, which can cost the client what it was told.
    fn linger(&self) {
        let until = Instant::now() + LINGER_MAX;
        let (mut tcp, mut unread) = (self.tcp, [0; 1024]);
        while self.outbox.farewell().is_some() && Instant::now() < until {
            match tcp.read(&mut unread) {
                Ok(0) => break,
                Ok(_) => {}
                Err(err) if is_patience(&err) => {}
                Err(_) => break,
            }
        }
    }
}

impl<T> Drop for Reader<'_, T> {
    /// Whatever ends it, a panic too, nobody sends to it any more, and its writer ends.
    fn drop(&mut self) {
        let _ = self.shared.commands.send(Command::Leave(self.id));
        self.outbox.close(CloseCode::Normal, "");
        self.outbox.hang_up();
    }
}

/// The reading half of a socket. What the WebSocket would write by itself is written by the
/// client's other thread.
struct Ear<T> {
    tcp: T,
    allowance: Allowance,
}

impl<T> Ear<T> {
    fn new(tcp: T, request_bytes: usize, now: Instant) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a limit need not be exact")]
        let rate = (request_bytes * LARGE_REQUESTS_PER_SECOND) as f64;
        Self { tcp, allowance: Allowance::new(rate, now) }
    }
}

impl<T: Read> Read for Ear<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.tcp.read(buf)?;
        #[expect(clippy::cast_precision_loss, reason = "a buffer has few bytes")]
        if !self.allowance.take(n as f64, Instant::now()) {
            let why = "more bytes a second than requests need";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, why));
        }
        Ok(n)
    }
}

impl<T> Write for Ear<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
