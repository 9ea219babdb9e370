//! One handshake, from the first byte to the stream.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::time::{sleep, timeout};
use tokio_rustls::StartHandshake;

use super::counted::Counted;
use super::hello;
use super::info::TlsInfo;
use super::stream::TlsStream;
use super::{Certificates, HandshakeError, Handshakes};
use crate::transport::Transport;

/// How long a client may leave us waiting before its turn is the next one's: several round trips
/// around the world. The handshake goes on all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a client waits for its turn: one that had to wait longer would have given up before it
/// is served.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// What TLS may hold of what we send, until the socket takes it: four records.
const OUTGOING: usize = 64 * 1024;

/// A connection after its handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct Handshaken<T> {
    /// Its bytes.
    pub stream: TlsStream<T>,
    /// What was agreed.
    pub info: TlsInfo,
}

/// A connection whose handshake came to nothing.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused<T> {
    /// Why.
    pub error: HandshakeError,
    /// The transport. The peer has been sent an alert or an answer: close our direction and read
    /// on for a moment, so that no reset overtakes it.
    pub io: T,
}

/// Does one handshake.
///
/// # Cancel safety
///
/// Dropped, it closes the transport and gives its turn back.
pub(super) async fn handshake<T: Transport>(
    io: T,
    early: Vec<u8>,
    certificates: &Certificates,
    handshakes: &Handshakes,
    config: &ArcSwap<ServerConfig>,
) -> Result<Handshaken<T>, Refused<T>> {
    let mut io = Counted::new(io);
    let accepted = match hello::read(&mut io, early).await {
        Ok(accepted) => accepted,
        Err(error) => return Err(Refused { error, io: io.io }),
    };
    // Only now: who sends no hello, or sends it slowly, keeps nobody waiting.
    let Ok(turn) = timeout(QUEUE_TIMEOUT, handshakes.turn()).await else {
        let error = HandshakeError::Crowded;
        return Err(Refused { error, io: io.io });
    };
    let mut turn = Some(turn);
    certificates.count(accepted.client_hello().server_name());
    let config = Arc::clone(&config.load());
    let accepting = StartHandshake::from_parts(accepted, io)
        .into_stream_with(config, |session| session.set_buffer_limit(Some(OUTGOING)))
        .into_fallible();
    let mut accepting = pin!(accepting);
    let accepted = tokio::select! {
        biased;
        accepted = &mut accepting => accepted,
        () = sleep(PATIENCE) => {
            drop(turn.take());
            accepting.await
        }
    };
    drop(turn);
    match accepted {
        Ok(stream) => {
            let info = TlsInfo::of(stream.get_ref().1);
            let stream = TlsStream::new(stream);
            Ok(Handshaken { stream, info })
        }
        Err((error, io)) => Err(Refused {
            error: HandshakeError::of_io(&error),
            io: io.io,
        }),
    }
}
