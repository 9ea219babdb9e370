//! HTTP/1, as much of it as one request takes.

use anyhow::{Result, ensure};

use super::stream::Stream;
use crate::peers::ANSWER;

const REQUEST: &[u8] =
    b"GET /hello HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench/1\r\naccept: */*\r\n\r\n";

pub(super) fn ask(stream: &mut Stream) -> Result<()> {
    stream.send(REQUEST)
}

pub(super) fn hear(stream: &mut Stream) -> Result<()> {
    let mut answer = Vec::new();
    let mut room = [0; 1024];
    // All peers say the length, and none compresses: what ends like this is complete.
    while !answer.ends_with(ANSWER) {
        let read = stream.receive(&mut room)?;
        answer.extend_from_slice(&room[..read]);
        ensure!(
            read > 0 && answer.len() < room.len(),
            "another answer: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    ensure!(
        answer.starts_with(b"HTTP/1.1 200 "),
        "another answer: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}
