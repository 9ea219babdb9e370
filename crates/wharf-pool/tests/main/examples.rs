//! The examples do what they say.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use wharf_pool::config::PoolConfig;
use wharf_pool::{CloseReason, Pool, Registry, ScopeLimits};

use crate::world::patch;

#[path = "../../examples/callbacks.rs"]
mod callbacks;
#[expect(
    dead_code,
    reason = "its main function is for the example's own binary"
)]
#[path = "../../examples/custom_protocol.rs"]
mod custom_protocol;

#[test]
fn the_callbacks_example_runs() {
    callbacks::main().unwrap();
}

struct Echo {
    pool: Pool,
    address: std::net::SocketAddr,
    _server: JoinSet<()>,
}

impl Echo {
    async fn start() -> Self {
        let registry = Registry::new(ScopeLimits::default());
        let name = "echo/line".parse().unwrap();
        let pool = registry
            .get_or_create(&name, PoolConfig::default())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        let serving = pool.clone();
        server.spawn_local(async move {
            custom_protocol::serve(listener, serving, registry)
                .await
                .unwrap();
        });
        Self {
            pool,
            address,
            _server: server,
        }
    }

    async fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(self.address).await.unwrap())
    }

    fn closed(&self, reason: CloseReason) -> u64 {
        let closed = self.pool.metrics().closed_by_reason;
        closed.into_iter().find(|(r, _)| *r == reason).unwrap().1
    }
}

async fn say(client: &mut BufReader<TcpStream>, line: &str) -> String {
    client.write_all(line.as_bytes()).await.unwrap();
    hear(client).await
}

async fn hear(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let heard = timeout(Duration::from_secs(5), client.read_line(&mut line)).await;
    heard.expect("an answer").unwrap();
    line
}

#[tokio::test(flavor = "local")]
async fn the_custom_protocol_echoes_limits_times_out_and_says_goodbye() {
    let echo = Echo::start().await;
    echo.pool
        .update_config(&patch("max_connections", 2_i64))
        .unwrap();
    let (mut one, mut two) = (echo.connect().await, echo.connect().await);
    assert_eq!(say(&mut one, "hello\n").await, "hello\n");
    assert_eq!(say(&mut two, "you\n").await, "you\n");

    // The third waits in the backlog until one of the others leaves.
    let mut three = echo.connect().await;
    three.write_all(b"third\n").await.unwrap();
    let mut byte = [0; 1];
    assert!(
        timeout(Duration::from_millis(300), three.read(&mut byte))
            .await
            .is_err()
    );
    assert_eq!(echo.pool.active(), 2);
    drop(one);
    assert_eq!(hear(&mut three).await, "third\n");

    // A shorter timeout holds at once; both are idle.
    let asked = Instant::now();
    echo.pool
        .update_config(&patch("keep_alive_timeout", "500ms"))
        .unwrap();
    assert_eq!((hear(&mut two).await, hear(&mut three).await), goodbyes());
    assert!(asked.elapsed() < Duration::from_secs(2));

    let mut four = echo.connect().await;
    assert_eq!(say(&mut four, "4\n").await, "4\n");
    assert_eq!(echo.pool.close_all(CloseReason::Drained), 1);
    assert_eq!(hear(&mut four).await, "goodbye\n");
    while echo.pool.active() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let reasons = [
        CloseReason::ClientClosed,
        CloseReason::Idle,
        CloseReason::Drained,
    ];
    assert_eq!(reasons.map(|reason| echo.closed(reason)), [1, 2, 1]);
    let metrics = echo.pool.metrics();
    assert_eq!((metrics.requests, metrics.bytes_received), (4, 18));
}

fn goodbyes() -> (String, String) {
    ("goodbye\n".to_owned(), "goodbye\n".to_owned())
}
