use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::transport::Transport;
use tokio::net::{TcpListener, TcpStream};

/// Both ends of a connection over real sockets.
async fn connected() -> (TlsStream<TcpStream>, client::TlsStream<TcpStream>) {
    let ca = Authority::new("ca");
    let acceptor = acceptor(&ca, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (near, _) = listener.accept().await.unwrap();
    let config = Client::of(&ca).config();
    let (server, client) = tokio::join!(
        acceptor.accept(near, Vec::new()),
        connect(&config, "localhost", far)
    );
    (server.unwrap().stream, client.unwrap())
}

#[tokio::test]
async fn a_shutdown_says_goodbye() {
    let (mut server, mut client) = connected().await;
    server.write_all(b"last words").await.unwrap();
    server.shutdown().await.unwrap();
    let mut read = Vec::new();
    // Without close_notify this were an error.
    client.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"last words");
    // The other direction is open.
    client.write_all(b"answer").await.unwrap();
    client.shutdown().await.unwrap();
    read.clear();
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"answer");
}

#[tokio::test]
async fn a_peer_that_closes_without_a_goodbye_is_at_its_end() {
    let (mut server, client) = connected().await;
    let (mut socket, _) = client.into_inner();
    socket.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_peer_does_not_take_is_known_wherever_it_waits() {
    let (mut server, mut client) = connected().await;
    let chunk = [7; 16 * 1024];
    let mut written = 0;
    // Until neither the sockets nor TLS take more.
    while let Ok(n) = tokio::time::timeout(Duration::from_millis(200), server.write(&chunk)).await {
        written += n.unwrap() as u64;
    }
    let below = server.get_ref().unacknowledged().unwrap();
    let waiting = server.unacknowledged().unwrap();
    let held = waiting - below;
    assert!((32 * 1024..=66 * 1024).contains(&held), "{held}");
    // What has arrived and is not read counts as taken by the peer's kernel; of the rest TLS knows
    // to a part in five hundred.
    let arrived = written - waiting;
    let mut read = 0;
    let mut taken = vec![0; 64 * 1024];
    let drain = async {
        while read < written {
            read += client.read(&mut taken).await.unwrap() as u64;
        }
    };
    let (flushed, ()) = tokio::join!(server.flush(), drain);
    flushed.unwrap();
    assert!(arrived <= written);
    for _ in 0..100 {
        if server.unacknowledged() == Some(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let below = server.get_ref().unacknowledged();
    assert_eq!((below, server.unacknowledged()), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_reset_reaches_the_socket_beneath() {
    let (server, client) = connected().await;
    server.reset_on_drop();
    drop(server);
    let (mut socket, _) = client.into_inner();
    let mut rest = Vec::new();
    let error = socket.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// A transport that notes what it is told.
#[derive(Debug)]
struct Noted(DuplexStream, Arc<Mutex<Vec<Duration>>>);

mod noted {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::Noted;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for Noted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Noted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
}

impl Transport for Noted {
    fn spare_the_living(&self, user_timeout: Duration) {
        self.1.lock().unwrap().push(user_timeout);
    }
}

#[tokio::test]
async fn what_is_asked_of_the_transport_goes_to_the_one_beneath() {
    let ca = Authority::new("ca");
    let (near, far) = duplex(64 * 1024);
    let notes = Arc::default();
    let near = Noted(near, Arc::clone(&notes));
    let config = Client::of(&ca).config();
    let acceptor = acceptor(&ca, &[]);
    let (server, client) = tokio::join!(
        acceptor.accept(near, Vec::new()),
        connect(&config, "localhost", far)
    );
    let (server, _client) = (server.unwrap().stream, client.unwrap());
    server.spare_the_living(Duration::from_secs(30));
    assert_eq!(*notes.lock().unwrap(), [Duration::from_secs(30)]);
    assert_eq!(server.unacknowledged(), None);
}
