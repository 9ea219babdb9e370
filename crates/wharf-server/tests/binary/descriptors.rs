//! When descriptors are gone, operators can still look.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::wharf::{Folder, Wharf, file, pause};

#[test]
fn the_admin_api_answers_when_descriptors_are_gone() {
    let folder = Folder::new();
    let path = folder.file("wharf.toml", file("[limits]\nmax_connections = 1000"));
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("ulimit -n 64; exec \"$0\" serve --config \"$1\"");
    command.arg(env!("CARGO_BIN_EXE_wharf")).arg(path);
    let wharf = Wharf::spawn(folder, command);
    let held: Vec<_> = (0..150)
        .map(|_| TcpStream::connect(wharf.web).unwrap())
        .collect();
    for _ in 0..20 {
        let health = wharf.admin("GET /health");
        assert_eq!(health.status, 200);
        assert_eq!(health.json()["process"]["max_descriptors"], 64);
    }
    drop(held);
    // Whoever comes before the server has noticed that the others left may still be turned away.
    let back = (0..150).any(|_| {
        pause(10);
        is_served(wharf.web)
    });
    assert!(back, "it does not come back by itself");
}

fn is_served(address: SocketAddr) -> bool {
    let mut answer = String::new();
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    });
    asked.is_ok() && answer.starts_with("HTTP/1.1 200 ")
}

#[test]
fn the_limit_of_the_process_follows_the_descriptors() {
    let wharf = Wharf::serve("");
    let health = wharf.admin("GET /health").json();
    let descriptors = health["process"]["max_descriptors"].as_u64().unwrap();
    let kept = descriptors.div_ceil(20).max(32);
    assert_eq!(health["max_connections"], descriptors - kept);
}
