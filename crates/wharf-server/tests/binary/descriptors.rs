//! When descriptors are gone, operators can still look.

use std::net::TcpStream;
use std::process::Command;

use crate::wharf::{Folder, Wharf, file};

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
    assert_eq!(wharf.get("/hello").status, 200);
}

#[test]
fn the_limit_of_the_process_follows_the_descriptors() {
    let wharf = Wharf::serve("");
    let health = wharf.admin("GET /health").json();
    let descriptors = health["process"]["max_descriptors"].as_u64().unwrap();
    let kept = descriptors.div_ceil(20).max(32);
    assert_eq!(health["max_connections"], descriptors - kept);
}
