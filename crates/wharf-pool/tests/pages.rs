//! What `docs/write-a-protocol.md` shows, as it stands there: compiled, and run once.

use std::error::Error;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval};
use wharf_pool::config::PoolConfig;
use wharf_pool::{
    Charge, Endpoints, Registry, ScopeLimits, ServingState, TICK, Timestamp, Tracked,
};

#[tokio::test]
async fn the_steps_of_a_protocol_serve_a_connection() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new(ScopeLimits::default());
    let pool = registry.get_or_create(&"echo/line".parse()?, PoolConfig::default())?;
    registry.set_state(ServingState::Serving);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut client = TcpStream::connect(listener.local_addr()?).await?;
    let mut served = None;
    let mut serve = |connection| served = Some(connection);

    let slot = pool.reserved().await;
    let (stream, peer) = listener.accept().await?;
    let endpoints = Endpoints::new(peer, stream.local_addr()?);
    match slot.open(endpoints, Charge::Peer, ()) {
        Ok(guard) => serve(Tracked::new(stream, guard)),
        Err(reason) => pool.reject(reason),
    }

    let (start, mut ticks) = (Instant::now(), interval(TICK));
    let due = ticks.tick().await;
    registry.tick(Timestamp::after_start(due - start), due.elapsed());

    assert_eq!(pool.active(), 1);
    let mut served = served.ok_or("the pool had room")?;
    served.write_all(b"ahoy").await?;
    let mut heard = [0; 4];
    client.read_exact(&mut heard).await?;
    assert_eq!(&heard, b"ahoy");
    drop(served);
    assert_eq!(pool.active(), 0);
    Ok(())
}
