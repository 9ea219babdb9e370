//! The smallest server: `axum::serve` with one word changed.
//!
//! `cargo run -p wharf-http --example hello`, then `curl 127.0.0.1:3000/`. Ctrl-C drains.

use axum::{Router, routing::get};
use tokio::{net::TcpListener, signal::ctrl_c};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new().route("/", get(|| async { "hello\n" }));
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    wharf_http::serve(listener, app)
        .with_graceful_shutdown(async { drop(ctrl_c().await) })
        .await
}
