//! Logs: what a peer sends stays a value, and a stream that is not read costs nothing but lines.

use std::io::Read;
use std::process::{Command, Stdio};

use wharf_testkit::http1::blocking::{ask, connect};

use crate::wharf::{Folder, Wharf, file};

#[test]
fn each_request_is_a_line_and_what_the_peer_sent_is_cut() {
    let wharf = Wharf::serve("");
    let target = format!("/hello?{}", "xy".repeat(1000));
    let agent = "a\"b\\c";
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: a\r\nuser-agent: {agent}\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(ask(wharf.web, &request).status, 200);
    let line = wharf.access();
    assert_eq!(
        (&line["status"], &line["method"]),
        (&200.into(), &"GET".into())
    );
    assert_eq!(
        (&line["listener"], &line["protocol"]),
        (&"web".into(), &"http".into())
    );
    assert_eq!(
        (&line["bytes_sent"], &line["user_agent"]),
        (&13.into(), &agent.into())
    );
    let written = line["target"].as_str().unwrap();
    assert!(written.starts_with("/hello?") && written.ends_with('…') && written.len() < 1100);
    assert!(line["duration_ms"].is_number() && line["time"].is_string());
}

#[test]
fn a_connection_that_a_deadline_ends_has_a_line() {
    let wharf = Wharf::serve("[listener.pools.http]\nconnection_timeout = \"300ms\"");
    let mut stream = connect(wharf.web);
    let peer = stream.local_addr().unwrap().to_string();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let line = wharf.message("connection closed");
    assert_eq!(line["reason"], "connection_timeout");
    assert_eq!(
        (&line["peer"], &line["pool"]),
        (&peer.into(), &"web/http".into())
    );
}

#[test]
fn streams_that_nobody_reads_or_that_are_closed_hold_up_nothing() {
    for closed in [true, false] {
        let folder = Folder::new();
        let socket = folder.path().join("admin.sock");
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let content = file(&format!("[admin]\naddress = \"unix:{}\"", socket.display()));
        let content = content.replace("127.0.0.1:0", &free.to_string());
        let path = folder.file("wharf.toml", content);
        let mut child = Command::new(env!("CARGO_BIN_EXE_wharf"))
            .args(["serve", "--config", path.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if closed {
            drop((child.stdout.take(), child.stderr.take()));
        }
        while std::net::TcpStream::connect(free).is_err() {
            crate::wharf::pause(5);
        }
        let long = "x".repeat(4000);
        for _ in 0..300 {
            let request =
                format!("GET /hello?{long} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            assert_eq!(ask(free, &request).status, 200);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
