//! One request on a connection of its own, for tests of a process: they wait without a runtime.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::Response;
use crate::peer::SOON;

/// Connects; no read takes longer than ten seconds.
pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the server listens");
    let limited = stream.set_read_timeout(Some(SOON));
    limited.expect("the socket is open");
    stream
}

/// Sends `request`, after whose answer the server is to close, and reads that answer.
pub fn ask(to: SocketAddr, request: &str) -> Response {
    let mut stream = connect(to);
    let sent = stream.write_all(request.as_bytes());
    sent.expect("the server takes the request");
    answer(stream)
}

/// Reads the only answer on a connection, up to the end of that.
pub fn answer(mut stream: impl Read) -> Response {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    read.expect("the server answers and closes");
    let Some(response) = Response::take(&mut bytes, false) else {
        panic!("no answer: {:?}", String::from_utf8_lossy(&bytes));
    };
    assert!(bytes.is_empty(), "an answer, and then {bytes:?}");
    response
}
