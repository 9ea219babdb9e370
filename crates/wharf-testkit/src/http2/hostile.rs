//! Peers that make a server work for nothing, or wait.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::{ACK, END_HEADERS, END_STREAM, GET, Kind, POST, PREFACE, Raw, block, frame};

/// What costs its sender next to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flood {
    /// PINGs, each of which wants an answer.
    Pings,
    /// Changes of settings, each of which wants an acknowledgement.
    Settings,
    /// Requests that are taken back at once (CVE-2023-44487).
    Resets,
    /// A header block in pieces without content (CVE-2024-27316).
    Continuations,
    /// A body in pieces without content (CVE-2019-9518).
    EmptyData,
    /// Priorities of streams that are not there.
    Priorities,
    /// Room for a byte more, again and again.
    WindowUpdates,
}

impl Flood {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pings,
        Self::Settings,
        Self::Resets,
        Self::Continuations,
        Self::EmptyData,
        Self::Priorities,
        Self::WindowUpdates,
    ];

    /// The frames of a flood of this length, from the first stream of a connection on.
    pub fn bytes(self, count: u32) -> Vec<u8> {
        let again = |bytes: Vec<u8>| bytes.repeat(usize::try_from(count).expect("it fits"));
        match self {
            Self::Pings => again(frame(Kind::Ping, 0, 0, &[0; 8])),
            Self::Settings => again(frame(Kind::Settings, 0, 0, &[])),
            Self::Resets => abandoned((0..count).map(|n| 1 + 2 * n), "/hello"),
            Self::Continuations => {
                let mut bytes = frame(Kind::Headers, END_STREAM, 1, &block(GET, "/hello"));
                bytes.extend(again(frame(Kind::Continuation, 0, 1, &[])));
                bytes
            }
            Self::EmptyData => {
                let head = block(POST, "/length");
                let mut bytes = frame(Kind::Headers, END_HEADERS, 1, &head);
                bytes.extend(again(frame(Kind::Data, 0, 1, &[])));
                bytes
            }
            Self::Priorities => again(frame(Kind::Priority, 0, 3, &[0; 5])),
            Self::WindowUpdates => again(frame(Kind::WindowUpdate, 0, 0, &[0, 0, 0, 1])),
        }
    }
}

/// Requests that are taken back before they can be answered, with the code CANCEL.
pub fn abandoned(streams: impl IntoIterator<Item = u32>, path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for stream in streams {
        let flags = END_STREAM | END_HEADERS;
        bytes.extend(frame(Kind::Headers, flags, stream, &block(GET, path)));
        bytes.extend(frame(Kind::Reset, 0, stream, &[0, 0, 0, 8]));
    }
    bytes
}

/// Asks for what is at `path`, gives all the room for it that there can be, and reads nothing.
pub async fn ask_and_read_nothing<T>(io: T, path: &str) -> Raw<T>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut peer = Raw::over(io);
    peer.bytes(PREFACE).await;
    let most = 0x7fff_ffff_u32;
    let entry = [&[0, 4], &most.to_be_bytes()[..]].concat();
    peer.send(Kind::Settings, 0, 0, &entry).await;
    // The server's are there by now, unread; they are agreed to.
    sleep(std::time::Duration::from_millis(200)).await;
    peer.send(Kind::Settings, ACK, 0, &[]).await;
    peer.update(0, 0x7f00_0000).await;
    peer.get(1, path).await;
    peer
}
