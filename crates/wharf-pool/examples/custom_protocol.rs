//! A protocol of one's own: every line is sent back. With limits, deadlines, metrics and a goodbye.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval, timeout};
use tokio_util::task::TaskTracker;
use wharf_pool::config::PoolConfig;
use wharf_pool::{Charge, CloseReason, Command, Endpoints, Outcome, Pool, Registry, ScopeLimits};
use wharf_pool::{ServingState, TICK, Timestamp, Tracked};

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new(ScopeLimits::default());
    let pool = registry.get_or_create(&"echo/line".parse()?, PoolConfig::default())?;
    Ok(serve(TcpListener::bind("127.0.0.1:7777").await?, pool, registry).await?)
}

pub(crate) async fn serve(listener: TcpListener, pool: Pool, registry: Registry) -> Result<()> {
    let (tasks, start, mut ticks) = (TaskTracker::new(), Instant::now(), interval(TICK));
    registry.set_state(ServingState::Serving);
    loop {
        tokio::select! {
            due = ticks.tick() => registry.tick(Timestamp::after_start(due - start), due.elapsed()),
            // The slot comes first: a full pool leaves newcomers in the kernel's backlog.
            (slot, accepted) = async { (pool.reserved().await, listener.accept().await) } => {
                let (socket, peer) = accepted?;
                match slot.open(Endpoints::new(peer, socket.local_addr()?), Charge::Peer, ()) {
                    Ok(guard) => drop(tasks.spawn(echo(Tracked::new(socket, guard), pool.clone()))),
                    Err(reason) => pool.reject(reason),
                }
            }
        }
    }
}

async fn echo(socket: Tracked<TcpStream>, pool: Pool) -> Result<()> {
    let connection = socket.handle().clone();
    let (mut io, mut line) = (BufStream::new(socket), Vec::new());
    let talk = async {
        while (&mut io).take(8192).read_until(b'\n', &mut line).await? > 0 {
            let (request, begun) = (connection.begin_request(&pool), Instant::now());
            io.write_all(&line).await?;
            io.flush().await?;
            request.end(Outcome::Success, begun.elapsed());
            line.clear();
        }
        Result::Ok(CloseReason::ClientClosed)
    };
    // Neither a line nor its way back may take longer, and a changed setting counts at once.
    let idle = || pool.config().common.keep_alive_timeout;
    connection.conclude(tokio::select! {
        ended = talk => ended.unwrap_or(CloseReason::PeerReset),
        told = connection.told_or_due(|| connection.since().after(idle())) => {
            told.map_or(CloseReason::Idle, Command::reason)
        }
    });
    timeout(TICK, io.write_all(b"goodbye\n")).await??;
    timeout(TICK, io.shutdown()).await?
}
