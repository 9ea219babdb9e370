//! [`Server`]: one server behind the gateways, as a process that can be killed and started again.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::site::Site;

/// How long one may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server is told, beside its address.
#[derive(Clone, Debug, Default)]
pub(super) struct Knobs(pub(super) Vec<String>);

impl Knobs {
    /// From words as on the command line.
    pub(super) fn of(words: &str) -> Self {
        Self(words.split_whitespace().map(str::to_owned).collect())
    }

    /// And these.
    pub(super) fn and(mut self, words: &str) -> Self {
        self.0.extend(Self::of(words).0);
        self
    }

    /// And this path.
    pub(super) fn with(mut self, path: &Path) -> Self {
        self.0.push(path.display().to_string());
        self
    }
}

/// One server, stopped when it is dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    knobs: Knobs,
    child: Child,
}

/// What it has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// In the second after the first request.
    pub(super) requests_at_first: f64,
    /// In hand at once in that second.
    pub(super) most_at_first: f64,
    /// Connections that it has had.
    pub(super) connections: f64,
    /// Connections, added up over time, in seconds.
    pub(super) held: f64,
    /// Since it was started.
    pub(super) seconds: f64,
}

/// Where the binary is.
fn program() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join("target/peers/glibc/upstream")
}

fn spawn(address: SocketAddr, knobs: &Knobs) -> Result<Child> {
    let program = program();
    let mut command = Command::new(&program);
    command.arg(address.to_string()).args(&knobs.0);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn();
    child.with_context(|| program.display().to_string())
}

impl Server {
    /// Starts one, on the core of this thread.
    pub(super) fn start(knobs: Knobs) -> Result<Self> {
        let address = Site::address()?;
        let server = Self {
            child: spawn(address, &knobs)?,
            address,
            knobs,
        };
        server.wait()?;
        Ok(server)
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again where it was.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.address, &self.knobs)?;
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "a server does not listen");
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// From now on its answers take so long, on average.
    pub(super) fn take(at: SocketAddr, long: Duration) -> Result<()> {
        let mut stream = TcpStream::connect(at)?;
        let micros = long.as_micros();
        write!(
            stream,
            "GET /-/service/{micros} HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        ensure!(
            text.starts_with("HTTP/1.1 200 "),
            "a server does not change: {text}"
        );
        Ok(())
    }

    /// Asks it what it has seen.
    pub(super) fn seen(&self) -> Result<Seen> {
        Self::seen_through(self.address)
    }

    /// The same of the only one behind a gateway.
    pub(super) fn seen_through(gateway: SocketAddr) -> Result<Seen> {
        let mut stream = TcpStream::connect(gateway)?;
        stream.write_all(b"GET /-/seen HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let field = |name: &str| -> Result<f64> {
            let lines = text.lines().filter_map(|line| line.split_once(' '));
            let found = lines.into_iter().find(|(key, _)| *key == name);
            Ok(found.context("no such count")?.1.trim().parse()?)
        };
        Ok(Seen {
            requests_at_first: field("requests_at_first")?,
            most_at_first: field("most_at_first")?,
            connections: field("connections")?,
            held: field("held")?,
            seconds: field("seconds")?,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended by itself needs no more.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
