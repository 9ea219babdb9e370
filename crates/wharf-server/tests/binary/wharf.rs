//! A process under test.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use wharf_testkit::Response;
use wharf_testkit::http1::blocking::ask;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of its own, gone when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "wharf-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Runs a command that ends by itself.
pub(crate) fn run<const N: usize>(arguments: [&str; N]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wharf"))
        .args(arguments)
        .output()
        .unwrap()
}

/// A configuration with one listener and the admin API on free ports; `more` goes below.
pub(crate) fn file(more: &str) -> String {
    let listener =
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"http\"]\n";
    let admin = if more.contains("[admin]") {
        ""
    } else {
        "[admin]\naddress = \"127.0.0.1:0\"\n"
    };
    format!("{admin}{listener}{more}\n")
}

/// A process that serves; killed when dropped.
pub(crate) struct Wharf {
    child: Child,
    messages: Receiver<String>,
    access: Receiver<String>,
    /// The listener's address.
    pub(crate) web: SocketAddr,
    /// The admin API's address, without `http://`.
    pub(crate) admin: String,
    pub(crate) folder: Folder,
}

impl Wharf {
    /// Serves a configuration.
    pub(crate) fn serve(more: &str) -> Self {
        Self::serve_in(Folder::new(), more)
    }

    /// Serves a configuration that uses files of `folder`.
    pub(crate) fn serve_in(folder: Folder, more: &str) -> Self {
        let config = folder.file("wharf.toml", file(more));
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
        command.arg("serve").arg("--config").arg(config);
        Self::spawn(folder, command)
    }

    /// Starts `command`, which is a wharf.
    pub(crate) fn spawn(folder: Folder, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let messages = lines(child.stderr.take().unwrap());
        let access = lines(child.stdout.take().unwrap());
        let web = ([0, 0, 0, 0], 0).into();
        let admin = String::new();
        let mut wharf = Self {
            child,
            messages,
            access,
            web,
            admin,
            folder,
        };
        wharf.web = wharf.message("listening")["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let admin = wharf.message("admin listening")["address"]
            .as_str()
            .unwrap()
            .to_owned();
        admin
            .trim_start_matches("http://")
            .clone_into(&mut wharf.admin);
        wharf
    }

    /// The next log line with that message.
    pub(crate) fn message(&self, message: &str) -> Value {
        next(&self.messages, |line| line["message"] == message)
    }

    /// The next line of the access log.
    pub(crate) fn access(&self) -> Value {
        next(&self.access, |_| true)
    }

    /// What the listener answers to `GET path`.
    pub(crate) fn get(&self, path: &str) -> Response {
        ask(
            self.web,
            &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
        )
    }

    /// What the admin API answers.
    pub(crate) fn admin(&self, request: &str) -> Response {
        self.admin_with(request, "x-wharf-admin: 1\r\n", "")
    }

    /// The same with other header lines and a body.
    pub(crate) fn admin_with(&self, request: &str, headers: &str, body: &str) -> Response {
        let host = if headers.contains("host: ") {
            ""
        } else {
            "host: localhost\r\n"
        };
        let length = body.len();
        ask(
            self.admin.parse().unwrap(),
            &format!(
                "{request} HTTP/1.1\r\n{host}{headers}content-length: {length}\r\n\
                 connection: close\r\n\r\n{body}"
            ),
        )
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        for _ in 0..PATIENCE.as_millis() / 10 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            pause(10);
        }
        panic!("the process does not end")
    }
}

impl Drop for Wharf {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn pause(milliseconds: u64) {
    thread::park_timeout(Duration::from_millis(milliseconds));
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver): (Sender<String>, _) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn next(lines: &Receiver<String>, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = lines.recv_timeout(PATIENCE).expect("a line in time");
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        if wanted(&line) {
            return line;
        }
    }
}
