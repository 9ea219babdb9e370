//! Without arguments there is something to try.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use wharf_testkit::http1::blocking::{ask, connect};

use crate::wharf::Wharf;

#[test]
fn the_demo_prints_where_it_is_and_serves_there_until_interrupted() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wharf"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut address = |name: &str| loop {
        let mut line = String::new();
        assert!(out.read_line(&mut line).unwrap() > 0, "no {name}");
        if let Some(url) = line.trim().strip_prefix(name) {
            let address = url
                .trim()
                .trim_start_matches("http://")
                .trim_end_matches('/');
            return address.parse().unwrap();
        }
    };
    let (web, admin) = (address("web"), address("admin"));
    let get = |address, path: &str| {
        let head = "host: localhost\r\nconnection: close\r\n\r\n";
        ask(address, &format!("GET {path} HTTP/1.1\r\n{head}"))
    };
    let hello = get(web, "/hello");
    assert_eq!((hello.status, hello.text()), (200, "Hello, World!"));
    let kind = hello.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    assert_eq!(hello.header("content-length"), Some("13"));
    assert!(get(admin, "/pools").text().contains("web/http"));
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success() && child.wait().unwrap().success());
}

#[test]
fn every_path_of_the_demo_does_what_its_page_says() {
    let wharf = Wharf::serve("");
    assert!(wharf.get("/").text().contains("/slow?ms=500"));
    assert_eq!(wharf.get("/slow?ms=20").text(), "waited 20 ms\n");
    assert_eq!(
        wharf.get("/slow?ms=5&chunks=3").text(),
        "chunk 0\nchunk 1\nchunk 2\n"
    );
    assert_eq!(wharf.get("/slow?ms=x").status, 400);
    let bytes = wharf.get("/bytes?n=300000");
    assert_eq!(bytes.header("content-length"), Some("300000"));
    assert_eq!(bytes.body.len(), 300_000);
    assert_eq!(wharf.get("/bytes?n=0").text(), "");
    assert_eq!(wharf.get("/bytes").status, 400);
    assert_eq!(wharf.get("/panic").status, 500);
    assert_eq!(wharf.get("/missing").status, 404);
    assert_eq!(wharf.get("/hello").status, 200);
}

#[test]
fn an_echo_streams_while_the_request_goes_on() {
    let wharf = Wharf::serve("");
    let mut stream = connect(wharf.web);
    write!(
        stream,
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfirs\r\n"
    )
    .unwrap();
    let mut seen = String::new();
    while !seen.contains("firs") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(char::from(byte[0]));
    }
    write!(stream, "1\r\nt\r\n0\r\n\r\n").unwrap();
    while !seen.ends_with("0\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(char::from(byte[0]));
    }
    assert!(seen.contains("1\r\nt\r\n"));
}

#[test]
fn routes_answer_in_their_order() {
    let wharf = Wharf::serve(
        "[[route]]\npath = \"/up\"\nrespond = { status = 503, body = \"down\" }\n\
         [[route]]\nhost = \"other\"\nrespond = { body = \"other\" }\n\
         [[route]]\npath = \"/hello\"\napp = \"demo\"",
    );
    let up = wharf.get("/up/x");
    assert_eq!((up.status, up.text()), (503, "down"));
    assert_eq!(wharf.get("/hello").status, 200);
    assert_eq!(wharf.get("/bytes?n=1").status, 404);
}
