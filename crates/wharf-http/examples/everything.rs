//! One server with all there is: HTTP/1, HTTP/2 and gRPC, with and without TLS, limits, events, a drain.
//!
//! `cargo run -p wharf-http --features grpc --example everything`, then `curl 127.0.0.1:3000/`,
//! `curl --http2-prior-knowledge 127.0.0.1:3000/`, `curl -k https://127.0.0.1:3443/`, and Ctrl-C.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "it is a program, and certificates are valid by the time of day"
)]

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{Router, routing::get};
use tonic::service::Routes;
use wharf_http::grpc::{Health, beside};
use wharf_http::pool::ScopeLimits;
use wharf_http::pool::config::Count;
use wharf_http::tls::{Certificate, Certificates, ClientAuth, UtcTime};
use wharf_http::{DrainSettings, ListenerSetup, Protocol, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let health = Health::new();
    let web = Router::new().route("/", get(|| async { "hello\n" }));
    let app = beside(web, Routes::new(health.service()).prepare());

    let plain = ListenerSetup::new("web".parse()?, "127.0.0.1:3000".parse()?);
    let plain = with_pools(plain, [Protocol::Http, Protocol::Http2, Protocol::Grpc]);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let now = UtcTime::from_unix_seconds(seconds.try_into()?);
    let certificates = Certificates::new(Certificate::self_signed(&[], now)?, Vec::new());
    let secure = ListenerSetup::new("tls".parse()?, "127.0.0.1:3443".parse()?)
        .tls(certificates, ClientAuth::Off);
    let secure = with_pools(secure, [Protocol::Https, Protocol::Http2, Protocol::Grpc]);

    // The process, over its listeners, over their pools: the tightest rules.
    let mut limits = ScopeLimits::default();
    limits.max_connections = Count::new(1_000);
    limits.max_connections_per_ip = Count::new(100);
    let mut drain = DrainSettings::default();
    drain.timeout = Duration::from_secs(10);
    let server = Server::builder()
        .limits(limits)
        .drain(drain)
        .listener(plain, app.clone())
        .listener(secure, app)
        .start()
        .await?;
    let _following = health.follow(server.registry());

    let mut events = server.events().subscribe();
    let told = async {
        while let Some(event) = events.next().await {
            println!("{:?} {:?}", event.pool, event.kind);
        }
    };
    tokio::select! {
        () = told => {}
        stop = tokio::signal::ctrl_c() => stop?,
    }
    println!("{:?}", server.drain().await);
    Ok(())
}

/// The same limits for each protocol, beside the defaults of its own.
fn with_pools<const N: usize>(setup: ListenerSetup, protocols: [Protocol; N]) -> ListenerSetup {
    protocols.into_iter().fold(setup, |setup, protocol| {
        let mut config = protocol.defaults();
        config.common.max_connections = Count::new(500);
        config.common.headers_timeout = Duration::from_secs(5);
        setup.pool(protocol, config)
    })
}
