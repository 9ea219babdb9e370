//! One wharf in front of another.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use wharf_testkit::http1::blocking::{answer, connect};

use crate::wharf::{Wharf, pause};

/// A route for everything to these endpoints; `more` are further keys of it.
fn routed(endpoints: &[SocketAddr], more: &str) -> String {
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|endpoint| format!("\"http://{endpoint}\""))
        .collect();
    let endpoints = endpoints.join(", ");
    format!(
        "[[route]]\npath = \"/\"\nupstream = \"api\"\n{more}\n\
         [[upstream]]\nname = \"api\"\nendpoints = [{endpoints}]\n"
    )
}

/// Where connections are made, and nothing is ever said.
fn silent() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Where nobody listens: the port is taken, at another address of loopback.
fn nobody() -> (TcpListener, SocketAddr) {
    let (socket, mut address) = silent();
    address.set_ip([127, 0, 0, 2].into());
    (socket, address)
}

#[test]
fn a_request_is_answered_by_the_upstream() {
    let behind = Wharf::serve("");
    let front = Wharf::serve(&routed(&[behind.web], ""));
    let answer = front.get("/hello");
    assert_eq!((answer.status, answer.text()), (200, "Hello, World!"));
    assert_eq!(answer.header("via"), Some("1.1 wharf"));
    assert_eq!(behind.access()["target"], "/hello");
    let pool = front.admin("GET /pools/api/http").json();
    assert_eq!(pool["direction"], "outbound");
    assert_eq!(pool["endpoints"][0]["state"], "ready");
}

#[test]
fn an_upstream_that_says_nothing_is_504_with_the_reason() {
    let (_socket, silent) = silent();
    let front = Wharf::serve(&routed(&[silent], "request_timeout = \"200ms\""));
    let answer = front.get("/hello");
    assert_eq!(answer.status, 504);
    assert_eq!(answer.header("x-wharf-reason"), Some("response_timeout"));
}

#[test]
fn an_upstream_that_is_gone_is_502_and_another_is_asked_once_it_is_configured() {
    let (_socket, gone) = nobody();
    let there = Wharf::serve("");
    let front = Wharf::serve(&routed(&[gone], ""));
    assert_eq!(front.get("/hello").status, 502);
    let file = front.folder.path().join("wharf.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace(&gone.to_string(), &there.web.to_string()),
    )
    .unwrap();
    let reloaded = front.admin("POST /reload");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    assert_eq!(reloaded.json()["diff"][0]["key"], "upstream.api.endpoints");
    assert_eq!(front.get("/hello").status, 200);
}

#[test]
fn a_drain_of_the_gateway_waits_for_its_upstream() {
    let behind = Wharf::serve("");
    let mut front = Wharf::serve(&format!(
        "[server]\ndrain_linger = \"0s\"\n{}",
        routed(&[behind.web], "")
    ));
    let mut stream = connect(front.web);
    write!(stream, "GET /slow?ms=400 HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    while front.admin("GET /pools/api/http").json()["endpoints"][0]["in_flight"] == 0 {
        pause(5);
    }
    front.signal("TERM");
    assert_eq!(answer(stream).text(), "waited 400 ms\n");
    assert!(front.ended().success());
}
