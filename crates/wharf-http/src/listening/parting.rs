//! How a listener parts with connections that it is not to have any more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wharf_pool::{CloseReason, ConnectionHandle, ListenerName, PoolName, TICK};

use crate::connection::HttpConnection;
use crate::drain::DrainPlan;
use crate::running::Inner;

/// How long newcomers may still come after a listener is to close: those of its backlog, and those that
/// wait in its lobby.
const LAST_NEWCOMERS: Duration = Duration::from_millis(300);

/// Asks the connections that came to a listener by a socket that it has no more to finish, and forgets
/// the listener if it has no other.
pub(super) fn part_with_socket(name: ListenerName, address: SocketAddr, server: &Arc<Inner>) {
    let (registry, plan) = (
        server.drain.registry.clone(),
        Arc::clone(&server.drain.plan),
    );
    let owner = Arc::downgrade(server);
    server.outlast(async move {
        let came_by_it = |handle: &ConnectionHandle<HttpConnection>| {
            handle.listener() == name && came_by(handle.endpoints().local.0, address)
        };
        part_with(&plan, || {
            let mut all = registry.connections();
            all.retain(came_by_it);
            all
        })
        .await;
        let Some(server) = owner.upgrade() else {
            return;
        };
        // Nobody gives the name again meanwhile.
        let _alone = server.changing.lock().await;
        if !server.has_listener(&name) {
            registry.forget_listener(&name);
        }
    });
}

/// Asks the connections of pools that the listener has no more to finish, and forgets the pools.
pub(super) fn part_with_pools(listener: &ListenerName, kept: &[PoolName], server: &Arc<Inner>) {
    let mut all = server.drain.registry.all();
    all.retain(|pool| pool.name().listener() == listener && !kept.contains(pool.name()));
    for pool in all {
        let (registry, plan) = (
            server.drain.registry.clone(),
            Arc::clone(&server.drain.plan),
        );
        let owner = Arc::downgrade(server);
        server.outlast(async move {
            part_with(&plan, || pool.connections()).await;
            let Some(server) = owner.upgrade() else {
                return;
            };
            let _alone = server.changing.lock().await;
            if !server.has_pool(pool.name()) {
                registry.forget_pool(pool.name());
            }
        });
    }
}

/// Asks connections to finish until none of them is left; after the time of a drain they are cut.
async fn part_with(plan: &DrainPlan, those: impl Fn() -> Vec<ConnectionHandle<HttpConnection>>) {
    let begun = Instant::now();
    let deadline = begun + plan.get().timeout;
    loop {
        let (left, now) = (those(), Instant::now());
        if left.is_empty() && now - begun >= LAST_NEWCOMERS {
            return;
        }
        let late = now >= deadline;
        for connection in left {
            if late {
                connection.abort(CloseReason::DrainDeadline);
            } else {
                connection.begin_close(CloseReason::Config);
            }
        }
        sleep(TICK).await;
    }
}

/// Whether a connection with this local address was accepted by a socket at that one.
fn came_by(local: SocketAddr, socket: SocketAddr) -> bool {
    let everywhere = socket.ip().is_unspecified() && socket.is_ipv4() == local.is_ipv4();
    local.port() == socket.port() && (everywhere || local.ip() == socket.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_came_by_the_socket_that_has_its_local_address() {
        let came =
            |local: &str, socket: &str| came_by(local.parse().unwrap(), socket.parse().unwrap());
        assert!(came("10.0.0.1:80", "10.0.0.1:80") && came("10.0.0.1:80", "0.0.0.0:80"));
        assert!(came("[2001:db8::1]:80", "[::]:80"));
        assert!(!came("10.0.0.1:80", "10.0.0.1:81") && !came("10.0.0.1:80", "10.0.0.2:80"));
        assert!(!came("[::1]:80", "0.0.0.0:80") && !came("10.0.0.1:80", "[::]:80"));
    }
}
