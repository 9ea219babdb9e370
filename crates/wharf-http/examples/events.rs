//! What happens to connections: a stream to follow, and a callback for what must not be missed.
//!
//! `cargo run -p wharf-http --example events`, then `curl 127.0.0.1:3000/`.

#![expect(clippy::print_stdout, reason = "it is a program")]

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use wharf_http::pool::events::EventKind;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = Router::new().route("/", get(|| async { "hello\n" }));
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let server = wharf_http::serve(listener, app).start().await?;

    // Runs where the event happens, before the connection goes on. Dropped, it is taken off again.
    let _alarm = server.events().on(|event| {
        if let EventKind::PoolLimitReached { reason, rejected } = event.kind {
            println!("{rejected} newcomers turned away: {reason}");
        }
    });

    // A stream at its own pace. Too slow, it loses the oldest events, and they are counted.
    let mut events = server.events().subscribe();
    while let Some(event) = events.next().await {
        let pool = event.pool.as_ref().map_or("-", |pool| pool.as_str());
        println!("{pool} {}: {:?}", event.kind.as_str(), event.kind);
        if let EventKind::ConnectionRemoved { reason, .. } = event.kind {
            println!("ended: {reason}; {} lost so far", server.events().dropped());
        }
    }
    Ok(())
}
