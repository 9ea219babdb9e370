//! The end: what is in flight is finished, a second signal does not wait.

use std::io::Write;

use wharf_testkit::http1::blocking::{answer, connect};

use crate::wharf::{Wharf, pause};

fn in_flight(wharf: &Wharf, ms: u32) -> std::net::TcpStream {
    let mut stream = connect(wharf.web);
    write!(stream, "GET /slow?ms={ms} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    while wharf.admin("GET /pools/web/http").json()["metrics"]["in_flight"] == 0 {
        pause(5);
    }
    stream
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_with_0() {
    let mut wharf = Wharf::serve("[server]\ndrain_linger = \"0s\"");
    let stream = in_flight(&wharf, 400);
    wharf.signal("TERM");
    let answer = answer(stream);
    assert_eq!((answer.status, answer.text()), (200, "waited 400 ms\n"));
    assert!(answer.is_last());
    assert!(wharf.ended().success());
    assert_eq!(wharf.message("drained")["cut"], 0);
}

#[test]
fn what_is_over_the_deadline_is_cut_and_the_exit_code_is_still_0() {
    let mut wharf = Wharf::serve("[server]\ndrain_linger = \"0s\"\ndrain_timeout = \"300ms\"");
    let _stream = in_flight(&wharf, 60_000);
    wharf.signal("INT");
    assert!(wharf.ended().success());
    assert_eq!(wharf.message("drained")["cut"], 1);
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut wharf = Wharf::serve("");
    let _stream = in_flight(&wharf, 60_000);
    wharf.signal("TERM");
    wharf.message("draining; a second signal ends the process at once");
    wharf.signal("TERM");
    assert_eq!(wharf.ended().code(), Some(130));
}

#[test]
fn readiness_fails_first_and_the_admin_api_can_drain_too() {
    let mut wharf = Wharf::serve("[server]\ndrain_delay = \"400ms\"");
    assert_eq!(wharf.admin("GET /ready").status, 200);
    assert_eq!(wharf.admin_with("POST /drain", "", "").status, 403);
    assert_eq!(wharf.admin("GET /drain").status, 405);
    assert_eq!(wharf.admin("POST /drain").status, 202);
    while wharf.admin("GET /ready").status != 503 {
        pause(5);
    }
    assert_eq!(wharf.get("/hello").status, 200);
    assert!(wharf.ended().success());
}

#[test]
fn sighup_kills_nothing() {
    let wharf = Wharf::serve("");
    wharf.signal("HUP");
    wharf.message("configuration reloaded");
    assert_eq!(wharf.get("/hello").status, 200);
}
