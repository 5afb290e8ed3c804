//! The program as a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::world::{PATIENCE, eventually};

/// A running command; it is killed when the test ends before it does.
pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: tempfile::NamedTempFile,
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// The same, in an environment that has `vars`, too.
    pub(crate) fn start_with(args: &[&str], vars: &[(&str, &str)]) -> Self {
        Self::launch(&[], args, vars)
    }

    /// The same, by a `launcher` that takes the program's name and what follows it as its last
    /// arguments, and becomes it.
    pub(crate) fn launch(launcher: &[&str], args: &[&str], vars: &[(&str, &str)]) -> Self {
        let stderr = tempfile::NamedTempFile::new().unwrap();
        let words = [launcher, &[env!("CARGO_BIN_EXE_spread-aggregator")], args].concat();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .envs(vars.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.reopen().unwrap())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, stderr }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.stderr.path()).unwrap()
    }

    pub(crate) fn until_says(&self, what: &str) {
        eventually(&format!("it says {what:?}"), || self.stderr().contains(what));
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success(), "kill -s {name} {pid}");
    }

    /// Waits for the end; returns how it ended and all that was logged.
    pub(crate) fn end_of_log(self) -> (ExitStatus, String) {
        let stderr = self.stderr.reopen().unwrap();
        let (status, _) = self.end();
        (status, std::io::read_to_string(stderr).unwrap())
    }

    /// Waits for the end; returns how it ended and the rest of what was printed.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    /// What the system knows of the process.
    pub(crate) fn usage(&self) -> Usage {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|it| it.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
        };
        Usage {
            resident: field("VmRSS") * 1024,
            threads: field("Threads"),
            descriptors: fs::read_dir(proc.join("fd")).unwrap().count() as u64,
            sockets: fs::read_dir(proc.join("fd"))
                .unwrap()
                .filter_map(|it| fs::read_link(it.ok()?.path()).ok())
                .filter(|it| it.to_string_lossy().starts_with("socket:"))
                .count() as u64,
        }
    }
}

impl Process {
    /// What is in use while nobody asks: requests that have just been answered may hold something yet.
    pub(crate) fn usage_at_rest(&self) -> Usage {
        let mut least = self.usage();
        for _ in 0..20 {
            thread::park_timeout(Duration::from_millis(10));
            let now = self.usage();
            if (now.threads, now.sockets) < (least.threads, least.sockets) {
                least = now;
            }
        }
        least
    }

    /// Waits until no more threads and sockets are in use than `before`.
    pub(crate) fn until_given_back(&self, before: Usage) -> Usage {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.usage();
            if now.threads <= before.threads && now.sockets <= before.sockets {
                return now;
            }
            assert!(Instant::now() < deadline, "{before:?} then, {now:?} now");
            thread::park_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended by itself in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) resident: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
    pub(crate) sockets: u64,
}

/// A `simulate` process, and the configuration it prints.
pub(crate) struct Exchanges {
    _process: Process,
    addr: SocketAddr,
    config: String,
}

impl Exchanges {
    /// Three exchanges, when `args` do not say.
    pub(crate) fn start(args: &[&str]) -> Self {
        let three = ["--exchanges", "binance,bybit,okx"];
        let three = if args.contains(&three[0]) { &[][..] } else { &three };
        let args = &[args, three].concat()[..];
        let mut process =
            Process::start(&[&["simulate", "--listen", "127.0.0.1:0"], args].concat());
        let first = process.line();
        let addr = first.split_whitespace().find_map(|it| it.trim_end_matches(';').parse().ok());
        let addr = addr.unwrap_or_else(|| panic!("no address in {first:?}: {}", process.stderr()));
        let named = args.iter().position(|it| *it == "--exchanges").map(|at| args[at + 1]);
        let venues = 2 * named.expect("named above, at the latest").split(',').count();
        let config = (0..venues * 5).map(|_| process.line()).collect();
        Self { _process: process, addr, config }
    }

    /// A configuration file in `dir` that collects from here: `top` comes first, `each` is added
    /// to each exchange.
    pub(crate) fn config(&self, dir: &Path, top: &str, each: &str) -> String {
        let data = dir.join("data");
        let exchanges = self
            .config
            .replace("[[exchange]]", &format!("[[exchange]]\nmin_quote_volume = 0\n{each}"));
        // Tests run side by side, and port 8080 is one.
        let live = if top.contains("[live]") { "" } else { "[live]\nlisten = \"127.0.0.1:0\"" };
        let data = data.display().to_string();
        let text = format!("{top}\n{live}\n[storage]\ndir = {data:?}\n{exchanges}");
        let file = dir.join("config.toml");
        fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    /// What `GET path` answers.
    pub(crate) fn get(&self, path: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// A counter of `/stats`, over all venues.
    pub(crate) fn sent(&self, counter: &str) -> u64 {
        let stats = self.get("/stats");
        let venues = stats.as_object().unwrap().values();
        venues.map(|it| it[counter].as_u64().unwrap()).sum()
    }
}
