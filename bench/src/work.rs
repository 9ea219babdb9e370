//! [`Work`]: what is asked of a server, and what it has to answer.

use std::iter::repeat_n;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// `GET /hello`.
    Hello,
    /// A connection over TLS for each `GET /hello`; all but the first of each client resume a session.
    Handshake { resumed: bool },
    /// `GET /bytes`, of [`LARGE`].
    Download,
    /// `POST /count`, of [`LARGE`].
    Upload,
    /// A call of gRPC, one message there and one back.
    Call,
    /// A call of gRPC that is answered with [`REPLIES`] messages.
    Replies,
    /// A WebSocket message of so many bytes, there and back.
    Echo(usize),
}

/// A mebibyte.
pub(crate) const LARGE: usize = 1 << 20;

/// Messages of gRPC that one call is answered with.
pub(crate) const REPLIES: u8 = 100;

/// The script by which wrk uploads.
pub(crate) const UPLOAD: (&str, &str) = (
    "upload.lua",
    "wrk.method = \"POST\"\nwrk.body = string.rep(\"w\", 1048576)\n",
);

/// The file whose bytes are downloaded from servers that have files.
pub(crate) const BYTES: &str = "bytes";

/// `Hello, World!` as the first field of a message, behind the five bytes of gRPC.
const MESSAGE: &[u8] = b"\0\0\0\0\x0f\x0a\x0dHello, World!";

impl Work {
    /// The server by which the others are measured.
    pub(crate) const fn measure(self) -> &'static str {
        match self {
            Self::Hello | Self::Handshake { .. } | Self::Download | Self::Upload => "hyper",
            Self::Call | Self::Replies => "tonic",
            Self::Echo(_) => "tokio-tungstenite",
        }
    }

    /// Where it is asked.
    pub(crate) fn target(self) -> String {
        match self {
            Self::Hello | Self::Handshake { .. } => "/hello".to_owned(),
            Self::Download => format!("/bytes?n={LARGE}"),
            Self::Upload => "/count".to_owned(),
            Self::Call => "/wharf.demo.v1.Echo/Unary".to_owned(),
            Self::Replies => "/wharf.demo.v1.Echo/ServerStream".to_owned(),
            Self::Echo(_) => "/ws".to_owned(),
        }
    }

    pub(crate) const fn is_grpc(self) -> bool {
        matches!(self, Self::Call | Self::Replies)
    }

    /// What counts: messages, where a request is answered with many.
    pub(crate) const fn units(self) -> u64 {
        match self {
            Self::Replies => REPLIES as u64,
            _ => 1,
        }
    }

    /// The body of a request, if it has one.
    pub(crate) fn body(self) -> Vec<u8> {
        match self {
            Self::Upload => vec![b'w'; LARGE],
            Self::Call => MESSAGE.to_vec(),
            Self::Replies => {
                // And how often, as the second field.
                let mut body = [MESSAGE, &[0x10, REPLIES]].concat();
                body[4] += 2;
                body
            }
            Self::Hello | Self::Handshake { .. } | Self::Download | Self::Echo(_) => Vec::new(),
        }
    }

    /// The file that has the body of a call.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Replies => "replies.bin",
            _ => "call.bin",
        }
    }

    /// The body of the answer.
    pub(crate) fn answer(self) -> Vec<u8> {
        match self {
            Self::Hello | Self::Handshake { .. } => crate::peers::ANSWER.to_vec(),
            Self::Download => vec![b'w'; LARGE],
            Self::Upload => format!("{LARGE}\n").into_bytes(),
            Self::Call => MESSAGE.to_vec(),
            Self::Replies => repeat_n(MESSAGE, REPLIES.into())
                .flatten()
                .copied()
                .collect(),
            Self::Echo(size) => vec![b'w'; size],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_grpc_says_its_own_length() {
        for work in [Work::Call, Work::Replies] {
            let body = work.body();
            assert_eq!(usize::from(body[4]), body.len() - 5);
        }
    }
}
