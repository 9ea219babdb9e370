//! Who is listening hears what happens: a callback at once, a subscription at a pace of its own.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use wharf_pool::config::{Count, PoolConfig};
use wharf_pool::events::EventKind;
use wharf_pool::{CloseReason, Endpoints, Outcome, Registry, ScopeLimits};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let registry = Registry::<()>::new(ScopeLimits::default());
    let mut config = PoolConfig::default();
    config.common.max_connections = Count::new(1);
    let pool = registry.get_or_create(&"demo/line".parse()?, config)?;

    // A callback runs where the event happens, so it must be quick. It listens until `alarm` drops.
    let alarm = registry.events().on(|event| {
        if let EventKind::PoolLimitReached { reason, rejected } = &event.kind {
            println!("alarm: {rejected} turned away ({reason})");
        }
    });
    // A subscription has a queue: one that falls too far behind loses the oldest, and counts them.
    let mut story = registry.events().subscribe();

    let ends = Endpoints::new(
        SocketAddr::from(([192, 0, 2, 7], 4711)),
        "192.0.2.1:80".parse()?,
    );
    let connection = pool.add(ends.clone(), ())?;
    let request = connection.handle().begin_request(&pool);
    request.end(Outcome::Success, Duration::from_millis(3));
    assert!(pool.add(ends, ()).is_err(), "the pool is full");
    connection.handle().conclude(CloseReason::Idle);
    drop(connection);
    drop(alarm);

    while let Some(event) = story.try_next() {
        let pool = event.pool.map(|name| name.to_string()).unwrap_or_default();
        println!("{pool}: {}: {:?}", event.kind.as_str(), event.kind);
    }
    println!("lost: {}", registry.events().dropped());
    Ok(())
}
