//! gRPC services beside an axum router on one port, with health, reflection and counted calls.
//!
//! `cargo run -p wharf-http --features grpc --example grpc`, then
//! `grpcurl -plaintext 127.0.0.1:3000 grpc.health.v1.Health/Check` and `curl 127.0.0.1:3000/calls`.

use std::error::Error;

use axum::{Router, routing::get};
use tonic::service::Routes;
use tonic_health::pb::FILE_DESCRIPTOR_SET;
use wharf_http::grpc::{Calls, Health, beside};
use wharf_http::{ListenerSetup, Protocol, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Say of your own services that they serve: `health.set_serving("shop.v1.Orders")`.
    let health = Health::new();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .build_v1()?;
    // Yours are added the same way: `.add_service(OrdersServer::new(orders))`.
    let services = Routes::new(health.service()).add_service(reflection);

    let calls = Calls::default();
    let counted = calls.clone();
    let web = Router::new().route("/calls", get(|| async move { report(&counted) }));
    // By content type; neither router sees the other's requests.
    let app = beside(web, services.prepare()).supervised(|grpc| grpc.calls(calls));

    // A connection whose first request is a call is counted in the pool for gRPC.
    let mut setup = ListenerSetup::new("web".parse()?, "127.0.0.1:3000".parse()?);
    for protocol in [Protocol::Http, Protocol::Http2, Protocol::Grpc] {
        setup = setup.pool(protocol, protocol.defaults());
    }
    let server = Server::builder().listener(setup, app).start().await?;

    // From now on NOT_SERVING while the server drains or no pool takes work.
    let _following = health.follow(server.registry());
    tokio::signal::ctrl_c().await?;
    server.drain().await;
    Ok(())
}

/// A line for each method.
fn report(calls: &Calls) -> String {
    let methods = calls.figures().into_iter();
    let line = |it: wharf_http::grpc::MethodFigures| {
        let (ended, answered) = (it.ended.iter().sum::<u64>(), it.ended[0]);
        format!("{}: {ended} ended, {answered} OK\n", it.method)
    };
    methods.map(line).collect()
}
