//! An axum application with limits of its own, the peer's address, and a drain on Ctrl-C.
//!
//! `cargo run -p wharf-http --example axum_app`, then `curl 127.0.0.1:3000/`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, Extension};
use axum::{Router, routing::get};
use tokio::net::TcpListener;
use wharf_http::Connected;
use wharf_http::pool::config::{Count, PoolConfig};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(peer))
        .route("/report", get(report));

    let mut config = PoolConfig::default();
    config.common.max_connections = Count::new(1_000);
    config.common.max_connections_per_ip = Count::new(100);
    config.common.keep_alive_timeout = Duration::from_secs(20);

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    wharf_http::serve(listener, app)
        .pool(config)
        .with_graceful_shutdown(async {
            // Without a Ctrl-C to wait for, serve on.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await
}

/// axum's own extractor, unchanged.
async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    format!("you are {peer}\n")
}

/// A handler that may take as long as it likes, and knows its connection.
async fn report(Extension(connection): Extension<Connected>) -> String {
    connection.set_request_timeout(None);
    let info = connection.info();
    format!(
        "connection {}, request {}, open for {:?}\n",
        info.id, info.requests, info.age
    )
}
