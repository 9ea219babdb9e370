//! A session between a client and its upstream, from the upstream's 101 to the end.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::pump::{Pump, Stop};

/// How long a side may take to end a session whose other side is gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// Close 1014 (bad gateway): what a client is told whose upstream has vanished.
const BAD_GATEWAY: [u8; 4] = [0x88, 2, 0x03, 0xf6];

/// Relays both directions until one side is gone. Nothing is kept but what the other side does not take.
///
/// # Cancel safety
///
/// Dropped, both sides are closed.
pub(super) async fn relay<C, U>(mut client: C, mut upstream: U)
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut up, mut down) = (Pump::default(), Pump::default());
    let first = poll_fn(|cx| {
        if let Poll::Ready(stop) = down.poll(cx, &mut upstream, &mut client) {
            return Poll::Ready(Some(stop));
        }
        up.poll(cx, &mut client, &mut upstream).map(|_| None)
    });
    let stop = if let Some(stop) = first.await {
        Some(stop)
    } else {
        let rest = async {
            // What was said last is heard by a server that closes in good order.
            upstream.shutdown().await.ok();
            poll_fn(|cx| down.poll(cx, &mut upstream, &mut client)).await
        };
        timeout(PATIENCE, rest).await.ok()
    };
    let farewell = async {
        if stop == Some(Stop::Source) && down.has_stopped_short() {
            // A client that is gone hears nothing.
            client.write_all(&BAD_GATEWAY).await.ok();
        }
        client.shutdown().await.ok();
    };
    // One that takes nothing is not waited for.
    timeout(PATIENCE, farewell).await.ok();
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    /// The client's and the server's ends of a session, with room for so many bytes on the way.
    fn session(room: usize) -> (DuplexStream, DuplexStream, JoinHandle<()>) {
        let (client, near) = duplex(room);
        let (server, far) = duplex(room);
        #[expect(clippy::disallowed_methods, reason = "a test waits for it")]
        let relaying = tokio::spawn(relay(near, far));
        (client, server, relaying)
    }

    async fn heard(from: &mut DuplexStream, bytes: usize) -> Vec<u8> {
        let mut heard = vec![0; bytes];
        from.read_exact(&mut heard).await.unwrap();
        heard
    }

    #[tokio::test]
    async fn both_directions_pass_unchanged() {
        let (mut client, mut server, relaying) = session(64);
        client.write_all(b"\x81\x85maskhello").await.unwrap();
        assert_eq!(heard(&mut server, 11).await, b"\x81\x85maskhello");
        server.write_all(b"\x81\x05hello").await.unwrap();
        assert_eq!(heard(&mut client, 7).await, b"\x81\x05hello");
        drop((client, server));
        relaying.await.unwrap();
    }

    #[tokio::test]
    async fn what_a_side_does_not_take_holds_the_other_up() {
        let (mut client, mut server, relaying) = session(64);
        let flood = vec![0; 256 * 1024];
        let sent = timeout(Duration::from_millis(100), server.write_all(&flood)).await;
        assert!(sent.is_err(), "nobody has taken it");
        let mut all = 0;
        let drained = async {
            let mut chunk = [0; 4096];
            while let Ok(Ok(n @ 1..)) =
                timeout(Duration::from_millis(100), client.read(&mut chunk)).await
            {
                all += n;
            }
        };
        drained.await;
        assert!(all <= 64 + 64 + 8 * 1024, "{all} bytes were on the way");
        drop((client, server));
        relaying.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_whose_upstream_vanishes_is_told() {
        let (mut client, mut server, relaying) = session(64);
        server.write_all(b"\x81\x01a").await.unwrap();
        drop(server);
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [&b"\x81\x01a"[..], &BAD_GATEWAY].concat());
        relaying.await.unwrap();
    }

    #[tokio::test]
    async fn after_a_close_or_within_a_frame_nothing_is_added() {
        for last in [&b"\x88\x02\x03\xe8"[..], b"\x81\x05he"] {
            let (mut client, mut server, relaying) = session(64);
            server.write_all(last).await.unwrap();
            drop(server);
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, last);
            relaying.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_not_waited_for_at_the_end() {
        // The upstream's last frame fills the way to the client, and nothing more fits.
        let (client, mut server, relaying) = session(2);
        server.write_all(b"\x81\x00").await.unwrap();
        drop(server);
        timeout(PATIENCE * 2, relaying).await.unwrap().unwrap();
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_does_not_end_is_left_alone_after_a_while() {
        let (client, server, relaying) = session(64);
        drop(client);
        relaying.await.unwrap();
        drop(server);
    }
}
