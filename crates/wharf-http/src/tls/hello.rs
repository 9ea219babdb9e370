//! Reading a client's first message, which costs its sender nothing and us little.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::Error;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::HandshakeError;
use super::counted::Counted;

/// The most that is read before we have answered. Browsers send half a kilobyte to two; a ticket
/// that holds a client's certificate makes it a few more.
pub(super) const LONGEST: u64 = 16 * 1024;

/// What is looked at to tell HTTP from TLS, and old versions from those that we speak.
const PREFIX: usize = 11;

/// What a browser shows who was sent to the wrong port.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 49\r\n\
    connection: close\r\n\r\n\
    This port speaks TLS: write https:// for http://\n";

/// The alert `illegal_parameter`, fatal, in a record of its own.
const TOO_LARGE: &[u8] = &[21, 3, 1, 0, 2, 2, 47];

/// The alert `protocol_version`, likewise.
const TOO_OLD: &[u8] = &[21, 3, 1, 0, 2, 2, 70];

/// The alert `unexpected_message`, likewise.
const UNEXPECTED: &[u8] = &[21, 3, 1, 0, 2, 2, 10];

/// Reads a whole `ClientHello`: `early` first, then from `io`. Told in `io` why, if there is none.
pub(super) async fn read<T>(io: &mut Counted<T>, early: Vec<u8>) -> Result<Accepted, HandshakeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut hello = Hello {
        acceptor: Acceptor::default(),
        early,
        taken: 0,
        prefix: [0; PREFIX],
    };
    let failure = match std::future::poll_fn(|cx| hello.poll(io, cx)).await {
        Ok(accepted) => return Ok(accepted),
        Err(failure) => failure,
    };
    if let Some(words) = &failure.words {
        // It is the first that is written, so there is room for it. If the peer is gone, the error
        // that is known already says more.
        let said = async {
            io.write_all(words).await?;
            io.flush().await
        };
        said.await.ok();
    }
    Err(failure.error)
}

/// Why there is no `ClientHello`, and what the peer is told.
struct Failure {
    error: HandshakeError,
    words: Option<Vec<u8>>,
}

impl Failure {
    fn silent(error: HandshakeError) -> Self {
        Self { error, words: None }
    }
}

/// A `ClientHello`, as far as it has come.
struct Hello {
    acceptor: Acceptor,
    /// What somebody else has read.
    early: Vec<u8>,
    /// How much of it is taken.
    taken: usize,
    prefix: [u8; PREFIX],
}

impl Hello {
    fn poll<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut Counted<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Accepted, Failure>> {
        loop {
            if io.received >= LONGEST {
                return Poll::Ready(Err(Failure {
                    error: HandshakeError::HelloTooLarge,
                    words: Some(TOO_LARGE.to_vec()),
                }));
            }
            match ready!(self.poll_more(io, cx)) {
                Ok(0) if io.received == 0 => {
                    return Poll::Ready(Err(Failure::silent(HandshakeError::Silent)));
                }
                Ok(0) => return Poll::Ready(Err(Failure::silent(HandshakeError::Closed))),
                Ok(_) => {}
                Err(error) => {
                    let error = HandshakeError::Io(error.kind());
                    return Poll::Ready(Err(Failure::silent(error)));
                }
            }
            match self.acceptor.accept() {
                Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
                Ok(None) => {}
                Err((error, alert)) => return Poll::Ready(Err(self.refused(&error, alert))),
            }
        }
    }

    /// Lets the library read once.
    fn poll_more<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut Counted<T>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut more = More {
            early: self.early.get(self.taken..).unwrap_or_default(),
            io,
            cx,
            prefix: &mut self.prefix,
        };
        let was_early = !more.early.is_empty();
        match self.acceptor.read_tls(&mut more) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Ok(n) if was_early => {
                self.taken += n;
                if self.taken == self.early.len() {
                    self.early = Vec::new();
                    self.taken = 0;
                }
                Poll::Ready(Ok(n))
            }
            read => Poll::Ready(read),
        }
    }

    fn refused(&self, error: &Error, mut alert: AcceptedAlert) -> Failure {
        if is_http(self.prefix) {
            return Failure {
                error: HandshakeError::PlainHttp,
                words: Some(PLAIN_HTTP.to_vec()),
            };
        }
        if is_old(self.prefix) {
            return Failure {
                error: HandshakeError::NoCommonVersion,
                words: Some(TOO_OLD.to_vec()),
            };
        }
        if let [ALERT, 3, _, _, _, _, alert, ..] = self.prefix {
            // Who has broken off is not answered.
            return Failure::silent(HandshakeError::of(&Error::AlertReceived(alert.into())));
        }
        let mut words = Vec::new();
        // Into memory it is written whole.
        alert.write_all(&mut words).ok();
        // Of some faults the library says nothing to the peer.
        if words.is_empty() {
            words.extend_from_slice(UNEXPECTED);
        }
        let error = if self.prefix[0] == HANDSHAKE {
            HandshakeError::of(error)
        } else {
            HandshakeError::NotTls
        };
        Failure {
            error,
            words: Some(words),
        }
    }
}

/// The first byte of a record that carries a handshake.
const HANDSHAKE: u8 = 22;
/// The first byte of a record that carries an alert.
const ALERT: u8 = 21;

/// Whether bytes begin with a method: capital letters, then perhaps a space.
fn is_http(prefix: [u8; PREFIX]) -> bool {
    let letters = prefix
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    letters >= 3 && matches!(prefix.get(letters), None | Some(b' ' | 0))
}

/// Whether it is the hello of TLS 1.1 or before. The library misses there what such clients do not
/// know, and says that.
fn is_old(prefix: [u8; PREFIX]) -> bool {
    const CLIENT_HELLO: u8 = 1;
    matches!(prefix, [HANDSHAKE, _, _, _, _, CLIENT_HELLO, _, _, _, 3, minor] if minor < 3)
}

/// What comes next, as the library reads it: what was read before, then the socket, never more than
/// may be read in all.
struct More<'a, 'b, T> {
    early: &'a [u8],
    io: &'a mut Counted<T>,
    cx: &'a mut Context<'b>,
    prefix: &'a mut [u8; PREFIX],
}

impl<T: AsyncRead + Unpin> io::Read for More<'_, '_, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let received = self.io.received;
        let room = usize::try_from(LONGEST - received.min(LONGEST)).unwrap_or(0);
        let room = room.min(buf.len());
        let buf = &mut buf[..room];
        let n = if self.early.is_empty() {
            let mut buf = ReadBuf::new(buf);
            match Pin::new(&mut *self.io).poll_read(self.cx, &mut buf) {
                Poll::Ready(read) => read.map(|()| buf.filled().len())?,
                Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            }
        } else {
            let n = self.early.len().min(buf.len());
            buf[..n].copy_from_slice(&self.early[..n]);
            self.io.received += n as u64;
            n
        };
        let known = usize::try_from(received).unwrap_or(PREFIX).min(PREFIX);
        for (place, &byte) in self.prefix[known..].iter_mut().zip(&buf[..n]) {
            *place = byte;
        }
        Ok(n)
    }
}
