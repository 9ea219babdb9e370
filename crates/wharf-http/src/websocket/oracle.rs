//! What is to be had from a client's bytes, by ours and by tungstenite.

use std::io::{Cursor, Read, Write};

use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::assembly::Assembly;
use super::message::Message;
use super::meter::{Limits, Meter, Piece};

/// The largest frame and message: what is larger is refused by both.
const MOST: usize = 1 << 16;

/// The messages before a Close, a broken rule, or the end, cut into pieces of so many bytes.
pub(crate) fn ours(bytes: &[u8], cut: usize) -> Vec<Message> {
    let limits = Limits {
        max_frame: MOST as u64,
        max_message: MOST as u64,
        max_fragments: u32::MAX,
        extensions: false,
    };
    let (mut meter, mut assembly) = (Meter::default(), Assembly::default());
    let mut messages = Vec::new();
    for mut piece in bytes.chunks(cut.max(1)) {
        while !piece.is_empty() {
            let Ok(fed) = meter.feed(&limits, piece) else {
                return messages;
            };
            let (mut taken, rest) = piece.split_at(fed.consumed);
            piece = rest;
            match fed.piece {
                Piece::Closed(_) => return messages,
                Piece::Handler => {}
                Piece::Kept | Piece::Ping(_) | Piece::Pong(_) | Piece::After => continue,
            }
            while !taken.is_empty() {
                match assembly.feed(&mut taken) {
                    Ok(message) => messages.extend(message),
                    Err(_) => return messages,
                }
            }
        }
    }
    messages
}

/// The same by tungstenite.
pub(crate) fn theirs(bytes: &[u8]) -> Vec<Message> {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(MOST))
        .max_message_size(Some(MOST));
    let wire = Wire(Cursor::new(bytes));
    let mut socket = WebSocket::from_raw_socket(wire, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(tungstenite::Message::Text(text)) => messages.push(text.as_str().into()),
            Ok(tungstenite::Message::Binary(data)) => messages.push(data.into()),
            Ok(tungstenite::Message::Close(_)) | Err(_) => return messages,
            Ok(_) => {}
        }
    }
}

/// A client that has said all, and takes everything.
struct Wire<'a>(Cursor<&'a [u8]>);

impl Read for Wire<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Any cut gives the same messages, and tungstenite finds no others. The first byte says into what pieces
/// the rest is cut.
///
/// # Panics
///
/// If it is not so.
pub(crate) fn holds(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = ours(bytes, usize::MAX);
    assert_eq!(whole, ours(bytes, usize::from(cut) + 2));
    assert_eq!(whole, ours(bytes, 1));
    assert_eq!(whole, theirs(bytes));
}
