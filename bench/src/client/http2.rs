//! HTTP/2, as much of it as one request takes.

use anyhow::{Result, bail, ensure};

use super::stream::Stream;
use crate::peers::ANSWER;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status 200` in HPACK's static table.
const STATUS_200: u8 = 0x88;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// Says the preface and waits for the server's.
pub(super) fn greet(stream: &mut Stream) -> Result<()> {
    let mut words = PREFACE.to_vec();
    words.extend(frame(SETTINGS, 0, 0, &[]));
    stream.send(&words)?;
    loop {
        let received = receive(stream)?;
        if received.kind == SETTINGS && received.flags & ACK == 0 {
            return Ok(());
        }
    }
}

pub(super) fn ask(stream: &mut Stream, id: u32, secured: bool) -> Result<()> {
    let mut block = vec![0x82, if secured { 0x87 } else { 0x86 }];
    // Names by their places in the static table: `:path`, `:authority`, `user-agent`, `accept`.
    for (name, value) in [
        (&[4][..], "/hello"),
        (&[1], "localhost"),
        (&[15, 43], "bench/1"),
        (&[15, 4], "*/*"),
    ] {
        block.extend(name);
        block.push(u8::try_from(value.len())?);
        block.extend(value.as_bytes());
    }
    stream.send(&frame(HEADERS, END_STREAM | END_HEADERS, id, &block))
}

pub(super) fn hear(stream: &mut Stream, id: u32) -> Result<()> {
    let mut body = Vec::new();
    loop {
        let received = receive(stream)?;
        if received.stream != id {
            continue;
        }
        match received.kind {
            HEADERS => {
                // A change of the table's size may come first.
                let block = &received.payload;
                let first = block.iter().find(|byte| **byte & 0xe0 != 0x20);
                ensure!(first == Some(&STATUS_200), "another answer: {block:x?}");
            }
            DATA => body.extend(received.payload),
            RESET => bail!("the stream was reset"),
            _ => {}
        }
        if received.flags & END_STREAM != 0 {
            ensure!(body == ANSWER, "another answer");
            return Ok(());
        }
    }
}

/// The next frame; what has to be answered is.
fn receive(stream: &mut Stream) -> Result<Frame> {
    let mut head = [0; 9];
    stream.receive_exact(&mut head)?;
    let [high, middle, low, kind, flags, id @ ..] = head;
    let length = u32::from_be_bytes([0, high, middle, low]);
    ensure!(length <= 16_384, "a frame of {length} bytes");
    let mut payload = vec![0; length as usize];
    stream.receive_exact(&mut payload)?;
    match kind {
        SETTINGS if flags & ACK == 0 => stream.send(&frame(SETTINGS, ACK, 0, &[]))?,
        PING if flags & ACK == 0 => stream.send(&frame(PING, ACK, 0, &payload))?,
        GOAWAY => bail!("the connection is to end"),
        _ => {}
    }
    Ok(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes(id),
        payload,
    })
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut bytes = vec![a, b, c, kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}
