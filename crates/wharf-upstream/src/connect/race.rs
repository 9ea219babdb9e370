//! Happy eyeballs (RFC 8305): the addresses of a name are tried one after the other, each a little
//! later than the last, and the first that answers is taken.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::prepare;

/// "Connection Attempt Delay", RFC 8305 5.
const DELAY: Duration = Duration::from_millis(250);

/// The most addresses of a name that are tried.
const MOST: usize = 8;

/// The first connection that is made; else the error of the last address.
pub(super) async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = interleaved(addresses).into_iter();
    // Ends with this future: attempts that lost the race are dropped with it.
    let mut attempts = JoinSet::new();
    let mut last = io::Error::other("no address to connect to");
    let mut next = Instant::now();
    let mut more = true;
    loop {
        tokio::select! {
            // In order: an attempt that is ready is taken before another is begun.
            biased;
            Some(done) = attempts.join_next() => match done {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => {
                    last = error;
                    // Nothing is gained by waiting for one that has failed.
                    next = Instant::now();
                }
                Err(join) => last = io::Error::other(join),
            },
            () = sleep_until(next), if more => match left.next() {
                Some(address) => {
                    attempts.spawn(connect(address));
                    next = Instant::now() + DELAY;
                }
                None => more = false,
            },
            else => return Err(last),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    prepare(&socket)?;
    Ok(socket)
}

/// IPv6 and IPv4 in turn, in the order in which the resolver gave them, beginning with its first.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut order = Vec::new();
    while order.len() < MOST {
        let before = order.len();
        order.extend(one.next());
        order.extend(other.next());
        if order.len() == before {
            break;
        }
    }
    order.truncate(MOST);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let [a, b, c] = ["[::1]:1", "[::2]:1", "127.0.0.1:1"].map(at);
        assert_eq!(interleaved(vec![a, b, c]), [a, c, b]);
        assert_eq!(interleaved(vec![c, b, a]), [c, b, a]);
        assert_eq!(interleaved(Vec::new()), []);
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_delay_the_next() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Bound and not listening, so that nobody else listens there.
        let bound = tokio::net::TcpSocket::new_v4().unwrap();
        bound.bind(at("127.0.0.1:0")).unwrap();
        let closed = bound.local_addr().unwrap();
        let begun = Instant::now();
        let found = first_of(vec![closed, open.local_addr().unwrap()])
            .await
            .unwrap();
        assert_eq!(found.peer_addr().unwrap(), open.local_addr().unwrap());
        assert!(begun.elapsed() < DELAY, "{:?}", begun.elapsed());
        assert!(first_of(vec![closed]).await.is_err());
        assert!(first_of(Vec::new()).await.is_err());
    }
}
