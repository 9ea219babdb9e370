//! Handshakes that stall, that come in pieces, and that are none.

use std::io::Cursor;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a client of `localhost` says first, and the client, which waits for the answer.
pub fn hello(client: &Arc<ClientConfig>) -> (ClientConnection, Vec<u8>) {
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::clone(client), name);
    let mut session = session.expect("a client");
    let mut bytes = Vec::new();
    let written = session.write_tls(&mut bytes);
    written.expect("there is room");
    (session, bytes)
}

/// Says all of the first message, and then nothing.
pub async fn stall(client: &Arc<ClientConfig>, io: &mut (impl AsyncWrite + Unpin)) {
    let (_, bytes) = hello(client);
    io.write_all(&bytes).await.expect("the bytes are taken");
}

/// The same handshake messages in records of one byte each.
pub fn in_records_of_one_byte(record: &[u8]) -> Vec<u8> {
    let payload = record[5..].iter();
    payload.flat_map(|&byte| [22, 3, 1, 0, 1, byte]).collect()
}

/// The beginning of a hello of 64 KiB.
pub fn endless_hello() -> Vec<u8> {
    let mut bytes = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff, 3, 3];
    bytes.resize(20_000, 0);
    bytes
}

/// The hello of a client that knows one cipher suite, and no later version than this minor one.
pub fn plain_hello(minor: u8, suite: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.extend([0, 0, 2, suite[0], suite[1], 1, 0]);
    if !extensions.is_empty() {
        let length = u16::try_from(extensions.len()).expect("few extensions");
        body.extend(length.to_be_bytes());
        body.extend(extensions);
    }
    let length = u8::try_from(body.len()).expect("a short hello");
    let mut bytes = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    bytes.extend(body);
    bytes
}

/// Goes on as the client after its first message, to the end of the handshake.
pub async fn finish(
    session: &mut ClientConnection,
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
) {
    let mut chunk = [0; 4096];
    while session.is_handshaking() || session.wants_write() {
        let mut out = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut out).expect("there is room");
        }
        io.write_all(&out).await.expect("the bytes are taken");
        if session.is_handshaking() {
            let count = io.read(&mut chunk).await.expect("bytes come");
            assert!(count > 0, "the server has left");
            let read = session.read_tls(&mut Cursor::new(&chunk[..count]));
            read.expect("there is room");
            let state = session.process_new_packets();
            state.expect("the server says nothing wrong");
        }
    }
}
